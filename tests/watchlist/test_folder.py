"""Folders and CSV files: what is taken, and what is refused with which words."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import contextlib

from pictures_for_tests import png

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import folder as folder_module
from lfr_edge.watchlist import pictures
from lfr_edge.watchlist.entry import TEXTS, CandidateImage, Entry, Response, categories
from lfr_edge.watchlist.folder import survey

HEAD = "reference,category,response,images"


def make(tmp_path: Path, *rows: str, head: str = HEAD, files=("a.png", "b.png")) -> Path:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png())
    (tmp_path / "watchlist.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return tmp_path


def problems(path: Path, **kwargs) -> list[tuple[int | None, str, str]]:
    return [(p.line, p.field, p.message) for p in survey(path, **kwargs).problems]


def test_a_full_row(tmp_path):
    path = make(
        tmp_path,
        '"W-1",wanted_by_court,RED,sub/a.png; b.png ,custody,2025-01-31,1990-05-06,"warrant, 2025"',
        head=f"\ufeff{HEAD},image_source,image_taken,date_of_birth,reason",
        files=("sub/a.png", "b.png"),
    )
    assert survey(path).required().entries == (
        Entry(
            "W-1",
            "wanted_by_court",
            Response.RED,
            (
                CandidateImage("sub/a.png", "custody", date(2025, 1, 31)),
                CandidateImage("b.png", "custody", date(2025, 1, 31)),
            ),
            date(1990, 5, 6),
            reason="warrant, 2025",
        ),
    )


def test_the_csv_may_be_named_itself_and_the_progress_is_told(tmp_path):
    make(tmp_path, "W-1,court_order,green,a.png", "", "W-2,court_order,green,b.png")
    (tmp_path / "watchlist.csv").rename(tmp_path / "list.csv")
    told = []
    assert len(survey(tmp_path / "list.csv", progress=lambda *step: told.append(step)).entries) == 2
    assert told == [(1, 2), (2, 2)]
    (tmp_path / "second.csv").write_text("x")
    with pytest.raises(WatchlistError) as caught:
        survey(tmp_path)
    assert caught.value.code == "watchlist_csv_unreadable"


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ("W-2,other,red,a.png", "category", "must be one of"),
        ("W-2,court_order,blue,a.png", "response", "none of red, amber, green"),
        ("W-2,court_order,red,", "images", "1 to 32"),
        ("W-2,court_order,red,a.png;a.png", "images", "twice"),
        ("W-2,court_order,red,none.png", "images", "No such file"),
        ("W-2,court_order,red,../a.png", "images", "not the name of a file inside"),
        ("W-2,court_order,red,/etc/passwd", "images", "not the name of a file inside"),
        ("W-2,court_order,red,watchlist.csv", "images", "not a JPEG or PNG"),
        ("W-2,court_order,red,b.png", "images", "also the image of W-1"),
        ("W-1,court_order,red,a.png", "reference", "twice (first in line 2)"),
        (",court_order,red,a.png", "reference", "1 to 64"),
        ("=W(1),court_order,red,a.png", "reference", "1 to 64"),
        ("W\x01,court_order,red,a.png", "reference", "1 to 64"),
        ("W-2,court_order,red", "row", "3 fields where the first line has 4"),
        ('W-2,court_order,red,"a.png" x', "row", "not CSV"),
    ],
)
def test_a_wrong_row_is_named_with_line_and_field(tmp_path, row, field, words):
    path = make(tmp_path, "W-1,court_order,red,b.png", row)
    (line, name, message), *more = problems(path)
    assert (line, name) == (3, field)
    assert words in message
    assert not more
    with pytest.raises(WatchlistError) as caught:
        survey(path).required()
    assert caught.value.code == "watchlist_refused"
    assert "line 3" in caught.value.message


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("image_taken", "31.1.2025", "not a date"),
        ("date_of_birth", "1899-12-31", "before 1900"),
        ("image_taken", "2999-01-01", "in the future"),
        ("reason", "x" * 501, "at most 500"),
        ("image_source", "a\x07b", "control characters"),
        ("image_sorce", "custody", "unknown column"),
    ],
)
def test_wrong_optional_fields(tmp_path, column, text, words):
    found = problems(make(tmp_path, f"W-1,court_order,red,a.png,{text}", head=f"{HEAD},{column}"))
    assert [name for _, name, _ in found] == [column]
    assert words in found[0][2]


def test_born_after_the_image_was_taken(tmp_path):
    path = make(
        tmp_path,
        "W-1,court_order,red,a.png,2000-01-01,2001-01-01",
        head=f"{HEAD},image_taken,date_of_birth",
    )
    assert problems(path) == [(2, "image_taken", "lies before the date of birth")]


def test_every_problem_is_found_at_once_and_the_text_stays_short(tmp_path):
    rows = [f"W-{n},other,red,a.png" for n in range(30)]
    with pytest.raises(WatchlistError) as caught:
        survey(make(tmp_path, *rows)).required()
    assert "30 problem(s)" in caught.value.message
    assert "… and 10 more" in caught.value.message


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ("reference,category,response", "images"),
        (HEAD + ",images", "images"),
        ("reference;category;response;images", "columns"),
        ("", "reference"),
    ],
)
def test_wrong_columns(tmp_path, head, field):
    assert field in [name for _, name, _ in problems(make(tmp_path, head=head))]


def test_names_are_left_out_with_a_warning(tmp_path):
    found = survey(make(tmp_path, "W-1,court_order,red,a.png,Jane Doe", head=f"{HEAD},name")).required()
    assert "names are not taken" in str(found.warnings[0])
    assert "Jane" not in repr(found)


def test_a_table_that_is_not_utf8(tmp_path):
    make(tmp_path)
    (tmp_path / "watchlist.csv").write_bytes(HEAD.encode() + b"\nW-\xe9,court_order,red,a.png\n")
    with pytest.raises(WatchlistError) as caught:
        survey(tmp_path)
    assert "line 2" in caught.value.message


def test_a_table_without_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "MOST_CSV_BYTES", 10)
    with pytest.raises(WatchlistError, match="larger than"):
        survey(make(tmp_path))


def test_an_empty_list_is_a_problem(tmp_path):
    assert problems(make(tmp_path)) == [(None, "list", "there is nobody on it")]


def test_a_folder_per_person(tmp_path):
    for name in ("Ada", "Bo"):
        (tmp_path / name).mkdir()
        for n in range(2):
            (tmp_path / name / f"{n}.png").write_bytes(png())
        (tmp_path / name / "notes.txt").write_text("not a picture")
    assert problems(tmp_path)[0][1] == "watchlist.csv"
    assert problems(tmp_path, category="other")[0][1] == "category"
    found = survey(tmp_path, category="wanted_by_court", response=Response.RED).required()
    files = [[image.file for image in entry.images] for entry in found.entries]
    assert files == [["Ada/0.png", "Ada/1.png"], ["Bo/0.png", "Bo/1.png"]]
    (tmp_path / "Cy").mkdir()
    assert problems(tmp_path, category="wanted_by_court") == [
        (None, "Cy", "images: 1 to 32 are needed, found 0")
    ]


def test_no_folder(tmp_path):
    with pytest.raises(WatchlistError) as caught:
        survey(tmp_path / "absent")
    assert caught.value.code == "watchlist_folder_missing"


def test_links_are_not_followed_anywhere(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(png())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "way").symlink_to(outside)
    os.mkfifo(inside / "pipe.png")
    (inside / "folder.png").mkdir()
    for name in ("link.png", "way/secret.png", "pipe.png", "folder.png"):
        with pytest.raises(ValueError):
            pictures.read_picture(inside, name)
    assert pictures.read_picture(outside, "secret.png") == png()  # the control


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/../b", "a\\b", "C:a", "a\x00b", "e\u0301.png", "a//b", "1/2/3/4/5.png", "x" * 300],
)
def test_names_that_are_not_inside(tmp_path, name):
    with pytest.raises(ValueError):
        pictures.read_picture(tmp_path, name)


def test_sizes_are_capped_before_anything_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(png(claimed=(60_000, 60_000)))
    (tmp_path / "none.png").write_bytes(b"")
    with pytest.raises(ValueError, match="pixels"):
        pictures.read_picture(tmp_path, "bomb.png")
    with pytest.raises(ValueError, match="bytes"):
        pictures.read_picture(tmp_path, "none.png")
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    (tmp_path / "big.png").write_bytes(png())
    with pytest.raises(ValueError, match="bytes"):
        pictures.read_picture(tmp_path, "big.png")


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00\xff\xda\x00\x08"


def test_the_size_in_a_jpeg():
    assert pictures.picture_size(JPEG) == (32, 16)


@given(
    st.binary(max_size=64)
    | st.builds(lambda raw, n: JPEG[:n] + raw, st.binary(max_size=40), st.integers(0, 30))
)
@settings(max_examples=500)
def test_any_bytes_are_a_size_or_a_refusal(raw):
    with contextlib.suppress(ValueError, IndexError, pictures.struct.error):
        assert len(pictures.picture_size(raw)) == 2


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=200)
def test_any_text_is_an_entry_that_survives_the_way_or_a_refusal(reference, text):
    try:
        image = CandidateImage("a.png", text)
        entry = Entry(reference, "court_order", Response.RED, (image,), **dict.fromkeys(TEXTS, text))
    except ValueError:
        return
    assert Entry.from_json(entry.to_json()) == entry
    assert not any(ord(sign) < 32 for sign in reference + text)
    assert reference[0].isalnum()  # never a formula in somebody's spreadsheet


def test_categories_are_closed_and_tied_to_the_policy():
    assert "other" not in categories()
    assert all(category.paragraph and category.meaning for category in categories().values())
    assert len({category.paragraph for category in categories().values()}) == len(categories())


FULL = (
    HEAD + ",image_source,image_taken,image_face,date_of_birth,legal_basis,holding_statement,reason,"
    "originating_officer,review_date,under_18_authority,consent_reference"
)
LAST = ",Bail Act,held,warrant,DC 1,2030-01-01,,"


def test_each_image_has_its_own_source_date_and_face(tmp_path):
    path = make(
        tmp_path,
        f"W-1,court_order,red,a.png;b.png,custody;family,2025-01-31; 2026-02-01,12 30;,1990-05-06{LAST}",
        head=FULL,
    )
    (entry,) = survey(path, purpose="operational").required().entries
    assert entry.images == (
        CandidateImage("a.png", "custody", date(2025, 1, 31), (12, 30)),
        CandidateImage("b.png", "family", date(2026, 2, 1)),
    )
    assert (entry.legal_basis, entry.review_date) == ("Bail Act", date(2030, 1, 1))


@pytest.mark.parametrize(
    ("cells", "field", "words"),
    [
        ("custody;family;police,2025-01-31,,1990-05-06", "image_source", "3 values for 2 images"),
        ("custody,2025-01-31;2025-01-31;2025-01-31,,1990-05-06", "image_taken", "3 values for 2 images"),
        ("custody,2025-01-31,12x30,1990-05-06", "image_face", "two whole numbers"),
        ("custody,2025-01-31,99999 1,1990-05-06", "image_face", "two whole numbers"),
        ("custody,20250131,,1990-05-06", "image_taken", "not a date"),
        ("custody,2025-W05-1,,1990-05-06", "image_taken", "not a date"),
    ],
)
def test_values_for_images_that_do_not_fit(tmp_path, cells, field, words):
    found = problems(make(tmp_path, f"W-1,court_order,red,a.png;b.png,{cells}{LAST}", head=FULL))
    assert found[0][1] == field
    assert words in found[0][2]


def test_what_is_unsaid_refuses_an_operational_list_and_is_a_warning_else(tmp_path):
    path = make(tmp_path, "W-1,court_order,red,a.png", "W-2,blue_list,green,b.png")
    strict = problems(path, purpose="operational")
    assert {name for line, name, _ in strict if line == 3} == {
        "legal_basis",
        "holding_statement",
        "reason",
        "originating_officer",
        "consent_reference",
        "date_of_birth",
        "review_date",
        "image_source",
        "image_taken",
    }
    lenient = survey(path).required()
    assert "in 2 of 2 entries" in str(next(one for one in lenient.warnings if one.field == "legal_basis"))
    assert "in 1 of 2 entries" in str(
        next(one for one in lenient.warnings if one.field == "consent_reference")
    )
