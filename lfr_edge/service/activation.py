"""Exactly what two persons approve before a list looks for anybody, and how it comes on the record."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from lfr_edge.audit.event import Actor
from lfr_edge.deployment.authorised import authorised
from lfr_edge.errors import AuditError
from lfr_edge.service.phase import Phase
from lfr_edge.service.readings import facts_of
from lfr_edge.watchlist.list_facts import ListFacts

if TYPE_CHECKING:
    from lfr_edge.service.live_list import LiveList
    from lfr_edge.service.run import Run


def activation(run: Run) -> dict[str, Any]:
    """The change ``watchlist.activate``: the list, and every setting that decides who is alerted on and how long it
    is kept. Another file, threshold, network, authority or retention is another change."""
    assert run.listing is not None, "unsealed"
    assert run.threshold is not None, "set with the list"
    return {
        "deployment": run.session.deployment.id,
        "list_sha256": run.listing.digest,
        "entries": len(run.listing.sealed),
        "templates": run.listing.sealed.header.rows,
        "pack": run.pack.fingerprint,
        "threshold_e4": round(run.threshold * 10_000),
        "alert_images_min": round(run.alert_images_h * 60),
        "authority_sha256": run.warrant.sha256,
    }


def summary(run: Run) -> tuple[str, ...]:
    """The same in plain words, for the person who approves."""
    assert run.listing is not None, "unsealed"
    assert run.threshold is not None, "set with the list"
    listing, signed = run.listing, run.warrant.signed
    lines = [
        f"Look for the {_people(len(listing.sealed))} of the list {listing.digest[:16]}… ({_kinds(listing.facts)}).",
        _provenance(listing.facts),
        f"Alert at a similarity of {run.threshold:.4f} or more, networks {run.pack.name} {run.pack.fingerprint[:16]}….",
        f"Keep alert pictures for {run.alert_images_h:g} hours.",
    ]
    if signed is not None:
        lines.append(f"Authority: operation {signed.authority.operation}, until {signed.authority.end}.")
    return tuple(lines)


def addition_summary(run: Run, digest: str, facts: ListFacts) -> tuple[str, ...]:
    """What joining the people of that list means, for the person who approves."""
    assert run.listing is not None, "a running deployment has a list"
    signed, now = run.warrant.signed, facts_of(run)
    total = f"With them the list has {_people(now.entries + facts.entries)}"
    if signed is not None:
        total += f"; {signed.authority.watchlist.maximum_size} are authorised"
    return (
        f"Look for {_people(facts.entries, 'more ')}, of the list {digest[:16]}… ({_kinds(facts)}).",
        _provenance(facts),
        f"{total}. Who was withdrawn since the start still counts.",
    )


def _people(count: int, more: str = "") -> str:
    return f"{count} {more}{'person' if count == 1 else 'people'}"


def _kinds(facts: ListFacts) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(facts.categories.items()))


def _provenance(facts: ListFacts) -> str:
    return f"Issued by: {facts.issuer or 'not signed'}. Compiled {facts.compiled_at:%d %B %Y, %H:%M} UTC."


def entry_of(listing: LiveList) -> dict[str, Any]:
    """Data of ``watchlist.activated``; nothing about a person."""
    return {
        "templates": listing.templates,
        "entries": len(listing),
        "categories": dict(listing.facts.categories),
    }


async def activate(run: Run, listing: LiveList, actor: Actor, *, by_itself: bool) -> None:
    """Authority, list and threshold on the record. After a crash they are there: the same templates come back."""
    used = {}
    if not by_itself:
        used = await asyncio.to_thread(run.approvals.use, "watchlist.activate", activation(run))
    if run.warrant.signed is not None:
        await asyncio.to_thread(run.warrant.keep)
        run.warrant.open_window()
        await run.record("deployment.authorised", actor=actor, data=authorised(run.warrant.signed).data)
    ref = run.session.reference(listing.digest)
    if run.standing.templates:  # of a start that a crash cut short, or of another list before the crash
        data: dict[str, Any] = {"templates": run.standing.templates, "where": "lost in a restart"}
        await run.record("watchlist.destroyed", ref=run.standing.list_ref, data=data)
        run.standing.templates = 0
    await run.record("watchlist.activated", actor=actor, ref=ref, data=entry_of(listing) | used)
    run.standing.list_ref = ref
    await asyncio.to_thread(
        run.box.register.enter,
        run.session.deployment.id,
        run.session.log.origin,
        [entry.reference for entry in listing.entries()],
    )
    assert run.threshold is not None, "set with the list"
    data = {"threshold_e4": round(run.threshold * 10_000), "list_size": len(listing)}
    await run.record("threshold.set", actor=actor, data=data)


async def take_back(run: Run) -> None:
    """The start was refused after the list was activated."""
    if run.phase is Phase.PREPARING and not run.standing.started and run.standing.list_ref:
        assert run.listing is not None, "activated"
        data = {"templates": run.listing.templates, "where": "recognition did not start"}
        with contextlib.suppress(AuditError):  # a dead log: on_failure has said so
            await run.record("watchlist.destroyed", ref=run.standing.list_ref, data=data)
        run.standing.list_ref = ""
