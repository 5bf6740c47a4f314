"""Hits of the recogniser → alerts at the desk, one after the other, in the order they came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.clock import Clock
from lfr_edge.errors import LfrError
from lfr_edge.recogniser.channel import Message
from lfr_edge.sentences import say
from lfr_edge.service.gauges import Latencies
from lfr_edge.service.live_list import LiveList

log = logging.getLogger("lfr_edge.service")


class Hits:
    """**Thread rule:** one event loop. `fail` is told why recognition must stop."""

    def __init__(self, clock: Clock, latencies: Latencies, fail: Callable[[str], None]) -> None:
        self._clock = clock
        self._latencies = latencies
        self._fail = fail
        self._queue: asyncio.Queue[Message] = asyncio.Queue()

    def put(self, message: Message) -> None:
        self._queue.put_nowait(message)

    async def settled(self) -> None:
        """Every hit that came is an alert, was dropped with its entry, or has stopped recognition."""
        await self._queue.join()

    async def raise_all(self, desk: AlertDesk, listing: LiveList) -> None:
        while True:
            message = await self._queue.get()
            try:
                # A hit that was under way when the entry was withdrawn: nobody may be stopped for it any more.
                if message.body["reference"] not in listing.withdrawn:
                    await self._raise(message, desk, listing)
            except LfrError as error:
                # No audit, no processing: an alert that cannot be recorded must not be shown.
                self._fail(say("an alert could not be recorded: {error}", error=error))
            except Exception as error:
                # Where, never what: the message holds a face.
                log.error("raising an alert failed: %s", type(error).__name__)
                self._fail("an alert could not be raised")
            finally:
                self._queue.task_done()

    async def _raise(self, message: Message, desk: AlertDesk, listing: LiveList) -> None:
        raised = await listing.alert_of(message)
        await desk.raise_alert(raised)
        self._latencies.offered.append((self._clock.monotonic_ns() - raised.captured_ns) / 1e6)
