"""A disk that can lose its power, in RAM: it drops, reorders and tears what was not synced.

Real files in a folder, but what survives a cut is decided here. Only ``fsync`` makes contents durable, only ``fsync``
of a folder makes names durable (POSIX's promise, which is less than ext4 keeps). At a cut every name that changed
since is there in its old state, its new one or one between them, each on its own; every file that changed since has
its old content, its new one, one between them, or a mixture by sectors. What SQLite's C code does is not seen here:
its files survive as they are, as they do with ``synchronous=FULL``. The trial ``simulation-disk`` holds the fake to a
real ext4: what that leaves, this one leaves, too.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

SECTOR = 512
Names = dict[str, tuple[int, bool]]  # name → (inode, whether it is a folder)


class PowerCut(BaseException):
    """The power is gone. Nothing that runs on afterwards changes what is on the disk."""


@dataclass
class CrashableDisk:
    """`live` is the folder that the product works in. **Thread rule:** one thread.

    Attributes:
        cut_in: calls until the power goes; None: it stays.
        fail_in: calls until one write or sync fails with EIO (the kernel then forgets the pages); None: none does.
    """

    base: Path
    chance: random.Random
    cut_in: int | None = None
    fail_in: int | None = None
    calls: int = 0
    dead: bool = False
    cuts: int = 0
    failed: int = 0
    live: Path = field(init=False)
    _away: int = 0
    _data: dict[int, bytes] = field(default_factory=dict)
    _names: dict[int, Names] = field(default_factory=dict)
    _holes: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _past_names: dict[int, dict[str, list[tuple[int, bool] | None]]] = field(
        default_factory=dict
    )  # since then
    _past_data: dict[int, list[bytes]] = field(default_factory=dict)  # before each time a file was cut short
    _ends: dict[int, list[int]] = field(default_factory=dict)  # sizes after each write since then

    def __post_init__(self) -> None:
        self.grave = self.base / "grave"
        self.grave.mkdir()
        self.live = self.base / "life-0"
        self.live.mkdir()

    # ── the calls that the product makes ──────────────────────────────────────────────────────────────────────

    @contextmanager
    def powered(self) -> Iterator[None]:
        """Every file call of this process goes through here."""
        write, replace, unlink, truncate = os.write, os.replace, os.unlink, os.ftruncate

        def _write(descriptor: int, data: Any) -> int:
            self._tick("write")
            done = write(descriptor, data)
            if not self.dead and not self._away:
                self._written(descriptor)
            self._tick("")
            return done

        def _sync(descriptor: int) -> None:
            self._tick("sync", descriptor)
            if not self.dead and not self._away:
                self._make_durable(descriptor)
            self._tick("")

        def _replace(source: Any, target: Any, **more: Any) -> None:
            self._tick("")
            self._remember(source, target)
            self._bury(target)
            replace(source, target, **more)
            self._tick("")

        def _unlink(path: Any, **more: Any) -> None:
            self._tick("")
            self._remember(path)
            self._bury(path)
            unlink(path, **more)
            self._tick("")

        def _truncate(descriptor: int, size: int) -> None:
            self._tick("")
            if not self.dead and not self._away:
                inode = os.fstat(descriptor).st_ino
                self._past_data.setdefault(inode, []).append(_read(descriptor, os.fstat(descriptor).st_size))
            truncate(descriptor, size)
            self._tick("")

        with (
            patch.object(os, "write", _write),
            patch.object(os, "fsync", _sync),
            patch.object(os, "fdatasync", _sync),
            patch.object(os, "replace", _replace),
            patch.object(os, "unlink", _unlink),
            patch.object(os, "ftruncate", _truncate),
        ):
            yield

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """What happens meanwhile happens on another machine."""
        self._away += 1
        try:
            yield
        finally:
            self._away -= 1

    def _tick(self, what: str, descriptor: int = -1) -> None:
        if self._away:
            return
        if self.dead:
            raise PowerCut
        self.calls += 1
        if self.cut_in is not None:
            self.cut_in -= 1
            if self.cut_in <= 0:
                self.cut()
                raise PowerCut
        if self.fail_in is not None and what:
            self.fail_in -= 1
            if self.fail_in <= 0:
                self.fail_in = None
                self.failed += 1
                if what == "sync":
                    self._forget(descriptor)
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _make_durable(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = _listing(Path(f"/proc/self/fd/{descriptor}"))
            self._past_names.pop(status.st_ino, None)
        else:
            self._data[status.st_ino] = self._content(status.st_ino, _read(descriptor, status.st_size))
            self._past_data.pop(status.st_ino, None)
            self._ends.pop(status.st_ino, None)

    def _forget(self, descriptor: int) -> None:
        """A failed sync: what was not durable never will be, whatever a later sync says."""
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            durable = len(self._data.get(status.st_ino, b""))
            if durable < status.st_size:
                self._holes.setdefault(status.st_ino, []).append((durable, status.st_size))

    def _content(self, inode: int, raw: bytes) -> bytes:
        data = bytearray(raw)
        for start, stop in self._holes.get(inode, ()):
            data[start:stop] = bytes(len(data[start:stop]))
        return bytes(data)

    def _written(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._ends.setdefault(status.st_ino, []).append(status.st_size)

    def _remember(self, *paths: Any) -> None:
        """What these names lead to now: a journal may be written out between any two changes."""
        if self.dead or self._away:
            return
        for path in map(Path, paths):
            known = self._past_names.setdefault(path.parent.stat().st_ino, {})
            known.setdefault(path.name, []).append(_listing(path.parent).get(path.name))

    def _bury(self, path: Any) -> None:
        """Keep the inode, so that its number is not given to another file."""
        try:
            os.link(path, self.grave / f"{self.calls}-{len(self._data)}", follow_symlinks=False)
        except OSError:
            return  # not there: the call itself will say so

    # ── the cut ───────────────────────────────────────────────────────────────────────────────────────────────

    def cut(self) -> None:
        """Decide what is left, in a new folder; the old one goes on as if nothing had happened, for nobody."""
        self.dead = True
        self.cuts += 1
        after = self.base / f"life-{self.cuts}"
        after.mkdir()
        self.leave(after)
        for path in self.live.glob("alerts.sqlite*"):
            shutil.copyfile(path, after / path.name)
        self._after = after

    def leave(self, target: Path) -> None:
        """What a cut leaves now, by chance, in the empty folder `target`. Changes nothing else."""
        where = {
            entry.stat().st_ino: entry
            for folder in (self.grave, self.live)
            for entry in folder.rglob("*")
            if entry.is_file() and not entry.name.startswith("alerts.sqlite")
        }
        self._leave(self.live, self.live.stat().st_ino, target, where)

    def power_on(self) -> Path:
        """The folder that the cut left; everything in it is durable now."""
        shutil.rmtree(self.live, ignore_errors=True)
        shutil.rmtree(self.grave)
        self.grave.mkdir()
        self.live, self.dead, self.cut_in, self.fail_in = self._after, False, None, None
        self._data, self._names, self._holes = {}, {}, {}
        self._past_names, self._past_data, self._ends = {}, {}, {}
        for folder, _, files in os.walk(self.live):
            self._names[Path(folder).stat().st_ino] = _listing(Path(folder))
            for name in files:
                path = Path(folder, name)
                self._data[path.stat().st_ino] = path.read_bytes()
        return self.live

    def _leave(self, now: Path | None, inode: int, target: Path, where: dict[int, Path]) -> None:
        durable = self._names.get(inode, {})
        current = _listing(now) if now is not None else {}
        past = self._past_names.get(inode, {})
        for name in sorted({*durable, *current, *past}):
            old, new = durable.get(name), current.get(name)
            between = [state for state in past.get(name, ()) if state not in (old, new)]
            chosen = new if old == new or self.chance.random() < 0.5 else old
            if between and self.chance.random() < 0.3:
                chosen = self.chance.choice(between)
            if chosen is None:
                continue
            if chosen[1]:
                (target / name).mkdir(mode=0o700)
                here = now / name if now is not None and chosen == new else None
                self._leave(here, chosen[0], target / name, where)
            else:
                (target / name).write_bytes(self._left(chosen[0], where.get(chosen[0])))
                (target / name).chmod(0o600)

    def _left(self, inode: int, here: Path | None) -> bytes:
        old = self._data.get(inode, b"")
        if here is None:
            return old
        new = self._content(inode, here.read_bytes())
        between = self._past_data.get(inode, [])
        if between and self.chance.random() < 0.3:
            new = self._content(inode, self.chance.choice(between))
        if new == old:
            return old
        longer = new.startswith(old)
        ends = [end for end in self._ends.get(inode, ()) if len(old) <= end <= len(new)] if longer else []
        match self.chance.randrange(4):
            case 0:
                return old
            case 1:
                return new
            case shape if longer and shape == 2:  # the beginning of what was added
                if ends and self.chance.random() < 0.5:
                    new = new[: self.chance.choice(ends)]  # the journal was written out between two writes
                    return new if self.chance.random() < 0.5 else self._torn(old, new)
                return new[: self.chance.randrange(len(old), len(new) + 1)]
            case _:
                if ends and self.chance.random() < 0.5:
                    # Pages went out with the journal as they were after an earlier write; the size is the last one's.
                    old = new[: self.chance.choice(ends)]
                return self._torn(old, new)

    def _torn(self, old: bytes, new: bytes) -> bytes:
        """Each sector old or new; beyond the old end, an old sector is zeros."""
        length = len(new) if len(new) >= len(old) else self.chance.choice((len(old), len(new)))
        out = bytearray()
        for start in range(0, length, SECTOR):
            source = new if self.chance.random() < 0.5 else old
            piece = source[start : min(start + SECTOR, length)]
            out += piece.ljust(min(SECTOR, length - start), b"\0")
        return bytes(out)


def _read(descriptor: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, 0)
    except OSError:  # opened for writing only
        return Path(f"/proc/self/fd/{descriptor}").read_bytes()


def _listing(folder: Path) -> Names:
    with os.scandir(folder) as entries:
        return {
            entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False))
            for entry in entries
            if not entry.name.startswith("alerts.sqlite")  # see the module
        }
