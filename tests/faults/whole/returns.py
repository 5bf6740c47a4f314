"""A recogniser or a capture process is killed, hangs, or is taken by the kernel because memory ran out: it is back
within two seconds, the desk never goes, and nothing that was told is lost (reliability.md 4 and 5).

The memory limit is the kernel's own (memory_group.py), over the whole service, as ``MemoryMax=`` sets it. A process
that is sent SIGUSR2 takes memory until there is none (sabotage: hungry), and whom the OOM killer then takes is the
kernel's choice.
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

import aiohttp

from lfr_edge.audit.verify import verify
from tests.faults.whole.box import Box, RefusedError, cpu_s, entries_of, state_of
from tests.faults.whole.memory_group import MemoryGroup, memory_group
from tests.faults.whole.readiness import Readiness, Stopwatch
from tests.faults.whole.street import Street
from tests.faults.whole.work import Work
from tests.trials.sabotage import children_without

BACK_S: Final = 2.0
_ROOM: Final = 192 << 20  # what the service may still take when somebody becomes hungry
_STABLE_S: Final = 31.0  # a camera's second fault within 30 s waits longer on purpose (capture/keeper.py)
_WAIT_S: Final = 90.0  # for each step; how long it really took is judged
_MOST_ENDS: Final = 3  # of the recogniser that a deployment survives (service/warden.py)
_WHO: Final = ("recogniser", "capture")
_HOW: Final = ("killed", "hung", "out of memory")
FAULTS: Final = tuple(f"{who} {how}" for how in _HOW for who in _WHO)


@dataclass
class Returns:
    """What came of all of it."""

    tried: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    back_s: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)  # most, of the new process until it was back
    noticed_s: dict[str, float] = field(default_factory=dict)  # slowest, until what hung was ended
    judged: Readiness = field(default_factory=lambda: Readiness(bar_s=BACK_S))
    taken: int = 0  # by the kernel's OOM killer
    deployments: int = 0
    acknowledged: int = 0
    failures: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, int | float | str]:
        every = [took_s for times in self.back_s.values() for took_s in times]
        return {
            f"back within {BACK_S:g} s": f"{sum(took_s <= BACK_S for took_s in every)} of {len(every)}",
            **{
                f"back, s, median and slowest: {fault}": f"{sorted(times)[len(times) // 2]:.2f}, {max(times):.2f}"
                for fault, times in sorted(self.back_s.items())
            },
            **{
                f"ended after, s, slowest: {fault}": round(took_s, 2)
                for fault, took_s in self.noticed_s.items()
            },
            **{f"CPU s of a new {who}, most": round(most, 2) for who, most in sorted(self.cpu_s.items())},
            "taken by the OOM killer": self.taken,
            "too slow, and the machine busy with others": self.judged.disturbed,
            "deployments": self.deployments,
            "acknowledgements": self.acknowledged,
            "load": round(os.getloadavg()[1], 1),
        }


class DeskDiedError(Exception):
    """What must not happen: everything went."""


class Faults:
    """One service in one memory group."""

    def __init__(
        self, box: Box, group: MemoryGroup, chance: random.Random, told: Returns, *, desk_first: bool
    ) -> None:
        self.box, self.group, self.told, self._desk_first = box, group, told, desk_first
        self.work = Work(box, chance)
        self._ends_left = 0
        self._camera_failed = -_STABLE_S  # when

    async def run(self, faults: list[str], step: Callable[[int], None]) -> None:
        async with self.work.people():
            await self.work.enrol_issuer()
            await self.work.agrees()
            desk = asyncio.create_task(self.work.do("desk"))
            try:
                for fault in faults:
                    await self._prepare(fault)
                    self.told.tried += 1
                    self.told.faults[fault] = self.told.faults.get(fault, 0) + 1
                    await self._suffer(fault)
                    if fault.startswith("capture"):
                        self._camera_failed = time.monotonic()
                    step(1)
            finally:
                desk.cancel()
                await asyncio.gather(desk, return_exceptions=True)
                self.told.acknowledged = self.work.told.count
        self.told.failures += self.work.troubles()

    async def _prepare(self, fault: str) -> None:
        """A deployment that survives one more of these."""
        if not self.told.deployments or (fault.startswith("recogniser") and not self._ends_left):
            if self.told.deployments:
                await self.work.end_and_prepare(await self.work.officer())
            await self.work.activate()
            self.told.deployments += 1
            self._ends_left = _MOST_ENDS
        if fault.startswith("recogniser"):
            self._ends_left -= 1
        else:
            await asyncio.sleep(max(0.0, self._camera_failed + _STABLE_S - time.monotonic()))
        await self._until(lambda status: status["recognising"] and status["counters"]["frames"] > 0)
        await asyncio.sleep(0.3)

    async def _suffer(self, fault: str) -> None:
        who, _, how = fault.partition(" ")
        pid, began, kills = self.box.children(who)[0], time.monotonic(), self.group.kills
        if self._desk_first:  # now: whoever it starts later inherits this
            Path(f"/proc/{self.box.pid}/oom_score_adj").write_text("1000", encoding="ascii")
        if how == "out of memory":
            self.group.leave_room(_ROOM)
        number = {"killed": signal.SIGKILL, "hung": signal.SIGSTOP, "out of memory": signal.SIGUSR2}[how]
        os.kill(pid, number)
        while _alive(pid):
            self._desk_lives(fault)
            if time.monotonic() - began > _WAIT_S:
                raise TimeoutError(f"{fault}: it is still there after {_WAIT_S:g} s")
            await asyncio.sleep(0.005)
        watch = Stopwatch(lambda: cpu_s(self.box.tree()))
        slowest = self.told.noticed_s
        if how != "killed":
            slowest[fault] = max(slowest.get(fault, 0.0), time.monotonic() - began)
        if how == "out of memory":
            self.told.taken += self.group.kills - kills
            if self.group.kills == kills:
                self.told.failures.append(f"{fault}: ended, but not by the kernel's OOM killer")
        await self._back(fault, who, pid, watch)

    async def _back(self, fault: str, who: str, dead: int, watch: Stopwatch) -> None:
        """Until a picture that came after the death has been looked at."""
        frames: int | None = None
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            self._desk_lives(fault)
            status = await self._status()
            replaced = any(pid != dead for pid in self.box.children(who))
            if replaced and status.get("recognising"):
                seen = status["counters"]["frames"]
                if frames is None:
                    frames = seen
                elif seen > frames:
                    took_s, others = watch.read()
                    used = cpu_s([pid for pid in self.box.children(who) if pid != dead])
                    self.told.cpu_s[who] = max(self.told.cpu_s.get(who, 0.0), used)
                    self.told.back_s.setdefault(fault, []).append(took_s)
                    self.told.failures += self.told.judged.judge(f"{fault}: back", took_s, others)
                    return
            await asyncio.sleep(0.02)
        self.told.failures.append(f"{fault}: not back after {_WAIT_S:g} s: {status.get('troubles')}")

    async def _until(self, met: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not (status := await self._status()) or not met(status):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not well within {_WAIT_S:g} s: {status.get('troubles')}")
            await asyncio.sleep(0.05)

    async def _status(self) -> dict[str, Any]:
        with contextlib.suppress(RefusedError, aiohttp.ClientError):
            return dict(await self.work.operator.get("/api/status"))
        return {}

    def _desk_lives(self, fault: str) -> None:
        if not _alive(self.box.pid):
            raise DeskDiedError(f"{fault}: the desk died of it")


def _alive(pid: int) -> bool:
    return state_of(pid) not in "ZX"


async def suffer(
    street: Street,
    folder: Path,
    faults: list[str],
    chance: random.Random,
    step: Callable[[int], None] = lambda done: None,
    *,
    desk_first: bool = False,
) -> Returns:
    """`faults`, one after the other. `desk_first`, the control: a box whose desk the kernel takes first."""
    told, state = Returns(), folder / "state"
    state.mkdir()
    box = Box(street, state, folder / "lfr.toml", matching={"cooldown_s": 2.0})
    box.furnish()
    with memory_group() as group, children_without("hungry", folder):
        try:
            box.environment = dict(os.environ)
            await box.start()
            group.take(box.pid)
            await box.ready()
            work = Faults(box, group, chance, told, desk_first=desk_first)
            await work.run(faults, step)
            await box.stop()
            told.failures += work.work.told.missing(
                entry for log in entries_of(box.settings.audit).values() for entry in log
            )
            told.failures += [f"altered: {finding.line()}" for finding in verify(box.settings.audit).findings]
        except (DeskDiedError, TimeoutError, RuntimeError) as error:
            told.failures.append(str(error))
        finally:
            await box.kill()
    told.failures += told.judged.verdict()
    return told


def drawn(chance: random.Random, count: int) -> list[str]:
    """`count` faults, each kind as often as any other, in any order."""
    faults = [FAULTS[number % len(FAULTS)] for number in range(count)]
    chance.shuffle(faults)
    return faults
