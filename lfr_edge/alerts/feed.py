"""The desk's changes in order, for clients that come and go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from lfr_edge.alerts.store import FeedEvent

KEPT_EVENTS: Final = (
    4096  # some hours at any plausible rate; an older cursor is told to read everything afresh
)


class Feed:
    """The newest events in memory. There is no queue per client: a client *is* its cursor, so a slow one costs
    nothing and can neither lose nor delay what others see.

    **Thread rule:** of the event loop, except :meth:`publish`.
    """

    def __init__(self, events: Iterable[FeedEvent] = ()) -> None:
        self._events: deque[FeedEvent] = deque(events, maxlen=KEPT_EVENTS)
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def cursor(self) -> int:
        return self._events[-1].cursor if self._events else 0

    def publish(self, event: FeedEvent) -> None:
        """Add an event. From any thread; the loop sees events in the order of the calls."""
        self._loop.call_soon_threadsafe(self._append, event)

    def since(self, cursor: int) -> tuple[FeedEvent, ...] | None:
        """Events after `cursor` in order; None when some of them are no longer kept (or never were)."""
        if cursor > self.cursor:
            return None
        if self._events and cursor < self._events[0].cursor - 1:
            return None
        found: list[FeedEvent] = []
        for event in reversed(self._events):
            if event.cursor <= cursor:
                break
            found.append(event)
        return tuple(reversed(found))

    async def wait(self, cursor: int) -> None:
        """Return as soon as an event after `cursor` exists."""
        while self.cursor <= cursor:
            await self._changed.wait()

    def _append(self, event: FeedEvent) -> None:
        self._events.append(event)
        self._changed.set()
        self._changed = asyncio.Event()
