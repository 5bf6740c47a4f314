"""Entries come off the list on their own day, and not a day before."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from lists import person

from lfr_edge.watchlist.expiry import due

TODAY = date(2026, 11, 22)


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-400, 400),
            st.sampled_from(["wanted_by_court", "missing_person"]),
            st.lists(st.sampled_from(["custody", "family"]), min_size=1, max_size=3),
        ),
        max_size=12,
    ),
    st.none() | st.sets(st.sampled_from(["wanted_by_court", "missing_person"])),
    st.none() | st.sets(st.sampled_from(["custody", "family"])),
    st.sets(st.integers(0, 11)),
)
def test_exactly_those_whose_reason_has_ended(people, categories, sources, gone):
    entries = []
    for number, (days, category, origins) in enumerate(people):
        entry = person(number, len(origins)).entry
        images = tuple(
            replace(image, source=source) for image, source in zip(entry.images, origins, strict=True)
        )
        review = None if days is None else TODAY + timedelta(days=days)
        entries.append(replace(entry, category=category, images=images, review_date=review))
    withdrawn = {f"W-{number:04}" for number in gone}
    found = {
        one.reference
        for one in due(entries, TODAY, categories=categories, sources=sources, withdrawn=withdrawn)
    }
    for number, (days, category, origins) in enumerate(people):
        past = days is not None and days < 0
        refused = categories is not None and category not in categories
        unsourced = sources is not None and not set(origins) & sources
        wanted = (past or refused or unsourced) and number not in gone
        assert (f"W-{number:04}" in found) == wanted


def test_the_words():
    entry = person(1).entry
    told = [
        one.why
        for one in (
            *due([replace(entry, review_date=date(2026, 11, 21))], TODAY),
            *due([entry], TODAY, categories=()),
            *due([entry], TODAY, sources={"family"}),
        )
    ]
    assert told == [
        "its review date 2026-11-21 has passed",
        "the category wanted_by_court is authorised no more",
        "no source of its images is authorised any more",
    ]
    assert list(due([replace(entry, review_date=TODAY)], TODAY)) == []
