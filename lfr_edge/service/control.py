"""What the Deployment page may ask of the box."""

from __future__ import annotations

import asyncio
import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from lfr_edge.alerts.record import Actor
from lfr_edge.console.deployment_port import AuthorityView, Briefing, Change, DeploymentPicture
from lfr_edge.deployment.authorised import authorised
from lfr_edge.deployment.authority import clauses, refuse
from lfr_edge.deployment.authority.words import use_cases
from lfr_edge.deployment.control.proposal import Proposal
from lfr_edge.errors import DeploymentError, LfrError, WatchlistError
from lfr_edge.service.changes import propose
from lfr_edge.service.list_changes import propose_addition
from lfr_edge.service.phase import Phase, has_ended
from lfr_edge.service.readings import facts_of
from lfr_edge.watchlist.header import inspect_header
from lfr_edge.watchlist.keys import read_key_file

if TYPE_CHECKING:
    from lfr_edge.service.run import Run
    from lfr_edge.service.service import Service


class Control:
    """Implements :class:`lfr_edge.console.deployment_port.DeploymentControl`. **Thread rule:** the event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def picture(self) -> DeploymentPicture:
        run = self._service.run
        lines = await run.readiness() if run.phase is Phase.PREPARING else ()
        remaining_s = run.warrant.remaining_s
        return DeploymentPicture(
            id=run.session.deployment.id,
            site=run.settings.site,
            purpose=run.settings.models.purpose,
            phase=run.phase.value,
            busy=run.busy,
            resuming=run.resuming,
            paused=run.paused,
            failure=run.failure,
            lines=lines,
            authority=_authority(run),
            remaining_s=None if remaining_s is None else int(remaining_s),
            started_wall_ns=run.started_wall_ns,
            threshold=run.threshold,
            alert_images_h=run.alert_images_h,
            pack=run.pack.name,
            list_size=0 if run.listing is None else len(run.listing),
            list_sha256="" if run.listing is None else run.listing.digest,
            passphrase=await asyncio.to_thread(_opens_with_passphrase, run),
            briefing=await asyncio.to_thread(_briefing, run),
            proposed=await asyncio.to_thread(_open_proposals, run),
            imports=len(run.settings.deployment.import_copies),
            why_ended=run.why_ended,
            receipts=run.receipts,
            root=run.session.closed.head.root.hex() if run.session.closed else "",
            log_size=run.session.closed.head.size if run.session.closed else 0,
        )

    async def unseal(self, passphrase: str | None, actor: Actor) -> None:
        run = self._service.run
        await run.unseal(await _key_file(run) if passphrase is None else passphrase, actor)
        if run.standing.ending:
            await run.finish_end()
        elif run.resuming:
            await run.start(actor)

    async def acknowledge(self, sha256: str, actor: Actor) -> None:
        run = self._service.run
        if run.phase is Phase.ENDED:
            raise has_ended()
        if sha256 != (await asyncio.to_thread(_briefing, run)).sha256:
            raise DeploymentError(
                "briefing_changed",
                "the briefing was changed meanwhile",
                hint="reload the page and read it again",
            )
        await run.record("briefing.acknowledged", actor=actor, data={"sha256": sha256})
        run.standing.briefed[actor.account] = actor.role

    async def bring_authority(self, data: bytes, actor: Actor) -> None:
        run = self._service.run
        if run.phase is Phase.ENDED:
            raise has_ended()
        signed = await asyncio.to_thread(run.warrant.believe, data)
        if run.phase is Phase.RUNNING:
            if signed.cancellation is not None and signed.sha256 == run.warrant.sha256:
                await run.cancel(actor, signed.cancellation.why)
                return
            refuse(clauses(signed, facts_of(run)))
            await run.record("deployment.authorised", actor=actor, data=authorised(signed).data)
        await asyncio.to_thread(run.warrant.adopt, data)
        if run.phase is Phase.RUNNING:
            run.warrant.open_window()
            await run.recognition.look_until(run.warrant.remaining_s)

    async def propose(self, what: Change, value: str, actor: Actor) -> Proposal:
        return await propose(self._service.run, what, value, actor)

    async def add_list(self, path: Path, credential: bytes | str | None, actor: Actor) -> Proposal:
        run = self._service.run
        if credential is None:
            credential = await _key_file(run)
        return await propose_addition(run, path, credential, actor)

    async def start(self, actor: Actor) -> None:
        await self._service.run.start(actor)

    async def end(self, actor: Actor, why: str, *, erase_imports: bool) -> None:
        run = self._service.run
        if run.phase is Phase.ENDED:
            raise has_ended()
        run.erase_imports = erase_imports
        await run.end(actor, why)

    async def cancel(self, actor: Actor, why: str) -> None:
        run = self._service.run
        if run.phase is Phase.ENDED:
            raise has_ended()
        await run.cancel(actor, why)

    async def prepare_next(self, actor: Actor) -> None:
        del actor  # the opening is the box's own act; who signed in is on its record
        await self._service.prepare_next()


async def _key_file(run: Run) -> bytes:
    path = run.settings.watchlist.key_file
    if path is None:
        raise DeploymentError(
            "deployment_no_key_file",
            "no key file is configured",
            hint="type the list's passphrase, or set watchlist.key_file",
        )
    return await asyncio.to_thread(read_key_file, path)


def _authority(run: Run) -> AuthorityView | None:
    signed = run.warrant.signed
    if signed is None:
        return None
    terms = signed.authority
    return AuthorityView(
        sha256=signed.sha256,
        operation=terms.operation,
        place=terms.place.name,
        use_case=use_cases()[terms.use_case].title,
        start=terms.start,
        end=terms.end,
        threshold_floor=terms.threshold.floor,
        conditions=tuple(terms.conditions),
    )


def _briefing(run: Run) -> Briefing:
    """The force's own text, or the one that came with the program."""
    path = run.settings.deployment.briefing
    try:
        shipped = resources.files("lfr_edge.deployment").joinpath("briefing.txt")
        text = (path or shipped).read_text(encoding="utf-8")[:20_000]
    except (OSError, UnicodeDecodeError):
        text = ""
    digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
    return Briefing(text, digest, tuple(sorted(run.standing.briefed)))


def _opens_with_passphrase(run: Run) -> bool:
    try:
        return inspect_header(run.settings.watchlist.path).wrapped.get("passphrase") is not None
    except WatchlistError:
        return True  # the attempt says what is wrong


def _open_proposals(run: Run) -> tuple[Proposal, ...]:
    try:
        return tuple(
            proposal
            for proposal in run.approvals.all()
            if proposal.state in {"proposed", "approved"} and run.approvals.left_s(proposal) > 0
        )
    except LfrError:
        return ()
