"""Nothing of a passer-by is left after a second: not in the memory of any process of the service, not on its disk, in
a core, on the wire or in a browser (B1, B2).

The whole service runs, strangers pass before its camera, and the scan comes from outside: the processes are stopped
and /proc/PID/mem is read. Both controls belong to each scan: what it looks for was there while the face was, and the
enrolled list is there now.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.faults.whole.box import Box
from tests.faults.whole.needles import Needles, differing, sealed_memory
from tests.faults.whole.work import Work

GONE_S: Final = 1.0  # after a face's last frame nothing of it is left
_ENDED_S: Final = 0.6  # a passage ends so long after the last look (settings: track_lost_s)
_LATER_S: Final = 0.3  # a second look inside, when the passage has all the templates that it gets
_MET_S: Final = 90.0  # each freeze is a stalled camera to the keeper, which asks again after 30 s at last
_HERE_S: Final = 240.0
_KEPT: Final = 5  # groups whose bytes are looked for again, though they were gone before


@dataclass
class Scan:
    freezes: int = 0
    faces: int = 0
    words: int = 0
    scanned_mib: int = 0
    slowest_s: float = 0.0
    latest_s: float = 0.0  # from the last look at a face to the scan
    failures: list[str] = field(default_factory=list)


class Watch:
    """Strangers before the camera of one running service."""

    def __init__(self, box: Box, work: Work, chance: random.Random) -> None:
        self.box, self.work, self.chance = box, work, chance
        self.recogniser = 0
        self._blank: dict[int, np.ndarray] = {}

    async def settle(self) -> None:
        """Nobody is in view and something was met before: what the sealed memory looks like when it holds no face."""
        self.recogniser = next(
            pid
            for pid in self.box.tree()
            if b"lfr_edge.recogniser" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        await self._until(lambda ledger: ledger["processed"] > 0 and ledger["held"] == 0)
        self._stop()
        self._blank = sealed_memory(self.recogniser)
        self._go_on()

    async def take(self) -> Needles:
        """The bytes of a group of strangers, taken while they are in view."""
        deadline = time.monotonic() + _MET_S
        while time.monotonic() < deadline:
            await self._until(lambda ledger: ledger["held"] > 0)
            first = await self._look_inside()
            await asyncio.sleep(_LATER_S)
            taken = first + await self._look_inside()
            if len(taken.words) > 200 and taken.vectors:
                return taken
        raise AssertionError("nobody was met whose bytes could be taken: the scan would show nothing")

    async def _look_inside(self) -> Needles:
        self._stop()
        try:
            return await asyncio.to_thread(lambda: differing(self._blank, sealed_memory(self.recogniser)))
        finally:
            self._go_on()

    async def gone(self) -> float:
        """A second after the last look at the last of them; how long it really was."""
        await self._until(
            lambda ledger: ledger["held"] == 0
        )  # if that moment is missed, the next is later, and as good
        ended = time.monotonic()
        await asyncio.sleep(GONE_S - _ENDED_S + self.chance.uniform(0, 0.2))
        return time.monotonic() - ended + _ENDED_S

    async def scan(self, needles: Needles, rows: np.ndarray) -> tuple[dict[str, str], int, int]:
        """(what of `needles` each process holds, how many of the enrolled rows' words the recogniser holds, MiB)."""
        self.box.freeze()
        self.box.street.camera.hang()
        try:
            return await asyncio.to_thread(self._scan, needles, rows)
        finally:
            self.box.street.camera.go_on()
            self.box.thaw()

    def _scan(self, needles: Needles, rows: np.ndarray) -> tuple[dict[str, str], int, int]:
        found: dict[str, str] = {}
        size = 0
        for pid in self.box.tree():
            name = f"{_name(pid)} ({pid})"
            if held := needles.in_memory(pid):
                found[name] = f"{len(held)}: {' '.join(held[:2])}"
            size += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 // 1024
        listed = Needles(np.unique(rows[:, :128].copy().view(np.uint64)))
        return found, len(listed.in_memory(self.recogniser)), size

    def _stop(self) -> None:
        os.kill(self.recogniser, signal.SIGSTOP)
        while Path(f"/proc/{self.recogniser}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)

    def _go_on(self) -> None:
        os.kill(self.recogniser, signal.SIGCONT)

    async def _ledger(self) -> dict[str, Any]:
        return dict((await self.work.operator.get("/api/status"))["ledger"])

    async def _until(self, met: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + _MET_S
        while not met(await self._ledger()):
            if time.monotonic() > deadline:
                status = await self.work.operator.get("/api/status")
                raise AssertionError(f"not within {_MET_S:g} s: {status['ledger']}, {status['troubles']}")
            await asyncio.sleep(0.05)


async def freeze_and_scan(
    box: Box, chance: random.Random, count: int, step: Callable[[int], None] = lambda done: None
) -> Scan:
    """`count` groups of strangers, each looked for a second after its last frame."""
    work, done = Work(box, chance), Scan()
    async with work.people():
        await work.enrol_issuer()
        await work.activate()
        watch = Watch(box, work, chance)
        await watch.settle()
        before: list[Needles] = []
        here_s = time.monotonic()
        while done.freezes < count and len(done.failures) < 10:
            if time.monotonic() - here_s > _HERE_S:  # nobody touches a key here, and the console would close
                await work.operator.sign_in()
                here_s = time.monotonic()
            taken = await watch.take()
            late_s = await watch.gone()
            began = time.monotonic()
            every = sum(before, taken)
            found, listed, mib = await watch.scan(every, box.street.lists.rows)
            if found:
                done.failures.append(f"freeze {done.freezes}: {late_s:.2f} s after the last look: {found}")
            if not listed:
                done.failures.append(f"freeze {done.freezes}: the scan does not even see the enrolled list")
            before = [*before[1 - _KEPT :], taken]
            done.freezes += 1
            done.faces += 3
            done.words += len(taken.words)
            done.scanned_mib = max(done.scanned_mib, mib)
            done.slowest_s = max(done.slowest_s, time.monotonic() - began)
            done.latest_s = max(done.latest_s, late_s)
            step(1)
    return done


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        for name in ("recogniser", "capture"):
            if any(f"lfr_edge.{name}" in word for word in words):
                return name
    return "desk"
