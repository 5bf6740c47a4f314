"""Writing so that a power cut finds either all of it or none: the few calls durability rests on, behind a seam.

Tests put a disk of their own here that fails, fills up or loses power at a chosen call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700


class Disk(Protocol):
    """The calls a log makes while it is open. **Thread rule:** one call at a time per descriptor."""

    def append(self, descriptor: int, data: bytes | bytearray) -> None:
        """Write all of `data` at the end; OSError otherwise, with an unknown part of it written."""

    def datasync(self, descriptor: int) -> None:
        """Return when the data is durable; OSError is final (the kernel may have dropped the pages)."""

    def truncate(self, descriptor: int, size: int) -> None: ...


class RealDisk:
    def append(self, descriptor: int, data: bytes | bytearray) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def datasync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create `folder` and missing parents, private, their names durable."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(path.parent)


def write_new(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Write a whole file, durable under its name or not there at all; an older one is replaced."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # what a cut left, or a link that somebody laid there
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, mode)
    try:
        RealDisk().append(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    sync_folder(path.parent)


def allocate(path: Path, size: int) -> None:
    """Reserve `size` bytes under `path`, so that they can be given back when the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
