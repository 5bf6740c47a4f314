"""What an entry says, what it leaves unsaid, and what a child is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.watchlist.entry import TEXTS, CandidateImage, Entry, Response, categories, image_sources
from lfr_edge.watchlist.lawful import gaps

DAY = date(2026, 11, 22)
COMPLETE = Entry(
    "W-1",
    "wanted_by_court",
    Response.AMBER,
    (
        CandidateImage("a.png", "custody", date(2025, 8, 14)),
        CandidateImage("b.png", "police", date(2026, 1, 9)),
    ),
    date_of_birth=date(1988, 2, 29),
    legal_basis="Bail Act 1976 s7",
    holding_statement="custody image",
    reason="warrant",
    originating_officer="DC 1123",
    review_date=DAY,
)


def fields(entry: Entry, day: date = DAY) -> list[str]:
    return [gap.field for gap in gaps(entry, day)]


def test_a_complete_entry_has_no_gap_until_its_review():
    assert fields(COMPLETE) == []
    assert fields(COMPLETE, date(2026, 11, 23)) == ["review_date"]
    assert COMPLETE.policy_paragraph == "LFR-3.1"
    assert (COMPLETE.image_source, COMPLETE.image_taken) == ("custody", date(2025, 8, 14))


@pytest.mark.parametrize(
    "field",
    ["legal_basis", "holding_statement", "reason", "originating_officer", "date_of_birth", "review_date"],
)
def test_each_unsaid_field_is_a_gap_with_a_hint(field):
    empty = None if field in {"date_of_birth", "review_date"} else ""
    (gap,) = gaps(replace(COMPLETE, **{field: empty}), DAY)
    assert gap.field == field
    assert gap.hint


def test_every_image_says_its_source_and_date():
    bare = replace(COMPLETE, images=(CandidateImage("a.png"), CandidateImage("b.png", "somewhere", DAY)))
    assert [(gap.field, "a.png" in gap.message) for gap in gaps(bare, DAY)] == [
        ("image_source", True),
        ("image_taken", True),
        ("image_source", False),
    ]


def test_the_blue_list_needs_consent_and_others_have_none():
    blue = replace(COMPLETE, category="blue_list")
    assert fields(blue) == ["consent_reference"]
    assert fields(replace(blue, consent_reference="C-7")) == []
    assert fields(replace(COMPLETE, consent_reference="C-7")) == ["consent_reference"]


@pytest.mark.parametrize(
    ("born", "age"),
    [
        (date(2008, 11, 22), 18),
        (date(2008, 11, 23), 17),
        (date(2008, 12, 1), 17),
        (date(2026, 11, 22), 0),
        (date(1988, 2, 29), 38),
        (None, None),
    ],
)
def test_age_follows_from_the_date_of_birth_alone(born, age):
    child = age is not None and age < 18
    entry = replace(COMPLETE, date_of_birth=born, images=(CandidateImage("a.png", "custody", DAY),))
    assert entry.age_on(DAY) == age
    assert entry.under_18_on(DAY) is child
    assert ("under_18_authority" in fields(entry)) is child
    assert "under_18_authority" not in fields(replace(entry, under_18_authority="U18-1"))


def test_who_was_a_child_on_the_picture_needs_no_authority_as_an_adult():
    entry = replace(
        COMPLETE,
        date_of_birth=date(2008, 1, 1),
        images=(CandidateImage("a.png", "custody", date(2024, 1, 1)),),
    )
    assert entry.under_18_on(date(2024, 1, 1))
    assert fields(entry) == []


@given(st.dates(date(1900, 1, 1), date(2030, 1, 1)), st.dates(date(1900, 1, 1), date(2060, 1, 1)))
def test_age_against_a_plain_reference(born, day):
    """Birthdays counted one by one; one on 29 February is on 1 March where there is none."""
    birthdays = 0
    for year in range(born.year + 1, day.year + 1):
        try:
            birthday = born.replace(year=year)
        except ValueError:
            birthday = date(year, 3, 1)
        birthdays += birthday <= day
    if day >= born:
        assert replace(COMPLETE, date_of_birth=born, images=(CandidateImage("a"),)).age_on(day) == birthdays


def test_only_some_images_are_kept():
    assert [image.file for image in COMPLETE.with_images(["b.png"]).images] == ["b.png"]
    with pytest.raises(ValueError, match="images"):
        COMPLETE.with_images([])


@pytest.mark.parametrize("face", [(-1, 0), (0, 65536)])
def test_a_marked_face_lies_in_the_picture(face):
    with pytest.raises(ValueError, match="image_face"):
        CandidateImage("a.png", face=face)


def test_everything_survives_the_way_into_the_sealed_list():
    entry = replace(
        COMPLETE,
        images=(CandidateImage("a.png", "custody", DAY, (3, 4)), CandidateImage("b.png")),
        **dict.fromkeys(TEXTS, "=1+1"),
    )
    assert Entry.from_json(entry.to_json()) == entry


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("text", ["a\x00", "\u202e", "e\u0301", "x" * 501])
def test_texts_are_plain(field, text):
    with pytest.raises(ValueError, match=field):
        replace(COMPLETE, **{field: text})


def test_the_sets_are_closed():
    for closed in (categories(), image_sources()):
        assert closed
        assert not {"other", "misc", "unknown", ""} & closed.keys()
        assert all(item.title and item.meaning for item in closed.values())
