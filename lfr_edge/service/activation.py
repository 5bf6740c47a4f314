"""Exactly what two persons approve before a list looks for anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
