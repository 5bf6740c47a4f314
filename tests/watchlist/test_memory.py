"""How many copies of the list's templates a process holds, seen from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lists import FINGERPRINT, person

from lfr_edge.watchlist.container import SealedWatchlist, seal

PEOPLE, DIMENSION, KEY = 40, 512, bytes(range(32))


@contextmanager
def child(tmp_path: Path, *extra: str) -> Iterator[subprocess.Popen[str]]:
    seal(
        tmp_path / "list",
        (person(n, 1, DIMENSION) for n in range(PEOPLE)),
        key=KEY,
        fingerprint=FINGERPRINT,
        dimension=DIMENSION,
    )
    with SealedWatchlist.open(tmp_path / "list", KEY) as opened:
        (tmp_path / "part").write_bytes(opened.template_part())
        (tmp_path / "key").write_bytes(opened.template_key())
    script = Path(__file__).with_name("memory_child.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "part"), str(tmp_path / "key"), *extra],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def proceed(process: subprocess.Popen[str], word: str) -> None:
    if word != "unsealed":
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.stdout.readline().strip() == word


def copies(pid: int, rows: list[bytes]) -> list[int]:
    """How often each row's middle 16 bytes stand in the process's writable memory."""
    fragments = [row[len(row) // 2 : len(row) // 2 + 16] for row in rows]
    counts = [0] * len(rows)
    try:
        memory = open(f"/proc/{pid}/mem", "rb", buffering=0)  # noqa: PTH123, SIM115 - closed below
    except PermissionError:
        pytest.skip("NOT TESTED: this kernel does not let a parent read its child's memory")
    with memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            low, high = (int(part, 16) for part in span.split("-"))
            memory.seek(low)
            try:
                block = memory.read(high - low)
            except OSError:  # a guard page
                continue
            for i, fragment in enumerate(fragments):
                counts[i] += block.count(fragment)
    return counts


def test_one_copy_while_it_is_needed_and_none_afterwards(tmp_path):
    rows = [person(n, 1, DIMENSION).templates[0].tobytes() for n in range(PEOPLE)]
    with child(tmp_path) as process:
        proceed(process, "unsealed")
        assert (
            copies(process.pid, rows) == [1] * PEOPLE
        )  # the control: the scan sees them, and no second copy
        proceed(process, "withdrawn")
        assert copies(process.pid, rows) == [int(n != 3) for n in range(PEOPLE)]
        proceed(process, "wiped")
        assert copies(process.pid, rows) == [0] * PEOPLE


def test_a_process_that_does_not_wipe_is_noticed(tmp_path):
    rows = [person(n, 1, DIMENSION).templates[0].tobytes() for n in range(PEOPLE)]
    with child(tmp_path, "sabotage") as process:
        for word in ("unsealed", "withdrawn", "wiped"):
            proceed(process, word)
        assert sum(copies(process.pid, rows)) == PEOPLE - 1
