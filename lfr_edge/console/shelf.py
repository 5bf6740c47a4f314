"""The records of this box, as pages read them: off the event loop, one reading at a time, kept while they last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from aiohttp import web

from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.view import LogView
from lfr_edge.console.keys import PORTS, SHELF
from lfr_edge.deployment.verified import VerifiedLog, read_verified
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

EVERY: Final = "all"  # every deployment of the box together
_KEPT: Final = 8
T = TypeVar("T")
_Stamp = tuple[int, int, int, int]


@dataclass(slots=True)
class _Kept(Generic[T]):
    stamp: _Stamp
    value: T


class Shelf:
    """**Thread rule:** of the event loop; reading and verifying leave it.

    `witnesses`: whose cosignatures count as heads held outside the box.
    """

    def __init__(self, audit: Path, witnesses: Sequence[VerifierKey] = ()) -> None:
        self.audit = audit
        self._witnesses = tuple(witnesses)
        self._reading = (
            asyncio.Lock()
        )  # verifying takes a core; two readers wait for each other, the desk does not
        self._views: dict[str, _Kept[LogView]] = {}
        self._verified: dict[str, _Kept[VerifiedLog]] = {}

    def names(self) -> tuple[str, ...]:
        """Deployments that left a record, the newest first."""
        found = [entries.parent.name for entries in self.audit.glob("*/entries.lfr")]
        return tuple(sorted((name for name in found if name != DEVICE_LOG), key=_order, reverse=True))

    def logs(self) -> tuple[str, ...]:
        """The names and, last, the box's own log."""
        device = (DEVICE_LOG,) if LogFolder(self.audit / DEVICE_LOG).is_log() else ()
        return (*self.names(), *device)

    def folder(self, name: str) -> LogFolder:
        """Raises AuditError ``audit_log_unknown``; a name is compared, never joined to a path."""
        if name not in self.logs():
            raise AuditError(
                "audit_log_unknown", "there is no such record here", hint="choose one of the list"
            )
        return LogFolder(self.audit / name)

    async def view(self, name: str) -> LogView:
        """The record as it lies on the disk, unverified.

        Raises:
            AuditError: ``audit_log_unknown``, ``audit_log_unreadable``.
        """
        return await self._read(self._views, name, lambda path: LogView.load(path))

    async def verified(self, name: str) -> tuple[VerifiedLog, ...]:
        """The record of one deployment, or of :data:`EVERY` one, verified before a figure is taken from it.

        Raises:
            AuditError: as :func:`read_verified`.
        """
        names = self.names() if name == EVERY else (name,)
        if DEVICE_LOG in names or not names:
            raise AuditError("audit_log_unknown", "there is no deployment's record here")
        logs = [await self._read(self._verified, one, self._verify) for one in names]
        return tuple(sorted(logs, key=lambda log: (log.statistics.opened_us, log.statistics.origin)))

    def _verify(self, path: Path) -> VerifiedLog:
        return read_verified(path, witnesses=self._witnesses)[0]

    async def _read(self, kept: dict[str, _Kept[T]], name: str, read: Callable[[Path], T]) -> T:
        folder = self.folder(name)
        async with self._reading:
            stamp = await asyncio.to_thread(_stamp, folder)
            found = kept.get(name)
            if found is None or found.stamp != stamp:
                kept.pop(name, None)
                while len(kept) >= _KEPT:
                    del kept[next(iter(kept))]
                found = kept[name] = _Kept(stamp, await asyncio.to_thread(read, folder.path))
            return found.value


def shelf_of(request: web.Request) -> Shelf:
    """Raises AuditError ``audit_log_unknown`` on a console that was given no settings."""
    shelf = request.app[SHELF]
    if shelf is None:
        raise AuditError("audit_log_unknown", "this console has no records to show")
    return shelf


def chosen(request: web.Request, shelf: Shelf, names: Sequence[str]) -> str | None:
    """The record that the address asks for; without one the running deployment's, else the newest."""
    asked = request.query.get("of", "")
    if asked:
        return asked if asked in names else None
    running = request.app[PORTS].system.status().deployment.id
    return running if running in names else next(iter(names), None)


def _order(name: str) -> tuple[str, int]:
    day, _, number = name.rpartition("-")
    return day, int(number) if number.isdecimal() else 0


def _stamp(folder: LogFolder) -> _Stamp:
    try:
        entries = folder.entries.stat()
        heads = folder.checkpoints.stat().st_size if folder.checkpoints.exists() else 0
        anchors = folder.anchors.stat().st_mtime_ns if folder.anchors.exists() else 0
    except OSError as error:
        raise AuditError(
            "audit_log_unreadable", say("the record cannot be read: {strerror}", strerror=error.strerror)
        ) from None
    return entries.st_size, entries.st_mtime_ns, heads, anchors
