"""One deployment from opening to close: its identity, its log, and what the record says of its start and end.

A desk that restarts in the middle (power, crash) goes on with the same deployment: the pointer file names it, the
log is opened and not begun anew, and the alerts of its table are still there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.checkpoint import Checkpoint
from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.disk import write_new
from lfr_edge.audit.event import SYSTEM, Actor, Event, Verb
from lfr_edge.audit.keys import FileKeyStore, LogKeys, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.view import LogView
from lfr_edge.clock import Clock, utc_day
from lfr_edge.deployment.standing import Standing, standing_of
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.sentences import say
from lfr_edge.settings import Settings

POINTER: Final = "deployment"
_SLUG: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is authorised to run now, and since when."""

    id: str
    site: str
    opened_wall_ns: int
    resumed: bool  # the desk restarted within it


class BoxRecord:
    """The box's own log and the keys that certify each deployment's; open for as long as the service runs.

    It takes what happens while no deployment's log is open. **Thread rule:** methods block on the disk; any thread.
    """

    def __init__(self, site: str, log: DeviceLog, store: FileKeyStore, keys: LogKeys) -> None:
        self.site = site  # as origins spell it
        self.log = log
        self._store = store
        self._keys = keys

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> BoxRecord:
        """Raises AuditError: the log cannot be written, is damaged, or belongs to another running service."""
        site = _slug(settings.site)
        store = FileKeyStore(settings.data / "keys")
        keys = device_keys(store, f"{site}/device", clock)
        return cls(site, DeviceLog.open(settings.audit, f"{site}/device", keys, clock), store, keys)

    def keys_of(self, origin: str, clock: Clock) -> LogKeys:
        """The signing keys of a deployment's log, certified by the device's."""
        return deployment_keys(self._store, self._keys, origin, clock)

    def record(
        self,
        ev: Verb,
        *,
        actor: Actor | None = None,
        ref: str = "",
        data: Mapping[str, object] | None = None,
        why: str = "",
    ) -> int:
        """Append one entry; durable on return. Raises AuditError."""
        return self.log.log.append(Event(ev, actor or SYSTEM, ref, data or {}, why)).seq

    def reference(self, identifier: str) -> str:
        """How this log names an item: an HMAC under the device's key."""
        return self.log.log.reference(identifier)

    def close(self) -> None:
        """Let go of the file: the next start of the service goes on with it."""
        with contextlib.suppress(AuditError):
            self.log.suspend()


class DeploymentSession:
    """The open deployment and its record. **Thread rule:** every method blocks on the disk; any thread.

    Also the :class:`~lfr_edge.alerts.record.Recorder` of desk and console.
    """

    def __init__(
        self, deployment: Deployment, log: AuditLog, box: BoxRecord, folder: Path, pointer: Path
    ) -> None:
        self.deployment = deployment
        self.log = log
        self.folder = folder  # alerts and their sealed pictures
        self.closed: Checkpoint | None = None  # the last signed head, once the log is closed
        self._box = box
        self._pointer = pointer

    @classmethod
    def begin(
        cls,
        settings: Settings,
        clock: Clock,
        box: BoxRecord,
        *,
        on_failure: Callable[[AuditError], None] | None = None,
    ) -> DeploymentSession:
        """Open a new deployment, or go on with the one a restart interrupted.

        Raises:
            AuditError: the log cannot be written, is damaged, or belongs to another running service.
            DeploymentError: ``deployment_pointer_invalid``.
        """
        pointer = settings.data / POINTER
        name = _read_pointer(pointer)
        if name is not None and _finish_closing(settings.audit / name, f"{box.site}/{name}", box.log):
            pointer.unlink()
            name = None
        resumed = name is not None
        name = name or _new_name(settings.audit, clock)
        origin = f"{box.site}/{name}"
        folder = settings.data / "deployments" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = box.keys_of(origin, clock)
        if resumed:
            log = AuditLog.open(settings.audit / name, origin, keys, clock, on_failure=on_failure)
        else:
            box.log.opened(origin)
            log = AuditLog.create(settings.audit / name, origin, keys, clock, on_failure=on_failure)
            write_new(
                pointer, f"{name}\n".encode()
            )  # after a power cut it names this deployment or is not there
        opened_ns = _opened_wall_ns(log) if resumed else clock.wall_ns()
        return cls(Deployment(name, settings.site, opened_ns, resumed), log, box, folder, pointer)

    def record(
        self,
        ev: Verb,
        *,
        actor: Actor | None = None,
        ref: str = "",
        data: Mapping[str, object] | None = None,
        why: str = "",
    ) -> int:
        """Append one entry; durable on return. Raises AuditError, and then its effect must not happen."""
        return self.log.append(Event(ev, actor or SYSTEM, ref, data or {}, why)).seq

    def reference(self, identifier: str) -> str:
        """How the record names an entry, an alert or an item: an HMAC under the deployment's key."""
        return self.log.reference(identifier)

    def standing(self) -> Standing:
        """Read from the log itself: a restart must not bring back what somebody withdrew, paused or changed."""
        return standing_of(entry for _, entry in self.log.entries())

    def close(self, actor: Actor = SYSTEM, why: str = "") -> None:
        """The last entries, the last signed head, the end of the deployment's signing key."""
        self.record("deployment.closed", actor=actor, why=why)
        self.closed = self.log.close(actor)
        self._box.log.closed(self.log.origin, self.closed, actor)
        self._pointer.unlink(missing_ok=True)

    def suspend(self) -> None:
        """The desk stops, the deployment does not: the next start goes on with it."""
        with contextlib.suppress(AuditError):
            self.log.suspend()


def _slug(site: str) -> str:
    return _SLUG.sub("-", site.lower()).strip("-") or "site"


def _new_name(audit: Path, clock: Clock) -> str:
    """``2026-11-22-1``: the day and a number, so that a missing one shows."""
    day = utc_day(clock.wall_ns()).isoformat()
    taken = {folder.name for folder in audit.glob(f"{day}-*")}
    return next(name for number in range(1, 10_000) if (name := f"{day}-{number}") not in taken)


def _read_pointer(pointer: Path) -> str | None:
    try:
        name = pointer.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d-\d{1,4}", name):
        raise DeploymentError(
            "deployment_pointer_invalid",
            say("{pointer} does not name a deployment", pointer=pointer),
            hint="see which log under the audit folder is open, and write its name there",
        )
    return name


def _finish_closing(folder: Path, origin: str, device: DeviceLog) -> bool:
    """Whether the deployment's log is closed already: the power went between its last entry and the pointer.

    Then the device's log learns of the last head, if it did not before.
    """
    view = LogView.load(folder)
    if not view.size or view.entry(view.size - 1).event.ev != "log.closed" or view.latest is None:
        return False
    known = (entry.event for _, entry in device.log.entries())
    if not any(event.ev == "device.deployment_closed" and event.ref == origin for event in known):
        device.closed(origin, view.latest)
    return True


def _opened_wall_ns(log: AuditLog) -> int:
    _, first = next(iter(log.entries()))
    return first.t_wall_us * 1000
