"""A memory limit of the kernel's for some processes, as a service manager's MemoryMax= sets it: cgroup 2, or 1."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOTS: Final = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))  # version 2, version 1


class MemoryGroup:
    """Whoever is in it, and whoever they start, shares the limit. The kernel's OOM killer chooses among them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        new = (folder / "memory.max").exists()
        names = ("memory.max", "memory.current", "memory.events") if new else _OLD
        self._limit, self._usage, self._events = (folder / name for name in names)
        if new:
            with contextlib.suppress(OSError):  # a kernel without swap has no such file
                (folder / "memory.swap.max").write_text("0", encoding="ascii")

    def take(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def leave_room(self, size: int) -> None:
        """So many bytes more than is in use now (some of which are pages of files, and give way)."""
        self._limit.write_text(str(int(self._usage.read_text()) + size), encoding="ascii")

    @property
    def kills(self) -> int:
        """Processes of the group that the kernel killed for want of memory."""
        lines = (line.split() for line in self._events.read_text(encoding="ascii").splitlines())
        return next(int(count) for name, count in lines if name == "oom_kill")


_OLD: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control")


@contextlib.contextmanager
def memory_group() -> Iterator[MemoryGroup]:
    folder = _parent() / f"lfr-trial-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        yield MemoryGroup(folder)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            folder.rmdir()
            return
        except OSError:  # a process that was killed is still leaving
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def there_is_one() -> bool:
    """Whether this process may make memory groups here."""
    try:
        with memory_group() as group:
            return group.kills == 0
    except (OSError, StopIteration):
        return False


def _parent() -> Path:
    """Raises FileNotFoundError where the kernel has no memory controller that we may use."""
    for root in _ROOTS:
        with contextlib.suppress(OSError):
            if root.name == "memory" or "memory" in (root / "cgroup.subtree_control").read_text().split():
                (root / "cgroup.procs").stat()
                return root
    raise FileNotFoundError("no memory controller")
