"""JSON of another system: moved and translated by a mapping, or refused with the field."""

from __future__ import annotations

import base64
import json
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from pictures_for_tests import png

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.bundle import Mapping, read_list, read_mapped, read_mapping
from lfr_edge.watchlist.bundle import mapped as mapped_module
from lfr_edge.watchlist.bundle.mapping import at_path, day_text
from lfr_edge.watchlist.entry import CandidateImage, Response

MAPPINGS = Path(__file__).resolve().parents[2] / "watchlists" / "mappings"
TODAY = date(2026, 11, 22)
FORMAT = 'format = "lfr-edge watchlist mapping 1"\nname = "test"\n'
PLAIN = (
    FORMAT
    + """
[fields]
reference = { path = "id" }
category = { path = "why", codes = "why" }
requested_response = { constant = "amber" }
date_of_birth = { path = "born", date = "DD.MM.YYYY" }
reason = { path = "note" }
[images]
list = "pictures"
file = "name"
[codes.why]
w = "wanted_by_court"
x = "something else"
"""
)
PERSON = {
    "id": "W-1",
    "why": "w",
    "born": "29.02.1988",
    "note": "text",
    "name": "Jane Doe",
    "pictures": [{"name": "a.png"}],
}


def mapping(tmp_path: Path, text: str = PLAIN) -> Mapping:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return read_mapping(path)


def read(tmp_path: Path, *people: object, text: str = PLAIN, **kwargs):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "export.json").write_text(json.dumps(list(people)))
    return read_mapped(tmp_path / "export.json", mapping(tmp_path, text), today=TODAY, **kwargs)


@pytest.mark.parametrize(
    ("name", "references"),
    [("nec-style", ["W-2026-0411", "W-2026-0412"]), ("rest-json", ["W-2026-0411", "BL-07"])],
)
def test_the_published_mappings_read_their_examples(name, references):
    """Complete enough to be signed: nothing is left unsaid."""
    made = read_mapping(MAPPINGS / f"{name}.toml")
    found = read_mapped(MAPPINGS / "examples" / name, made, purpose="operational", today=TODAY).required()
    assert [entry.reference for entry in found.entries] == references
    first = found.entries[0]
    assert (first.category, first.requested_response) == ("wanted_by_court", Response.AMBER)
    assert first.date_of_birth == date(1988, 2, 29)
    assert first.images[0].source == "custody"
    assert first.images[0].taken == date(2025, 8, 14)
    assert found.pictures.read(first.images[0].file).startswith(b"\x89PNG")
    assert "(not taken)" not in repr(found)


def test_what_the_mapping_does_not_name_is_not_taken(tmp_path):
    found = read(tmp_path, PERSON).required()
    (entry,) = found.entries
    assert entry.images == (CandidateImage("a.png"),)
    assert entry.date_of_birth == date(1988, 2, 29)
    assert "Jane" not in repr(found)
    assert len(found.bundle_sha256) == 64


def test_nobody_signed_it(tmp_path):
    read(tmp_path, PERSON)
    found = read_list(tmp_path / "export.json", purpose="operational", mapping=tmp_path / "mapping.toml")
    assert found.problems[0].field == "signature"
    assert "legal_basis" in str(found.problems)
    plain = read_list(tmp_path / "export.json", purpose="evaluation", mapping=tmp_path / "mapping.toml")
    assert not plain.problems


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"why": "q"}, "category", "'q' is not in the table [codes.why]"),
        ({"why": "x"}, "category", "must be one of"),
        ({"why": None}, "category", "must be one of"),
        ({"id": None}, "reference", "1 to 64"),
        ({"id": "=1+1"}, "reference", "1 to 64"),
        ({"born": "1988-02-29"}, "date_of_birth", ""),
        ({"born": "31.02.1988"}, "date_of_birth", "not a date"),
        ({"born": "01.01.2999"}, "date_of_birth", "in the future"),
        ({"note": "a\nb"}, "reason", "control characters"),
        ({"note": "x" * 501}, "reason", "at most 500"),
        ({"pictures": []}, "images", "1 to 32"),
        ({"pictures": "a.png"}, "images", "1 to 32"),
        ({"pictures": [{"name": "../a.png"}]}, "images", "not the name of a file inside"),
        ({"pictures": [{"name": "/etc/passwd"}]}, "images", "not the name of a file inside"),
        ({"pictures": [{"name": 7}]}, "images", "No such file"),
        ({"pictures": [{}]}, "images", "not the name of a file"),
    ],
)
def test_a_wrong_person_is_named_with_the_field(tmp_path, change, field, words):
    found = read(
        tmp_path, {"id": "W-0", "why": "w", "pictures": [{"name": "a.png"}]} | {"id": "W-0"}, PERSON | change
    )
    problems = [str(problem) for problem in found.problems]
    if change == {"born": "1988-02-29"}:
        assert not [
            text for text in problems if "date_of_birth" in text
        ]  # ISO is understood whatever the form
        return
    mine = [text for text in problems if field in text and words in text]
    assert mine
    with pytest.raises(WatchlistError):
        found.required()


