"""The recogniser of one deployment: what it is started with, what it learns after a restart, when it may look."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from lfr_edge.errors import RecogniserError
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.recogniser.team import RecogniserTeam
from lfr_edge.service.drift import watches_for
from lfr_edge.service.warden import Warden

if TYPE_CHECKING:
    from lfr_edge.service.run import Run


class Recognition:
    """**Thread rule:** one event loop."""

    def __init__(self, run: Run, on_alert: Callable[[Message], None]) -> None:
        self._run = run
        self._looking = False  # recognisers start paused and look once the start is on the record
        self._tasks: list[asyncio.Task[None]] = []
        self.warden = Warden(
            run.clock,
            run.cameras,
            run.latencies,
            specification=self._specification,
            restore=self._restore,
            record=run.record,
            fail=run.fail,
            on_alert=on_alert,
            drift=watches_for(run.settings.matching.drift_baseline, run.pack.fingerprint),
        )

    async def look(self) -> None:
        """The start is durable: faces may be looked at from here on."""
        self._looking = True
        if not self._run.paused:
            await self.warden.team.tell("resume")

    async def look_until(self, remaining_s: float | None) -> None:
        """The authority's end, or its extension's: the process itself looks at nobody after it."""
        if remaining_s is not None:
            with contextlib.suppress(RecogniserError):  # one that is restarting learns it at its start
                await self.warden.team.tell("until", {"remaining_s": remaining_s})

    def keep_going(self, *more: Coroutine[Any, Any, None]) -> None:
        """Restart what dies, count every minute, and do `more`, until :meth:`stop`."""
        failed = self._run.failed
        for work in (self.warden.supervise(failed), self.warden.count(failed), *more):
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """The recogniser ends, with its receipt, and nothing starts it again."""
        self._looking = False
        mine = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        self._tasks.clear()
        await self.warden.stop()

    def _specification(self) -> tuple[StartSpec, tuple[bytes, ...]]:
        run = self._run
        assert run.listing is not None, "unsealed before the start"
        assert run.threshold is not None, "set with the list"
        settings = run.settings
        spec = StartSpec(
            store=settings.models.store,
            models=settings.models.model_copy(update={"pack": run.pack.name}),
            vision=settings.vision,
            matching=settings.matching,
            threshold=run.threshold,
            cameras=run.cameras.plans,
            remaining_s=run.warrant.remaining_s,
            paused=run.paused or not self._looking,
        )
        return spec, run.listing.parts()

    async def _restore(self, team: RecogniserTeam) -> None:
        """Fresh recognisers learn what people decided since the list was sealed."""
        run = self._run
        assert run.listing is not None, "unsealed before the start"
        for part in run.listing.added:
            await team.add((part.template_part(), part.template_key()))
        for reference in tuple(run.listing.withdrawn):  # one more may be withdrawn while we wait
            await team.tell("withdraw", {"reference": reference})
        if run.paused:
            await team.tell("pause")
