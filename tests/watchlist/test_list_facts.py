"""Figures of a list, counted once more by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lists import DIMENSION, FINGERPRINT, person

from lfr_edge.watchlist.about import About
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.list_facts import facts_of, list_facts

TODAY = date(2026, 11, 22)
KEY = bytes(32)


def changed(number: int, images: int = 1, **fields):
    enrolled = person(number, images)
    return replace(enrolled, entry=replace(enrolled.entry, **fields))


def people():
    return [
        changed(1, 2, review_date=date(2026, 11, 21)),
        changed(2, review_date=TODAY, category="missing_person", date_of_birth=date(2008, 11, 23)),
        changed(3, date_of_birth=date(2008, 11, 22), legal_basis="s1"),  # eighteen today
        changed(4, date_of_birth=date(2012, 1, 1), under_18_authority="U-1"),
        changed(5, date_of_birth=None),
    ]


def test_every_figure(tmp_path):
    about = About("operational", "Central", "ab12", "cd" * 32, datetime(2026, 11, 22, 3, tzinfo=UTC))
    seal(
        tmp_path / "list",
        people(),
        key=KEY,
        fingerprint=FINGERPRINT,
        dimension=DIMENSION,
        describe=lambda *_: about,
    )
    with SealedWatchlist.open(tmp_path / "list", KEY) as opened:
        facts = list_facts(opened, TODAY)
    assert (facts.entries, facts.images) == (5, 6)
    assert facts.categories == {"wanted_by_court": 4, "missing_person": 1}
    assert facts.sources == {"custody": 6}
    assert (facts.under_18, facts.under_18_unauthorised, facts.undated) == (2, 1, 1)
    assert facts.past_review == 1
    assert facts.missing_fields["legal_basis"] == 4
    assert facts.missing_fields["under_18_authority"] == 1
    assert facts.compiled_at == datetime(2026, 11, 22, 3, tzinfo=UTC)
    assert (facts.issuer, facts.issuer_key, facts.bundle_sha256) == ("Central", "ab12", "cd" * 32)
    assert facts.purpose == "operational"
    assert facts.to_json()["compiled_at"] == "2026-11-22T03:00:00+00:00"


def test_without_the_issuers_word_the_sealing_counts():
    sealed_at = datetime(2026, 11, 22, 5, tzinfo=UTC)
    facts = facts_of([item.entry for item in people()], About(), TODAY, created=sealed_at)
    assert facts.compiled_at == sealed_at
    assert (facts.purpose, facts.issuer) == ("evaluation", "")
