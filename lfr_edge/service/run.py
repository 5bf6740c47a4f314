"""One deployment: prepared, started, ended. The one place where the rooms are wired.

Each step that fails undoes the ones before it, so that a refusal leaves nothing running and nothing half open. What
a step does to anybody happens after its entry is durable.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

from lfr_edge.alerts.alert import DeskPolicy, scaled
from lfr_edge.alerts.desk import AlertDesk, DeskCounts
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.store import AlertStore
from lfr_edge.audit.event import SYSTEM, Actor
from lfr_edge.clock import Clock
from lfr_edge.deployment.session import BoxRecord, DeploymentSession
from lfr_edge.deployment.standing import Standing
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.models.store import Pack
from lfr_edge.recogniser.handle import RecogniserHandle
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.service.cameras import CameraBank
from lfr_edge.service.diary import CameraDiary
from lfr_edge.service.gauges import Latencies
from lfr_edge.service.hits import Hits
from lfr_edge.service.live_list import LiveList
from lfr_edge.service.phase import Phase, has_ended, is_busy, not_started, refuse_unless
from lfr_edge.service.threshold import threshold_for
from lfr_edge.service.warden import Warden
from lfr_edge.settings import Settings

log = logging.getLogger("lfr_edge.service")


class Run:
    """**Thread rule:** one event loop; whatever blocks is sent to a thread.

    Attributes:
        failed: set once recognition cannot go on: the log is dead or the recogniser died too often.
        listing: the unsealed list; None before somebody unsealed it and after the end.
        busy: what is under way between two phases ("starting", "ending"), or nothing.
    """

    def __init__(self, settings: Settings, clock: Clock, pack: Pack, session: DeploymentSession) -> None:
        self.settings = settings
        self.clock = clock
        self.pack = pack
        self.session = session
        self.phase = Phase.PREPARING
        self.busy = ""
        self.failed = asyncio.Event()
        self.failure = ""
        self.started_wall_ns: int | None = None
        self.counts_at_end: DeskCounts | None = None
        self.paused = False
        self.listing: LiveList | None = None
        self.threshold: float | None = None
        self.latencies = Latencies()
        self.standing = Standing()
        self.hits = Hits(clock, self.latencies, self.fail)
        self._looking = False  # the recogniser starts paused and looks once the start is on the record
        self._desk: AlertDesk | None = None
        self._diary = CameraDiary(self.record)
        self.cameras = CameraBank(settings.cameras, clock, self._diary.note)
        self.warden = Warden(
            clock,
            self.cameras,
            self.latencies,
            specification=self._specification,
            restore=self._restore,
            record=self.record,
            fail=self.fail,
            on_alert=self.hits.put,
        )
        self._gate = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._live = AsyncExitStack()  # desk, store, material: from the start to the end

    @classmethod
    async def open(cls, settings: Settings, clock: Clock, pack: Pack, box: BoxRecord) -> Run:
        """A deployment in preparation: its log is open, its cameras connect, nobody is looked at.

        Raises:
            LfrError: the log cannot be opened or written; then nothing is left running.
        """
        loop = asyncio.get_running_loop()
        found: list[Run] = []

        def dead(error: AuditError) -> None:
            for run in found:
                loop.call_soon_threadsafe(run.fail, f"the audit log failed: {error}")

        session = await asyncio.to_thread(DeploymentSession.begin, settings, clock, box, on_failure=dead)
        run = cls(settings, clock, pack, session)
        found.append(run)
        try:
            await run._prepare()
        except BaseException:
            await run.suspend()
            raise
        return run

    @property
    def resuming(self) -> bool:
        """It was running when its process died, and goes on as soon as its list is unsealed."""
        return self.standing.started and self.phase is Phase.PREPARING

    @property
    def desk(self) -> AlertDesk:
        """Raises DeploymentError ``deployment_not_started`` or ``deployment_ended``."""
        if self._desk is None:
            raise has_ended() if self.phase is Phase.ENDED else not_started()
        return self._desk

    async def unseal(self, credential: bytes | str, actor: Actor = SYSTEM) -> None:
        """Open the list with its key or its passphrase. Of a deployment that was running, recognition goes on.

        Raises:
            WatchlistError: as :meth:`LiveList.open`.
            MatchingError: no threshold was measured for this list and this pack.
            DeploymentError: not in preparation.
        """
        async with self._gate:
            refuse_unless(self.phase, Phase.PREPARING)
            path, fingerprint = self.settings.watchlist.path, self.pack.fingerprint
            listing = await asyncio.to_thread(LiveList.open, path, credential, fingerprint)
            try:
                threshold = self._threshold(len(listing.sealed))
                how = "passphrase" if isinstance(credential, str) else "key file"
                data = {"entries": len(listing.sealed), "how": how, "list": listing.digest}
                await self.record("watchlist.viewed", actor=actor, data=data, why="unsealed")
            except BaseException:
                listing.close()
                raise
            if self.listing is not None:
                self.listing.close()
            self.listing, self.threshold = listing, threshold
            listing.recall(
                entry.reference
                for entry in listing.sealed.entries()
                if self.session.reference(entry.reference) in self.standing.withdrawn
            )

    async def start(self, actor: Actor = SYSTEM) -> None:
        """From preparing to running: everything on the record, then the recogniser.

        Raises:
            DeploymentError: not in preparation, or what is not ready.
            LfrError: of the recogniser; the deployment is in preparation as before.
        """
        if self.busy:
            raise is_busy(self.busy)
        async with self._gate:
            refuse_unless(self.phase, Phase.PREPARING)
            if self.listing is None:
                raise DeploymentError(
                    "readiness_list_unsealed",
                    "the watchlist is not unsealed",
                    hint="unseal it on the Deployment page, with its passphrase or its key file",
                )
            self.busy = "starting"
            self._starting = asyncio.create_task(self._start(self.listing, actor))
            try:
                await self._starting
            except asyncio.CancelledError:
                if (current := asyncio.current_task()) and current.cancelling():
                    raise
                raise has_ended() from None
            finally:
                self._starting, self.busy = None, ""

    async def end(self, actor: Actor = SYSTEM, why: str = "") -> None:
        """To the end, from whatever phase: recogniser (with its receipt), cameras, desk, list, log, in this order.

        Whoever asks while it ends waits for the same end.
        """
        if self._starting is not None:
            self._starting.cancel()
        async with self._gate:
            if self.phase is Phase.ENDED:
                return
            self.busy = "ending"
            try:
                await self._wind_down()
                await self._close_record(actor, why)
            finally:
                self._forget_key()
                self.phase, self.busy = Phase.ENDED, ""

    async def suspend(self) -> None:
        """Stop the processes but not the deployment: the next start of the service goes on with it."""
        if self._starting is not None:
            self._starting.cancel()
        async with self._gate:
            await self._wind_down()
            self._forget_key()
            self.session.suspend()
            self.phase = Phase.ENDED

    async def record(self, ev: Any, **fields: Any) -> None:
        """One durable entry. Raises AuditError; then the effect must not happen."""
        await asyncio.to_thread(self.session.record, ev, **fields)

    def fail(self, why: str) -> None:
        """Recognition ends, loudly: the banner says so and people are told that they pass unrecognised."""
        if not self.failed.is_set():
            self.failure = why
            self.failed.set()
            log.error("recognition stopped: %s", why)

    # ── preparing ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _prepare(self) -> None:
        settings = self.settings
        if self.session.deployment.resumed:
            self.standing = await asyncio.to_thread(self.session.standing)
            self.paused = self.standing.paused
        if not self.standing.last_wall_us:
            await self.record(
                "deployment.opened",
                data={
                    "site": settings.site,
                    "purpose": settings.models.purpose,
                    "cameras": [camera.id for camera in settings.cameras][:100],
                    "alert_images_h": round(settings.retention.alert_images_h),
                },
            )
        await self.record("model.loaded", ref=self.pack.fingerprint, data={"pack": self.pack.name})
        await self.cameras.start()

    def _threshold(self, list_size: int) -> float:
        if self.standing.threshold_e4 is not None:
            return self.standing.threshold_e4 / 10_000
        return threshold_for(self.settings, self.pack.fingerprint, list_size)

    # ── starting ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self, listing: LiveList, actor: Actor) -> None:
        resumed = self.standing.started
        async with AsyncExitStack() as stack:
            await self._open_desk(stack, listing)
            if not (resumed and self.standing.list_ref == self.session.reference(listing.digest)):
                await self._activate(listing, actor)
                stack.push_async_callback(self._take_back)
            await self.warden.start()
            stack.push_async_callback(self.warden.stop)
            if not resumed:
                await self.record("deployment.started", actor=actor)
            await self._look()
            raising = asyncio.create_task(self.hits.raise_all(self.desk, listing))  # outlives the other tasks
            stack.callback(raising.cancel)
            for work in (self.warden.supervise(self.failed), self.warden.count(self.failed)):
                self._tasks.append(asyncio.create_task(work))
            self._live = stack.pop_all()
        self.started_wall_ns = self.standing.started_wall_us * 1000 or self.clock.wall_ns()
        self.phase = Phase.RUNNING

    async def _open_desk(self, stack: AsyncExitStack, listing: LiveList) -> None:
        folder = self.session.folder
        store = AlertStore(folder / "alerts.sqlite")
        stack.callback(store.close)
        material = AlertMaterial(folder / "material", listing.material_key(self.session.deployment.id))
        stack.callback(material.close)
        policy = DeskPolicy(alert_images_h=self.settings.retention.alert_images_h)
        desk = AlertDesk(store, material, self.session, self.clock, policy)
        entries = (entry for _, entry in self.session.log.entries())
        references = {material.reference_code(e.reference): e.reference for e in listing.sealed.entries()}
        await desk.start(entries, references)
        self._desk = desk
        stack.push_async_callback(self._leave_desk, desk)

    async def _leave_desk(self, desk: AlertDesk) -> None:
        self._desk, self.counts_at_end = None, desk.counts()
        await desk.stop()

    async def _activate(self, listing: LiveList, actor: Actor) -> None:
        """List and threshold on the record. After a crash they are there already: the same templates come back."""
        ref = self.session.reference(listing.digest)
        data = {"templates": listing.templates, "entries": len(listing)}
        await self.record("watchlist.activated", actor=actor, ref=ref, data=data)
        self.standing.list_ref = ref
        assert self.threshold is not None, "set with the list"
        data = {"threshold_e4": scaled(self.threshold), "list_size": len(listing)}
        await self.record("threshold.set", actor=actor, data=data)

    async def _take_back(self) -> None:
        """The start was refused after the list was activated."""
        if self.phase is Phase.PREPARING:
            await self._record_destroyed("recognition did not start")

    async def _record_destroyed(self, where: str) -> None:
        """Every template that went in is out again; nothing to say where no list was activated."""
        templates = self.standing.templates if self.listing is None else self.listing.templates
        if self.standing.list_ref:
            data = {"templates": templates, "where": where}
            await self.record("watchlist.destroyed", ref=self.standing.list_ref, data=data)
        self.standing.list_ref = ""

    def _specification(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        assert self.listing is not None, "unsealed before the start"
        assert self.threshold is not None, "set with the list"
        settings = self.settings
        spec = StartSpec(
            store=settings.models.store,
            models=settings.models,
            vision=settings.vision,
            matching=settings.matching,
            threshold=self.threshold,
            cameras=self.cameras.plans,
            paused=self.paused or not self._looking,
        )
        return spec.model_dump(mode="json"), self.listing.parts()

    async def _restore(self, handle: RecogniserHandle) -> None:
        """A fresh recogniser learns what people decided since the list was sealed."""
        assert self.listing is not None, "unsealed before the start"
        for reference in tuple(self.listing.withdrawn):  # one more may be withdrawn while we wait
            await handle.request("withdraw", {"reference": reference})
        if self.paused:
            await handle.request("pause")

    async def _look(self) -> None:
        """The start is durable: the recogniser may look at faces from here on."""
        self._looking = True
        if not self.paused:
            await self.warden.handle.request("resume")

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wind_down(self) -> None:
        """No recogniser, no frames, every alert that came before the end raised."""
        self._looking = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.warden.stop()
        await self.cameras.stop()
        if self._desk is not None:
            await self.hits.settled()
        await self._diary.settled()
        await self._live.aclose()

    def _forget_key(self) -> None:
        if self.listing is not None:
            self.listing.close()

    async def _close_record(self, actor: Actor, why: str) -> None:
        """The last entries and the last signed head."""
        try:
            await self._record_destroyed("memory")
            await asyncio.to_thread(self.session.close, actor, why)
        except AuditError:  # a dead log: on_failure has said so, and recovery is for the next start
            self.session.suspend()
