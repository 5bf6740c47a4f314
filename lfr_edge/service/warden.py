"""Keeps the sealed process running: start, restart, end, and the accounts of what it did."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError, LfrError, RecogniserError
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.handle import Ending, RecogniserHandle
from lfr_edge.sentences import say
from lfr_edge.service.cameras import CameraBank
from lfr_edge.service.census import Census
from lfr_edge.service.drift import DriftWatches
from lfr_edge.service.gauges import Latencies, Totals

log = logging.getLogger("lfr_edge.service")

MOST_RESTARTS: Final = 3  # then a loud stopped state, never a silent one (reliability.md 5)
COUNT_EVERY_S: Final = 60.0

Specification = Callable[[], tuple[dict[str, Any], tuple[bytes, ...]]]


class Record(Protocol):
    async def __call__(self, ev: Any, **fields: Any) -> None: ...


class Warden:
    """One recogniser at a time. **Thread rule:** one event loop.

    Args:
        specification: body and parts of the ``start`` message, made anew for each process.
        restore: brings a fresh process to what people decided since (withdrawals, a pause).
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
        restore: Callable[[RecogniserHandle], Awaitable[None]],
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
        self._handle: RecogniserHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._census = Census(clock.monotonic_ns())

    @property
    def handle(self) -> RecogniserHandle:
        """Raises RecogniserError ``recogniser_gone``."""
        if self._handle is None:
            raise RecogniserError(
                "recogniser_gone", "the recogniser is not running", hint="see the System page"
            )
        return self._handle

    async def start(self) -> None:
        handle = RecogniserHandle(self._clock, self._cameras.descriptors, self._hear)
        try:
            self.ready = await handle.start(*self._specification())
        except BaseException:
            await handle.kill()
            raise
        self._handle = handle
        self._census.restarted()
        await self._restore(handle)
        await self._record(
            "recogniser.started",
            data={"providers": self.ready["providers"], "not_confined_by": self.ready["not_confined_by"]},
        )

    async def stop(self) -> None:
        """End it in order, with its receipt; whoever asks twice waits for the same end.

        The end runs on when its caller is cancelled: a process whose handle got lost would outlive us.
        """
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._ending = asyncio.create_task(self._end(handle))
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def _end(self, handle: RecogniserHandle) -> None:
        self.ending = await handle.stop()
        if self.ending.counters is not None:
            self.pulse = self.ending.counters
            self.totals.update(self.ending.counters["ledger"])
        else:
            self.totals.died()
        with contextlib.suppress(AuditError):
            await self._count()
            await self._record(
                "recogniser.stopped", data={"wiped": self.ending.wiped or 0, "why": self.ending.code}
            )

    async def supervise(self, failed: asyncio.Event) -> None:
        """Restart a recogniser that died, at most three times; end it once `failed` is set."""
        failing = asyncio.create_task(failed.wait())
        try:
            while not failed.is_set():
                ended = asyncio.create_task(self.handle.ended())
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
        self._handle = None
        self.totals.died()
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
