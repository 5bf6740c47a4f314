"""Entries of the box's own log about deployments whose log is closed: erasures, holds, signed codes.

While a deployment runs its session holds the device log, and lends it; otherwise it is opened for one entry and let
go of again, so that the command line and the next start find it free.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lfr_edge.alerts.record import Plain
from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.event import SYSTEM, Actor, Event, Verb
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.keys import FileKeyStore, device_keys
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.settings import Settings

_SLUG: Final = re.compile(r"[^a-z0-9]+")


class DeviceRecord:
    """A :class:`~lfr_edge.alerts.record.Recorder` over the device log.

    **Thread rule:** any thread; blocks on the disk. One per process.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lent: DeviceLog | None = None
        self._turn = threading.RLock()

    @property
    def folder(self) -> LogFolder:
        return LogFolder(self._settings.audit / DEVICE_LOG)

    def lend(self, log: DeviceLog | None) -> None:
        """Use `log`, which somebody else opened and will suspend; None takes it back."""
        with self._turn:
            self._lent = log

    def record(self, ev: Verb, *, actor: Actor | None, ref: str, data: dict[str, Plain], why: str) -> int:
        """One durable entry. Raises AuditError as :meth:`AuditLog.append`, and DeploymentError as :meth:`opened`."""
        with self.opened() as device:
            return device.log.append(Event(ev, actor or SYSTEM, ref, data, why)).seq

    def reference(self, identifier: str) -> str:
        """How the device log names `identifier`."""
        with self.opened() as device:
            return device.log.reference(identifier)

    @contextmanager
    def opened(self) -> Iterator[DeviceLog]:
        """The device log for a few entries, signed when the block ends.

        Raises:
            DeploymentError: ``device_log_in_use``: another process runs a deployment and does this by itself.
            AuditError: the log cannot be opened.
        """
        with self._turn:
            if self._lent is not None:
                yield self._lent
                self._lent.log.checkpoint()
                return
            device = self._open()
            try:
                yield device
            finally:
                device.suspend()

    def _open(self) -> DeviceLog:
        settings = self._settings
        name = f"{_slug(settings.site)}/device"
        try:
            keys = device_keys(FileKeyStore(settings.data / "keys"), name, self._clock)
            return DeviceLog.open(settings.audit, name, keys, self._clock)
        except AuditError as error:
            if error.code != "audit_log_in_use":
                raise
            raise DeploymentError(
                "device_log_in_use",
                "the service runs and holds this box's log",
                hint="the running service sweeps by itself; use its console, or end the deployment first",
            ) from None


def _slug(site: str) -> str:
    """As :mod:`lfr_edge.deployment.session` names this box's logs."""
    return _SLUG.sub("-", site.lower()).strip("-") or "site"
