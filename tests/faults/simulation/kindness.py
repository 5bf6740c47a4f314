"""Whether the fake disk is kinder than ext4: a short story of file calls on both, and the power goes.

What the real one leaves has to be among what the fake one leaves, by chance, after the same calls.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.audit.test_power import LoopDisk
from tests.faults.simulation.disk import CrashableDisk

State = tuple[tuple[str, bytes], ...]  # path and content of every file
Call = tuple[str, str, int]  # what is done, to which name, how much of it

NAMES: Final = ("one", "two", "new")
MOST_CALLS: Final = 6
SAMPLES: Final = (300, 3_000, 20_000)  # of what the fake leaves: more where the real state was not among them
_libc = ctypes.CDLL(None, use_errno=True)


def story(chance: random.Random) -> list[Call]:
    """Calls as a log makes them, in any order; they need not make sense."""
    calls: list[Call] = []
    for _ in range(chance.randrange(2, MOST_CALLS + 1)):
        kind = chance.choices(
            ("append", "sync", "folder", "rename", "unlink", "shorten", "journal"), (8, 3, 2, 3, 1, 1, 4)
        )[0]
        calls.append((kind, chance.choice(NAMES), chance.choice((1, 70, 511, 513, 1100))))
    return calls


def act(folder: Path, calls: list[Call], journal: bool) -> None:
    """`journal`: the disk writes its own journal out where the story says so; nobody asked it to."""
    for number, (kind, name, amount) in enumerate(calls):
        path = folder / name
        if kind == "append":
            text = bytes((65 + number,)) * amount
            _on(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, partial(_write, text))
        elif kind == "folder":
            _on(folder, os.O_RDONLY, os.fsync)
        elif kind == "journal":
            if journal:
                _on(folder, os.O_RDONLY, lambda fd: _libc.syncfs(fd))
        elif not path.exists():
            continue
        elif kind == "sync":
            _on(path, os.O_WRONLY, os.fsync)
        elif kind == "rename":
            os.replace(path, folder / NAMES[(NAMES.index(name) + 1) % len(NAMES)])  # noqa: PTH105
        elif kind == "unlink":
            os.unlink(path)  # noqa: PTH108
        elif kind == "shorten":
            _on(path, os.O_WRONLY, partial(_shorten, path.stat().st_size // 2))


def _write(text: bytes, descriptor: int) -> None:
    os.write(descriptor, text)


def _shorten(size: int, descriptor: int) -> None:
    os.ftruncate(descriptor, size)


def _on(path: Path, flags: int, do: Callable[[int], object]) -> None:
    descriptor = os.open(path, flags, 0o600)
    try:
        do(descriptor)
    finally:
        os.close(descriptor)


def state(folder: Path) -> State:
    return tuple((path.name, path.read_bytes()) for path in sorted(folder.iterdir()))


def really(disk: LoopDisk, name: str, calls: list[Call]) -> State:
    """What ext4 leaves."""
    folder = disk.mount / name
    folder.mkdir()
    _on(disk.mount, os.O_RDONLY, lambda fd: _libc.syncfs(fd))
    act(folder, calls, journal=True)
    disk.cut()
    disk.down()
    disk.up()
    left = state(folder)
    shutil.rmtree(folder)
    return left


def fakes(base: Path, calls: list[Call], seed: int, *, kind: bool = False) -> Iterator[State]:
    """What the fake leaves, again and again. `kind`: the control, a disk that keeps what was written."""
    base.mkdir(exist_ok=True)
    disk = CrashableDisk(base, random.Random(seed))
    with disk.powered():
        act(disk.live, calls, journal=False)
    if kind:
        while True:
            yield state(disk.live)
    after = base / "after"
    while True:
        after.mkdir()
        disk.leave(after)
        yield state(after)
        shutil.rmtree(after)


def unknown(base: Path, calls: list[Call], seed: int, left: State, *, kind: bool = False) -> str:
    """What ext4 left and the fake never does; empty where it does."""
    seen = set()
    for number, one in enumerate(fakes(base, calls, seed, kind=kind)):
        if one == left:
            return ""
        seen.add(one)
        if number in SAMPLES and len(seen) < number / 20:
            break  # there is hardly anything new
        if number >= SAMPLES[-1]:
            break
    shown = [(name, len(data), data[:1] + data[-1:]) for name, data in left]
    return f"{calls} left {shown}, which is none of the {len(seen)} states of the fake"
