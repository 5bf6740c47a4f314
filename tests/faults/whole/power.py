"""The power goes while the whole service works, and comes back: what anybody was told is there (A1).

One disk holds everything that the service writes: record, alerts, pictures, accounts, proposals, list, keys. People
work at the console over HTTP and a desk follows the live channel; each answer and each message that arrived before
the cut is a promise. Every process is stopped before the cut (see :meth:`Box.freeze`), then the disk is gone
(FS_IOC_SHUTDOWN), the processes are killed, the disk is mounted again, and the record is read without the service,
checked by both verifiers, and taken up by the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.audit.verify import verify
from lfr_edge.clock import SystemClock
from lfr_edge.console.door.accounts import Accounts
from lfr_edge.errors import LfrError
from tests.audit.test_power import EATMYDATA, LoopDisk, _sudo
from tests.faults.whole.box import Box, Nursery, cpu_s, entries_of
from tests.faults.whole.readiness import Readiness, Stopwatch
from tests.faults.whole.street import Street
from tests.faults.whole.work import Work

_MOST_FAILURES: Final = 20
CUTS_A_DISK: Final = 30  # then a fresh one: what has to be read again after each cut stays small
_DISK_BYTES: Final = 8 << 30  # sparse; a start wants 2 GiB free
_KINDS: Final = ("desk", "desk", "list", "list", "end")
_IN_THE_START: Final = 0.3  # of the cuts
_WORK_S: Final = {"desk": 4.0, "list": 4.0, "end": 4.0, "activation": 8.0}  # at most, before a cut
_CUT_ACTIVATIONS: Final = 2  # of one deployment
_TIMED_EVERY: Final = 5  # a start as a service manager does it, which is timed; the others are forked
_RECOGNISING_S: Final = 60.0  # a bound; how long it really took is judged


class Disk(LoopDisk):
    """As in tests/audit, and large enough for a box."""

    def __init__(self, folder: Path) -> None:
        self.image, self.mount = folder / "image", folder / "disk"
        self.mount.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(_DISK_BYTES)
        _sudo("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", str(self.image))
        self.up()

    def up(self) -> None:
        _sudo("mount", "-o", "loop,noinit_itable", str(self.image), str(self.mount))

    def down(self) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run(["umount", self.mount], check=False, capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("the disk stays busy")
            time.sleep(0.02)
        # A mount namespace that somebody made meanwhile (`ip netns exec`) has a copy of the mount, and the next mount
        # would be of the same dead file system.
        while subprocess.run(["losetup", "-j", self.image], check=True, capture_output=True).stdout:
            if time.monotonic() > deadline + 60:
                raise TimeoutError("another mount namespace holds the disk; begin with unshare -m")
            time.sleep(0.02)


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    made = Disk(folder)
    try:
        yield made
    finally:
        subprocess.run(["umount", "--lazy", str(made.mount)], check=False, capture_output=True)
        made.image.unlink(missing_ok=True)


@dataclass
class Tally:
    """What all cuts came to."""

    cuts: dict[str, int] = field(default_factory=dict)  # by what was under way
    acknowledged: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    starts: Readiness = field(default_factory=Readiness)
    failures: list[str] = field(default_factory=list)
    entries: int = 0
    deployments: int = 0
    tried: int = 0
    start_s: float = 3.0  # of the last start: so long a cut may fall into one

    def facts(self) -> dict[str, int | float | str]:
        return {
            **{f"cuts: {name}": count for name, count in sorted(self.cuts.items())},
            "acknowledgements": self.acknowledged,
            **dict(sorted(self.by_kind.items(), key=lambda one: -one[1])[:8]),
            "entries on record": self.entries,
            "deployments": self.deployments,
            **self.starts.facts(),
        }


class Power:
    """One disk, one box, many cuts."""

    def __init__(
        self, street: Street, disk: Disk, config: Path, chance: random.Random, go: Path, tally: Tally
    ) -> None:
        self.disk, self.go, self.tally, self.chance = disk, go, tally, chance
        self.box = Box(street, disk.mount, config)
        self.work = Work(self.box, chance)
        self.name = ""
        self._cut_activations = 0  # of the deployment that is being prepared

    async def furnish(self) -> None:
        """A box that a force has set up, safely on its disk: people, list, an enrolled key."""
        self.box.furnish()
        await self.box.start()
        await self.box.ready()
        async with self.work.people():
            await self.work.enrol_issuer()
        await self.box.kill()
        os.sync()

    async def cut(self, number: int, nursery: Nursery) -> None:
        """One life of the service, and its end. What is wrong afterwards is added to the tally."""
        self.name = f"cut {number}"
        self.box.bring_list()
        if number % _TIMED_EVERY and self.chance.random() < _IN_THE_START:
            kind = await self._begin_only(nursery)
        else:
            kind = await self._live(None if number % _TIMED_EVERY == 0 else nursery)
        self.tally.cuts[kind] = self.tally.cuts.get(kind, 0) + 1
        self.name += f" ({kind})"
        await self._lose_power()
        self._check_disk()

    async def finish(self, nursery: Nursery) -> None:
        """A last start that nobody interrupts: the whole box ends in order and verifies."""
        self.name = f"the last start after {self.name}"
        self.box.bring_list()
        await self.box.start(nursery)
        await self._ready()
        async with self.work.people():
            for problem in await self.work.agrees():
                self._failed(problem)
        await self.box.stop()
        self._check_disk()
        for entries in entries_of(self.disk.mount / "audit").values():
            self.tally.entries += len(entries)
            self.tally.deployments += 1
        self.tally.deployments -= 1  # the box's own log
        self.tally.acknowledged += self.work.told.count
        for kind, count in self.work.told.by_kind.items():
            self.tally.by_kind[kind] = self.tally.by_kind.get(kind, 0) + count

    async def _begin_only(self, nursery: Nursery) -> str:
        """A start that a cut meets: recovery after the last cut, and sometimes an upgrade."""
        kind = self.chance.choice(("recovery", "recovery", "upgrade"))
        if kind == "upgrade":
            _downgrade(self.disk.mount / "data")
        await self.box.start(nursery)
        await asyncio.sleep(self.chance.uniform(0, 1.1 * self.tally.start_s))
        return kind

    async def _live(self, nursery: Nursery | None) -> str:
        """A start, and people who work until a random moment. What they did last names the cut."""
        watch = Stopwatch(self._own_cpu_s)
        await self.box.start(nursery)
        await self._ready()
        took_s, others = watch.read()
        if nursery is None:
            self.tally.starts.ready_s.append(took_s)
            self.tally.starts.cpu_s.append(self._own_cpu_s())
            self._judge("ready", took_s, others)
        else:
            self.tally.start_s = took_s
        async with self.work.people():
            if nursery is None and await self.work.phase() == "running":
                await self._recognising(watch)
            for problem in await self.work.agrees():
                self._failed(problem)
            kind = await self._work()
            for problem in self.work.troubles():
                self._failed(problem)
        return kind

    async def _recognising(self, watch: Stopwatch) -> None:
        """Until a picture has been looked at since the power came back."""
        deadline = time.monotonic() + _RECOGNISING_S
        while time.monotonic() < deadline:
            status = await self.work.operator.get("/api/status")
            if status["recognising"] and status["counters"]["frames"]:
                took_s, others = watch.read()
                self.tally.starts.recognising_s.append(took_s)
                self._judge("recognising", took_s, others)
                return
            await asyncio.sleep(0.05)
        self._failed(f"not recognising {_RECOGNISING_S:g} s after the start: {status}")

    def _judge(self, what: str, took_s: float, others: float) -> None:
        for problem in self.tally.starts.judge(what, took_s, others):
            self._failed(problem)

    def _own_cpu_s(self) -> float:
        return cpu_s(self.box.tree())

    async def _work(self) -> str:
        """Until a random moment, at which everything stands still. A start that was cut twice is let through."""
        running = await self.work.phase() == "running"
        if not running and self._cut_activations == _CUT_ACTIVATIONS:
            await self.work.do("activation", until_started=True)
            running = True
        self._cut_activations = 0 if running else self._cut_activations + 1
        kind = self.chance.choice(_KINDS) if running else "activation"
        work = asyncio.create_task(self.work.do(kind))
        await asyncio.wait({work}, timeout=self.chance.uniform(0.1, _WORK_S[kind]))
        await self._freeze()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return kind

    async def _ready(self) -> None:
        """Raises BrokenError: the box is lost, and so is this disk's trial."""
        try:
            await self.box.ready()
        except RuntimeError as error:
            raise BrokenError(f"{self.name}: {error}") from None

    async def _freeze(self) -> None:
        await asyncio.to_thread(self.box.freeze)
        await asyncio.sleep(0.05)  # what was sent before it stopped has arrived, and counts

    async def _lose_power(self) -> None:
        self.box.freeze()
        self.disk.cut()
        await self.box.kill()
        self.disk.down()
        self.disk.up()

    def _failed(self, problem: str) -> None:
        self.tally.failures.append(f"{self.name}: {problem}")

    def _check_disk(self) -> None:
        """Read without the service: nothing that was told is missing, and both verifiers find nothing altered."""
        audit, data = self.disk.mount / "audit", self.disk.mount / "data"
        for problem in self.work.told.missing(_all(entries_of(audit))):
            self._failed(problem)
        for problem in self.work.told.undone(data):
            self._failed(problem)
        known = {account.name for account in Accounts(data / "accounts.json", SystemClock()).all()}
        if lost := self.work.told.accounts - known:
            self._failed(f"accounts are gone: {sorted(lost)}")
        report = verify(audit)
        for finding in report.findings:
            self._failed(f"altered: {finding.line()}")
        if report.verdict == "unreadable":
            self._failed("the record is unreadable")
        told = subprocess.run([self.go, audit], check=False, capture_output=True, text=True)
        if told.returncode:
            self._failed(f"the Go verifier: {told.stdout.strip()}")


