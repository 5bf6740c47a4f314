"""An hour (or a day) of service with a fault every half a minute: nothing grows, nothing is lost (E6).

One process of the real service lives through deployment after deployment. Each has at most three faults that end the
recogniser, because the fourth is a loud stop by design, and its last fault fills the disk, which is one too: then the
people at the console end it and start the next, as they would.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from lfr_edge.audit.verify import verify
from tests.faults.whole.box import OPERATOR, Box, Person, RefusedError, entries_of
from tests.faults.whole.power import disk
from tests.faults.whole.street import Street
from tests.faults.whole.work import Work
from tests.trials.sabotage import sabotaged

WARM_UP_S: Final = 600.0
EVERY_S: Final = 30.0
A_DEPLOYMENT: Final = 16  # faults; the last one fills the disk
BACK_S: Final = 25.0  # pictures and recognition are there again after any fault but the last
SLOPE_MIB_H: Final = 1.0
_LONG_S, _SHORT_SLOPE_MIB_H = 1200.0, 600.0
_SPARE_DESCRIPTORS, _SPARE_THREADS = 4, 1  # clients come and go; a pool's last thread may come late
_RECOGNISER: Final = 3  # ends of the recogniser that a deployment survives (service/warden.py)


@dataclass(frozen=True)
class Sample:
    at_s: float
    rss_kib: int  # anonymous: what the process allocated; pages of files are the kernel's
    descriptors: int
    threads: int


@dataclass
class Course:
    """What was seen on the way."""

    samples: list[Sample] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    notices: set[str] = field(default_factory=set)
    deployments: int = 0
    acknowledged: int = 0


class Uplink:
    """Somebody else's system that alerts are told to. It can be away."""

    def __init__(self, received: set[str]) -> None:
        self._received = received
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def up(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._received.add(f"{body['deployment']}/{body['alert']}")
        return web.Response()


class Soak:
    """One process, many faults. `seconds` after the warm-up count."""

    def __init__(
        self, box: Box, uplink: Uplink, chance: random.Random, course: Course, *, back_s: float = BACK_S
    ) -> None:
        self.box, self.uplink, self.chance, self.course = box, uplink, chance, course
        self._back_s = back_s
        self.work = Work(box, chance)
        self._ends_left = _RECOGNISER
        self._clients: list[asyncio.Task[None]] = []
        self._faults: dict[str, Callable[[], Awaitable[None]]] = {
            "recogniser killed": self._kill_recogniser,
            "recogniser hung": self._hang_recogniser,
            "capture killed": self._kill_capture,
            "camera gone": self._camera_gone,
            "camera hung": self._camera_hung,
            "uplink gone": self._uplink_gone,
            "slow client": self._slow_client,
            "vanishing clients": self._vanishing_clients,
            "clock stepped": self._step_clock,
        }

    async def run(
        self, seconds: float, every_s: float = EVERY_S, step: Callable[[], None] = lambda: None
    ) -> None:
        number, names = 0, list[str]()
        async with self.work.people():
            await self.work.enrol_issuer()
            await self._begin()
            began = time.monotonic()
            desk = asyncio.create_task(self.work.do("desk"))
            try:
                while not number or time.monotonic() - began < seconds:
                    due = time.monotonic() + every_s
                    number += 1
                    if number % A_DEPLOYMENT == 0:
                        await self._fault("disk full", self._fill_disk)
                        await self._next()
                    else:
                        names = names or self.chance.sample(sorted(self._faults), len(self._faults))
                        name = names.pop()
                        if name.startswith("recogniser"):
                            if not self._ends_left:
                                name = "capture killed"
                            else:
                                self._ends_left -= 1
                        await self._fault(name, self._faults[name])
                    await self._healed()
                    step()
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    self.course.samples.append(self._sample(time.monotonic() - began))
                await self._delivered()
            finally:
                for task in (desk, *self._clients):
                    task.cancel()
                await asyncio.gather(desk, *self._clients, return_exceptions=True)
        self.course.failures += self.work.troubles()

    def judge(self) -> None:
        """After the service has ended: nothing that was told is missing, and the record is whole."""
        audit = self.box.settings.audit
        lost = self.work.told.missing(entry for log in entries_of(audit).values() for entry in log)
        self.course.failures += lost
        self.course.failures += [f"altered: {finding.line()}" for finding in verify(audit).findings]

    async def _begin(self) -> None:
        await self.work.agrees()  # takes note of which deployment this is
        await self.work.activate()
        self._ends_left = _RECOGNISER
        self.course.deployments += 1

    async def _next(self) -> None:
        """Recognition has stopped loudly. The officer ends the deployment and prepares the next."""
        officer = await self.work.officer()
        await self.work.end_and_prepare(officer)
        await self._begin()

    async def _delivered(self) -> None:
        """The other system has learnt of every decision that was answered, however often the uplink was gone."""
        deadline = time.monotonic() + 90  # the longest pause between two tries is 60 s
        while len(self.course.notices) < (told := self.work.told.by_kind["alert.decided"]):
            if time.monotonic() > deadline:
                self.course.failures.append(
                    f"{told} decisions, {len(self.course.notices)} told to the other system"
                )
                return
            await asyncio.sleep(0.5)

    async def _fault(self, name: str, inject: Callable[[], Awaitable[None]]) -> None:
        self.course.faults[name] = self.course.faults.get(name, 0) + 1
        try:
            await inject()
        except (RefusedError, aiohttp.ClientError, OSError, TimeoutError) as error:
            self.course.failures.append(f"{name}: {error!r}")

    async def _healed(self) -> None:
        operator, deadline = self.work.operator, time.monotonic() + self._back_s
        frames, status = -1, {}
        while time.monotonic() < deadline:
            with contextlib.suppress(RefusedError, aiohttp.ClientError):
                status = await operator.get("/api/status")
                if status["recognising"]:
                    if 0 <= frames < status["counters"]["frames"]:
                        return
                    frames = status["counters"]["frames"] if frames < 0 else frames
            await asyncio.sleep(0.5)
        self.course.failures.append(f"not well {self._back_s:g} s after a fault: {status.get('troubles')}")

    def _sample(self, at_s: float) -> Sample:
        pid = self.box.tree()[0]
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return Sample(at_s, int(status["RssAnon"].split()[0]), descriptors, int(status["Threads"]))

    # ── the faults ────────────────────────────────────────────────────────────────────────────────────────────

    async def _kill_recogniser(self) -> None:
        os.kill(self._child("recogniser"), signal.SIGKILL)

    async def _hang_recogniser(self) -> None:
        os.kill(self._child("recogniser"), signal.SIGSTOP)  # the watchdog kills it

    async def _kill_capture(self) -> None:
        os.kill(self._child("capture"), signal.SIGKILL)

    async def _camera_gone(self) -> None:
        await asyncio.to_thread(self.box.street.camera.end)
        await asyncio.sleep(self.chance.uniform(0.1, 4))
        await asyncio.to_thread(self.box.street.camera.begin)

    async def _camera_hung(self) -> None:
        self.box.street.camera.hang()
        await asyncio.sleep(self.chance.uniform(0.5, 5))
        self.box.street.camera.go_on()

    async def _uplink_gone(self) -> None:
        await self.uplink.down()
        await asyncio.sleep(self.chance.uniform(1, 8))
        await self.uplink.up()

    async def _slow_client(self) -> None:
        """Signs in, opens the live channel, asks for pages, and reads none of it for a while."""
        self._clients = [task for task in self._clients if not task.done()]
        self._clients.append(asyncio.create_task(self._read_nothing()))

    async def _read_nothing(self) -> None:
        slow = Person(self.box.address, OPERATOR)
        try:
            with contextlib.suppress(aiohttp.ClientError, RefusedError, ConnectionError):
                await slow.sign_in()
                async with slow.session.ws_connect("/live", receive_timeout=None, autoclose=False) as socket:
                    transport = socket.get_extra_info("socket")
                    assert transport is not None
                    connection = socket._conn
                    if connection is not None and connection.transport is not None:
                        connection.transport.pause_reading()
                    await asyncio.sleep(15)
        finally:
            await slow.leave()

    async def _vanishing_clients(self) -> None:
        for _ in range(5):
            client = Person(self.box.address, OPERATOR)
            with contextlib.suppress(aiohttp.ClientError, RefusedError):
                cookies = self.work.operator.session.cookie_jar.filter_cookies(URL(self.box.address))
                client.session.cookie_jar.update_cookies(cookies)
                socket = await client.session.ws_connect("/live")
                await asyncio.sleep(self.chance.uniform(0, 0.2))
                connection = socket._conn
                if connection is not None and connection.transport is not None:
                    connection.transport.abort()
            await client.leave()

    async def _step_clock(self) -> None:
        """Within the hour and the authority; monotonic timers do not care."""
        await self.box.ask(f"clock {self.chance.uniform(-300, 300):.3f}")

    async def _fill_disk(self) -> None:
        """Not a byte is free for a second, in which somebody does what must be recorded."""
        state, officer = self.box.state, await self.work.officer()
        sha256 = (await officer.get("/api/deployment"))["briefing"]["sha256"]
        ballast, chunk = state / "somebody-else", 1 << 33
        handle, size = os.open(ballast, os.O_CREAT | os.O_RDWR, 0o600), 0
        try:
            while chunk >= 4096:
                try:
                    await asyncio.to_thread(os.posix_fallocate, handle, size, chunk)
                    size += chunk
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    chunk //= 2
            with contextlib.suppress(RefusedError):  # or it is on record, by the ballast
                await officer.post("/api/deployment/briefing", {"sha256": sha256})
            await asyncio.sleep(1.0)
        finally:
            os.close(handle)
            ballast.unlink()

    def _child(self, part: str) -> int:
        if not (found := self.box.children(part)):
            raise OSError(f"there is no {part}")
        return found[0]


def slope_mib_h(samples: list[Sample]) -> float:
    """Least squares of the anonymous memory, MiB an hour."""
    if len(samples) < 3:
        return 0.0
    xs, ys = [one.at_s / 3600 for one in samples], [one.rss_kib / 1024 for one in samples]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def grown(samples: list[Sample], warm_up_s: float) -> list[str]:
    """What grew after the warm-up. A run of less than twenty minutes sees a big leak only."""
    counted = [one for one in samples if one.at_s > warm_up_s]
    if len(counted) < 4:
        return []
    long = counted[-1].at_s - counted[0].at_s >= _LONG_S
    bar, slope = (SLOPE_MIB_H if long else _SHORT_SLOPE_MIB_H), slope_mib_h(counted)
    wrong = [f"memory grows by {slope:.1f} MiB an hour, {bar:g} are allowed"] if slope > bar else []
    quarter = max(1, len(counted) // 4)
    for name, spare in (("descriptors", _SPARE_DESCRIPTORS), ("threads", _SPARE_THREADS)):
        first, last = (
            max(getattr(one, name) for one in part) for part in (counted[:-quarter], counted[-quarter:])
        )
        wrong += [f"{name} grow from {first} to {last}"] if last > first + spare else []
    return wrong


async def soak(
    street: Street,
    folder: Path,
    seconds: float,
    chance: random.Random,
    course: Course,
    *,
    warm_up_s: float = WARM_UP_S,
    every_s: float = EVERY_S,
    back_s: float = BACK_S,
    step: Callable[[], None] = lambda: None,
    sabotage: bool = False,
) -> None:
    """`seconds` after `warm_up_s`, on a disk of its own. `sabotage`: a process that keeps what it should let go."""
    uplink = Uplink(course.notices)
    await uplink.up()
    secret = folder / "hook.secret"
    secret.write_text(chance.randbytes(20).hex(), encoding="ascii")
    secret.chmod(0o600)
    hook = {"id": "map", "url": f"http://127.0.0.1:{uplink.port}/hook", "secret_file": str(secret)}
    with disk(folder / "disk") as made:
        box = Box(
            street,
            made.mount,
            folder / "lfr.toml",
            matching={"cooldown_s": 20.0},  # a few alerts a minute: what people are shown stays with them
            integrations={"webhooks": [hook]},
        )
        try:
            box.furnish()
            with sabotaged("leak") if sabotage else contextlib.nullcontext():
                box.environment = dict(os.environ)
                await box.start()
            await box.ready()
            work = Soak(box, uplink, chance, course, back_s=back_s)
            await work.run(warm_up_s + seconds, every_s, step)
            await box.stop()
            work.judge()
            course.acknowledged = work.work.told.count
            course.failures += grown(course.samples, warm_up_s)
        except RuntimeError as error:
            course.failures.append(str(error))
        finally:
            await box.kill()
            await uplink.down()
