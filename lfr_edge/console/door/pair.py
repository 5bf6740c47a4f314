"""Key, certificate and authority of one console, changed as one.

A power cut between two files must not leave a key with another key's certificate: the console would not open again. So
the files of a folder are links to ``current/…``, and ``current`` is a link to one of two folders that each hold a whole
set; renaming that one link is the change. Paths that are configured stay as they are. Where a file system has no links
(a laptop's certificate on a FAT stick) the files are written one after the other.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lfr_edge.audit.disk import sync_folder, write_new
from lfr_edge.errors import AccessError
from lfr_edge.sentences import say

Files = Mapping[str, tuple[bytes, int]]  # name → (content, mode)
_CURRENT: Final = "current"
_SET: Final = "set-"
_FOLDER_MODE: Final = 0o750
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
)  # FAT and exFAT: the first, also to root


def change(folder: Path, files: Files, owner: tuple[int, int] | None) -> None:
    """Write all of `files`, or leave those that were there. `owner` (user, group): of the folder and all in it.

    Raises:
        AccessError: ``tls_not_written``; what was there before is still there and still belongs together.
    """
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        _give(folder, owner)
        if not _has_links(folder):
            _one_by_one(folder, files, owner)
            return
        _adopt(folder, tuple(files), owner)
        _point(folder, _CURRENT, _write_set(folder, files, owner))
        for name in files:
            _link(folder, name)
        _tidy(folder)
    except OSError as error:
        raise AccessError(
            "tls_not_written",
            say("{folder}: {error}", folder=folder, error=error.strerror or str(error)),
            hint="what was there before is still whole; make room or make the folder writable, and do it again",
        ) from None


def _adopt(folder: Path, names: tuple[str, ...], owner: tuple[int, int] | None) -> None:
    """Files that lie there themselves, of an earlier release or put there by hand, become a set that links lead to."""
    there = [path for name in names if (path := folder / name).exists() or path.is_symlink()]
    for path in there:
        _require_here(folder, path)
    if any(not path.is_symlink() for path in there):
        files = {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in there}
        _point(folder, _CURRENT, _write_set(folder, files, owner))
        for path in there:
            _link(folder, path.name)


def _require_here(folder: Path, path: Path) -> None:
    """The folder may be the service's, and root renews: a link to anything else is not followed, or whoever has taken
    the service over would be given a copy of it.
    """
    real, here = path.resolve(), folder.resolve()
    if real.parent == here or (real.parent.parent == here and real.parent.name.startswith(_SET)):
        return
    raise AccessError(
        "tls_not_written",
        say("{path} is a link that leads out of its folder", path=path),
        hint="renew it where it leads, or remove the link and issue a new one; nothing was changed",
    )


def _write_set(folder: Path, files: Files, owner: tuple[int, int] | None) -> str:
    """A whole set under a new name that nothing leads to yet; the name."""
    name = _SET + secrets.token_hex(8)
    made = folder / name
    made.mkdir(mode=_FOLDER_MODE)
    _give(made, owner)
    _one_by_one(made, files, owner)
    sync_folder(folder)
    return name


def _one_by_one(folder: Path, files: Files, owner: tuple[int, int] | None) -> None:
    for name, (content, mode) in files.items():
        write_new(folder / name, content, mode)
        _give(folder / name, owner)
    sync_folder(folder)


def _link(folder: Path, name: str) -> None:
    if not (folder / name).is_symlink():
        _point(folder, name, f"{_CURRENT}/{name}")


def _point(folder: Path, name: str, target: str) -> None:
    """Let `name` lead to `target`, from one moment to the next."""
    draft = folder / f"{name}.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(folder / name)
    sync_folder(folder)


def _tidy(folder: Path) -> None:
    """Sets that nothing leads to: the one before, and what a cut left."""
    used = (folder / _CURRENT).readlink().name
    for path in folder.glob(f"{_SET}*"):
        if path.name != used:
            shutil.rmtree(path)
    for path in folder.glob("*.new"):
        path.unlink()
    sync_folder(folder)


def _has_links(folder: Path) -> bool:
    probe = folder / f"{_CURRENT}.new"
    probe.unlink(missing_ok=True)
    try:
        probe.symlink_to(_CURRENT)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    probe.unlink()
    return True


def _give(path: Path, owner: tuple[int, int] | None) -> None:
    if owner is not None and owner != (os.geteuid(), os.getegid()):
        os.chown(path, *owner, follow_symlinks=False)
