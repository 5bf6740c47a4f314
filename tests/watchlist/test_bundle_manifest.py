"""The schema of a bundle: what is written comes back, and everything else is refused with its name."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import date
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.bundle import manifest
from lfr_edge.watchlist.bundle.manifest import (
    BundleEntry,
    Fault,
    Manifest,
    canonical,
    parse,
    read_entries,
    read_head,
)
from lfr_edge.watchlist.entry import Entry, categories, image_sources
from lfr_edge.watchlist.table import table

REPOSITORY = Path(__file__).resolve().parents[2]
HEAD = {
    "format": "lfr-edge watchlist bundle 1",
    "list_id": "L-1",
    "operation": "OP-1",
    "issued_by": "Example Constabulary",
    "compiled_at": "2026-11-22T06:30:00Z",
    "purpose": "operational",
}
REQUIRED = [name for name, field in BundleEntry.model_fields.items() if field.is_required()]

# Formula signs at the front are likely on purpose: such text is kept, and escaped where a table is written.
words = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], max_codepoint=0xFFFF), min_size=1, max_size=40
)
texts = (
    st.builds(
        lambda sign, text: sign + text, st.sampled_from(["", "=", "+", "-", "@", "＝", "＠", "'", '"']), words
    )
    .map(lambda text: unicodedata.normalize("NFC", text).strip())
    .filter(lambda text: text and not any(unicodedata.category(sign).startswith("C") for sign in text))
)
references = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,20}", fullmatch=True)
days = st.dates(date(1900, 1, 1), date(2020, 1, 1))


@st.composite
def entries(draw) -> dict:
    born = draw(days)
    taken = draw(st.dates(born, date(2026, 1, 1)))
    category = draw(st.sampled_from([*categories()]))
    count = draw(st.integers(1, 4))
    images = [
        {
            "file": f"images/{number}.{draw(st.sampled_from(['png', 'jpg', 'jpeg']))}",
            "sha256": draw(st.binary(min_size=32, max_size=32)).hex(),
            "source": draw(st.sampled_from([*image_sources()])),
            "taken": taken.isoformat(),
        }
        for number in range(count)
    ]
    if draw(st.booleans()):
        images[0]["face"] = [draw(st.integers(0, 65535)), draw(st.integers(0, 65535))]
    made = {
        "reference": draw(references),
        "category": category,
        "requested_response": draw(st.sampled_from(["red", "amber", "green"])),
        "date_of_birth": born.isoformat(),
        "review_date": draw(days).isoformat(),
        "images": images,
        **{
            name: draw(texts)
            for name in ("legal_basis", "holding_statement", "reason", "originating_officer")
        },
    }
    if draw(st.booleans()):
        made["under_18_authority"] = draw(texts)
    if category == "blue_list":
        made["consent_reference"] = draw(texts)
    return made


def a_good_entry() -> dict:
    return {
        "reference": "W-1",
        "category": "wanted_by_court",
        "requested_response": "amber",
        "legal_basis": "Bail Act 1976 s7",
        "holding_statement": "custody image",
        "date_of_birth": "1988-02-29",
        "reason": "warrant",
        "originating_officer": "DC 1123",
        "review_date": "2026-12-31",
        "images": [{"file": "images/a.png", "sha256": "0" * 64, "source": "custody", "taken": "2025-08-14"}],
    }


def faults(entry: object) -> list[Fault]:
    return [item for item in read_entries({"entries": [entry]}) if isinstance(item, Fault)]


@given(st.lists(entries(), min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_what_is_written_comes_back(made):
    raw = rfc8785.dumps(HEAD | {"entries": made})
    found = parse(raw)
    assert read_head(found) == manifest.Head.model_validate(HEAD)
    read = list(read_entries(found))
    assert not [item for item in read if isinstance(item, Fault)]
    assert canonical(Manifest.model_validate(HEAD | {"entries": made})) == raw
    for item, source in zip(read, made, strict=True):
        assert isinstance(item, BundleEntry)
        entry = item.entry()
        assert Entry.from_json(json.loads(json.dumps(entry.to_json()))) == entry
        for name in ("reference", "category", "legal_basis", "reason", "holding_statement"):
            assert getattr(entry, name) == source[name]


@given(entries(), st.sampled_from(REQUIRED), st.data())
@settings(max_examples=80, deadline=None)
def test_every_missing_field_is_refused_by_its_name(made, name, data):
    del made[name]
    (fault,) = [item for item in faults(made) if item.message == "is missing"]
    assert fault.where.endswith(f", {name}")
    image = data.draw(st.sampled_from(["file", "sha256", "source", "taken"]))
    other = a_good_entry()
    del other["images"][0][image]
    assert [item.where for item in faults(other)] == [f"W-1, images.0.{image}"]


@given(entries(), st.text(min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_unknown_fields_are_refused(made, name):
    if name in BundleEntry.model_fields:
        return
    assert any("is not a field of this format" in fault.message for fault in faults(made | {name: "x"}))


_WRONG_TEXT = [
    "",
    " ",
    "x" * 501,
    "a\x00b",
    "a\nb",
    "a\x1b[2Jb",
    "a\u200bb",
    "\u202ex",
    "e\u0301",
    " x",
    "x\t",
    7,
    None,
    ["x"],
]
WRONG: dict[str, list] = {
    "reference": ["", "=W-1", "-1", "W\u0301", "x" * 65, "W\n1", "W-1\n", 7, None],
    "category": ["other", "", "Wanted_by_court", "wanted_by_court ", 1, None, ["blue_list"]],
    "requested_response": ["blue", "RED", "", None, 1],
    "date_of_birth": [
        "",
        "1988-2-29",
        "1987-02-29",
        "29/02/1988",
        "19880229",
        "1899-12-31",
        "1988-W09-1",
        None,
        1988,
    ],
    "review_date": ["", "soon", "2026-13-01", "2026-11-22T00:00:00", None],
    "legal_basis": _WRONG_TEXT,
    "holding_statement": _WRONG_TEXT,
    "reason": _WRONG_TEXT,
    "originating_officer": _WRONG_TEXT,
    "under_18_authority": _WRONG_TEXT,
    "consent_reference": [*_WRONG_TEXT, "C-1"],  # and nobody else than the blue list has one
    "images": [[], {}, None, "a.png", [{}], [7]],
}
_WRONG_IMAGE: dict[str, list] = {
    "file": [
        "",
        "a.png",
        "images/",
        "images/../a.png",
        "/images/a.png",
        "images/a.gif",
        "images/\u00e9.png",
        "images/a.png\n",
        "images\\a.png",
        "images/a.PNG",
        "images/.png",
        7,
        None,
    ],
    "sha256": ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, None, 0],
    "source": ["", "other", "Custody", "facebook", None, 1],
    "taken": ["", "yesterday", "2025-02-30", "1899-01-01", None, 20250814],
    "face": [[1], [1, 2, 3], [-1, 2], [1, 65536], [1.5, 2], ["1", "2"], "1 2", None, {}, [True, False]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_every_illegal_field_is_refused_by_its_name(name, value):
    found = faults(a_good_entry() | {name: value})
    assert found
    assert all(name in fault.where for fault in found)
    assert all("W-1" in fault.where for fault in found) or name == "reference"


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in _WRONG_IMAGE.items() for value in values]
)
def test_every_illegal_field_of_an_image_is_refused_by_its_name(name, value):
    made = a_good_entry()
    made["images"][0] |= {name: value}
    found = faults(made)
    assert found
    assert all(name in fault.where for fault in found)


def test_the_blue_list_needs_consent_and_nobody_else_has_any():
    blue = a_good_entry() | {"category": "blue_list"}
    assert [(fault.where, fault.message) for fault in faults(blue)] == [
        ("W-1, consent_reference", "is needed on the blue list, and only there")
    ]
    assert faults(blue | {"consent_reference": "C-7"}) == []
    assert faults(a_good_entry()) == []


def test_too_many_images_and_the_same_twice():
    made = a_good_entry()
    made["images"] = made["images"] * 33
    assert "images" in faults(made)[0].where
    made["images"] = made["images"][:2]
    (item,) = read_entries({"entries": [made]})
    assert isinstance(item, BundleEntry)
    with pytest.raises(ValueError, match="named twice"):
        item.entry()


@pytest.mark.parametrize("name", [*HEAD])
def test_the_head_is_needed_whole(name):
    with pytest.raises(WatchlistError, match=f"{name}: is missing"):
        read_head({key: value for key, value in HEAD.items() if key != name})
    with pytest.raises(WatchlistError, match=name):
        read_head(HEAD | {name: ""})
    with pytest.raises(WatchlistError, match="more: is not a field"):
        read_head(HEAD | {"more": 1})


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T06:30:00", "2026-11-22T25:00:00Z", "2026-02-30T00:00:00Z", "2026-11-22T06:30:00+01:00"],
)
def test_the_moment_is_utc_and_real(text):
    with pytest.raises(WatchlistError, match="compiled_at"):
        read_head(HEAD | {"compiled_at": text})


def test_a_fault_never_shows_the_value():
    secret = "Jane Doe, 12 Example Street"
    shown = [
        str(fault)
        for fault in faults(
            a_good_entry() | {"name": secret, "date_of_birth": secret, "reason": secret + "\n"}
        )
    ]
    assert len(shown) == 3
    assert not any(secret in text for text in shown)


def test_names_of_fields_cannot_write_to_the_terminal():
    (fault,) = faults(a_good_entry() | {"\x1b[2J" + "x" * 5000: 1})
    assert "\x1b" not in fault.where
    assert len(fault.where) < 100


@given(texts)
@settings(max_examples=80, deadline=None)
def test_text_that_looks_like_a_formula_is_kept_and_escaped_in_a_table(text):
    (item,) = read_entries({"entries": [a_good_entry() | {"reason": text}]})
    assert isinstance(item, BundleEntry)
    entry = item.entry()
    assert entry.reason == text
    head, row = csv.reader(io.StringIO(table([entry])))
    cell = row[head.index("reason")]
    assert cell == (f"'{text}" if text.lstrip(" ")[0] in "=+-@＝＋－＠" else text)


def test_the_published_schema_is_the_one_that_is_enforced():
    published = json.loads((REPOSITORY / "watchlists" / "bundle.schema.json").read_text())
    assert published == manifest.schema()
    assert published["$defs"]["BundleEntry"]["required"] == REQUIRED
    assert published["$defs"]["BundleEntry"]["properties"]["category"]["enum"] == [*categories()]
    assert published["additionalProperties"] is False
