"""Who holds a locked file, so that a refusal names what really runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROGRAM: Final = "lfr-edge"
_SERVICES: Final = frozenset({"serve", "demo"})  # what sweeps by itself for as long as it runs
_LOCK: Final = re.compile(r"FLOCK +\S+ +WRITE +(?P<process>\d+) +[0-9a-f]+:[0-9a-f]+:(?P<inode>\d+) ")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a file's lock."""

    process: int
    command: str  # "lfr-edge retention sweep", or another program's name; never its arguments

    @property
    def is_service(self) -> bool:
        return self.command in {f"{_PROGRAM} {name}" for name in _SERVICES}


def holder_of(path: Path) -> Holder | None:
    """Who has locked `path` with flock(2); None where nobody has, or the kernel does not tell this user."""
    try:
        inode = path.stat().st_ino
        locks = Path("/proc/locks").read_text()
    except OSError:
        return None
    for lock in _LOCK.finditer(locks):
        # Inodes are unique in one file system only: the process must have this very file open.
        if int(lock["inode"]) == inode and _has_open(int(lock["process"]), path):
            command = _command(int(lock["process"]))
            return Holder(int(lock["process"]), command) if command else None
    return None


def _has_open(process: int, path: Path) -> bool:
    """True also where /proc hides another user's files: then the inode has to do."""
    try:
        opened = list(Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return True
    return any(_same(one, path) for one in opened)


def _same(one: Path, path: Path) -> bool:
    try:
        return one.samefile(path)
    except OSError:
        return False


def _command(process: int) -> str:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    names = [Path(word).name for word in words if word]
    program = next((at for at, name in enumerate(names) if name in {_PROGRAM, "lfr_edge"}), None)
    if program is None:
        return names[0] if names else ""
    actions = [name for name in words[program + 1 : program + 3] if re.fullmatch(r"[a-z][a-z-]*", name)]
    return " ".join((_PROGRAM, *actions))
