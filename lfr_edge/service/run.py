"""One deployment: prepared, started, ended. The one place where the rooms are wired.

Each step that fails undoes the ones before it, so that a refusal leaves nothing running and nothing half open. What
a step does to anybody happens after its entry is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import AsyncExitStack
from typing import Any

from lfr_edge.alerts.alert import Alert
from lfr_edge.alerts.desk import AlertDesk, DeskCounts
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.audit.event import SYSTEM, Actor
from lfr_edge.clock import utc_day
from lfr_edge.deployment.control.approvals import Approvals
from lfr_edge.deployment.ending.receipts import Receipts
from lfr_edge.deployment.readiness import Line, readiness, refuse_unready
from lfr_edge.deployment.session import DeploymentSession
from lfr_edge.deployment.standing import Standing
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.models.store import Pack
from lfr_edge.sentences import say
from lfr_edge.service.activation import activate, activation, take_back
from lfr_edge.service.box import Box
from lfr_edge.service.cameras import CameraBank
from lfr_edge.service.desk_room import DeskRoom
from lfr_edge.service.diary import CameraDiary
from lfr_edge.service.drift import watches_for
from lfr_edge.service.drilling import schedule_drills
from lfr_edge.service.ending import wipe_run
from lfr_edge.service.gauges import Latencies
from lfr_edge.service.hits import Hits
from lfr_edge.service.kept_additions import restore
from lfr_edge.service.list_changes import expire
from lfr_edge.service.live_list import LiveList
from lfr_edge.service.phase import Phase, has_ended, is_busy, not_started, refuse_unless
from lfr_edge.service.readings import readings_of
from lfr_edge.service.recognition import Recognition
from lfr_edge.service.threshold import threshold_for
from lfr_edge.service.warrant import Warrant
from lfr_edge.service.watch import AuthorityWatch

log = logging.getLogger("lfr_edge.service")


class Run:
    """**Thread rule:** one event loop; whatever blocks is sent to a thread.

    Attributes:
        failed: set once recognition cannot go on: the log is dead or the recogniser died too often.
        listing: the unsealed list; None before somebody unsealed it, closed after the end.
        warrant: the authority, and the time it leaves.
        busy: what is under way between two phases ("starting", "ending"), or nothing.
        receipts: of what was destroyed at the end.
        why_ended: in words, for the page.
        lost: sentences on what a restart could not bring back.
    """

    def __init__(self, box: Box, pack: Pack, session: DeploymentSession) -> None:
        settings, clock = box.settings, box.clock
        self.box = box
        self.settings = settings
        self.clock = clock
        self.pack = pack
        self.session = session
        self.phase = Phase.PREPARING
        self.busy = ""
        self.failed = asyncio.Event()
        self.failure = ""
        self.started_wall_ns: int | None = None
        self.why_ended = ""
        self.lost: list[str] = []
        self.receipts: Receipts | None = None
        self.counts_at_end: DeskCounts | None = None
        self.alerts_at_end: tuple[Alert, ...] = ()
        self.paused = False
        self.listing: LiveList | None = None
        self.threshold: float | None = None
        self.alert_images_h = settings.retention.alert_images_h
        self.warrant = Warrant(session.folder, settings.deployment.authority, box, clock)
        self.approvals = Approvals(session, clock, session.folder / "approvals.json", box.role_of)
        self.latencies = Latencies()
        self.standing = Standing()
        self.material: AlertMaterial | None = None
        self.hits = Hits(clock, self.latencies, self.fail)
        self.erase_imports = False
        self._desk: AlertDesk | None = None
        self._diary = CameraDiary(self.record)
        self.cameras = CameraBank(settings.cameras, clock, self._diary.note)
        self.recognition = Recognition(self, self.hits.put)
        self.warden = self.recognition.warden
        self._gate = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._raising: asyncio.Task[None] | None = None
        self._watch = AuthorityWatch(self.warrant, end=self.end, cancel=self.cancel)
        self._live = AsyncExitStack()  # store and material: from the start to the end

    @classmethod
    async def open(cls, box: Box, pack: Pack) -> Run:
        """A deployment in preparation: its log is open, its cameras connect, nobody is looked at.

        Raises:
            LfrError: the log cannot be opened or written; then nothing is left running.
        """
        loop = asyncio.get_running_loop()
        found: list[Run] = []

        def dead(error: AuditError) -> None:
            for run in found:
                loop.call_soon_threadsafe(run.fail, say("the audit log failed: {error}", error=error))

        session = await asyncio.to_thread(
            DeploymentSession.begin, box.settings, box.clock, box.record, on_failure=dead
        )
        run = cls(box, pack, session)
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

    def approved(self) -> bool:
        """Whether two persons have approved exactly what a start would do now. Blocks on the disk."""
        if self.listing is None:
            return False
        change = activation(self)
        return any(
            proposal.kind == "watchlist.activate" and dict(proposal.change) == change
            for proposal in self.approvals.all()
            if proposal.state == "approved" and self.approvals.left_s(proposal) > 0
        )

    async def readiness(self) -> tuple[Line, ...]:
        """The list of what must hold before anybody is looked at, as it is now."""
        if self.phase is Phase.PREPARING:
            await asyncio.to_thread(self.warrant.read)
        return readiness(await asyncio.to_thread(readings_of, self))

    def take_pack(self, pack: Pack) -> None:
        """Other networks: the list must be unsealed again, because its templates belong to one pack."""
        refuse_unless(self.phase, Phase.PREPARING)
        self._forget_key()
        self.pack, self.listing, self.threshold = pack, None, None
        self.warden.drift = watches_for(self.settings.matching.drift_baseline, pack.fingerprint)

    async def unseal(self, credential: bytes | str, actor: Actor = SYSTEM) -> None:
        """Open the list with its key or its passphrase.

        Raises:
            WatchlistError: as :meth:`LiveList.open`.
            MatchingError: no threshold was measured for this list and this pack.
            DeploymentError: not in preparation.
        """
        async with self._gate:
            refuse_unless(self.phase, Phase.PREPARING)
            today = utc_day(self.clock.wall_ns())
            listing = await asyncio.to_thread(
                LiveList.open, self.settings.watchlist.path, credential, self.pack.fingerprint, today
            )
            try:
                threshold = self._threshold(len(listing.sealed))
                how = "passphrase" if isinstance(credential, str) else "key file"
                data = {"entries": len(listing.sealed), "how": how, "list": listing.digest}
                await self.record("watchlist.viewed", actor=actor, data=data, why="unsealed")
                await restore(self, listing)
            except BaseException:
                listing.close()
                raise
            self._forget_key()
            self.listing, self.threshold = listing, threshold
            listing.recall(
                entry.reference
                for entry in listing.entries()
                if self.session.reference(entry.reference) in self.standing.withdrawn
            )

    async def start(self, actor: Actor = SYSTEM, *, by_itself: bool = False) -> None:
        """From preparing to running: everything on the record, then the recogniser.

        Args:
            by_itself: an evaluation without people (``deployment.autostart``): the readiness list is not asked.

        Raises:
            DeploymentError: not in preparation, or the code of what is not ready.
            LfrError: of the recogniser; the deployment is in preparation as before.
        """
        if self.busy:
            raise is_busy(self.busy)
        if self.standing.ending:
            raise DeploymentError(
                "deployment_ending",
                "somebody ended this deployment, and the end was interrupted",
                hint="end it on the Deployment page; then prepare the next one",
            )
        async with self._gate:
            refuse_unless(self.phase, Phase.PREPARING)
            if not by_itself:
                refuse_unready(await self.readiness())
            self.busy = "starting"
            self._starting = asyncio.create_task(self._start(actor, by_itself))
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
            self.busy, self.why_ended = "ending", why
            try:
                await self._wind_down()
                await self._close_record(actor, why)
            finally:
                await self._live.aclose()
                self._forget_key()
                self.phase, self.busy = Phase.ENDED, ""

    async def finish_end(self) -> None:
        """Go on with an end that a crash or a cut interrupted: nobody is looked for by it any more.

        With the list unsealed, alert pictures within their retention get a key of their own, as at any end.

        Raises:
            LfrError: the alerts could not be opened; nothing was destroyed yet by this call.
        """
        listing = self.listing
        if listing is not None and self.session.reference(listing.digest) == self.standing.list_ref:
            async with self._gate:
                room = await DeskRoom.open(
                    self._live, self.settings, self.session, listing, self.clock, self.alert_images_h
                )
                self._desk, self.material = room.desk, room.material
        await self.end(why=say("the end that was interrupted"))

    async def cancel(self, actor: Actor, why: str) -> None:
        """At once: recognition stops first, then the record says who cancelled and why, then everything ends."""
        if self._starting is not None:
            self._starting.cancel()
        await self.recognition.stop()
        if self.phase is not Phase.ENDED:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self.warrant.cancel, actor.account, why)
            with contextlib.suppress(AuditError):
                data = {"sha256": self.warrant.sha256, "by": actor.account}
                await self.record("deployment.cancelled", actor=actor, data=data, why=why)
        await self.end(actor, say("cancelled: {why}", why=why))

    async def suspend(self) -> None:
        """Stop the processes but not the deployment: the next start of the service goes on with it."""
        if self._starting is not None:
            self._starting.cancel()
        async with self._gate:
            await self._wind_down()
            await self._live.aclose()
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
            self.alert_images_h = self.standing.alert_images_h or self.alert_images_h
        if not self.standing.last_wall_us:
            await self.record(
                "deployment.opened",
                data={
                    "site": settings.site,
                    "purpose": settings.models.purpose,
                    "cameras": [camera.id for camera in settings.cameras][:100],
                    "alert_images_h": round(self.alert_images_h),
                },
            )
        data = {"pack": self.pack.name, "precision": self.pack.precision}
        await self.record("model.loaded", ref=self.pack.fingerprint, data=data)
        await asyncio.to_thread(self.warrant.read)
        if self.standing.started:
            self.warrant.open_window(self.standing.last_wall_us * 1000)
        await self.cameras.start()
        self._watch.start()

    def _threshold(self, list_size: int) -> float:
        if self.standing.threshold_e4 is not None:
            return self.standing.threshold_e4 / 10_000
        return threshold_for(self.settings, self.pack, list_size)

    # ── starting ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self, actor: Actor, by_itself: bool) -> None:
        listing, resumed = self.listing, self.standing.started
        if listing is None:
            raise DeploymentError(
                "readiness_list_unsealed",
                "the watchlist is not unsealed",
                hint="unseal it on the Deployment page, with its passphrase or its key file",
            )
        async with AsyncExitStack() as stack:
            room = await DeskRoom.open(
                stack, self.settings, self.session, listing, self.clock, self.alert_images_h
            )
            self._desk, self.material = room.desk, room.material
            stack.push_async_callback(self._leave_desk)
            drills = await schedule_drills(self, room.desk)
            if not (resumed and self.standing.list_ref == self.session.reference(listing.digest)):
                await activate(self, listing, actor, by_itself=by_itself)
                stack.push_async_callback(take_back, self)
            await self.warden.start()
            stack.push_async_callback(self.warden.stop)
            if not resumed:
                await self.record("deployment.started", actor=actor)
            self.started_wall_ns = self.standing.started_wall_us * 1000 or self.clock.wall_ns()
            await self.recognition.look()
            self._raising = asyncio.create_task(self.hits.raise_all(room.desk, listing))
            self._live, self.standing.started = stack.pop_all(), True
        self.phase = Phase.RUNNING
        self.recognition.keep_going(expire(self), *([drills.run()] if drills else []))

    async def _leave_desk(self) -> None:
        if self._desk is not None:
            desk, self._desk = self._desk, None
            self.counts_at_end, self.alerts_at_end = desk.counts(), tuple(desk.book)
            await desk.stop()

    # ── ending ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wind_down(self) -> None:
        """No recogniser, no frames, every alert that came before the end raised, nobody at the desk."""
        self._watch.stop()
        await self.recognition.stop()
        self._diary.close()
        await self.cameras.stop()
        if self._raising is not None:
            await self.hits.settled()
            self._raising.cancel()
            await asyncio.gather(self._raising, return_exceptions=True)
        await self._diary.settled()
        await self._leave_desk()

    async def _close_record(self, actor: Actor, why: str) -> None:
        """Receipts, the last entries, the last signed head."""
        if self.standing.list_ref:
            self.receipts = await asyncio.to_thread(wipe_run, self, actor)
        try:
            await asyncio.to_thread(self.session.close, actor, why)
        except AuditError:  # a dead log: on_failure has said so, and recovery is for the next start
            self.session.suspend()

    def _forget_key(self) -> None:
        if self.listing is not None:
            self.listing.close()
