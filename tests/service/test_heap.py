"""What a deployment let go of leaves the process: the heap of the C library gives its free pages back."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Four threads fill heaps of their own and free all but what lies at each end, as a deployment's threads do.
PROGRAM = """
import sys, threading
from lfr_edge.service.heap import give_back, keep_few_heaps

def anonymous_kib():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))

if sys.argv[1] == "kept few":
    keep_few_heaps()
ends = []
together = threading.Barrier(4)

def fill():
    together.wait()
    held = [bytearray(2000) for _ in range(4000)]
    together.wait()
    ends.append(held[-1])

threads = [threading.Thread(target=fill) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
heaps = sum("rw-p" in line and int(line.split("-")[0], 16) % (64 << 20) == 0 for line in open("/proc/self/maps"))
before = anonymous_kib()
if sys.argv[1] != "kept all":
    give_back()
print(before, anonymous_kib(), heaps)
"""


@pytest.mark.parametrize(("how", "comes_back", "few"), [("kept few", True, True), ("kept all", False, False)])
def test_free_pages_go_back_to_the_kernel(how, comes_back, few):
    """The second case is the control: a heap that is left alone."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True)
    before, after, heaps = map(int, done.stdout.split())
    assert (before - after > 20_000) is comes_back, done.stdout
    assert (heaps <= 1) is few, "heaps beside the first one, which lies elsewhere"
