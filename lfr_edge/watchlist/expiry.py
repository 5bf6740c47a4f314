"""Which entries of a live list must come off it now: nobody may be looked for on a reason that has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from lfr_edge.watchlist.entry import Entry


@dataclass(frozen=True, slots=True)
class Due:
    """An entry to withdraw, and why, in words for the record."""

    reference: str
    why: str


def due(
    entries: Iterable[Entry],
    today: date,
    *,
    categories: Collection[str] | None = None,
    sources: Collection[str] | None = None,
    withdrawn: Collection[str] = (),
) -> Iterator[Due]:
    """Entries whose review date has passed, or whose category or every image source is authorised no more.

    `categories` and `sources` are those that the authority in force names; None where there is no authority. An
    entry with one image from a source that still stands stays. `withdrawn` ones are left out.
    """
    for entry in entries:
        if entry.reference in withdrawn:
            continue
        if entry.review_date is not None and entry.review_date < today:
            yield Due(entry.reference, f"its review date {entry.review_date} has passed")
        elif categories is not None and entry.category not in categories:
            yield Due(entry.reference, f"the category {entry.category} is authorised no more")
        elif sources is not None and not any(image.source in sources for image in entry.images):
            yield Due(entry.reference, "no source of its images is authorised any more")
