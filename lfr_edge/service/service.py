"""The box: what stays while deployments come and go. Console, accounts, the box's own record, the networks' licence.

``serve`` opens one deployment in preparation; people start and end it on the console, and then prepare the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.record import Actor, Plain, Recorder, Verb
from lfr_edge.audit.event import SYSTEM
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.confinement import harden_process
from lfr_edge.console.app import build_app
from lfr_edge.console.door.accounts import Accounts
from lfr_edge.console.door.sessions import Sessions
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.deployment.control.approvals import Approvals
from lfr_edge.deployment.ending.anchors import Anchors
from lfr_edge.deployment.keeping.holds import Holds
from lfr_edge.deployment.keeping.sweeper import Sweeper
from lfr_edge.deployment.notice import Notice, notice_of
from lfr_edge.errors import ConfigError, LfrError
from lfr_edge.models.licence import require_permission
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.recogniser.explanation import explain
from lfr_edge.service.anchoring import Anchoring
from lfr_edge.service.box import Box
from lfr_edge.service.changes import carry_out
from lfr_edge.service.control import Control
from lfr_edge.service.gauges import LoopLag
from lfr_edge.service.heap import give_back, keep_few_heaps
from lfr_edge.service.phase import Phase, already_running, has_ended
from lfr_edge.service.reload import Change, reload
from lfr_edge.service.run import Run
from lfr_edge.service.site import Listening, listen
from lfr_edge.service.view import View
from lfr_edge.settings import ConsoleSettings, Settings
from lfr_edge.watchlist.keys import read_key_file

log = logging.getLogger("lfr_edge.service")

SWEEP_S: Final = 600  # seconds
_LAST_DELIVERY_S: Final = 15.0  # a stop waits no longer for a witness


class Service:
    """**Thread rule:** one event loop; whatever blocks is sent to a thread.

    Attributes:
        run: the deployment that is prepared, running or just ended.
        address: of the console.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.lag = LoopLag(self.clock)
        self.pack: Pack
        self.box: Box
        self.run: Run
        self.address = ""
        self.unerased: tuple[tuple[str, str], ...] = ()  # (what, why): what should be gone and is not
        self.anchoring: Anchoring
        self._sweeper: Sweeper
        self._listening: Listening
        self._changing = asyncio.Lock()  # of one deployment for the next
        self._stack = AsyncExitStack()

    @property
    def accounts(self) -> Accounts:
        return self.box.accounts

    async def start(self) -> None:
        """The console is up and a deployment is in preparation, goes on, or has started where that is configured.

        Raises:
            LfrError: what is missing and what to do; then nothing is left running.
        """
        async with AsyncExitStack() as stack:
            harden_process()
            keep_few_heaps()
            await asyncio.to_thread(self._load)
            self.box = await asyncio.to_thread(Box.open, self.settings, self.clock)
            stack.callback(self.box.record.close)
            box = self.box
            self.anchoring = await asyncio.to_thread(
                Anchoring, self.settings.anchoring, self.settings.audit, box.record
            )
            self._sweeper = Sweeper(self.settings, self.clock, box.record, box.register, box.keys)
            self.run = await Run.open(self.box, self.pack)
            stack.push_async_callback(self._suspend_run)
            await self._open_console(stack)
            await self._begin_by_itself()
            anchoring = self.anchoring.keep_going(lambda: self.run.session)
            for work in (self.lag.watch(), self._sweep_for_ever(), anchoring):
                stack.push_async_callback(_end_task, asyncio.create_task(work))
            self._stack = stack.pop_all()

    async def stop(self, actor: Actor = SYSTEM, why: str = "") -> None:
        """End the deployment and let go of everything."""
        await self.run.end(actor, why)
        if self.anchoring.wanted:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_DELIVERY_S):
                    await asyncio.to_thread(self.anchoring.deliver, self.run.session)
        await self._stack.aclose()

    async def suspend(self) -> None:
        """Stop the processes but not the deployment: the next start goes on with it."""
        await self._stack.aclose()

    async def prepare_next(self) -> None:
        """After the end of one deployment: open the next.

        Raises:
            DeploymentError: ``deployment_running``: the present one has not ended.
        """
        async with self._changing:
            if self.run.phase is not Phase.ENDED:
                raise already_running()
            self.run = await Run.open(self.box, self.pack)
            await asyncio.to_thread(give_back)
            try:
                await self._unseal_by_file()
            except LfrError as error:
                log.warning("%s", error.diagnostics())

    async def _sweep_for_ever(self) -> None:
        """What is over goes, at the start, every ten minutes and after each end."""
        while True:
            phase = self.run.phase
            # A running deployment's desk erases by itself.
            running = self.run.session.deployment.id if phase is Phase.RUNNING else None
            swept = await asyncio.to_thread(self._sweeper.sweep, running)
            self.unerased = tuple((one.what, one.reason) for one in swept.failed)
            for _ in range(SWEEP_S):
                await asyncio.sleep(1.0)
                if self.run.phase is not phase and self.run.phase is Phase.ENDED:
                    break

    def record(self, ev: Verb, *, actor: Actor | None, ref: str, data: dict[str, Plain], why: str) -> int:
        """Into the deployment's log, or the box's own while none is open. Blocks; any thread."""
        recorder: Recorder = self.box.record if self.run.session.closed else self.run.session
        return recorder.record(ev, actor=actor, ref=ref, data=data, why=why)

    def _load(self) -> None:
        settings = self.settings
        if not settings.cameras:
            raise ConfigError("config_no_cameras", "no camera is configured", hint="add a [[cameras]] table")
        self.pack = ModelStore(settings.models.store).load(settings.models.pack)
        require_permission(self.pack, settings.models.purpose, settings.models.licence_reference)
        if settings.deployment.autostart and settings.watchlist.key_file is None:
            raise ConfigError(
                "config_no_watchlist_key",
                "watchlist.key_file is not set, and deployment.autostart waits for nobody",
                hint="name the list's key file, or switch deployment.autostart off",
            )

    async def _begin_by_itself(self) -> None:
        """What needs no person: the key file opens the list, an interrupted deployment goes on, a trial begins.

        Raises:
            LfrError: with ``deployment.autostart``; otherwise what is missing is for people at the console.
        """
        autostart = self.settings.deployment.autostart
        if self.run.standing.ending:
            await self._finish_end()
            return
        try:
            await self._unseal_by_file()
            if self.run.listing is not None and (self.run.resuming or autostart):
                await self.run.start(by_itself=autostart)
        except LfrError as error:
            if autostart:
                raise
            log.warning("%s", error.diagnostics())

    async def _finish_end(self) -> None:
        """The key of the alert pictures comes from the list: while that is there, it is opened first."""
        watchlist = self.settings.watchlist
        try:
            if watchlist.path.exists() and watchlist.key_file is not None and watchlist.key_file.exists():
                await self._unseal_by_file()
            if self.run.listing is not None or not watchlist.path.exists():
                await self.run.finish_end()
        except LfrError as error:  # the pages say that the end waits for people
            log.warning("%s", error.diagnostics())

    async def _unseal_by_file(self) -> None:
        path = self.settings.watchlist.key_file
        if path is None or not (path.exists() or self.settings.deployment.autostart):
            return  # the officer brings it, or types the passphrase
        await self.run.unseal(await asyncio.to_thread(read_key_file, path))

    async def _open_console(self, stack: AsyncExitStack) -> None:
        console = self.settings.console
        sessions = Sessions(
            self.accounts, self.clock, idle_s=console.idle_logout_s, longest_s=console.session_s
        )

        def ports(tls: bool) -> ConsolePorts:
            return ConsolePorts(
                desk_now=lambda: self.run.desk,
                system=View(self),
                accounts=self.accounts,
                sessions=sessions,
                recorder=self,
                clock=self.clock,
                site=self.settings.site,
                tls=tls,
                settings=self.settings,
                explain=lambda probe, candidate: explain(self.run.warden.team.idlest, probe, candidate),
                counts_at_end=lambda: self.run.counts_at_end,
                approvals_now=self._approvals,
                carry_out=lambda proposal, actor: carry_out(self.run, proposal, actor),
                trust=self.box.trust,
                deployment=Control(self),
                holds=self._holds(),
                witness=self.anchoring.witness,
                anchors=Anchors(self.settings.audit, self.box.record),
                notice_now=self._notice,
            )

        self._listening = await listen(stack, console, lambda tls: build_app(ports(tls)))
        self.address = self._listening.address

    async def reload(self, path: Path) -> Change:
        """Take a changed configuration over where that is safe. Raises as :func:`~lfr_edge.service.reload.reload`."""
        async with self._changing:
            return await reload(self, path)

    def renew_certificate(self, console: ConsoleSettings) -> None:
        """Raises ConfigError ``config_tls``; the certificate before stays."""
        self._listening.renew(console)

    def _approvals(self) -> Approvals:
        if self.run.phase is Phase.ENDED:
            raise has_ended()
        return self.run.approvals

    def _holds(self) -> Holds:
        def desk_now() -> tuple[str, AlertDesk] | None:
            run = self.run
            return (run.session.deployment.id, run.desk) if run.phase is Phase.RUNNING else None

        return Holds(
            self._sweeper,
            self.box.record,
            self.clock,
            store=self.settings.data / "hold-approvals.json",
            most_days=self.settings.retention.hold_days,
            role_of=self.box.role_of,
            desk_now=desk_now,
        )

    def _notice(self) -> Notice | None:
        """What the public is told: of an authority that is believed and neither cancelled nor over."""
        warrant = self.run.warrant
        if warrant.signed is None or warrant.signed.cancellation or warrant.over:
            return None
        return None if self.run.phase is Phase.ENDED else notice_of(warrant.signed.authority, self.settings)

    async def _suspend_run(self) -> None:
        if self.run.phase is not Phase.ENDED:
            await self.run.suspend()


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
