"""Erasing a file that holds a key or a sealed list."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from lfr_edge.audit.disk import sync_folder
from lfr_edge.errors import WatchlistError

_BLOCK: Final = 1 << 20


def destroy_file(path: Path) -> int:
    """Overwrite once, make that durable, unlink; returns the bytes overwritten.

    Flash media may keep old blocks out of reach of any program: what makes a sealed list unreadable for good is
    the loss of its key, which is 32 bytes on a medium of its own.

    Raises:
        WatchlistError: ``watchlist_not_destroyed``; what is left is said.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "not a file")
            if status.st_nlink > 1:
                raise OSError(0, "the file has a second name (hard link) and would survive")
            left = status.st_size
            while left > 0:
                left -= os.write(descriptor, secrets.token_bytes(min(left, _BLOCK)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise WatchlistError(
            "watchlist_not_destroyed",
            f"{path}: {error.strerror}",
            hint="make the medium writable and repeat; until then the list exists",
        ) from None
    return status.st_size
