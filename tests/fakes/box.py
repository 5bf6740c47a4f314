"""A box without cameras: everything behind the console is real except the recogniser and what it sees."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
from aiohttp import web
from PIL import Image

from lfr_edge.alerts.alert import DeskPolicy, RaisedAlert
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.record import LogRecorder
from lfr_edge.alerts.store import AlertStore
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.clock import SystemClock
from lfr_edge.console.app import build_app
from lfr_edge.console.compiling import Compiler
from lfr_edge.console.door.accounts import Accounts, Role
from lfr_edge.console.door.sessions import Sessions
from lfr_edge.console.keys import COMPILER
from lfr_edge.console.ports import (
    CameraStatus,
    ConsolePorts,
    Counters,
    DeploymentStatus,
    Latency,
    Ledger,
    ListedEntry,
    LogSummary,
    ModelStatus,
    SystemStatus,
)
from lfr_edge.deployment.control.approvals import Approvals
from lfr_edge.deployment.control.trust import TrustStore
from lfr_edge.errors import WatchlistError
from lfr_edge.recogniser.explanation import GRID, Explanation
from lfr_edge.settings import Settings
from tests.fakes.deployment import FakeControl

KEY = bytes(range(32))


class ManualClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.mono = 1_000_000_000_000
        self.wall = 1_795_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return self.mono

    def wall_ns(self) -> int:
        return self.wall

    def pass_s(self, seconds: float) -> None:
        self.mono += int(seconds * 1e9)
        self.wall += int(seconds * 1e9)


class ListRecorder:
    """Keeps what was recorded; `fail_on` names verbs that the disk refuses."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, dict, str]] = []
        self.fail_on: dict[str, Exception] = {}

    def record(self, ev, *, actor, ref, data, why):
        if ev in self.fail_on:
            raise self.fail_on[ev]
        self.events.append((ev, actor.account if actor else "", ref, data, why))
        return len(self.events)

    def verbs(self, prefix: str = "") -> list[str]:
        return [event[0] for event in self.events if event[0].startswith(prefix)]


