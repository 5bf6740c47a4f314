"""Entries as CSV for a person's spreadsheet: what an Authorising Officer reads before signing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

from lfr_edge.watchlist.entry import TEXTS, Entry

COLUMNS: Final = (
    "reference",
    "category",
    "policy_paragraph",
    "response",
    "images",
    "image_source",
    "image_taken",
    "date_of_birth",
    "review_date",
    *TEXTS,
)
# A spreadsheet runs a cell that begins like this (OWASP, CSV injection); full-width forms are folded by some.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def table(entries: Iterable[Entry]) -> str:
    """With a head line; a cell that a spreadsheet would run begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerow([_harmless(cell) for cell in _row(entry)])
    return out.getvalue()


def _row(entry: Entry) -> Iterable[str]:
    yield entry.reference
    yield entry.category
    yield entry.policy_paragraph
    yield entry.requested_response.value
    yield ";".join(image.file for image in entry.images)
    yield ";".join(image.source for image in entry.images)
    yield ";".join(image.taken.isoformat() if image.taken else "" for image in entry.images)
    yield entry.date_of_birth.isoformat() if entry.date_of_birth else ""
    yield entry.review_date.isoformat() if entry.review_date else ""
    for name in TEXTS:
        yield getattr(entry, name)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
