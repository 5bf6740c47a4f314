"""Erasing a file that holds a key or a sealed list, or the copy on the medium that a list was imported from."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.disk import sync_folder
from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say

_BLOCK: Final = 1 << 20
_MOST_FILES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ImportErased:
    """What was erased of an import copy. Every file was read back before it was unlinked."""

    files: int
    size: int  # bytes


def destroy_file(path: Path) -> int:
    """Overwrite once, make that durable, read it back, unlink; returns the bytes overwritten.

    Flash media may keep old blocks out of reach of any program: what makes a sealed list unreadable for good is
    the loss of its key, which is 32 bytes on a medium of its own.

    Raises:
        WatchlistError: ``watchlist_not_destroyed``; what is left is said.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "not a file")
            if status.st_nlink > 1:
                raise OSError(0, "the file has a second name (hard link) and would survive")
            written = _overwrite(descriptor, status.st_size)
            os.fsync(descriptor)
            os.posix_fadvise(
                descriptor, 0, 0, os.POSIX_FADV_DONTNEED
            )  # so that the medium answers, not the cache
            if _digest(descriptor, status.st_size) != written:
                raise OSError(0, "what was written over it did not come back")
        finally:
            os.close(descriptor)
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise _not_destroyed(path, error) from None
    return status.st_size


def destroy_import(path: Path) -> ImportErased:
    """Erase the copy that a list was imported from: a file, or a folder with everything in it.

    Links are removed and not followed. Stops at the first file that cannot be erased.

    Raises:
        WatchlistError: ``watchlist_not_destroyed``; nothing else is touched after that.
    """
    if not path.is_dir() or path.is_symlink():
        return ImportErased(1, destroy_file(path))
    files = size = 0
    folders: list[Path] = []
    for folder, _, names in os.walk(path, topdown=False, onerror=_raise):
        folders.append(Path(folder))
        for name in names:
            file = Path(folder) / name
            if file.is_symlink():
                file.unlink()
                continue
            size += destroy_file(file)
            files += 1
            if files > _MOST_FILES:
                raise _not_destroyed(path, OSError(0, f"holds more than {_MOST_FILES} files"))
    try:
        for folder_path in folders:
            for (
                link
            ) in folder_path.iterdir():  # only links to folders are left, which os.walk lists as folders
                link.unlink()
            folder_path.rmdir()
        sync_folder(path.parent)
    except OSError as error:
        raise _not_destroyed(path, error) from None
    return ImportErased(files, size)


def _overwrite(descriptor: int, size: int) -> bytes:
    digest, left = hashlib.sha256(), size
    while left > 0:
        block = secrets.token_bytes(min(left, _BLOCK))
        view = memoryview(block)
        while view:
            view = view[os.write(descriptor, view) :]
        digest.update(block)
        left -= len(block)
    return digest.digest()


def _digest(descriptor: int, size: int) -> bytes:
    digest, offset = hashlib.sha256(), 0
    while offset < size and (block := os.pread(descriptor, min(_BLOCK, size - offset), offset)):
        digest.update(block)
        offset += len(block)
    return digest.digest()


def _raise(error: OSError) -> None:
    raise _not_destroyed(Path(str(error.filename)), error)


def _not_destroyed(path: Path, error: OSError) -> WatchlistError:
    return WatchlistError(
        "watchlist_not_destroyed",
        say("{path}: {strerror}", path=path, strerror=error.strerror),
        hint="make the medium writable and repeat; until then the list exists",
    )
