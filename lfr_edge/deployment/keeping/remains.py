"""What is left of each deployment, as the signed logs tell: its alerts, their holds, what is erased.

A deployment's own log tells it while that is open. Once it is closed, the box's log goes on: an erasure or a hold
there names the deployment by its origin. Both are read from where the last reading stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.segment import BadFrame, map_segment, read_frame
from lfr_edge.deployment.reading import count, word
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

_RAISED: Final = frozenset({"alert.raised", "drill.raised"})  # both have pictures


@dataclass(frozen=True, slots=True)
class HoldOn:
    """A hold as recorded. `authoriser` is empty where the record names none."""

    reason: str
    requester: str
    authoriser: str
    placed_us: int
    expires_s: int

    def over(self, wall_ns: int) -> bool:
        return wall_ns >= self.expires_s * 10**9


@dataclass(slots=True)
class AlertRemains:
    token: str
    number: int
    raised_us: int
    commitment: str
    drill: bool
    erased: bool = False
    hold: HoldOn | None = None


@dataclass(slots=True)
class DeploymentRemains:
    """One deployment's alerts by token. `damaged`: the log cannot be read to its end, so alerts may be missing."""

    name: str
    origin: str = ""
    opened_us: int = 0
    closed_us: int | None = None
    last_us: int = 0
    alert_images_h: int | None = None
    damaged: bool = False
    alerts: dict[str, AlertRemains] = field(default_factory=dict)

    def feed(self, entry: Entry) -> None:
        event = entry.event
        if not self.origin:
            self.origin, self.opened_us = entry.dep, entry.t_wall_us
        self.last_us = max(self.last_us, entry.t_wall_us)
        if event.ev == "log.closed":
            self.closed_us = entry.t_wall_us
        elif event.ev in {"deployment.opened", "retention.changed"}:
            hours = count(event, "alert_images_h")
            self.alert_images_h = self.alert_images_h if hours is None else hours
        elif event.ev in _RAISED:
            self.alerts[event.ref] = AlertRemains(
                event.ref,
                count(event, "number") or 0,
                entry.t_wall_us,
                word(event, "commitment"),
                event.ev == "drill.raised",
            )
        else:
            self.settle(entry)

    def settle(self, entry: Entry) -> None:
        """A hold, a release or an erasure, in whichever of the two logs it stands."""
        event = entry.event
        alert = self.alerts.get(event.ref)
        if alert is None:
            return
        if event.ev == "alert.held":
            alert.hold = HoldOn(
                event.why,
                word(event, "requester") or event.actor.account,
                word(event, "authoriser"),
                entry.t_wall_us,
                count(event, "expires_s") or 0,
            )
        elif event.ev == "alert.released":
            alert.hold = None
        elif event.ev == "alert.erased":
            alert.erased, alert.hold = True, None


class LogTail:
    """Entries of one segment from where the last reading stopped. **Thread rule:** one caller at a time."""

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._offset = 0
        self.damaged = False

    def news(self) -> list[Entry]:
        """Raises AuditError ``audit_log_unreadable`` where the file cannot be opened."""
        try:
            data = map_segment(self._folder.entries)
        except OSError as error:
            raise AuditError(
                "audit_log_unreadable",
                say("{path}: {strerror}", path=self._folder.path, strerror=error.strerror),
                hint="without the log nobody can tell how old the pictures are",
            ) from None
        entries = []
        self.damaged = False
        while self._offset < len(data):
            frame = read_frame(data, self._offset)
            if isinstance(frame, BadFrame):
                self.damaged = True  # or a write under way: the next reading tells
                break
            try:
                entries.append(parse_entry(frame.body))
            except AuditError:
                self.damaged = True
                break
            self._offset = frame.end
        return entries


class Remains:
    """Every deployment under the audit folder that is asked for. **Thread rule:** one caller at a time; blocks."""

    def __init__(self, audit: Path) -> None:
        self._audit = audit
        self._device = LogTail(LogFolder(audit / DEVICE_LOG))
        self._said: dict[str, list[Entry]] = {}  # by origin: what the box's log says of closed deployments
        self._tails: dict[str, LogTail] = {}
        self._known: dict[str, DeploymentRemains] = {}
        self.latest_us = 0  # of everything read so far: the wall clock was here once
        self.closed_us: dict[str, int] = {}  # by origin

    def refresh(self) -> None:
        """Read what the box's log gained. A box without one has had no deployment."""
        try:
            news = self._device.news()
        except AuditError:
            return
        for entry in news:
            self.latest_us = max(self.latest_us, entry.t_wall_us)
            if entry.event.ev == "device.deployment_closed":
                self.closed_us[entry.event.ref] = entry.t_wall_us
            origin = word(entry.event, "origin")
            if origin:
                self._said.setdefault(origin, []).append(entry)

    def deployment(self, name: str) -> DeploymentRemains:
        """What is left of the deployment `name`; call :meth:`refresh` before.

        Raises:
            AuditError: ``audit_log_unreadable``.
        """
        tail = self._tails.setdefault(name, LogTail(LogFolder(self._audit / name)))
        known = self._known.setdefault(name, DeploymentRemains(name))
        for entry in tail.news():
            known.feed(entry)
        known.damaged = tail.damaged
        for entry in self._said.pop(known.origin, ()):
            known.settle(entry)
        self.latest_us = max(self.latest_us, known.last_us)
        return known

    def names(self) -> tuple[str, ...]:
        """Deployments whose log lies here, oldest first."""
        found = (item.parent.name for item in self._audit.glob("*/entries.lfr"))
        return tuple(sorted(name for name in found if name != DEVICE_LOG))
