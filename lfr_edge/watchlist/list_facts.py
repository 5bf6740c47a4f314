"""What an opened list is, in figures: for the authority's clauses, the readiness list and the pages.

Nothing here names a person: counts by category and by source, dates, and which fields are unsaid how often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lfr_edge.models.licence import Purpose
from lfr_edge.watchlist.about import About
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.lawful import gaps


@dataclass(frozen=True, slots=True)
class ListFacts:
    entries: int
    images: int
    categories: Mapping[str, int]  # code → entries
    sources: Mapping[str, int]  # code → images; "" where none is recorded
    under_18: int  # entries of people under 18 on the day
    under_18_unauthorised: int  # of these, without a separate authority
    past_review: int  # entries whose review date lies before the day
    undated: int  # entries without a date of birth: whether they are under 18 is not known
    missing_fields: Mapping[str, int]  # field → entries that an operational list would refuse for it
    compiled_at: datetime  # UTC: the issuer's word, otherwise when it was sealed
    issuer: str  # the name enrolled with the key that signed; empty where nobody signed
    issuer_key: str
    bundle_sha256: str
    purpose: Purpose

    def to_json(self) -> dict[str, Any]:
        return {
            "entries": self.entries,
            "images": self.images,
            "categories": dict(self.categories),
            "sources": dict(self.sources),
            "under_18": self.under_18,
            "under_18_unauthorised": self.under_18_unauthorised,
            "past_review": self.past_review,
            "undated": self.undated,
            "missing_fields": dict(self.missing_fields),
            "compiled_at": self.compiled_at.isoformat(),
            "issuer": self.issuer,
            "issuer_key": self.issuer_key,
            "bundle_sha256": self.bundle_sha256,
            "purpose": self.purpose,
        }


def list_facts(sealed: SealedWatchlist, today: date) -> ListFacts:
    """The facts of an opened list on the day of the deployment."""
    created = datetime.fromisoformat(sealed.header.created)
    return facts_of(sealed.entries(), sealed.about, today, created=created)


def facts_of(entries: Sequence[Entry], about: About, today: date, *, created: datetime) -> ListFacts:
    """The same of entries that are not sealed yet. `created` (UTC) counts where the issuer gives no time."""
    missing: Counter[str] = Counter()
    for entry in entries:
        missing.update({gap.field for gap in gaps(entry, today)})
    children = [entry for entry in entries if entry.under_18_on(today)]
    return ListFacts(
        entries=len(entries),
        images=sum(len(entry.images) for entry in entries),
        categories=Counter(entry.category for entry in entries),
        sources=Counter(image.source for entry in entries for image in entry.images),
        under_18=len(children),
        under_18_unauthorised=sum(not entry.under_18_authority for entry in children),
        past_review=sum(bool(entry.review_date and entry.review_date < today) for entry in entries),
        undated=sum(entry.date_of_birth is None for entry in entries),
        missing_fields=missing,
        compiled_at=about.compiled_at or created,
        issuer=about.issuer,
        issuer_key=about.issuer_key,
        bundle_sha256=about.bundle_sha256,
        purpose=about.purpose,
    )
