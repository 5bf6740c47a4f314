"""What a deployment let go of leaves the process: the heap of the C library gives its free pages back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lfr_edge.service import heap

# Four threads fill heaps of their own and free all but what lies at each end, as a deployment's threads do. The module
# is loaded without its room, whose libraries start threads of their own: how many heaps those get is a race.
PROGRAM = """
import ctypes, os, runpy, sys, tempfile, threading
give_back, keep_few_heaps = (runpy.run_path(sys.argv[2])[name] for name in ("give_back", "keep_few_heaps"))
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]

def anonymous_kib():
    # Walked, as the kernel's running count may lag by pages for each processor.
    return next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous"))

def count_heaps():
    with tempfile.TemporaryFile() as file:
        stream = libc.fdopen(os.dup(file.fileno()), b"w")
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        file.seek(0)
        return file.read().count(b"<heap nr=")

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
heaps = count_heaps()
before = anonymous_kib()
if sys.argv[1] != "kept all":
    give_back()
print(before, anonymous_kib(), heaps)
"""


@pytest.mark.parametrize(("how", "comes_back", "few"), [("kept few", True, True), ("kept all", False, False)])
def test_free_pages_go_back_to_the_kernel(how, comes_back, few):
    """The second case is the control: a heap that is left alone."""
    command = [sys.executable, "-c", PROGRAM, how, heap.__file__]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, after, heaps = map(int, done.stdout.split())
    assert (before - after > 20_000) is comes_back, done.stdout
    assert (heaps <= 2) is few, done.stdout
