"""Cameras on a cable of their own (a veth pair into a network namespace) that can be pulled. Needs root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lfr_edge.capture.slot import FrameSlot
from tests.capture.test_keeper import Station
from tests.conftest import REPOSITORY

SEEN_S, BACK_S = 5.0, 10.0  # reliability.md 5


@dataclass(frozen=True)
class Cable:
    """The camera's address, and the end of the cable that is in the box."""

    url: str
    link: str

    def pull(self) -> None:
        ip("link", "set", self.link, "down")

    def plug(self) -> None:
        ip("link", "set", self.link, "up")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def may_lay_cables() -> bool:
    name = f"lfrq{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    return made


@contextmanager
def camera_on_a_cable(clip: Path) -> Iterator[Cable]:
    """A camera that plays `clip` for ever in a network of its own."""
    number = os.getpid() % 10_000
    space, ours, theirs = f"lfr{number}", f"lfrh{number}", f"lfrc{number}"
    net = f"10.{200 + number // 256 % 50}.{number % 256}"
    ip("netns", "add", space)
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", space)
        ip("addr", "add", f"{net}.1/30", "dev", ours)
        ip("link", "set", ours, "up")
        for arguments in (("addr", "add", f"{net}.2/30", "dev", theirs), ("link", "set", theirs, "up")):
            ip("-n", space, *arguments)
        command = ["ip", "netns", "exec", space, sys.executable, "-m", "lfr_edge.demo.rtsp_server", str(clip)]
        with subprocess.Popen(
            [*command, "--host", f"{net}.2"], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        ) as camera:
            assert camera.stdout is not None
            try:
                yield Cable(json.loads(camera.stdout.readline())["urls"][0], ours)
            finally:
                camera.terminate()
    finally:
        subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", ours], check=False, capture_output=True)


@dataclass(frozen=True)
class Cycle:
    """One cable pulled and plugged in again; seconds, infinite where it was not in time."""

    seen_s: float
    back_s: float
    others_untouched: bool

    @property
    def wrong(self) -> str:
        if not self.seen_s <= SEEN_S:
            return f"the loss was seen after {self.seen_s:.1f} s"
        if not self.back_s <= BACK_S:
            return f"pictures came {self.back_s:.1f} s after the return"
        return "" if self.others_untouched else "another camera was interrupted"


@contextmanager
def two_stations(mine: str, other: str, **settings: float) -> Iterator[tuple[Station, Station]]:
    slots = [FrameSlot.create(640, 480) for _ in range(2)]
    bells = [os.pipe() for _ in range(2)]
    for read, _ in bells:
        os.set_blocking(read, False)
    try:
        yield (
            Station(slots[0], bells[0], url=mine, **settings),
            Station(slots[1], bells[1], url=other, id="yard"),
        )
    finally:
        for slot in slots:
            slot.close()
        for ends in bells:
            for end in ends:
                os.close(end)


async def pull_and_plug(cable: Cable, gate: Station, yard: Station, out_s: float) -> Cycle:
    import asyncio

    await gate.until(lambda status: status.state == "live" and status.frames > 10, 30)
    await yard.until(lambda status: status.state == "live", 30)
    before = yard.keeper.status
    cable.pull()
    seen = await _within(lambda: gate.keeper.status.state != "live", 2 * SEEN_S)
    await asyncio.sleep(out_s)
    frames = gate.keeper.status.frames
    cable.plug()
    back = await _within(
        lambda: gate.keeper.status.state == "live" and gate.keeper.status.frames > frames, 2 * BACK_S
    )
    after = yard.keeper.status
    same = (after.epoch, after.reconnects, after.state) == (before.epoch, before.reconnects, "live")
    return Cycle(seen, back, same and after.frames > before.frames)


async def _within(condition: object, seconds: float) -> float:
    import asyncio

    began = time.monotonic()
    while not condition():  # type: ignore[operator]
        if time.monotonic() - began > seconds:
            return float("inf")
        await asyncio.sleep(0.02)
    return time.monotonic() - began
