"""How an alert changes: recorded, then in memory, then in SQLite; one change of one alert at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from lfr_edge.alerts.alert import Alert, DeskPolicy
from lfr_edge.alerts.book import Book
from lfr_edge.alerts.feed import Feed
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.record import Actor, Plain, Recorder, Verb
from lfr_edge.alerts.store import AlertStore
from lfr_edge.clock import Clock

T = TypeVar("T")


class Changes:
    """What every part of the desk is made of. **Thread rule:** of the event loop; disk work leaves it."""

    def __init__(
        self, store: AlertStore, material: AlertMaterial, recorder: Recorder, clock: Clock, policy: DeskPolicy
    ) -> None:
        self._store = store
        self._material = material
        self._recorder = recorder
        self._clock = clock
        self.policy = policy
        self.book = Book(clock)
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.feed: Feed

    def get(self, token: str) -> Alert:
        """Raises AlertError ``alert_unknown``."""
        return self.book.get(token)

    async def _change(self, alert: Alert, kind: str) -> Alert:
        """Memory first: should SQLite fail now, the recorded decision still stands and cannot be taken twice."""
        self.book.put(alert)
        await self._store.put(alert, kind)
        return alert

    async def _record(
        self, ev: Verb, actor: Actor | None, token: str, data: dict[str, Plain], why: str
    ) -> None:
        await asyncio.to_thread(self._recorder.record, ev, actor=actor, ref=token, data=data, why=why)

    def _lock(self, token: str) -> asyncio.Lock:
        return self._locks.setdefault(token, asyncio.Lock())

    async def _whole(self, change: Coroutine[Any, Any, T]) -> T:
        """Run `change` to its end: a browser that goes away in the middle leaves no half-recorded decision."""
        task = asyncio.ensure_future(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)
