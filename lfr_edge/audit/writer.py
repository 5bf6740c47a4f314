"""The disk half of an open log: frames, heads and checkpoints made durable, and the ballast for a full disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from lfr_edge.audit.checkpoint import Checkpoint, Head
from lfr_edge.audit.disk import FILE_MODE, Disk, allocate, sync_folder
from lfr_edge.audit.folder import LogFolder, head_line
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say


class LogWriter:
    """The three append-only files of a log. **Thread rule:** one call at a time; the log sees to that."""

    def __init__(self, files: LogFolder, disk: Disk, ballast_bytes: int) -> None:
        """Open and lock the files.

        Raises:
            AuditError: ``audit_log_in_use``.
            OSError: the folder cannot be written.
        """
        self._files = files
        self._disk = disk
        self._open: list[int] = []
        self._ends: dict[int, int] = {}  # of each file, by descriptor: nobody else writes here
        try:
            self._entries = self._append_to(files.entries)
            _lock(self._entries, files.path)
            self._heads = self._append_to(files.heads)
            self._checkpoints = self._append_to(files.checkpoints)
            sync_folder(files.path)
            # True once the ballast is gone and no entry says so yet.
            self.disk_full = ballast_bytes > 0 and not _reserve(files.ballast, ballast_bytes)
        except BaseException:
            self.close()
            raise

    def write_entries(self, frames: bytes | bytearray) -> None:
        """Make the frames of a batch durable in one write and one fdatasync."""
        self._append(self._entries, frames)

    def write_head(self, before: Head, head: Head, sign: Callable[[], Checkpoint]) -> Checkpoint:
        """Make size and root durable, then sign, then keep the signature.

        Raises:
            AuditError: ``audit_head_inconsistent`` if the last head on disk is not `before`: somebody else
                wrote here, or the disk was exchanged under us.
        """
        end = os.fstat(self._heads).st_size
        last = head_line(before)
        on_disk = os.pread(self._heads, len(last), max(0, end - len(last)))
        if on_disk != last and (end or before.size):
            raise AuditError(
                "audit_head_inconsistent",
                say("the last head on disk is not the {size} entries signed here", size=before.size),
            )
        self._append(self._heads, head_line(head))
        checkpoint = sign()
        self._append(self._checkpoints, f"{checkpoint}\n".encode())
        return checkpoint

    def close(self) -> None:
        while self._open:
            # What matters was synced; an error of close says nothing about it.
            with contextlib.suppress(OSError):
                os.close(self._open.pop())

    def _append_to(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self._open.append(descriptor)
        self._ends[descriptor] = os.fstat(descriptor).st_size
        return descriptor

    def _append(self, descriptor: int, data: bytes | bytearray) -> None:
        """Add `data` durably. A full disk is met once, by giving the ballast back."""
        try:
            self._disk.append(descriptor, data)
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._files.ballast.exists():
                raise
            self._disk.truncate(descriptor, self._ends[descriptor])
            self._files.ballast.unlink()
            sync_folder(self._files.path)
            self.disk_full = True
            self._disk.append(descriptor, data)
        self._ends[descriptor] += len(data)
        self._disk.datasync(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AuditError(
            "audit_log_in_use",
            say("another process writes to {folder}", folder=folder),
            hint="stop the other service first",
        ) from None


def _reserve(path: Path, size: int) -> bool:
    """Reserve the ballast; false where the disk is too full for it."""
    try:
        allocate(path, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        path.unlink(missing_ok=True)
        return False
    return True
