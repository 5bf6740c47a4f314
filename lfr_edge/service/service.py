"""From settings to a running deployment, and back down in order.

Start: networks and licence, list and threshold, log, desk, recogniser, cameras, console. Stop: the reverse. Each
step that fails undoes the ones before it, so that a refusal leaves nothing running and nothing half open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from contextlib import AsyncExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from aiohttp import web

from lfr_edge.alerts.alert import DeskPolicy, RaisedAlert, scaled
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.store import AlertStore
from lfr_edge.audit.event import SYSTEM, Actor
from lfr_edge.capture.keeper import CameraStatus
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.confinement import harden_process
from lfr_edge.console.accounts import Accounts
from lfr_edge.console.app import build_app
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.console.sessions import Sessions
from lfr_edge.deployment.session import DeploymentSession, material_key
from lfr_edge.errors import AuditError, ConfigError, LfrError
from lfr_edge.matching.threshold import choose, load_calibrations
from lfr_edge.models.licence import require_permission
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.handle import RecogniserHandle
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.service.cameras import CameraBank
from lfr_edge.service.gauges import Latencies, LoopLag
from lfr_edge.service.view import View
from lfr_edge.service.warden import Warden
from lfr_edge.settings import Settings
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.keys import read_key_file

log = logging.getLogger("lfr_edge.service")


class Service:
    """One deployment. **Thread rule:** one event loop; whatever blocks is sent to a thread.

    Attributes:
        failed: set once recognition cannot go on: the log is dead or the recogniser died too often.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.failed: asyncio.Event = asyncio.Event()
        self.failure = ""
        self.latencies = Latencies()
        self.lag = LoopLag(self.clock)
        self.withdrawn: set[str] = set()
        self.paused = False
        self.pack: Pack
        self.threshold: float
        self.sealed: SealedWatchlist
        self.session: DeploymentSession
        self.desk: AlertDesk
        self.cameras: CameraBank
        self.warden: Warden
        self.accounts: Accounts
        self.address = ""
        self._hits: asyncio.Queue[Message] = asyncio.Queue()
        self._stack = AsyncExitStack()
        self._closing: tuple[Actor, str] | None = None
        self._camera_states: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._records: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises LfrError with what is missing and what to do; then nothing is left running."""
        async with AsyncExitStack() as stack:
            self._stack = stack
            harden_process()
            self._load()
            stack.callback(self.sealed.close)
            await self._open_record(stack)
            await self._open_desk(stack)
            self.cameras = CameraBank(self.settings.cameras, self.clock, self._on_camera)
            stack.push_async_callback(self.cameras.stop)
            self.warden = Warden(
                self.clock,
                self.cameras,
                self.latencies,
                specification=self._specification,
                restore=self._restore,
                record=self.record,
                fail=self.fail,
                on_alert=self._hits.put_nowait,
            )
            await self.warden.start()
            stack.push_async_callback(self.warden.stop)
            await self.cameras.start()
            await self._open_console(stack)
            raising = asyncio.create_task(self._raise_hits())  # outlives the other tasks: see _wind_down
            stack.callback(raising.cancel)
            for work in (
                self.warden.supervise(self.failed),
                self.warden.count(self.failed),
                self.lag.watch(),
            ):
                self._tasks.append(asyncio.create_task(work))
            stack.push_async_callback(self._stop_tasks)
            self._stack = stack.pop_all()

    async def stop(self, actor: Actor = SYSTEM, why: str = "") -> None:
        """End the deployment: cameras, recogniser (with its receipt), desk, log, in this order."""
        await self._wind_down()
        self._closing = (actor, why)
        await self._stack.aclose()  # console and desk let go first; then the record is closed

    async def suspend(self) -> None:
        """Stop the processes but not the deployment: the next start goes on with it."""
        await self._wind_down()
        await self._stack.aclose()

    async def _wind_down(self) -> None:
        """No new frames, no recogniser, and every alert that came before the end raised."""
        await self._stop_tasks()
        await self.cameras.stop()
        await self.warden.stop()
        await self._hits.join()

    def _load(self) -> None:
        settings = self.settings
        if not settings.cameras:
            raise ConfigError("config_no_cameras", "no camera is configured", hint="add a [[cameras]] table")
        if settings.watchlist.key_file is None:
            raise ConfigError(
                "config_no_watchlist_key",
                "watchlist.key_file is not set",
                hint="name the key file that the deployment officer brings",
            )
        self.pack = ModelStore(settings.models.store).load(settings.models.pack)
        require_permission(self.pack, settings.models.purpose, settings.models.licence_reference)
        self._key = read_key_file(settings.watchlist.key_file)
        self.sealed = SealedWatchlist.open(
            settings.watchlist.path, self._key, fingerprint=self.pack.fingerprint
        )
        self.threshold = self._threshold()

    def _threshold(self) -> float:
        """The configured one, or the one that was measured for this pack, provider and list size."""
        matching, models = self.settings.matching, self.settings.models
        if matching.threshold is not None:
            return matching.threshold
        with as_file(files("lfr_edge.matching") / "calibrations.json") as shipped:
            calibrations = load_calibrations(matching.calibration or shipped)
        return choose(
            calibrations,
            fingerprint=self.pack.fingerprint,
            provider=models.providers[0],
            precision="fp32",
            list_size=len(self.sealed),
            target_fpir=matching.target_fpir,
        ).threshold

    async def _open_record(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()

        def dead(error: AuditError) -> None:
            loop.call_soon_threadsafe(self.fail, f"the audit log failed: {error}")

        self.session = await asyncio.to_thread(
            DeploymentSession.begin, self.settings, self.clock, on_failure=dead
        )
        stack.push_async_callback(self._close_record)
        settings, sealed = self.settings, self.sealed
        if self.session.deployment.resumed:
            await self._take_up()
        else:
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
        await self.record(
            "threshold.set", data={"threshold_e4": scaled(self.threshold), "list_size": len(sealed)}
        )
        await self.record(
            "watchlist.activated",
            ref=self.session.reference(sealed.header.fingerprint),
            data={"templates": self._live_templates(), "entries": len(sealed) - len(self.withdrawn)},
        )

    async def _take_up(self) -> None:
        """After a crash: the list's old copy went with the process, and what was withdrawn or paused stays so."""
        standing = await asyncio.to_thread(self.session.standing)
        self.withdrawn = {
            entry.reference
            for entry in self.sealed.entries()
            if self.session.reference(entry.reference) in standing.withdrawn
        }
        self.paused = standing.paused
        if standing.templates:
            await self._record_destroyed(standing.templates, "lost with the process")

    def _live_templates(self) -> int:
        return self.sealed.header.rows - sum(self.sealed.templates_of(entry) for entry in self.withdrawn)

    async def _record_destroyed(self, templates: int, where: str) -> None:
        ref = self.session.reference(self.sealed.header.fingerprint)
        await self.record("watchlist.destroyed", ref=ref, data={"templates": templates, "where": where})

    async def _open_desk(self, stack: AsyncExitStack) -> None:
        folder = self.session.folder
        store = AlertStore(folder / "alerts.sqlite")
        stack.callback(store.close)
        material = AlertMaterial(folder / "material", material_key(self._key, self.session.deployment.id))
        stack.callback(material.close)
        policy = DeskPolicy(alert_images_h=self.settings.retention.alert_images_h)
        self.desk = AlertDesk(store, material, self.session, self.clock, policy)
        entries = (entry for _, entry in self.session.log.entries())
        references = {material.reference_code(e.reference): e.reference for e in self.sealed.entries()}
        await self.desk.start(entries, references)
        stack.push_async_callback(self.desk.stop)

    async def _open_console(self, stack: AsyncExitStack) -> None:
        console, data = self.settings.console, self.settings.data
        self.accounts = Accounts(data / "accounts.json", self.clock)
        sessions = Sessions(
            self.accounts, self.clock, idle_s=console.idle_logout_s, longest_s=console.session_s
        )
        tls = _tls(console.tls_certificate, console.tls_key)
        view = View(self)
        ports = ConsolePorts(
            lambda: self.desk, view, self.accounts, sessions, self.session, self.clock,
            site=self.settings.site, tls=tls is not None,
        )  # fmt: skip
        runner = web.AppRunner(build_app(ports), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, console.host, console.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                "config_console_address",
                f"the console cannot listen on {console.host}:{console.port}: {error.strerror}",
                hint="choose another console.port, or 0 for a free one",
            ) from None
        port = runner.addresses[0][1]
        self.address = f"{'https' if tls else 'http'}://{console.host}:{port}/"

    async def record(self, ev: Any, **fields: Any) -> None:
        """One durable entry. Raises AuditError; then the effect must not happen."""
        await asyncio.to_thread(self.session.record, ev, **fields)

    def fail(self, why: str) -> None:
        """Recognition ends, loudly: the banner says so and people are told that they pass unrecognised."""
        if not self.failed.is_set():
            self.failure = why
            self.failed.set()
            log.error("recognition stopped: %s", why)

    def _specification(self) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        settings = self.settings
        spec = StartSpec(
            store=settings.models.store,
            models=settings.models,
            vision=settings.vision,
            matching=settings.matching,
            threshold=self.threshold,
            cameras=self.cameras.plans,
            paused=self.paused,
        )
        return spec.model_dump(mode="json"), (self.sealed.template_part(), self.sealed.template_key())

    async def _restore(self, handle: RecogniserHandle) -> None:
        """A fresh recogniser learns what people decided since the list was sealed."""
        for reference in tuple(self.withdrawn):  # one more may be withdrawn while we wait
            await handle.request("withdraw", {"reference": reference})
        if self.paused:
            await handle.request("pause")

    async def _raise_hits(self) -> None:
        while True:
            message = await self._hits.get()
            try:
                # A hit that was under way when the entry was withdrawn: nobody may be stopped for it any more.
                if message.body["reference"] not in self.withdrawn:
                    await self._raise(message)
            except LfrError as error:
                # No audit, no processing: an alert that cannot be recorded must not be shown.
                self.fail(f"an alert could not be recorded: {error}")
            except Exception as error:
                # Where, never what: the message holds a face.
                log.error("raising an alert failed: %s", type(error).__name__)
                self.fail("an alert could not be raised")
            finally:
                self._hits.task_done()

    async def _raise(self, message: Message) -> None:
        raised = await asyncio.to_thread(self._alert_of, message)
        await self.desk.raise_alert(raised)
        self.latencies.offered.append((self.clock.monotonic_ns() - raised.captured_ns) / 1e6)

    def _alert_of(self, message: Message) -> RaisedAlert:
        """Hit and list entry together. Reads the sealed list: it blocks."""
        hit = message.body
        reference = str(hit["reference"])
        entry = self.sealed.entry(reference)
        return RaisedAlert(
            camera=hit["camera"],
            captured_ns=hit["captured_ns"],
            captured_wall_ns=hit["captured_wall_ns"],
            reference=reference,
            category=entry.category,
            requested_response=entry.requested_response.value,
            score=hit["score"],
            threshold=hit["threshold"],
            runner_up_score=hit["runner_up_score"],
            runner_up_reference=hit["runner_up_reference"],
            track=hit["track"],
            quality=hit["quality"],
            probe_jpeg=message.parts[0],
            candidate_jpeg=self.sealed.portrait(reference),
            candidate_taken=entry.image_taken,
            candidate_source=entry.image_source,
        )

    def _on_camera(self, status: CameraStatus) -> None:
        """Record when a camera comes and goes, and once that it never came; the keeper reports every heartbeat."""
        live = "connected" if status.state == "live" else "lost"
        before = self._camera_states.get(status.camera)
        if live == before or (before is None and live == "lost" and not status.error_code):
            return
        self._camera_states[status.camera] = live
        data = {"camera": status.camera, "epoch": status.epoch}
        if live == "lost" and status.error_code:
            data["code"] = status.error_code
        if live == "connected":
            data["not_confined_by"] = list(status.unconfined)
        task = asyncio.get_running_loop().create_task(self._record_quietly(f"camera.{live}", data))
        self._records.add(task)
        task.add_done_callback(self._records.discard)

    async def _record_quietly(self, ev: str, data: dict[str, Any]) -> None:
        with contextlib.suppress(AuditError):  # on_failure has said so already
            await self.record(ev, data=data)

    async def _close_record(self) -> None:
        """The last entries and the last signed head; or, where the deployment goes on, nothing of the kind."""
        if self._records:
            await asyncio.wait(self._records)
        if self._closing is None:
            self.session.suspend()
            return
        actor, why = self._closing
        try:
            await self._record_destroyed(self._live_templates(), "memory")
            await asyncio.to_thread(self.session.close, actor, why)
        except AuditError:  # a dead log: on_failure has said so, and recovery is for the next start
            self.session.suspend()

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "config_tls",
            f"the certificate cannot be used: {error}",
            hint="PEM certificate and key that belong together",
        ) from None
    return context
