"""What an entry leaves unsaid that the law and the policy ask for before anybody is looked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from lfr_edge.sentences import say
from lfr_edge.watchlist.entry import BLUE_LIST, Entry, image_sources

_NEEDED: Final = {
    "legal_basis": "name the power under which this person may be looked for",
    "holding_statement": "say why the images of this person are lawfully held",
    "reason": "say why this person is on this list",
    "originating_officer": "give the staff number or role of whoever asked for it",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """A field that refuses an entry on an operational list and is a warning on one for evaluation."""

    field: str
    message: str
    hint: str = ""


def gaps(entry: Entry, day: date) -> tuple[Gap, ...]:
    """Everything about the entry that keeps it off an operational list of that day, in the order of the fields."""
    return (*_unsaid(entry), *_dates(entry, day), *_image_gaps(entry))


def _unsaid(entry: Entry) -> Iterator[Gap]:
    for field, hint in _NEEDED.items():
        if not getattr(entry, field):
            yield Gap(field, "is missing", hint)
    blue = entry.category == BLUE_LIST
    if blue and not entry.consent_reference:
        yield Gap("consent_reference", "is missing", "nobody is on the blue list without recorded consent")
    if not blue and entry.consent_reference:
        yield Gap("consent_reference", "belongs to the blue list only", "leave it out")


def _dates(entry: Entry, day: date) -> Iterator[Gap]:
    if entry.date_of_birth is None:
        yield Gap(
            "date_of_birth", "is missing", "it says who is under 18, which is never guessed from a picture"
        )
    elif entry.under_18_on(day) and not entry.under_18_authority:
        yield Gap(
            "under_18_authority",
            "is missing for a person under 18",
            "get the separate authority and give its reference, or leave the person out",
        )
    if entry.review_date is None:
        yield Gap("review_date", "is missing", "say until when this entry stands without a new decision")
    elif entry.review_date < day:
        yield Gap(
            "review_date",
            say("{review_date} has passed", review_date=entry.review_date),
            "review the entry, or leave it out",
        )


def _image_gaps(entry: Entry) -> Iterator[Gap]:
    for image in entry.images:
        if not image.source:
            yield Gap(
                "image_source",
                say("is missing for {file}", file=image.file),
                say("one of {image_sources}", image_sources=", ".join(image_sources())),
            )
        elif image.source not in image_sources():
            yield Gap(
                "image_source",
                say("of {file} is not a known source", file=image.file),
                say("one of {image_sources}", image_sources=", ".join(image_sources())),
            )
        if image.taken is None:
            yield Gap(
                "image_taken", say("is missing for {file}", file=image.file), "say when the picture was taken"
            )
