"""Cameras kept as the product keeps them, and watched closely: what a trial of cameras measures with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.capture.frame import Frame
from lfr_edge.capture.keeper import Backoff, CameraKeeper, CameraStatus
from lfr_edge.capture.slot import FrameReader, FrameSlot
from lfr_edge.clock import SystemClock
from lfr_edge.demo.rtsp_server import RtspServer
from lfr_edge.settings import CameraSettings

SEEN_S, BACK_S = 5.0, 10.0  # reliability.md 5: a loss is seen, pictures come after the return
PERIOD = 50  # pictures of tests.capture.conftest.encode's clip until its brightness repeats itself

# A slice in CI shows that a fault is seen, heals and touches nobody else; how soon is a figure of the trial, which has
# a machine of its own. A slice waits so many times as long, and does not give its other camera up where the machine
# stands still for a moment.
SLICE: Final = 2.0
PATIENT: Final = {"stall_s": 20.0, "read_timeout_s": 20.0}
_DIED = frozenset({"camera_child_died", "camera_child_broken", "camera_child_failed"})
_STEP = 4  # of the brightness, from one picture to the next


class Station:
    """The product's keeper with the product's own settings and waits, and somebody who takes its pictures."""

    def __init__(self, url: str, name: str, backoff: Backoff | None = None, **settings: object) -> None:
        self.slot = FrameSlot.create(704, 576)
        self._bell = os.pipe()
        os.set_blocking(self._bell[0], False)
        self.backoff = backoff or Backoff()
        self.keeper = CameraKeeper(
            CameraSettings.model_validate({"id": name, "url": url} | settings),
            self.slot,
            self._bell[1],
            SystemClock(),
            self._heard,
            backoff=self.backoff,
        )
        self.reader = FrameReader(self.slot.fd, name)
        self.sequences = Sequences()
        self.latest: Frame | None = None
        self.latest_at = 0.0
        self.taken = 0
        self.deaths: Counter[str] = Counter()  # of children that said nothing before
        self.replaced_s: list[float] = []  # from the end of a child to the first word of the next
        self._failed_at = 0.0
        self._epoch = 0
        self._silent = False
        self._after = (0, 0)

    @property
    def status(self) -> CameraStatus:
        return self.keeper.status

    @property
    def size(self) -> tuple[int, int]:
        """Of the newest picture."""
        return (0, 0) if self.latest is None else (self.latest.width, self.latest.height)

    def _heard(self, status: CameraStatus) -> None:
        now = time.monotonic()
        if status.epoch != self._epoch:  # the next child is being started
            self._epoch, self._silent = status.epoch, True
            self.deaths[status.error_code] += status.error_code in _DIED
        elif self._silent:
            self._silent = False
            if status.epoch > 1:
                self.replaced_s.append(now - self._failed_at)
        self._failed_at = now if not self._silent else self._failed_at

    async def __aenter__(self) -> Station:
        asyncio.get_running_loop().add_reader(self._bell[0], self._rung)
        await self.keeper.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keeper.stop()
        asyncio.get_running_loop().remove_reader(self._bell[0])
        self.reader.close()
        self.slot.close()
        for end in self._bell:
            os.close(end)

    def _rung(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell[0], 4096)
        frame = self.reader.take(self._after)
        if frame is not None:
            self._after = (frame.epoch, frame.sequence)
            self.latest, self.latest_at = frame, time.monotonic()
            self.taken += 1
            self.sequences.saw(frame)

    async def live(self, timeout_s: float = 60.0) -> None:
        """Until pictures come, and have come for a moment."""
        taken = self.taken
        enough = await within(lambda: self.status.state == "live" and self.taken > taken + 5, timeout_s)
        if enough == float("inf"):
            raise AssertionError(f"{self.status.camera} gives no pictures: {self.status}")

    def fresh_since(self, moment: float) -> bool:
        """Whether the newest picture was taken after `moment` and the keeper says so."""
        return self.latest_at > moment and self.status.state == "live"


class Sequences:
    """Which pictures of a counting clip were lost on their way: between camera and child, not after."""

    def __init__(self) -> None:
        self._epoch, self._sequence, self._shown = 0, 0, 0
        self.lost = 0
        self.seen = 0

    def saw(self, frame: Frame) -> None:
        shown = round((float(frame.pixels[8:24, 8:24].mean()) - 20) / _STEP) % PERIOD
        if frame.epoch == self._epoch:
            published = frame.sequence - self._sequence
            self.lost += (shown - self._shown - published) % PERIOD
        self._epoch, self._sequence, self._shown = frame.epoch, frame.sequence, shown
        self.seen += 1


@dataclass(frozen=True)
class Untouched:
    """What a neighbour looked like before, to be compared with afterwards."""

    station: Station
    epoch: int
    lost: int
    errors: int
    taken: int

    @classmethod
    def since(cls, station: Station) -> Untouched:
        return cls(
            station,
            station.status.epoch,
            station.sequences.lost,
            station.status.decode_errors,
            station.taken,
        )

    @property
    def wrong(self) -> str:
        """What happened to it; empty where nothing did."""
        now, status = self.station, self.station.status
        if status.epoch != self.epoch or status.state != "live":
            return f"another camera was interrupted: {status.state}, {status.error_code}"
        if now.sequences.lost != self.lost or status.decode_errors != self.errors:
            return f"another camera lost {now.sequences.lost - self.lost} pictures"
        return "" if now.taken > self.taken else "another camera gave no pictures"


@asynccontextmanager
async def neighbour(clip: Path, **settings: float) -> AsyncIterator[Station]:
    """Another camera, on this machine and on no cable, whose every picture is counted; `clip` counts."""
    server = RtspServer()
    await server.start()
    server.add("/yard", clip)
    try:
        async with Station(server.url("/yard"), "yard", **settings) as station:
            await station.live()
            yield station
    finally:
        await server.stop()


async def within(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until `condition` held, infinite where it did not in time."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return float("inf")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def slowest(times: list[float]) -> float:
    """For a result, which knows no infinity."""
    return round(min(max(times, default=0.0), 9999.0), 2)
