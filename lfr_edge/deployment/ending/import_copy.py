"""Import copies of a list on the medium that brought it: erased where the officer asks, with honest words."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lfr_edge.clock import Clock
from lfr_edge.deployment.ending.receipts import Receipt
from lfr_edge.errors import DeploymentError, WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist.destroy import destroy_file

OVERWRITTEN: Final = "overwritten once with random bytes, made durable, unlinked"
# By these a folder is known as a list's, and they go last: after a kill the rest is still known as one.
_LIST_FILES: Final = ("watchlist.csv", "manifest.json")
_ARCHIVES: Final = frozenset({".zip", ".csv", ".json", ".sealed"})


def absent(path: Path) -> bool:
    """Whether nothing of that name is there: opened again, and looked for in its folder."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except FileNotFoundError:
        try:
            return path.name not in {one.name for one in path.parent.iterdir()}
        except FileNotFoundError:
            return True
    except OSError:
        return False
    return False


def erase_copy(path: Path, clock: Clock) -> Receipt:
    """Every file of a copy; links are removed, what they lead to is not touched.

    Raises:
        DeploymentError: ``wipe_not_an_import``.
    """
    now = clock.wall_ns() // 1000
    if not os.path.lexists(path):
        return Receipt("import_copy", 0, 0, now, "was gone before", False, "absent", "")
    if not is_import_copy(path):
        raise DeploymentError(
            "wipe_not_an_import",
            say("{path} does not look like a list that was imported: nothing was erased there", path=path),
            hint="name the folder that holds watchlist.csv or manifest.json, or the archive itself",
        )
    how = f"{OVERWRITTEN}; {medium_words(path)}"
    files, size = 0, 0
    left: list[str] = []
    for one in _files(path):
        try:
            size += destroy_file(one)
            files += 1
        except WatchlistError as error:
            left.append(error.message)
    for folder in _folders(path):
        try:
            folder.rmdir()
        except OSError as error:
            left.append(f"{folder}: {error.strerror}")
    found = list(_files(path)) if os.path.lexists(path) else []
    checked = "absent" if absent(path) else "found again"
    if checked != "absent" and not left:
        left.append(f"{path} is still there")
    told = "; ".join(left[:3]) + (f"; and {len(left) - 3} more" if len(left) > 3 else "")
    return Receipt(
        "import_copy", files, size, now, how, False, checked, told or "; ".join(map(str, found[:3]))
    )


def compile_remnants(sealed: Path) -> tuple[Path, ...]:
    """What a compile to `sealed` that was killed left beside it: its journal and unfinished files, all encrypted."""
    folder, name = sealed.parent, sealed.name
    if not folder.is_dir():
        return ()
    found = [*folder.glob(f".{glob.escape(name)}.journal"), *folder.glob(f".{glob.escape(name)}.*.partial")]
    return tuple(sorted(item for item in found if not item.is_symlink()))


def is_import_copy(path: Path) -> bool:
    """An archive or table, or a folder whose top holds a list's table or manifest: a slip of the hand must not
    erase anything else."""
    if path.is_symlink():
        return False
    if path.is_dir():
        return any((path / name).is_file() for name in _LIST_FILES)
    return path.is_file() and (path.suffix.lower() in _ARCHIVES or path.name in _LIST_FILES)


def _files(path: Path) -> Iterator[Path]:
    """Regular files at or below `path`; links are unlinked on the way, never followed."""
    if path.is_symlink():
        path.unlink()
        return
    if not path.is_dir():
        if os.path.lexists(path):
            yield path
        return
    for one in sorted(path.iterdir(), key=lambda one: (one.name in _LIST_FILES, one.name)):
        yield from _files(one)


def _folders(path: Path) -> Iterable[Path]:
    if not path.is_dir() or path.is_symlink():
        return ()
    return sorted((path, *(one for one in path.rglob("*") if one.is_dir())), key=lambda one: -len(one.parts))


def medium_words(path: Path) -> str:
    """What overwriting is worth on the medium that holds `path`. A USB stick says "rotational" more often than not."""
    try:
        device = path.stat().st_dev
        base = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve(strict=True)
        queue = next(one / "queue" for one in (base, base.parent) if (one / "queue").is_dir())
        spinning = (queue / "rotational").read_text().strip() == "1" and "/usb" not in str(base)
    except (OSError, StopIteration):
        return _UNKNOWN
    return _SPINNING if spinning else _FLASH


_SPINNING: Final = "a spinning disk: an overwritten block is gone"
_FLASH: Final = (
    "flash: the drive may keep old blocks that no program reaches; destroy it, or keep it under lock"
)
_UNKNOWN: Final = (
    "what kind of medium this is the kernel does not tell: treat it as flash, and keep or destroy it"
)
