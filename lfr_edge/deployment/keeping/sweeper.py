"""Erases what is over, of every deployment but the running one, whose desk erases by itself.

No key is needed: destroying an alert's wrapped key is enough. Erasures of closed deployments are entries of the box's
log, under the deployment's origin and with the alert's commitment. The order is always: destroy, then record; what a
kill leaves between the two is found by the next sweep, because it starts from the record and from what is on the
disk, not from a memory of its own. What cannot be erased is returned, and tried again each time.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.record import Plain, Recorder, Verb
from lfr_edge.audit.keys import KeyStore
from lfr_edge.clock import Clock
from lfr_edge.deployment.ending.import_copy import compile_remnants
from lfr_edge.deployment.ending.wipe import EVIDENCE
from lfr_edge.deployment.keeping.ageing import HOUR_NS, Ageing, due_ns, holds, pictures_over
from lfr_edge.deployment.keeping.pending import Pending
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.keeping.remains import AlertRemains, DeploymentRemains, Remains
from lfr_edge.deployment.keeping.retention import LIST_AFTER_H, LIST_AGE_H, alert_images_h
from lfr_edge.errors import AuditError, LfrError
from lfr_edge.settings import Settings
from lfr_edge.watchlist.header import inspect_header

log = logging.getLogger("lfr_edge.retention")
_CLOCK_SLACK_S: Final = 3600  # summer time set by hand, and no more


@dataclass(frozen=True, slots=True)
class Erased:
    what: str  # alert_images, alert_table, evidence_key, register, sealed_list
    deployment: str
    number: int = 0  # of the alert


@dataclass(frozen=True, slots=True)
class NotErased:
    """What should be gone and is not, with the reason for a person."""

    what: str
    deployment: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """An alert whose pictures are there, and when they must go (wall clock; a hold in force counted in).

    `closed`: the deployment's own log takes no entry any more.
    """

    deployment: str
    origin: str
    alert: AlertRemains
    due_wall_ns: int
    closed: bool


@dataclass(slots=True)
class Swept:
    erased: list[Erased] = field(default_factory=list)
    failed: list[NotErased] = field(default_factory=list)
    held: int = 0
    kept: int = 0  # pictures within their retention

    @property
    def clean(self) -> bool:
        return not self.failed


class Sweeper:
    """**Thread rule:** any thread; :attr:`turn` orders them. Blocks on the disk. Cheap when nothing is left."""

    def __init__(
        self, settings: Settings, clock: Clock, record: Recorder, register: Register, keys: KeyStore
    ) -> None:
        self._settings = settings
        self._record = record
        self._register = register
        self._keys = keys
        self.ageing = Ageing(clock)
        self.remains = Remains(settings.audit)
        self._pending = Pending(settings.data / "erasing.json")
        self.turn = threading.RLock()  # a hold must not come between a look at an alert and its erasure

    def sweep(self, running: str | None = None) -> Swept:
        """Erase what is over. `running`: the deployment whose desk is at work and erases by itself.

        Never raises LfrError or OSError: what failed is in the answer, and in the service's log.
        """
        with self.turn:
            return self._sweep(running)

    def _sweep(self, running: str | None) -> Swept:
        swept = Swept()
        self.remains.refresh()
        self._try(swept, "unfinished erasure", "", lambda: self._finish_pending(swept))
        for name in self.stores():
            if name != running:
                self._try(swept, "alert_images", name, lambda name=name: self._deployment(swept, name))  # type: ignore[misc]
        self._try(swept, "sealed_list", running or "", lambda: self._list(swept, running))
        self._try(swept, "register", "", lambda: self._pages(swept))
        behind = self.ageing.behind_s()
        if behind > _CLOCK_SLACK_S:
            reason = (
                f"the wall clock is {behind // 3600} h behind the record: ages are counted from the record"
            )
            swept.failed.append(NotErased("clock", "", reason))
        for failure in swept.failed:
            log.error("retention: %s %s: %s", failure.what, failure.deployment, failure.reason)
        return swept

    def stores(self) -> tuple[str, ...]:
        """Deployments of which something lies on the disk."""
        root = self._settings.data / "deployments"
        return tuple(sorted(item.name for item in root.iterdir() if item.is_dir())) if root.is_dir() else ()

    def kept(self) -> tuple[KeptAlert, ...]:
        """Every alert whose pictures are on the disk, oldest first; deployments without a log are left out."""
        found: list[KeptAlert] = []
        with self.turn:
            self.remains.refresh()
            for name in self.stores():
                with contextlib.suppress(AuditError):
                    remains, files, hours = self.read(name)
                    found += (
                        KeptAlert(
                            name, remains.origin, alert, due_ns(alert, hours), remains.closed_us is not None
                        )
                        for alert in remains.alerts.values()
                        if alert.token in files and not alert.erased
                    )
        return tuple(sorted(found, key=lambda one: one.alert.raised_us))

    def read(self, name: str) -> tuple[DeploymentRemains, frozenset[str], float]:
        """What the record and the disk have of a deployment, and the hours in force for its pictures."""
        remains = self.remains.deployment(name)
        self.ageing.recorded(self.remains.latest_us)
        hours = alert_images_h(
            self._settings, None if remains.alert_images_h is None else float(remains.alert_images_h)
        )
        return remains, self._files(name), hours

    def list_due_ns(self, running: str | None) -> int | None:
        """When the sealed list must be gone, by the wall clock; None: there is none, or it is in use."""
        path = self._settings.watchlist.path
        if running is not None or not path.exists():
            return None
        made_ns = _made_ns(path)
        closed = [us * 1000 for us in self.remains.closed_us.values() if us * 1000 >= made_ns]
        # Not yet deployed: it may be for LIST_AGE_H, and has no purpose after that.
        last_ns = max(closed) if closed else made_ns + round(LIST_AGE_H * HOUR_NS)
        return last_ns + round(LIST_AFTER_H * HOUR_NS)

    def _try(self, swept: Swept, what: str, deployment: str, act: Callable[[], None]) -> None:
        try:
            act()
        except (LfrError, OSError) as error:
            reason = error.message if isinstance(error, LfrError) else str(error)
            swept.failed.append(NotErased(what, deployment, reason))

    def _deployment(self, swept: Swept, name: str) -> None:
        left = 0
        try:
            remains, files, kept_h = self.read(name)
        except AuditError as error:  # no log to tell how old they are: their files do
            swept.failed.append(NotErased("log", name, error.message))
            remains, files = DeploymentRemains(name, damaged=True), self._files(name)
            kept_h = alert_images_h(self._settings)
        for alert in remains.alerts.values():
            if alert.erased and alert.token not in files:
                continue
            steady, latest = self.ageing.steady_ns(), self.ageing.latest_ns()
            if alert.erased or pictures_over(alert, steady, latest, kept_h):
                failed = len(swept.failed)
                self._try(swept, "alert_images", name, lambda alert=alert: self._erase(swept, remains, alert))  # type: ignore[misc]
                left += len(swept.failed) > failed
            else:
                held = holds(alert.hold, steady)
                swept.held, swept.kept, left = swept.held + held, swept.kept + (not held), left + 1
        left += self._ownerless(swept, remains, files - remains.alerts.keys(), kept_h)
        closed = remains.closed_us
        if left or closed is None:
            return
        if self._keys.read(EVIDENCE.format(name)) is not None:
            self._keys.destroy(EVIDENCE.format(name))
            self._say("evidence_key", remains.origin, swept, name)
        if self.ageing.latest_ns() >= closed * 1000 + kept_h * HOUR_NS:
            self._table(swept, remains)

    def _erase(self, swept: Swept, remains: DeploymentRemains, alert: AlertRemains) -> None:
        self._material(remains.name).erase(alert.token)
        ended = "hold and retention ended" if alert.hold is not None else "retention ended"
        data: dict[str, Plain] = {
            "origin": remains.origin,
            "number": alert.number,
            "commitment": alert.commitment,
            "key_destroyed": True,
        }
        why = "found again after it was erased" if alert.erased else ended
        self._record.record("alert.erased", actor=None, ref=alert.token, data=data, why=why)
        alert.erased, alert.hold = True, None
        swept.erased.append(Erased("alert_images", remains.name, alert.number))

    def _ownerless(
        self, swept: Swept, remains: DeploymentRemains, tokens: Iterable[str], kept_h: float
    ) -> int:
        """Pictures of which the record knows no alert: by the age of their files. Returns how many stay."""
        stay = 0
        folder = self._folder(remains.name) / "material"
        for token in sorted(tokens):
            born_ns = max(path.stat().st_mtime_ns for path in folder.glob(f"{token}.*"))
            unknown = AlertRemains(token, 0, born_ns // 1000, "", drill=False)
            if pictures_over(unknown, self.ageing.steady_ns(), self.ageing.latest_ns(), kept_h):
                self._material(remains.name).erase(token)
                data: dict[str, Plain] = {"origin": remains.origin, "key_destroyed": True}
                why = "pictures of which the record knows no alert"
                self._record.record("alert.erased", actor=None, ref=token, data=data, why=why)
                swept.erased.append(Erased("alert_images", remains.name))
            else:
                swept.kept, stay = swept.kept + 1, stay + 1
        return stay

    def _table(self, swept: Swept, remains: DeploymentRemains) -> None:
        """Nothing of the deployment is left but its desk's table: the signed log is the record."""
        self._pending.begin("alert_table", remains.name, remains.origin, [self._folder(remains.name)])
        self._finish_pending(swept)

    def _list(self, swept: Swept, running: str | None) -> None:
        due = self.list_due_ns(running)
        # A list of an evaluation holds nobody who is sought; it may be used again and again.
        if due is None or self._settings.models.purpose != "operational" or self.ageing.latest_ns() < due:
            return
        origin = max(self.remains.closed_us, key=self.remains.closed_us.__getitem__, default="")
        path = self._settings.watchlist.path
        self._pending.begin("sealed_list", "", origin, [path, *compile_remnants(path)])
        self._finish_pending(swept)

    def _pages(self, swept: Swept) -> None:
        days = self._settings.retention.register_days
        for page in self._register.pages():
            if page.readable and not page.over(self.ageing.steady_ns(), days):
                continue
            # Key, entry, page: a kill after the key leaves a page that answers nothing, and the next sweep ends it.
            self._keys.destroy(f"register-{page.deployment}")
            self._say("register", page.origin, swept, page.deployment, items=page.entries)
            self._register.destroy(page.deployment)

    def _finish_pending(self, swept: Swept) -> None:
        job = self._pending.work()
        if job is not None:
            self._say(job.what, job.origin, swept, job.deployment, items=job.items, size=job.size)
            self._pending.end()

    def _say(
        self, what: str, origin: str, swept: Swept, deployment: str, *, items: int = 1, size: int = 0
    ) -> None:
        verb: Verb = "material.erased"
        data: dict[str, Plain] = {
            "what": what,
            "origin": origin,
            "items": items,
            "bytes": size,
            "how": "overwritten, unlinked, looked for again",
            "key_destroyed": what in {"evidence_key", "register"},
            "checked": "absent",
            "ok": True,
        }
        self._record.record(verb, actor=None, ref=origin, data=data, why="retention ended")
        swept.erased.append(Erased(what, deployment))

    def _folder(self, name: str) -> Path:
        return self._settings.data / "deployments" / name

    def _files(self, name: str) -> frozenset[str]:
        return self._material(name).tokens() if (self._folder(name) / "material").is_dir() else frozenset()

    def _material(self, name: str) -> AlertMaterial:
        # Erasing needs no key: a fresh one opens nothing.
        return AlertMaterial(self._folder(name) / "material", secrets.token_bytes(32))


def _made_ns(path: Path) -> int:
    """When the list was compiled: what its header says, and where that cannot be read, the file's own time."""
    try:
        made = datetime.fromisoformat(inspect_header(path).created)
        return int((made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp() * 1e9)
    except (LfrError, ValueError):
        return path.stat().st_mtime_ns