def test_people_of_several_documents_and_the_same_person_twice(tmp_path):
    made = mapping(tmp_path)
    folder = tmp_path / "pages"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(4, 4, number))
        person = PERSON | {"id": f"W-{number}", "pictures": [{"name": f"{number}.png"}]}
        (folder / f"{number}.json").write_text(json.dumps(person))  # one person, no list
    assert len(read_mapped(folder, made, today=TODAY).required().entries) == 3
    (folder / "3.json").write_text((folder / "1.json").read_text())
    assert "twice" in str(read_mapped(folder, made, today=TODAY).problems)


INSIDE = PLAIN.replace('file = "name"', 'data = "content"')


def test_pictures_inside_the_document(tmp_path):
    content = base64.b64encode(png(5, 5)).decode()
    people = [PERSON | {"id": f"W-{n}", "pictures": [{"content": content}]} for n in range(2)]
    found = read(tmp_path, *people, text=INSIDE).required()
    names = [entry.images[0].file for entry in found.entries]
    assert names == ["export.json#1-1.png", "export.json#2-1.png"]
    assert found.pictures.read(names[1]) == png(5, 5)
    (tmp_path / "export.json").write_text("[]")
    found.pictures._document = ("", [])  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="changed while it was read"):
        found.pictures.read(names[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing"),
        (7, "no text"),
        ("%%%%", "not base64"),
        ("aGVsbG8=", "not a JPEG or PNG"),
        ("A" * 15_000_000, "larger than"),
    ],
)
def test_wrong_pictures_inside(tmp_path, content, words):
    found = read(tmp_path, PERSON | {"pictures": [{"content": content}]}, text=INSIDE)
    assert words in str(found.problems)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('reference = { path = "id" }', 'refrence = { path = "id" }', "is no field of an entry"),
        ('path = "id"', 'path = "id[*]"', "write a path"),
        ('path = "id"', 'path = ""', "at least 1"),
        ('{ path = "id" }', '{ path = "id", constant = "x" }', "either path or constant"),
        ('{ path = "id" }', "{}", "either path or constant"),
        ("DD.MM.YYYY", "DD.MM.YY", "write a date form"),
        ('codes = "why"', 'codes = "because"', "no table [codes.because]"),
        ('file = "name"', "", "either file or data"),
        ('file = "name"', 'file = "name"\nurl = "https://x"', "Extra inputs"),
        ("mapping 1", "mapping 2", "format"),
        ("[images]", "[images", "line"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_field(tmp_path, old, new, words):
    assert old in PLAIN
    with pytest.raises(WatchlistError) as caught:
        mapping(tmp_path, PLAIN.replace(old, new, 1))
    assert caught.value.code == "watchlist_mapping_refused"
    assert words in caught.value.message


def test_files_that_are_none(tmp_path, monkeypatch):
    made = mapping(tmp_path)
    with pytest.raises(WatchlistError, match="No such file"):
        read_mapping(tmp_path / "absent.toml")
    for make, words in [
        (lambda path: None, "not a JSON file"),
        (lambda path: path.mkdir(), "0 JSON files"),
        (lambda path: path.write_text("{"), "not JSON"),
        (lambda path: path.write_text("[" * 100_000), "not JSON"),
        (lambda path: path.write_text("7"), "no list of people"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
    ]:
        path = tmp_path / f"{words[:3]}{id(make)}.json"
        make(path)
        with pytest.raises(WatchlistError, match=words) as caught:
            read_mapped(path, made)
        assert caught.value.code == "watchlist_json_unreadable"
    monkeypatch.setattr(mapped_module, "MOST_JSON_BYTES", 10)
    (tmp_path / "large.json").write_text(" " * 11)
    with pytest.raises(WatchlistError, match="11 bytes"):
        read_mapped(tmp_path / "large.json", made)


def test_paths():
    raw = {"a": {"b": [{"k": "x", "v": 1}, {"k": "y.z", "v": 2}]}, "n": 3}
    assert at_path(raw, "a.b[1].v") == 2
    assert at_path(raw, "a.b[k=x].v") == 1
    assert at_path(raw, "a.b[k=y.z].v") == 2
    assert [at_path(raw, way) for way in ("a.b[9].v", "a.b[k=q].v", "n.a", "q", "a[0]", "n[k=x]")] == [
        None
    ] * 6


@given(
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.sampled_from(["DD/MM/YYYY", "YYYYMMDD", "YYYY-MM-DD", "MM.DD.YYYY", "DDMMYYYY"]),
)
def test_dates_in_any_form_come_out_in_one(day, form):
    text = (
        form.replace("YYYY", f"{day.year:04}").replace("MM", f"{day.month:02}").replace("DD", f"{day.day:02}")
    )
    assert day_text(text, form) == day.isoformat()
    assert day_text(f"{text}T10:00:00Z", form) == day.isoformat()
    assert day_text(f"{text}1", form) == f"{text}1"


def test_there_is_no_network_client_here():
    """What reaches this program is a file that somebody carried."""
    package = Path(mapped_module.__file__).parent
    for path in package.glob("*.py"):
        text = path.read_text()
        assert not any(
            f"import {name}" in text for name in ("socket", "urllib", "http", "aiohttp", "ssl", "requests")
        )
