"""A camera on a cable of its own (a veth pair into a network namespace): it can be pulled, and lose packets.

Needs root. ``tc netem`` is absent from the kernels this runs on; netfilter's ``statistic`` drops at random instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.faults.stations import BACK_S, SEEN_S, Station, Untouched, within


@dataclass(frozen=True)
class Cable:
    """The camera's address, its network, and the end of the cable that is in the box."""

    url: str
    link: str
    space: str

    def pull(self) -> None:
        ip("link", "set", self.link, "down")

    def plug(self) -> None:
        ip("link", "set", self.link, "up")

    def lose(self, share: float) -> None:
        """From now on `share` of the packets is lost, each way on its own; 0 heals."""
        for chain in ("INPUT", "OUTPUT"):
            self._filter("-F", chain)
            if share:
                chosen = ("-m", "statistic", "--mode", "random", "--probability", f"{share:.4f}")
                self._filter("-A", chain, *(chosen if share < 1 else ()), "-j", "DROP")

    def _filter(self, *arguments: str) -> None:
        ip("netns", "exec", self.space, "iptables", *arguments)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def may_lay_cables(*, losing: bool = False) -> bool:
    """Whether this machine has network namespaces, and may drop packets in them."""
    name = f"lfrq{os.getpid()}"
    made = _works("ip", "netns", "add", name)
    rule = ("iptables", "-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", "0.5")
    lost = made and (not losing or _works("ip", "netns", "exec", name, *rule, "-j", "DROP"))
    _works("ip", "netns", "delete", name)
    return lost


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


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
                yield Cable(json.loads(camera.stdout.readline())["urls"][0], ours, space)
            finally:
                camera.terminate()
    finally:
        subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", ours], check=False, capture_output=True)


@dataclass(frozen=True)
class Cycle:
    """One fault of a camera and its end; seconds, infinite where it was not in time."""

    seen_s: float
    back_s: float
    others: str  # what happened to another camera; empty where nothing did

    @property
    def wrong(self) -> str:
        return self.judged(1)

    def judged(self, patience: float) -> str:
        """What is wrong; the bars are so many times as long."""
        if not self.seen_s <= patience * SEEN_S:
            return f"the loss was seen after {self.seen_s:.1f} s"
        if not self.back_s <= patience * BACK_S:
            return f"pictures came {self.back_s:.1f} s after the return"
        return self.others


async def pull_and_plug(cable: Cable, gate: Station, yard: Station, out_s: float) -> Cycle:
    await gate.live()
    gate.backoff.reset()  # as of a camera that was fine for half a minute
    before = Untouched.since(yard)
    cable.pull()
    seen = await within(lambda: gate.status.state != "live", 2 * SEEN_S)
    await asyncio.sleep(out_s)
    cable.plug()
    plugged = time.monotonic()
    back = await within(lambda: gate.fresh_since(plugged), 2 * BACK_S)
    return Cycle(seen, back, before.wrong)


@dataclass(frozen=True)
class Period:
    """A while of packets lost at random."""

    stale_s: float  # the oldest picture that was shown as live
    share: float  # of the pictures that a good cable would have brought
    back_s: float
    restarts: int
    others: str

    @property
    def wrong(self) -> str:
        return self.judged(1)

    def judged(self, patience: float) -> str:
        """What is wrong; the bars are so many times as long."""
        if self.stale_s > patience * SEEN_S:
            return f"a picture of {self.stale_s:.1f} s ago passed for live"
        if not self.back_s <= patience * BACK_S:
            return f"pictures came {self.back_s:.1f} s after the return"
        return self.others


async def lose_for(cable: Cable, gate: Station, yard: Station, share: float, seconds: float) -> Period:
    """`share` of the packets is lost for `seconds`."""
    await gate.live()
    gate.backoff.reset()
    before, epoch, taken = Untouched.since(yard), gate.status.epoch, gate.status.frames
    began, stale = time.monotonic(), 0.0
    cable.lose(share)
    try:
        while time.monotonic() - began < seconds:
            status = gate.status
            if status.state == "live":
                stale = max(stale, time.monotonic() - gate.latest_at)
            await asyncio.sleep(0.05)
    finally:
        cable.lose(0)
    came, healed = gate.status.frames - taken, time.monotonic()
    # What waits in the buffers is no proof: pictures have to go on coming.
    back = await within(lambda: gate.fresh_since(healed + 1.0), 2 * BACK_S)
    return Period(
        stale,
        round(came / (25 * (healed - began)), 3),
        back,
        gate.status.epoch - epoch,
        before.wrong,
    )
