"""One deployment from opening to close: its identity, its log, and what the record says of its start and end.

A desk that restarts in the middle (power, crash) goes on with the same deployment: the pointer file names it, the
log is opened and not begun anew, and the alerts of its table are still there.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.disk import sync_folder
from lfr_edge.audit.event import SYSTEM, Actor, Event, Verb
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.view import LogView
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError, DeploymentError
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


@dataclass(frozen=True, slots=True)
class Standing:
    """What the record says of the list when a restart reads it."""

    templates: int  # activated and neither withdrawn nor destroyed: they went with the process that died
    withdrawn: frozenset[str]  # references, as the record names them
    paused: bool


class DeploymentSession:
    """The open deployment and its record. **Thread rule:** every method blocks on the disk; any thread.

    Also the :class:`~lfr_edge.alerts.record.Recorder` of desk and console.
    """

    def __init__(
        self, deployment: Deployment, log: AuditLog, device: DeviceLog, folder: Path, pointer: Path
    ) -> None:
        self.deployment = deployment
        self.log = log
        self.folder = folder  # alerts and their sealed pictures
        self._device = device
        self._pointer = pointer

    @classmethod
    def begin(
        cls, settings: Settings, clock: Clock, *, on_failure: Callable[[AuditError], None] | None = None
    ) -> DeploymentSession:
        """Open a new deployment, or go on with the one a restart interrupted.

        Raises:
            AuditError: the log cannot be written, is damaged, or belongs to another running service.
        """
        site = _slug(settings.site)
        store = FileKeyStore(settings.data / "keys")
        device_keypair = device_keys(store, f"{site}/device", clock)
        device = DeviceLog.open(settings.audit, f"{site}/device", device_keypair, clock)
        try:
            pointer = settings.data / POINTER
            name = _read_pointer(pointer)
            if name is not None and _finish_closing(settings.audit / name, f"{site}/{name}", device):
                pointer.unlink()
                name = None
            resumed = name is not None
            name = name or _new_name(settings.audit, clock)
            origin = f"{site}/{name}"
            folder = settings.data / "deployments" / name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keys = deployment_keys(store, device_keypair, origin, clock)
            if resumed:
                log = AuditLog.open(settings.audit / name, origin, keys, clock, on_failure=on_failure)
            else:
                device.opened(origin)
                log = AuditLog.create(settings.audit / name, origin, keys, clock, on_failure=on_failure)
                _write_pointer(pointer, name)
        except BaseException:
            device.suspend()
            raise
        opened_ns = _opened_wall_ns(log) if resumed else clock.wall_ns()
        return cls(Deployment(name, settings.site, opened_ns, resumed), log, device, folder, pointer)

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
        """Read from the log itself: a restart must not bring back what somebody withdrew or paused."""
        templates, withdrawn, paused = 0, set(), False
        for _, entry in self.log.entries():
            event = entry.event
            count = event.data.get("templates", 0)
            if event.ev == "watchlist.activated":
                templates += int(str(count))
            elif event.ev in {"recognition.paused", "recognition.resumed"}:
                paused = event.ev == "recognition.paused"
            elif event.ev in {"watchlist.withdrawn", "watchlist.destroyed"}:
                templates -= int(str(count))
                if event.ev == "watchlist.withdrawn":
                    withdrawn.add(event.ref)
        return Standing(templates, frozenset(withdrawn), paused)

    def close(self, actor: Actor = SYSTEM, why: str = "") -> None:
        """The last entries, the last signed head, the end of the deployment's signing key."""
        self.record("deployment.closed", actor=actor, why=why)
        checkpoint = self.log.close(actor)
        self._device.closed(self.log.origin, checkpoint)
        self._device.suspend()
        self._pointer.unlink(missing_ok=True)

    def suspend(self) -> None:
        """The desk stops, the deployment does not: the next start goes on with it."""
        with contextlib.suppress(AuditError):
            self.log.suspend()
        with contextlib.suppress(AuditError):
            self._device.suspend()


def material_key(watchlist_key: bytes, deployment: str) -> bytes:
    """32 bytes that open this deployment's alert pictures: derived from what the deployment officer carries, so
    that neither is readable from a stolen disk."""
    return HKDF(SHA256(), 32, None, b"lfr-edge/alert-material/v1/" + deployment.encode()).derive(
        watchlist_key
    )


def _slug(site: str) -> str:
    return _SLUG.sub("-", site.lower()).strip("-") or "site"


def _new_name(audit: Path, clock: Clock) -> str:
    """``2026-11-22-1``: the day and a number, so that a missing one shows."""
    day = datetime.fromtimestamp(clock.wall_ns() / 1e9, tz=UTC).strftime("%Y-%m-%d")
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
            f"{pointer} does not name a deployment",
            hint="see which log under the audit folder is open, and write its name there",
        )
    return name


def _write_pointer(pointer: Path, name: str) -> None:
    """Atomic and durable: after a power cut it names this deployment or does not exist."""
    fresh = pointer.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(pointer)
    sync_folder(pointer.parent)


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
