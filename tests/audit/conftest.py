"""Logs to test with: a clock that only moves when told, a disk that fails when told, and a box full of keys."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lfr_edge.audit.disk import RealDisk
from lfr_edge.audit.event import Actor, Event
from lfr_edge.audit.keys import FileKeyStore, LogKeys, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions

OPERATOR = Actor("op.one", "operator", "s-17")
OFFICER = Actor("do.two", "deployment_officer", "s-18")


class FakeClock:
    """Stands still until :meth:`advance`; the wall clock can be moved on its own."""

    def __init__(self) -> None:
        self.mono = 1_000_000_000
        self.wall = 1_795_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return self.mono

    def wall_ns(self) -> int:
        return self.wall

    def advance(self, seconds: float) -> None:
        self.mono += int(seconds * 1e9)
        self.wall += int(seconds * 1e9)


class FaultyDisk(RealDisk):
    """Does what the real disk does, except for the calls that `plan` names: (call, nth from 0) → errno.

    A failing append writes half of its data first, as a disk that fills up does. `dead` makes every call after
    the first failure fail too. Without `sync` nothing is waited for: fast, for tests that cut no power.
    """

    def __init__(
        self, plan: dict[tuple[str, int], int] | None = None, *, dead: bool = False, sync: bool = False
    ) -> None:
        self.plan = plan or {}
        self.dead = dead
        self.sync = sync
        self.calls: dict[str, int] = {}
        self.failed = 0

    def append(self, descriptor: int, data: bytes) -> None:
        code = self._fails("append")
        if code:
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(code, os.strerror(code))
        super().append(descriptor, data)

    def datasync(self, descriptor: int) -> None:
        code = self._fails("datasync")
        if code:
            raise OSError(code, os.strerror(code))
        if self.sync:
            super().datasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        code = self._fails("truncate")
        if code:
            raise OSError(code, os.strerror(code))
        super().truncate(descriptor, size)

    def _fails(self, call: str) -> int:
        number = self.calls.get(call, 0)
        self.calls[call] = number + 1
        code = self.plan.get((call, number), 0)
        if self.dead and self.failed:
            code = errno.EIO
        if code:
            self.failed += 1
        return code


@dataclass
class Box:
    """One van: a key store, a device key, and as many logs as a test wants."""

    root: Path
    clock: FakeClock = field(default_factory=FakeClock)
    logs: list[AuditLog] = field(default_factory=list)

    @property
    def store(self) -> FileKeyStore:
        return FileKeyStore(self.root / "keys")

    @property
    def device(self) -> LogKeys:
        return device_keys(self.store, "van.example/3/device", self.clock)

    def origin(self, name: str = "d1") -> str:
        return f"van.example/3/{name}"

    def keys(self, name: str = "d1") -> LogKeys:
        return deployment_keys(self.store, self.device, self.origin(name), self.clock)

    def folder(self, name: str = "d1") -> Path:
        return self.root / "audit" / name

    def options(self, **changes: object) -> LogOptions:
        defaults: dict[str, object] = {
            "timer": False,
            "ballast_bytes": 65_536,
            "disk": FaultyDisk(),
            "source": lambda: "ntp",
            "boot_id": lambda: "boot-1",
        }
        return LogOptions(**{**defaults, **changes})  # type: ignore[arg-type]

    def create(
        self, name: str = "d1", on_failure: Callable[..., None] | None = None, **changes: object
    ) -> AuditLog:
        log = AuditLog.create(
            self.folder(name),
            self.origin(name),
            self.keys(name),
            self.clock,
            options=self.options(**changes),
            on_failure=on_failure,
        )
        self.logs.append(log)
        return log

    def open(
        self, name: str = "d1", on_failure: Callable[..., None] | None = None, **changes: object
    ) -> AuditLog:
        log = AuditLog.open(
            self.folder(name),
            self.origin(name),
            self.keys(name),
            self.clock,
            options=self.options(**changes),
            on_failure=on_failure,
        )
        self.logs.append(log)
        return log

    def fill(self, log: AuditLog, count: int) -> None:
        """`count` more entries of a blameless deployment, one a second."""
        for _ in range(count):
            self.clock.advance(1)
            log.append(event_number(log.size - 1))

    def closed(self, name: str = "d1", entries: int = 20, **changes: object) -> Path:
        """A closed log of exactly `entries` entries, every alert in it decided."""
        log = self.create(name, **changes)
        self.fill(log, (entries - 2) // 4 * 4)
        while log.size < entries - 1:
            log.append(Event("camera.lost", ref="gate"))
        log.close(OFFICER)
        return self.folder(name)


def event_number(number: int) -> Event:
    """A varied, repeatable stream in which every duty is done whenever it is cut off at a multiple of 4."""
    ref = f"{number // 4:020x}"
    match number % 4:
        case 0:
            return Event("alert.raised", ref=ref, data={"score_e4": 4000 + number % 900, "camera": "gate"})
        case 1:
            return Event(
                "alert.looked", OPERATOR, ref, {"look": 1, "factors": ["light", "pose"]}, "first look"
            )
        case 2:
            return Event(
                "alert.decided", OPERATOR, ref, {"decision": "false_alert"}, "other person – ears differ"
            )
        case _:
            counts = {"processed": number * 3, "erased": number * 3 - 1, "retained": 1}
            return Event("ledger.counted", data=counts)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    for log in box.logs:
        log._release()