def _all(logs: dict[str, list[Entry]]) -> Iterator[Entry]:
    for entries in logs.values():
        yield from entries


def _downgrade(data: Path) -> None:
    """The data folder as release 0.1.0 left it: no number anywhere (tests/formats/data-1)."""
    (data / "format").unlink(missing_ok=True)
    (data / "migrations.jsonl").unlink(missing_ok=True)
    raw = json.loads((data / "accounts.json").read_text(encoding="utf-8"))
    # Gone already where the start before this one was cut before it brought the folder forward.
    raw.pop("format", None)
    (data / "accounts.json").write_text(json.dumps(raw, indent=1), encoding="utf-8")
    for alerts in (data / "deployments").glob("*/alerts.sqlite"):
        database = sqlite3.connect(alerts)
        database.execute("PRAGMA user_version = 0")
        database.commit()
        database.close()
    os.sync()


class BrokenError(Exception):
    """The service does not come back."""


async def cuts(
    street: Street,
    folder: Path,
    count: int,
    chance: random.Random,
    go: Path,
    step: Callable[[int], None] = lambda done: None,
) -> Tally:
    """`count` cuts over as many disks as they need."""
    tally, nursery = Tally(), Nursery()
    try:
        while tally.tried < count and len(tally.failures) < _MOST_FAILURES:
            here = folder / f"disk-{tally.tried}"
            here.mkdir()
            await _cuts_of_a_disk(
                street, here, min(count - tally.tried, CUTS_A_DISK), chance, go, nursery, tally, step
            )
            shutil.rmtree(here, ignore_errors=True)
    finally:
        nursery.close()
    tally.failures += tally.starts.verdict()
    return tally


