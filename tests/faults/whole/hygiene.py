"""Nothing of a passer-by is left after a second: not in the memory of any process of the service, not on its disk, in
a core, on the wire or in a browser (B1, B2).

The whole service runs, strangers pass before its camera, and the scan comes from outside: the processes are stopped
and /proc/PID/mem is read. Both controls belong to each scan: what it looks for was there while the face was, and the
enrolled list is there now.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.faults.whole.box import Box, part_of, state_of
from tests.faults.whole.needles import Needles, differing, sealed_memory
from tests.faults.whole.work import Work

GONE_S: Final = 1.0  # after a face's last frame nothing of it is left
_ENDED_S: Final = 0.6  # a passage ends so long after the last look (settings: track_lost_s)
_LATER_S: Final = 0.3  # a second look inside, when the passage has all the templates that it gets
_MET_S: Final = 90.0
_HERE_S: Final = 240.0
_KEPT: Final = 5  # groups whose bytes are looked for again, though they were gone before
_AGAIN_S: Final = 5.0  # so long before its pictures may come round again a group is no longer looked for
_TOO_SLOW: Final = 10  # attempts that came to nothing, over those asked for: not a machine for this trial
SAID_S: Final = 0.4  # an end is known so much later at most: the recogniser's tick and pulse, and our poll
_SPREAD_S: Final = 0.1  # of the moment of a scan

# A freeze of four seconds is no reason to ask the camera again, and to wait 30 s for it from the sixth freeze on.
PATIENT: Final = {"stall_s": 60.0, "read_timeout_s": 60.0}


@dataclass(frozen=True)
class Group:
    """Strangers who passed, and what the recogniser held of them."""

    number: int  # the freeze before which they passed
    met_s: float  # monotonic
    needles: Needles


@dataclass(frozen=True)
class Find:
    """Fragments in one process at one freeze."""

    process: str
    kinds: Mapping[str, set[str]]  # kind of region → fragments, as hex

    def told(self, groups: Sequence[Group], now_s: float) -> str:
        """How many, in what, and whose."""
        hits = set().union(*self.kinds.values())
        whose = [
            f"{count} of group {group.number}, met {now_s - group.met_s:.1f} s ago"
            for group in groups
            if (count := group.needles.among(hits))
        ]
        places = [f"{len(found)} in {kind}" for kind, found in sorted(self.kinds.items())]
        return f"{self.process}: {', '.join(places)}; {', '.join(whose)}; {' '.join(sorted(hits)[:2])}"


@dataclass
class Seen:
    """What one scan saw."""

    finds: list[Find] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # of each find, in words
    listed: int = 0  # words of the enrolled list that the recogniser holds
    mib: int = 0
    oldest_s: float = 0.0  # the oldest group that was looked for had been met so long ago


def told_apart(groups: Sequence[Group], now_s: float, round_s: float, hung_s: float) -> list[Group]:
    """Those that may be looked for at `now_s`: their pictures cannot have come round again since they were met.

    The clip begins again every `round_s`, and gives everybody the same bytes once more; a camera that hung for
    `hung_s` sent a group so much later than its next turn.
    """
    return [group for group in groups if now_s - group.met_s < round_s - hung_s - _AGAIN_S]


@dataclass
class Scan:
    freezes: int = 0
    faces: int = 0
    words: int = 0
    scanned_mib: int = 0
    slowest_s: float = 0.0
    latest_s: float = 0.0  # from the last look at a face to the scan, at least; up to `SAID_S` more
    oldest_s: float = 0.0  # a group that was still looked for had been met so long ago
    passed_over: int = 0  # groups whose pictures would have come round again before the scan
    replaced: int = 0  # recognisers that the desk took for hung: nothing is left of the memory of one
    failures: list[str] = field(default_factory=list)


class Watch:
    """Strangers before the camera of one running service."""

    def __init__(self, box: Box, work: Work, chance: random.Random) -> None:
        self.box, self.work, self.chance = box, work, chance
        self.recogniser = 0
        self._blank: dict[int, np.ndarray] = {}
        self._held = 0  # templates, as the console said it last

    async def settle(self) -> None:
        """Nobody is in view and something was met before: what the sealed memory looks like when it holds no face."""
        deadline = time.monotonic() + _MET_S
        while not (found := self.box.children("recogniser")):
            assert time.monotonic() < deadline, "there is no recogniser"
            await asyncio.sleep(0.2)
        self.recogniser = found[0]
        await self._until(lambda ledger: ledger["processed"] > 0 and ledger["held"] == 0)
        self._blank = self._look_inside()

    async def take(self) -> tuple[float, Needles]:
        """(when a group of strangers came, monotonic; their bytes, taken while they were in view)."""
        deadline = time.monotonic() + _MET_S
        while time.monotonic() < deadline:
            await self._until(lambda ledger: ledger["held"] > 0)
            met_s = time.monotonic()
            first = self._look_inside()
            await asyncio.sleep(_LATER_S)
            taken = differing(self._blank, first) + differing(self._blank, self._look_inside())
            if len(taken.words) > 200 and taken.vectors:
                return met_s, taken
        raise AssertionError("nobody was met whose bytes could be taken: the scan would show nothing")

    def _look_inside(self) -> dict[int, np.ndarray]:
        """Stopped no longer than it takes to copy: the desk's watchdog goes on, and allows two seconds."""
        self._stop()
        try:
            return sealed_memory(self.recogniser)
        finally:
            self._go_on()

    async def gone(self) -> float:
        """A second after the last look at the last of them; how long it was, at least: see `SAID_S`."""
        await self._until(
            lambda ledger: ledger["held"] == 0
        )  # if that moment is missed, the next is later, and as good
        ended = time.monotonic()
        await asyncio.sleep(GONE_S - _ENDED_S + self.chance.uniform(0, _SPREAD_S))
        return time.monotonic() - ended + _ENDED_S

    async def scan(self, groups: Sequence[Group], rows: np.ndarray, hung_s: float) -> Seen | None:
        """What is there of them now, and of the enrolled `rows`. None: too late for the last of them (told_apart)."""
        self.box.freeze()
        self.box.street.camera.hang()
        try:
            now_s = time.monotonic()
            apart = told_apart(groups, now_s, self.box.street.round_s, hung_s)
            if groups[-1] not in apart:
                return None
            seen = await asyncio.to_thread(self._scan, apart, rows)
            seen.told = [f"{find.told(apart, now_s)}; {self._view()}" for find in seen.finds]
            seen.oldest_s = now_s - apart[0].met_s
            return seen
        finally:
            self.box.street.camera.go_on()
            self.box.thaw()

    def _scan(self, groups: Sequence[Group], rows: np.ndarray) -> Seen:
        needles = sum((group.needles for group in groups), Needles())
        seen = Seen()
        for pid in self.box.tree():
            if kinds := needles.in_memory(pid):
                seen.finds.append(Find(f"{part_of(pid)} ({pid})", kinds))
            seen.mib += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 // 1024
        listed = Needles(np.unique(rows[:, :128].copy().view(np.uint64))).in_memory(self.recogniser)
        seen.listed = sum(map(len, listed.values()))
        return seen

    def _view(self) -> str:
        """Who is before the camera, in words. The recogniser is stopped."""
        here = differing(self._blank, sealed_memory(self.recogniser))
        held = f"the console said {self._held} held"
        return f"{held}, the slots {'hold somebody' if len(here.words) else 'are empty'}"

    def _stop(self) -> None:
        os.kill(self.recogniser, signal.SIGSTOP)
        while (state := state_of(self.recogniser)) != "T":
            if state in "ZX":
                raise ProcessLookupError
            time.sleep(0.001)

    def _go_on(self) -> None:
        os.kill(self.recogniser, signal.SIGCONT)

    async def _ledger(self) -> dict[str, Any]:
        ledger = dict((await self.work.operator.get("/api/status"))["ledger"])
        self._held = ledger["held"]
        return ledger

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
        groups: list[Group] = []
        here_s = time.monotonic()
        while done.freezes < count and len(done.failures) < 10:
            if time.monotonic() - here_s > _HERE_S:  # nobody touches a key here, and the console would close
                await work.operator.sign_in()
                here_s = time.monotonic()
            try:
                met_s, taken = await watch.take()
                groups = [*groups[1 - _KEPT :], Group(done.freezes, met_s, taken)]
                late_s = await watch.gone()
                began = time.monotonic()
                seen = await watch.scan(groups, box.street.lists.rows, done.slowest_s)
            except (ProcessLookupError, FileNotFoundError):  # the desk took it for hung while we stopped it
                done.replaced += 1
                assert done.replaced < _TOO_SLOW + count, "the recogniser is replaced again and again"
                groups = []
                await watch.settle()
                continue
            if seen is None:
                done.passed_over += 1
                assert done.passed_over < _TOO_SLOW + count, "everybody comes round again before the scan"
                continue
            late = f"freeze {done.freezes}: {late_s:.2f} s after the last look"
            done.failures += [f"{late}: {told}" for told in seen.told]
            if not seen.listed:
                done.failures.append(f"freeze {done.freezes}: the scan does not even see the enrolled list")
            done.freezes += 1
            done.faces += 3
            done.words += len(taken.words)
            done.scanned_mib = max(done.scanned_mib, seen.mib)
            done.slowest_s = max(done.slowest_s, time.monotonic() - began)
            done.latest_s = max(done.latest_s, late_s)
            done.oldest_s = max(done.oldest_s, seen.oldest_s)
            step(1)
    return done
