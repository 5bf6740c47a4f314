"""Ends a deployment with its authority, by time or by a cancellation on its file. Nobody needs to be there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from lfr_edge.audit.event import SYSTEM, Actor
from lfr_edge.errors import LfrError
from lfr_edge.service.warrant import Warrant

log = logging.getLogger("lfr_edge.service")

CLOCK_S: Final = 0.2  # recognition stops within a second of the authority's end
FILE_EVERY: Final = 5  # looks at the clock for one at the file

End = Callable[[Actor, str], Awaitable[None]]


class AuthorityWatch:
    """**Thread rule:** one event loop."""

    def __init__(self, warrant: Warrant, *, end: End, cancel: End) -> None:
        self._warrant = warrant
        self._end = end
        self._cancel = cancel
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Also from within the end that the watch itself has called."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._task = None

    async def _watch(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(CLOCK_S)
            looks += 1
            if self._warrant.over:
                return await self._call(self._end, "the authority has ended")
            if looks % FILE_EVERY == 0 and self._warrant.window is not None:
                why = await asyncio.to_thread(self._warrant.cancelled_on_file)
                if why:
                    return await self._call(self._cancel, why)

    async def _call(self, act: End, why: str) -> None:
        try:
            await act(SYSTEM, why)
        except LfrError as error:
            log.error("the deployment did not end in order: %s", error)
