"""The box's own small log: it opens and closes every deployment, so that a missing one shows as a gap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lfr_edge.audit.checkpoint import Checkpoint
from lfr_edge.audit.event import SYSTEM, Actor, Event
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.keys import LogKeys
from lfr_edge.audit.log import Appended, AuditLog, LogOptions
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError


class DeviceLog:
    """An :class:`AuditLog` in the folder ``device`` that never closes. **Thread rule:** any thread; blocks."""

    def __init__(self, log: AuditLog) -> None:
        self.log = log

    @classmethod
    def open(
        cls,
        root: Path,
        name: str,
        keys: LogKeys,
        clock: Clock,
        *,
        options: LogOptions | None = None,
        on_failure: Callable[[AuditError], None] | None = None,
    ) -> DeviceLog:
        """Open the device log under the audit folder `root`; the first call on a box creates it.

        Raises:
            AuditError: as :meth:`AuditLog.open`.
        """
        folder = root / DEVICE_LOG
        # A crash inside create() leaves no certificate or no entry: both are created anew.
        begin = AuditLog.open if LogFolder(folder).is_log() else AuditLog.create
        return cls(begin(folder, name, keys, clock, options=options, on_failure=on_failure))

    def opened(self, origin: str, actor: Actor = SYSTEM) -> Appended:
        """Record that a deployment's log begins; call before it is created."""
        return self._signed(Event("device.deployment_opened", actor, origin))

    def closed(self, origin: str, last: Checkpoint, actor: Actor = SYSTEM) -> Appended:
        """Record the last head of a deployment's log."""
        data = {"size": last.head.size, "root": last.head.root.hex()}
        return self._signed(Event("device.deployment_closed", actor, origin, data))

    def suspend(self) -> None:
        self.log.suspend()

    def _signed(self, event: Event) -> Appended:
        appended = self.log.append(event)
        self.log.checkpoint()
        return appended
