"""Entries that leave or join the list of a running deployment."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.alerts.record import Actor
from lfr_edge.audit.event import SYSTEM
from lfr_edge.clock import utc_day
from lfr_edge.deployment.authority import clauses, refuse
from lfr_edge.deployment.control.proposal import Proposal
from lfr_edge.deployment.readiness import refuse_list
from lfr_edge.errors import DeploymentError, LfrError, RecogniserError, WatchlistError
from lfr_edge.sentences import say
from lfr_edge.service.activation import addition_summary
from lfr_edge.service.kept_additions import folder_of
from lfr_edge.service.phase import refuse_unless_running
from lfr_edge.service.readings import facts_of, list_reading, with_addition
from lfr_edge.watchlist import kept
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.expiry import due
from lfr_edge.watchlist.list_facts import ListFacts, list_facts

if TYPE_CHECKING:
    from lfr_edge.service.live_list import LiveList
    from lfr_edge.service.run import Run

EXPIRY_S: Final = 60.0


async def withdraw(run: Run, reference: str, actor: Actor, why: str) -> None:
    """Take an entry off the list, effective with the next probe.

    Raises:
        DeploymentError: not running.
        WatchlistError: ``watchlist_unknown_reference``, ``watchlist_already_withdrawn``.
        AuditError: not on the record; the entry is off the list all the same.
    """
    listing = _listing(run)
    templates = listing.templates_of(reference)  # refuses an unknown reference
    if reference in listing.withdrawn:
        raise WatchlistError(
            "watchlist_already_withdrawn",
            say("{reference} was withdrawn before", reference=reference),
            hint="nothing is left to do",
        )
    # Effect first: nobody may be stopped for an entry while its withdrawal waits for a disk.
    joined = listing.joined_with(reference)
    listing.withdrawn.add(reference)  # the desk drops its hits from here on, whatever the recogniser does
    with contextlib.suppress(RecogniserError):
        await run.warden.team.tell("withdraw", {"reference": reference})
    await run.record(
        "watchlist.withdrawn",
        actor=actor,
        ref=run.session.reference(reference),
        # Of which addition: a restart that finds an addition gone must know what of it was left.
        data={"templates": templates} | ({"list": run.session.reference(joined)} if joined else {}),
        why=why,
    )


async def expire(run: Run) -> None:
    """Every minute, take off what may be looked for no more: review date, category, source of the images."""
    while True:
        listing, signed = _listing(run), run.warrant.signed
        terms = signed.authority.watchlist if signed else None
        found = due(
            listing.entries(),
            utc_day(run.clock.wall_ns()),
            categories=terms.categories if terms else None,
            sources=terms.image_sources if terms else None,
            withdrawn=frozenset(listing.withdrawn),
        )
        # An evaluation's list may be old on purpose; its authority, where there is one, still counts.
        for one in found if run.settings.models.purpose == "operational" else ():
            with contextlib.suppress(LfrError):
                await withdraw(run, one.reference, SYSTEM, one.why)
        await asyncio.sleep(EXPIRY_S)


async def propose_addition(run: Run, path: Path, credential: bytes | str, actor: Actor) -> Proposal:
    """Ask a second person for the entries of another sealed list, which must fit the authority with those there are.

    Raises:
        DeploymentError: not running; they are not as lawful and fresh as an activated list has to be; or a clause
            of the authority does not hold with them.
        WatchlistError: the file cannot be opened, or names somebody who is on the list.
        ControlError: as :meth:`Approvals.propose`.
    """
    listing = _listing(run)
    sealed = await asyncio.to_thread(SealedWatchlist.open, path, credential, fingerprint=run.pack.fingerprint)
    try:
        twice = {e.reference for e in sealed.entries()} & {e.reference for e in listing.entries()}
        if twice:
            raise WatchlistError(
                "watchlist_duplicate_reference",
                say("{twice} is on the list already", twice=min(twice)),
                hint="compile the addition without the people who are on the list",
            )
        facts = await asyncio.to_thread(list_facts, sealed, utc_day(run.clock.wall_ns()))
        _refuse_unfit(run, facts)
        await asyncio.to_thread(_refuse_unauthorised, run, facts)
        digest = await asyncio.to_thread(lambda: sealed.digest)
        change = {
            "deployment": run.session.deployment.id,
            "list_sha256": digest,
            "entries": len(sealed),
            "templates": sealed.header.rows,
        }
        # A file that was brought for this deployment is erased with it, whatever becomes of the proposal.
        await asyncio.to_thread(kept.remember, folder_of(run), digest, path)
        words = addition_summary(run, digest, facts)
        proposal = await asyncio.to_thread(run.approvals.propose, "watchlist.add", change, actor, words)
    except BaseException:
        sealed.close()
        raise
    if (before := listing.waiting.pop(digest, None)) is not None:
        before.close()
    listing.waiting[digest] = sealed
    listing.sources[digest] = path
    listing.files.append(path)
    return proposal


async def add(run: Run, proposal: Proposal, actor: Actor) -> None:
    """An approved addition: kept so that a crash does not lose it, on the record, then looked for from the next probe.

    Raises:
        DeploymentError: ``addition_gone``: the file was proposed before a restart. Or a clause of the authority
            does not hold with it, and with what has joined since it was proposed.
        WatchlistError: the recogniser refused it; then nothing of it is looked for. Or it cannot be kept.
    """
    listing = _listing(run)
    sealed = listing.waiting.pop(str(proposal.change["list_sha256"]), None)
    if sealed is None:
        raise DeploymentError(
            "addition_gone", "the additional list is not open any more", hint="propose it again from its file"
        )
    folder, digest, source = folder_of(run), sealed.digest, listing.sources[sealed.digest]
    try:
        facts = await asyncio.to_thread(list_facts, sealed, utc_day(run.clock.wall_ns()))
        await asyncio.to_thread(_refuse_unauthorised, run, facts)  # others may have joined since
        copy = await asyncio.to_thread(kept.keep, folder, listing.sealed, sealed, source)
    finally:
        sealed.close()
    sealed = copy
    try:
        used = await asyncio.to_thread(run.approvals.use, proposal.kind, proposal.change)
        references = [entry.reference for entry in sealed.entries()]
        ref = run.session.reference(sealed.digest)
        data: dict[str, Any] = {
            "templates": sealed.header.rows,
            "entries": len(sealed),
            "categories": dict(facts.categories),
        }
        await run.record("watchlist.added", actor=actor, ref=ref, data=data | used)
    except BaseException:
        sealed.close()
        await asyncio.to_thread(kept.forget, folder, digest)
        raise
    listing.join(sealed, facts)
    await asyncio.to_thread(run.box.register.add, run.session.deployment.id, references)
    refusal = await send_addition(run, sealed)
    if refusal is not None:
        for reference in references:
            await withdraw(run, reference, SYSTEM, "the recogniser refused the addition")
        raise refusal


async def send_addition(run: Run, sealed: SealedWatchlist) -> WatchlistError | None:
    """Hand it to the recogniser; why it was refused, or None. One that is restarting gets it at its start."""
    try:
        parts = sealed.template_part(), sealed.template_key()
        answer = await run.warden.team.add(parts)
    except RecogniserError:
        return None
    if "code" not in answer.body:
        return None
    body = answer.body
    return WatchlistError(str(body["code"]), str(body["message"]), hint=str(body.get("hint", "")))


def _refuse_unfit(run: Run, facts: ListFacts) -> None:
    reading = list_reading(facts, approved=False)
    refuse_list(reading, run.settings.models.purpose, run.clock.wall_ns())


def _refuse_unauthorised(run: Run, facts: ListFacts) -> None:
    signed = run.warrant.signed
    if signed is None:
        return
    refuse(clauses(signed, with_addition(facts_of(run), facts)))


def _listing(run: Run) -> LiveList:
    """Raises DeploymentError ``deployment_not_started`` or ``deployment_ended``."""
    refuse_unless_running(run.phase)
    assert run.listing is not None, "a running deployment has a list"
    return run.listing