async def _cuts_of_a_disk(
    street: Street,
    here: Path,
    count: int,
    chance: random.Random,
    go: Path,
    nursery: Nursery,
    tally: Tally,
    step: Callable[[int], None],
) -> None:
    with disk(here) as made:
        power = Power(street, made, here / "lfr.toml", chance, go, tally)
        try:
            await power.furnish()
            for _ in range(count):
                tally.tried += 1
                await power.cut(tally.tried, nursery)
                step(1)
            await power.finish(nursery)
        except BrokenError as error:
            tally.failures.append(str(error))
        finally:
            await power.box.kill()


async def lies(street: Street, folder: Path, count: int, chance: random.Random, go: Path) -> Tally:
    """The control: the same with a sync that does nothing. A record that is lost whole is a loss like any other."""
    tally = Tally()
    for number in range(count):
        tally.tried += 1
        here = folder / f"lies-{number}"
        here.mkdir()
        with disk(here) as made:
            power = Power(street, made, here / "lfr.toml", chance, go, tally)
            power.name = f"cut {number} (lies)"
            try:
                await power.furnish()
                await _lie(power)
                power._check_disk()
            except (OSError, ValueError, LfrError, BrokenError) as error:
                power._failed(f"nothing can be read: {error!r}")
            finally:
                await power.box.kill()
    return tally


async def _lie(power: Power) -> None:
    """A deployment begins and people decide, on a disk that says it has what it has not."""
    power.box.environment = {**os.environ, "LD_PRELOAD": str(EATMYDATA)}
    power.box.bring_list()
    await power.box.start()
    await power._ready()
    async with power.work.people():
        await power.work.do("activation", until_started=True)
        await power.work.do("desk", seconds=2.0)
        await power._freeze()
    await power._lose_power()
