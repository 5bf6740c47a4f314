"""What the console may ask of the running deployment."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from lfr_edge.alerts.desk import DeskCounts
from lfr_edge.alerts.record import Actor
from lfr_edge.audit.verify import verify
from lfr_edge.capture.keeper import CameraStatus as Kept
from lfr_edge.console.ports import (
    NOTHING_RAISED,
    CameraState,
    CameraStatus,
    Counters,
    DeploymentStatus,
    Latency,
    Ledger,
    ListedEntry,
    LogSummary,
    ModelStatus,
    SystemStatus,
    Trouble,
)
from lfr_edge.console.views import category_title
from lfr_edge.energy import meter
from lfr_edge.errors import AlertError, DeploymentError, RecogniserError
from lfr_edge.matching.standing import Standing
from lfr_edge.recogniser.view import LEAST_LOOKS_PER_S
from lfr_edge.sentences import say
from lfr_edge.service.gauges import percentile
from lfr_edge.service.list_changes import withdraw
from lfr_edge.service.phase import Phase, refuse_unless_running
from lfr_edge.service.threshold import standing_of

if TYPE_CHECKING:
    from lfr_edge.service.run import Run
    from lfr_edge.service.service import Service

TILE_WIDTH: Final = 480  # pixels: enough to see a scene, too small for a stranger's face
_MOST_LAG_MS: Final = 250.0
_VERDICTS: Final = {
    "intact": "intact",
    "qualified": "unanchored",
    "altered": "altered",
    "unreadable": "unreadable",
}


class View:
    """Implements :class:`lfr_edge.console.ports.SystemView`. **Thread rule:** the event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._checked: LogSummary | None = None
        self._stands: dict[tuple[str, float, int, bool], Standing] = {}

    def status(self) -> SystemStatus:
        service, run = self._service, self._service.run
        totals, counts = run.warden.totals, self._desk_counts()
        summary = run.latencies.summary()
        cameras = tuple(self._camera(kept) for kept in run.cameras.statuses)
        looking = run.phase is Phase.RUNNING and not run.paused and not run.failed.is_set()
        return SystemStatus(
            recognising=looking and any(camera.state == "live" for camera in cameras),
            paused=run.paused,
            cameras=cameras,
            ledger=Ledger(totals["processed"], totals["erased"], totals["retained"], totals["held"]),
            counters=Counters(totals["frames"], totals["faces"], totals["probes"], counts.raised),
            models=self._models(),
            deployment=DeploymentStatus(
                id=run.session.deployment.id,
                site=service.settings.site,
                purpose=service.settings.models.purpose,
                started_wall_ns=run.started_wall_ns,
                ends_wall_ns=_ends_wall_ns(run),
                threshold=run.threshold,
                list_size=0 if run.listing is None else len(run.listing),
                list_digest="" if run.listing is None else run.listing.digest,
                phase=run.phase.value,
                remaining_s=None if run.warrant.remaining_s is None else int(run.warrant.remaining_s),
                one_in=self._one_in(run),
            ),
            latency=Latency(
                summary["p50"], summary["p95"], summary["p99"], percentile(run.latencies.painted, 0.95)
            ),
            loop_lag_ms=round(service.lag.worst_ms, 1),
            troubles=tuple(self._troubles(cameras)),
            energy=meter().read(service.clock.monotonic_ns()),
        )

    def _one_in(self, run: Run) -> int | None:
        """Looked up once for each threshold and list: the page asks every second."""
        if run.threshold is None or run.listing is None:
            return None
        on_cpu = bool(run.warden.degraded)
        at = (run.pack.fingerprint, run.threshold, len(run.listing), on_cpu)
        if at not in self._stands:
            stands = standing_of(run.settings, run.pack, run.threshold, len(run.listing), on_cpu=on_cpu)
            self._stands = {at: stands}
        return self._stands[at].one_in

    async def tile(self, camera: str) -> bytes | None:
        try:
            looking = self._service.run.warden.team.of(camera)
            answer = await looking.request("tile", {"camera": camera, "width": TILE_WIDTH})
        except RecogniserError:
            return None
        return answer.parts[0] if answer.parts else None

    async def pause(self, actor: Actor, why: str) -> None:
        run = self._running()
        run.paused = True  # a recogniser that is restarting now starts paused
        with contextlib.suppress(RecogniserError):
            await run.warden.team.tell("pause")
        await run.record("recognition.paused", actor=actor, why=why)

    async def resume(self, actor: Actor, why: str) -> None:
        run = self._running()
        await run.record("recognition.resumed", actor=actor, why=why)
        run.paused = False
        with contextlib.suppress(RecogniserError):
            await run.warden.team.tell("resume")

    async def withdraw(self, reference: str, actor: Actor, why: str) -> None:
        await withdraw(self._service.run, reference, actor, why)

    def watchlist(self) -> tuple[ListedEntry, ...]:
        """Nobody after the end: then nobody is looked for, and the list is destroyed."""
        run = self._service.run
        listing = run.listing
        if listing is None or run.phase is Phase.ENDED:
            return ()
        return tuple(
            ListedEntry(
                reference=entry.reference,
                category=category_title(entry.category),
                requested_response=entry.requested_response.value,
                images=len(entry.images),
                source=entry.image_source,
                taken=entry.image_taken.isoformat() if entry.image_taken else None,
                withdrawn=entry.reference in listing.withdrawn,
            )
            for entry in listing.entries()
        )

    def _running(self) -> Run:
        """Raises DeploymentError ``deployment_not_started`` or ``deployment_ended``."""
        refuse_unless_running(self._service.run.phase)
        return self._service.run

    def _desk_counts(self) -> DeskCounts:
        try:
            return self._service.run.desk.counts()
        except DeploymentError:
            return self._service.run.counts_at_end or NOTHING_RAISED

    async def log_summary(self, *, verify: bool) -> LogSummary:
        if verify or self._checked is None:
            self._checked = await asyncio.to_thread(self._summarise, verify)
        service = self._service
        held = await asyncio.to_thread(service.anchoring.held, service.run.session.log.folder)
        return replace(self._checked, anchors=held)

    def painted(self, token: str, received_ns: int, client_wall_ns: int) -> None:
        del client_wall_ns  # the browser's clock is not trusted
        try:
            alert = self._service.run.desk.get(token)
        except (AlertError, DeploymentError):
            return  # a page of an earlier deployment
        if received_ns >= alert.facts.captured_ns:
            self._service.run.latencies.painted.append((received_ns - alert.facts.captured_ns) / 1e6)

    def _camera(self, kept: Kept) -> CameraStatus:
        run = self._service.run
        seen: dict[str, Any] = run.warden.pulse.get("cameras", {}).get(kept.camera, {})
        state: CameraState = "lost"
        if kept.state == "live":
            state = "paused" if run.paused else "live"
        elif kept.state in {"connecting", "stalled"}:
            state = cast(CameraState, kept.state)
        return CameraStatus(
            id=kept.camera,
            state=state,
            fps=kept.fps,
            frame_age_ms=None if kept.frame_age_ms is None else round(kept.frame_age_ms),
            faces_per_min=float(seen.get("faces_per_min") or 0.0),
            median_eye_px=seen.get("median_eye_px"),
            sharpness=seen.get("sharpness"),
            light=seen.get("light"),
            blind_s=round(kept.blind_s),
            drops=int(seen.get("dropped", 0)),
            epoch=kept.epoch,
            drift=dict(run.warden.drift.of(kept.camera).values),
            looks_per_s=seen.get("looks_per_s") if state == "live" else None,
            note="the picture does not change"
            if kept.frozen
            else kept.error_message
            if state != "live"
            else "",
        )

    def _models(self) -> tuple[ModelStatus, ...]:
        service, run = self._service, self._service.run
        provider = (run.warden.ready.get("providers") or ["?"])[0]
        permitted = service.settings.models.purpose == "operational"
        return tuple(
            ModelStatus(
                name=network.id,
                task=network.task,
                licence=network.licence.name,
                operational=permitted or network.licence.operational_use == "yes",
                sha256=network.sha256,
                provider=provider,
            )
            for network in run.pack.manifest.networks
        )

    def _troubles(self, cameras: tuple[CameraStatus, ...]) -> list[Trouble]:
        service, run = self._service, self._service.run
        troubles = []
        if run.failed.is_set():
            troubles.append(Trouble("failed", run.failure, "stop the deployment and see the service's log"))
        for camera in cameras:
            tried = camera.state == "connecting" and camera.note  # a first connection has no failure to tell
            if camera.state in {"lost", "stalled"} or tried:
                troubles.append(
                    Trouble("degraded", say("camera {id} gives no picture", id=camera.id), camera.note)
                )
            # A camera that gives few pictures is looked at as often as it can be.
            elif camera.looks_per_s is not None and camera.looks_per_s < min(
                LEAST_LOOKS_PER_S, 0.8 * camera.fps
            ):
                troubles.append(_overlooked(camera.id, camera.looks_per_s))
        if run.warden.degraded:
            hint = say(
                "the threshold may have been chosen for {provider}: how often it is wrong is now told for the CPU",
                provider=run.settings.models.providers[0],
            )
            troubles.append(Trouble("degraded", run.warden.degraded, hint))
        if service.lag.worst_ms > _MOST_LAG_MS:
            troubles.append(
                Trouble(
                    "degraded", say("the desk answers {worst_ms:.0f} ms late", worst_ms=service.lag.worst_ms)
                )
            )
        troubles += [
            Trouble("degraded", say("could not be erased: {what}", what=what), reason)
            for what, reason in service.unerased
        ]
        troubles += run.warden.drift.troubles()
        if service.anchoring.trouble:
            troubles.append(
                Trouble("degraded", "the witness outside the box refuses", service.anchoring.trouble)
            )
        troubles += [Trouble("degraded", text, "ask for these people again") for text in run.lost]
        if run.standing.ending and run.phase is Phase.PREPARING:
            troubles.append(
                Trouble(
                    "degraded",
                    "the end of this deployment was interrupted",
                    "unseal its list, so that alert pictures can be kept, or end it without",
                )
            )
        if service.settings.models.purpose == "evaluation":
            troubles.append(
                Trouble("ok", "Evaluation: demonstration, training or test. Not an operational deployment.")
            )
        return troubles

    def _summarise(self, full: bool) -> LogSummary:
        service, run = self._service, self._service.run
        audit, latest = run.session.log, run.session.log.latest
        counts = self._desk_counts()
        verdict: str = "unknown"
        lines: tuple[str, ...] = ()
        if full:
            witness = service.anchoring.witness
            report = verify(audit.folder, witnesses=() if witness is None else (witness,))
            verdict = _VERDICTS[report.verdict]
            lines = tuple(report.text().splitlines())
        return LogSummary(
            origin=audit.origin,
            entries=audit.size,
            signed_size=latest.head.size if latest else 0,
            root=latest.head.root.hex() if latest else "",
            verdict=cast(Any, verdict),
            anchors=0,  # as they are when somebody asks
            undecided=counts.undecided,
            checked_wall_ns=service.clock.wall_ns() if full else None,
            lines=lines,
        )


def _overlooked(camera: str, looks: float) -> Trouble:
    """The box is too slow: the rate falls, for every camera alike, and never the size of the detector's picture."""
    return Trouble(
        "degraded",
        say("camera {id} is looked at {looks:.1f} times a second", id=camera, looks=looks),
        say(
            "below {least:g} who passes quickly may be missed: fewer cameras, a smaller detector_side, or a faster box",
            least=LEAST_LOOKS_PER_S,
        ),
    )


def _ends_wall_ns(run: Run) -> int | None:
    """As the authority says; what counts is the time that is left, which no clock lengthens."""
    return None if run.warrant.signed is None else run.warrant.signed.authority.end_ns