@lru_cache
def drawn_face(seed: int, side: int = 224) -> bytes:
    """A drawing of a face, different for each seed; nobody's."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    picture = np.full((side, side, 3), rng.integers(70, 130, 3), np.float64)
    skin = rng.integers(120, 230) * np.array([1.0, 0.82, 0.7])
    width, height = rng.uniform(0.26, 0.33), rng.uniform(0.36, 0.42)
    picture[((x - 0.5) / width) ** 2 + ((y - 0.52) / height) ** 2 < 1] = skin
    picture[(((x - 0.5) / width) ** 2 + ((y - 0.45) / height) ** 2 < 1.1) & (y < rng.uniform(0.22, 0.3))] = 40
    for eye in (0.39, 0.61):
        picture[((x - eye) / 0.05) ** 2 + ((y - 0.42) / 0.025) ** 2 < 1] = 245
        picture[((x - eye) / 0.02) ** 2 + ((y - 0.42) / 0.022) ** 2 < 1] = 30
    picture[(abs(x - 0.5) < 0.018) & (abs(y - 0.53) < 0.07)] = skin * 0.8
    picture[((x - 0.5) / rng.uniform(0.07, 0.11)) ** 2 + ((y - 0.69) / 0.02) ** 2 < 1] = (150, 70, 70)
    picture += rng.normal(0, 6, picture.shape)
    return jpeg(picture)


def jpeg(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()


def raised(number: int = 1, **changes: object) -> RaisedAlert:
    """An alert as matching would hand it over."""
    alert = RaisedAlert(
        camera="north",
        captured_ns=1_000_000_000_000,
        captured_wall_ns=1_795_000_000_000_000_000 + number * 1_000_000,
        reference=f"W-{number:04d}",
        category="wanted on warrant",
        requested_response="amber",
        score=0.6217,
        threshold=0.4831,
        runner_up_score=0.3129,
        runner_up_reference="W-0877",
        track=number,
        quality={"eye_px": 38.4, "sharpness": 0.71, "light": 0.55},
        probe_jpeg=drawn_face(number),
        candidate_jpeg=drawn_face(number + 1000),
        candidate_taken=date(2023, 5, 14),
        candidate_source="custody",
        look_alikes=(("W-0877", 0.3129),),
    )
    return replace(alert, **changes)


@dataclass
class FakeSystem:
    """Answers like the supervisor of a van with two cameras."""

    recorder: object
    paused: bool = False
    asked_tiles: list[str] = field(default_factory=list)
    painted_at: list[tuple[str, int, int]] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    entries: int = 12
    tile_jpeg: bytes | None = None
    now: SystemStatus | None = None
    explained: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def explain(self, probe: bytes, candidate: bytes) -> Explanation:
        """The eyes carried it."""
        self.explained.append((probe, candidate))
        return Explanation(6100, tuple((500 if row == 3 else 20,) * GRID for row in range(GRID)))

    def status(self) -> SystemStatus:
        base = self.now or van_status()
        return replace(base, paused=self.paused, recognising=base.recognising and not self.paused)

    async def tile(self, camera: str) -> bytes | None:
        self.asked_tiles.append(camera)
        return self.tile_jpeg

    async def pause(self, actor, why) -> None:
        await asyncio.to_thread(
            self.recorder.record, "recognition.paused", actor=actor, ref="", data={}, why=why
        )
        self.paused = True

    async def resume(self, actor, why) -> None:
        await asyncio.to_thread(
            self.recorder.record, "recognition.resumed", actor=actor, ref="", data={}, why=why
        )
        self.paused = False

    async def withdraw(self, reference, actor, why) -> None:
        if reference not in {entry.reference for entry in self.watchlist()}:
            raise WatchlistError("entry_unknown", f"there is no entry {reference}")
        self.withdrawn.add(reference)

    def watchlist(self) -> tuple[ListedEntry, ...]:
        kinds = (("wanted on warrant", "amber"), ("missing person", "green"), ("court order", "red"))
        return tuple(
            ListedEntry(
                f"W-{n:04d}",
                *kinds[n % 3],
                1 + n % 2,
                "custody",
                "2024-03-01",
                f"W-{n:04d}" in self.withdrawn,
            )
            for n in range(1, self.entries + 1)
        )

    async def log_summary(self, *, verify: bool) -> LogSummary:
        verdict = "intact" if verify else "unknown"
        lines = ("entries 41 of 41", "signatures 3 of 3") if verify else ()
        return LogSummary(
            "van-3.force.example/2026-11-22-1", 41, 41, "5e" * 32, verdict, 1, 0, 1_795_000_000 * 10**9, lines
        )

    def painted(self, token: str, received_ns: int, client_wall_ns: int) -> None:
        self.painted_at.append((token, received_ns, client_wall_ns))


def van_status() -> SystemStatus:
    north = CameraStatus("north", "live", 24.9, 41, 38.0, 41.5, 0.72, 0.55, 0, 118, 1, looks_per_s=19.8)
    south = CameraStatus("south", "live", 25.0, 38, 21.0, 33.0, 0.64, 0.48, 130, 97, 2, looks_per_s=21.2)
    models = (
        ModelStatus(
            "yunet-2023mar", "detector", "MIT", True, "8f2383e4dd3cfbb4553ea8718107fc0423210dc9", "CPU"
        ),
        ModelStatus(
            "mobilefacenet-192", "embedder", "MIT", True, "0ac3ee4c0fd8e0f1f1b8f6a1f0e4cd1b6d5a23b7", "CPU"
        ),
    )
    return SystemStatus(
        recognising=True,
        paused=False,
        cameras=(north, south),
        ledger=Ledger(18_202, 18_190, 12, 2),
        counters=Counters(412_110, 30_521, 18_204, 3),
        models=models,
        deployment=DeploymentStatus(
            "2026-11-22-1",
            "Van 3, Market Square",
            "evaluation",
            1_795_000_000 * 10**9,
            None,
            0.4831,
            12,
            "ab" * 32,
        ),
        latency=Latency(212.0, 388.0, 461.0, 402.0),
        loop_lag_ms=1.4,
    )


@dataclass
class House:
    """The running console, its parts, and its address."""

    folder: Path
    desk: AlertDesk
    system: FakeSystem
    accounts: Accounts
    sessions: Sessions
    recorder: object
    url: str
    codes: dict[str, str]
    log: AuditLog | None
    approvals: Approvals | None = None
    control: FakeControl = field(default_factory=FakeControl)
    compiler: Compiler | None = None


PASSWORD = "three plain words"


@asynccontextmanager
async def house(
    folder: Path,
    *,
    policy: DeskPolicy | None = None,
    clock=None,
    recorder=None,
    idle_s=1800.0,
    site="Van 3",
    tls=False,
    settings=None,
    entries=None,
    more=None,
):
    """A console on a free port of the loopback, with a real desk and (unless given) a real audit log.

    `entries`: of the record that `recorder` goes on with, after a kill.
    """
    clock = clock or SystemClock()
    log = None
    if recorder is None:
        store = FileKeyStore(folder / "data" / "keys")
        device = device_keys(store, "van-3.force.example/device", clock)
        origin = "van-3.force.example/2026-11-22-1"
        log = AuditLog.create(
            folder / "audit" / "2026-11-22-1", origin, deployment_keys(store, device, origin, clock), clock
        )
        recorder = LogRecorder(log)
    alert_store = AlertStore(folder / "alerts.sqlite")
    material = AlertMaterial(folder / "material", KEY)
    desk = AlertDesk(alert_store, material, recorder, clock, policy or DeskPolicy())
    await desk.start(entries)
    accounts = Accounts(folder / "accounts.json", clock)
    sessions = Sessions(accounts, clock, idle_s=idle_s, longest_s=43_200)
    system, control = FakeSystem(recorder), FakeControl()
    approvals = Approvals(recorder, clock, folder / "approvals.json", lambda name: role_now(accounts, name))
    ports = ConsolePorts(
        lambda: desk, system, accounts, sessions, recorder, clock, site, tls=tls,
        explain=system.explain, approvals_now=lambda: approvals, trust=TrustStore(folder / "trust.json"),
        deployment=control,
        settings=settings or Settings(data=folder / "data", audit=folder / "audit"),
        **(more(accounts) if more else {}),
    )  # fmt: skip
    app = build_app(ports)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site_ = web.TCPSite(runner, "127.0.0.1", 0)
    await site_.start()
    port = runner.addresses[0][1]
    try:
        yield House(
            folder,
            desk,
            system,
            accounts,
            sessions,
            recorder,
            f"http://127.0.0.1:{port}",
            {},
            log,
            approvals,
            control,
            app[COMPILER],
        )
    finally:
        await runner.cleanup()
        await desk.stop()
        alert_store.close()
        material.close()
        if log is not None:
            log.suspend()


def role_now(accounts: Accounts, name: str) -> str | None:
    account = accounts.get(name)
    return None if account is None or account.disabled else str(account.role)


def enrol(accounts: Accounts, name: str, role: Role) -> None:
    """An account with :data:`PASSWORD`, by the same way as a person's."""
    accounts.redeem(accounts.add(name, role), name, None, PASSWORD)
