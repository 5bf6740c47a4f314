"""Real logs to report on: a clock that only moves when told, and deployments told as stories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.disk import RealDisk
from lfr_edge.audit.event import SYSTEM, Actor, Event
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions

OPERATOR = Actor("op.one", "operator", "s-17")
OFFICER = Actor("do.two", "deployment_officer", "s-18")


class MovedClock:
    def __init__(self, wall_ns: int) -> None:
        self.mono = 1_000_000_000
        self.wall = wall_ns

    def monotonic_ns(self) -> int:
        return self.mono

    def wall_ns(self) -> int:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.mono += round(seconds * 1e9)
        self.wall += round(seconds * 1e9)


class QuickDisk(RealDisk):
    """The real disk without waiting for the platter: these tests cut no power."""

    def datasync(self, descriptor: int) -> None:
        del descriptor


@dataclass
class Told:
    """One deployment's log, written event by event."""

    folder: Path
    log: AuditLog
    clock: MovedClock
    on_close: Callable[[Any], None]
    alerts: int = 0
    drills: int = 0

    def say(self, ev: Any, *, ref: str = "", actor: Actor = SYSTEM, why: str = "", **data: Any) -> int:
        return self.log.append(Event(ev, actor, ref, data, why)).seq

    def wait(self, minutes: float) -> None:
        self.clock.advance(minutes * 60)

    def open(
        self, site: str = "East Ham", people: int = 15095, threshold_e4: int = 6400, **authority: Any
    ) -> None:
        if authority:
            self.say("deployment.authorised", actor=OFFICER, **authority)
        self.say("deployment.opened", site=site, purpose="operational", cameras=["gate"], alert_images_h=24)
        self.say("model.loaded", ref="7d" * 32, pack="default")
        self.say("threshold.set", threshold_e4=threshold_e4, list_size=people)
        self.say("watchlist.activated", ref="aa" * 10, templates=people + 5, entries=people)
        self.say("recogniser.started", providers=["CPUExecutionProvider"])
        self.say("camera.connected", camera="gate", epoch=1)

    def alert(
        self,
        *answers: str,
        result: str = "referred",
        outcome: str | None = None,
        identity: str | None = None,
        score_e4: int = 6800,
    ) -> str:
        self.alerts += 1
        ref = f"{self.alerts:032x}"
        self.say(
            "alert.raised", ref=ref, number=self.alerts, camera="gate", score_e4=score_e4, threshold_e4=6400
        )
        self.say("alert.offered", ref=ref, number=self.alerts)
        for look, answer in enumerate(answers, 1):
            self.clock.advance(4)
            self.say("alert.looked", ref=ref, actor=OPERATOR, look=look, answer=answer, took_ms=4000)
        if answers and result:
            self.say("alert.decided", ref=ref, actor=OPERATOR, looks=len(answers), result=result)
        if outcome:
            more = {"identity": identity} if identity else {}
            self.say("alert.outcome", ref=ref, actor=OPERATOR, outcome=outcome, **more)
        return ref

    def count(self, opportunities: int, *, span_min: float = 1, **more: Any) -> None:
        camera: dict[str, Any] = {
            "live_ms": round(span_min * 60_000), "blind_ms": 0, "frames": 9 * opportunities,
            "detections": 12 * opportunities, "passages": opportunities + opportunities // 5,
            "probes": 4 * opportunities, "opportunities": opportunities, "eye_px_e1": 312,
            "sharpness_e4": 6100, "light_e4": 4700,
        }  # fmt: skip
        camera.update(more.pop("camera", {}))
        self.say("statistics.counted", span_ms=round(span_min * 60_000), cameras={"gate": camera}, **more)

    def close(self, templates: int = 15100) -> Path:
        self.say("recogniser.stopped", wiped=1, why="stopped")
        self.say("watchlist.destroyed", ref="aa" * 10, templates=templates, where="memory")
        self.say("deployment.closed", actor=OFFICER)
        self.on_close(self.log.close(OFFICER))
        return self.folder


@dataclass
class Van:
    """A box whose deployments are told one after another."""

    root: Path
    clock: MovedClock
    device: DeviceLog | None = None
    logs: list[AuditLog] = field(default_factory=list)

    @property
    def audit(self) -> Path:
        return self.root / "audit"

    def options(self) -> LogOptions:
        return LogOptions(timer=False, ballast_bytes=65_536, disk=QuickDisk(), boot_id=lambda: "boot-1")

    def deployment(self, name: str = "2025-01-08-1", day: str = "2025-01-08", site: str = "van") -> Told:
        store = FileKeyStore(self.root / "keys")
        device = device_keys(store, f"{site}/device", self.clock)
        if self.device is None:
            self.device = DeviceLog.open(
                self.audit, f"{site}/device", device, self.clock, options=self.options()
            )
            self.logs.append(self.device.log)
        moment = datetime.fromisoformat(f"{day}T10:00:00").replace(tzinfo=UTC)
        self.clock.wall = max(self.clock.wall, int(moment.timestamp()) * 10**9)
        origin = f"{site}/{name}"
        self.device.opened(origin)
        keys = deployment_keys(store, device, origin, self.clock)
        log = AuditLog.create(self.audit / name, origin, keys, self.clock, options=self.options())
        self.logs.append(log)
        device_log = self.device
        return Told(self.audit / name, log, self.clock, lambda head: device_log.closed(origin, head))


@pytest.fixture
def van(tmp_path: Path) -> Any:
    box = Van(tmp_path, MovedClock(int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 10**9))
    yield box
    for log in box.logs:
        log._release()
