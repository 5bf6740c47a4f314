"""Keeps the sealed processes running: start, restart, end, and the accounts of what they did."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError, LfrError, RecogniserError
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.handle import Ending
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.recogniser.team import RecogniserTeam
from lfr_edge.sentences import say
from lfr_edge.service.cameras import CameraBank
from lfr_edge.service.census import Census
from lfr_edge.service.drift import DriftWatches
from lfr_edge.service.gauges import Latencies, Totals

log = logging.getLogger("lfr_edge.service")

MOST_RESTARTS: Final = 3  # then a loud stopped state, never a silent one (reliability.md 5)
COUNT_EVERY_S: Final = 60.0

Specification = Callable[[], tuple[StartSpec, tuple[bytes, ...]]]


class Record(Protocol):
    async def __call__(self, ev: Any, **fields: Any) -> None: ...


class Warden:
    """One team of recognisers at a time. **Thread rule:** one event loop.

    Args:
        specification: what a team is started with, made anew for each, and the sealed list's parts.
        restore: brings a fresh team to what people decided since (withdrawals, a pause).
        fail: told why recognition cannot go on.
        on_alert: takes a hit; must return at once.
    """

    def __init__(
        self,
        clock: Clock,
        cameras: CameraBank,
        latencies: Latencies,
        *,
        specification: Specification,
        restore: Callable[[RecogniserTeam], Awaitable[None]],
        record: Record,
        fail: Callable[[str], None],
        on_alert: Callable[[Message], None],
        drift: DriftWatches,
    ) -> None:
        self.totals = Totals()
        self.pulse: dict[str, Any] = {}
        self.drift = drift
        self.ready: dict[str, Any] = {}
        self.restarts = 0
        self.suppressed = 0
        self.ending: Ending | None = None
        self._clock = clock
        self._cameras = cameras
        self._latencies = latencies
        self._specification = specification
        self._restore = restore
        self._record = record
        self._fail = fail
        self._on_alert = on_alert
        self._team: RecogniserTeam | None = None
        self._ending: asyncio.Task[object] | None = None
        self._census = Census(clock.monotonic_ns())

    @property
    def degraded(self) -> str:
        """Why another provider runs than the one that was wanted; empty where none does."""
        return str(self.ready.get("degraded") or "")

    @property
    def team(self) -> RecogniserTeam:
        """Raises RecogniserError ``recogniser_gone``."""
        if self._team is None:
            raise RecogniserError(
                "recogniser_gone", "the recogniser is not running", hint="see the System page"
            )
        return self._team

    async def start(self) -> None:
        team = RecogniserTeam(self._clock, self._hear)
        self.totals.restarted()  # before the first pulse of the new one
        self.ready = await team.start(*self._specification())
        self._team = team
        self._census.restarted()
        await self._restore(team)
        await self._record(
            "recogniser.started",
            data={name: self.ready[name] for name in ("providers", "not_confined_by", "recognisers")},
        )

    async def stop(self) -> None:
        """End them in order, with their receipts; whoever asks twice waits for the same end.

        The end runs on when its caller is cancelled: processes whose team got lost would outlive us.
        """
        await self._let_go(self._end)

    async def _let_go(self, end: Callable[[RecogniserTeam], Coroutine[Any, Any, object]]) -> None:
        if self._team is not None:
            team, self._team = self._team, None
            self._ending = asyncio.create_task(end(team))
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def _end(self, team: RecogniserTeam) -> None:
        self.ending = await self._settle(team)
        with contextlib.suppress(AuditError):
            await self._record(
                "recogniser.stopped", data={"wiped": self.ending.wiped or 0, "why": self.ending.code}
            )

    async def _settle(self, team: RecogniserTeam) -> Ending:
        """End them all; what they counted since the last minute's entry is recorded: the next ones count from zero.

        What one without a receipt held went with its memory.
        """
        ending = await team.stop()
        if ending.counters is None:
            self.totals.died()
        with contextlib.suppress(AuditError):
            await self._count()
        return ending

    async def supervise(self, failed: asyncio.Event) -> None:
        """Restart a recogniser that died, at most three times; end it once `failed` is set."""
        failing = asyncio.create_task(failed.wait())
        try:
            while not failed.is_set():
                ended = asyncio.create_task(self.team.ended())
                await asyncio.wait({ended, failing}, return_when=asyncio.FIRST_COMPLETED)
                if failed.is_set():
                    break
                await self._recover(ended.result())
        finally:
            failing.cancel()
        await self.stop()

    async def count(self, failed: asyncio.Event) -> None:
        """Record ledger and statistics every minute."""
        while not failed.is_set():
            await asyncio.sleep(COUNT_EVERY_S)
            with contextlib.suppress(AuditError):
                await self._count()

    async def _hear(self, message: Message) -> None:
        if message.kind == "alert":
            self._on_alert(message)
        elif message.kind == "pulse":
            self.pulse = message.body
            self.drift.update(message.body["cameras"])
            self.suppressed = int(message.body["suppressed"])
            self.totals.update(message.body["ledger"])

    async def _recover(self, ending: Ending) -> None:
        log.error("recogniser ended: %s", ending.message)
        await self._let_go(self._settle)  # the others end in order
        with contextlib.suppress(AuditError):
            await self._record(
                "recogniser.stopped", data={"why": ending.code, "message": ending.message[:200]}
            )
        self.restarts += 1
        if self.restarts > MOST_RESTARTS:
            self._fail(
                say(
                    "the recogniser ended {restarts} times: {message}",
                    restarts=self.restarts,
                    message=ending.message,
                )
            )
            return
        try:
            await self.start()
        except LfrError as error:
            self._fail(say("the recogniser cannot be started again: {error}", error=error))

    async def _count(self) -> None:
        """Ledger: cumulative since the last ``recogniser.started``, as the verifier's duties read it."""
        now = self.totals.now
        data = {name: now[name] for name in ("frames", "faces", "probes", "processed", "erased", "retained")}
        await self._record("ledger.counted", data=data)
        seen = (self._clock.monotonic_ns(), self._cameras.statuses, self.pulse, list(self._latencies.offered))
        await self._record("statistics.counted", data=self._census.entry(*seen))
        self._census.recorded(*seen)
