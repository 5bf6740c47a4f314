"""A folder with pictures and a CSV, or with one folder of pictures per person → entries, or every reason why not.

All or nothing: one wrong row refuses the list, and every wrong row is named at once, with its line, the field and
what to do.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from lfr_edge.errors import WatchlistError
from lfr_edge.models.licence import Purpose
from lfr_edge.sentences import say
from lfr_edge.watchlist.entry import MOST_IMAGES, TEXTS, CandidateImage, Entry, Response, categories
from lfr_edge.watchlist.findings import Findings, FolderPictures, Pictures, Problem, Progress, Survey

__all__ = ["MOST_CSV_BYTES", "Problem", "Progress", "Survey", "check_pictures", "read_folder", "survey"]

REQUIRED: Final = ("reference", "category", "response", "images")
OPTIONAL: Final = ("image_source", "image_taken", "image_face", "date_of_birth", "review_date", *TEXTS)
# A van needs no names: the reference leads to the person in the force's own system (domain.md 2).
NAMES: Final = frozenset({"name", "surname", "forename", "first_name", "last_name", "full_name"})
MOST_CSV_BYTES: Final = 64 << 20
MOST_PICTURES: Final = 500_000
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})


def survey(
    path: Path,
    *,
    category: str | None = None,
    response: Response = Response.AMBER,
    progress: Progress | None = None,
    today: date | None = None,
    purpose: Purpose = "evaluation",
) -> Survey:
    """Read a folder (or a CSV file beside its pictures) and look at every field and every picture's header.

    A folder without a CSV holds one folder per person, whose name is the reference; `category` is then needed and
    `response` applies to all. Nothing is decoded. `today` is the day of the deployment, UTC's unless given.

    Raises:
        WatchlistError: ``watchlist_folder_missing`` or ``watchlist_csv_unreadable``. Faults of single rows are
            not raised: they are the survey's problems.
    """
    folder, table = _locate(path)
    found = Findings(today or datetime.now(UTC).date(), purpose)
    digest = ""
    if table is None:
        _read_people(folder, category, response, found)
    else:
        raw, text = _csv_text(table)
        digest = sha256(raw).hexdigest()
        _read_rows(text, found)
    pictures = FolderPictures(folder)
    check_pictures(pictures, found, progress)
    return found.survey(folder, pictures, bundle_sha256=digest)


def read_folder(path: Path, *, category: str | None = None, response: Response = Response.AMBER) -> Survey:
    """A list without a problem. Raises WatchlistError ``watchlist_refused`` and those of :func:`survey`."""
    return survey(path, category=category, response=response).required()


def _locate(path: Path) -> tuple[Path, Path | None]:
    if path.is_file() and path.suffix.lower() == ".csv":
        return path.parent, path
    if not path.is_dir():
        raise WatchlistError(
            "watchlist_folder_missing",
            say("{path} is not a folder and not a CSV file", path=path),
            hint="give the folder that holds watchlist.csv and the pictures; the format is in watchlists/README.md",
        )
    tables = sorted(item for item in path.iterdir() if item.suffix.lower() == ".csv")
    if len(tables) > 1:
        tables = [item for item in tables if item.name == "watchlist.csv"]
        if not tables:
            raise WatchlistError(
                "watchlist_csv_unreadable",
                say("{path} holds several CSV files and none is called watchlist.csv", path=path),
                hint="rename the list to watchlist.csv, or give its path instead of the folder's",
            )
    return path, tables[0] if tables else None


def _csv_text(table: Path) -> tuple[bytes, str]:
    try:
        with table.open("rb") as file:
            raw = file.read(MOST_CSV_BYTES + 1)
        if len(raw) > MOST_CSV_BYTES:
            raise ValueError(f"it is larger than {MOST_CSV_BYTES >> 20} MiB")
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise WatchlistError(
            "watchlist_csv_unreadable",
            say("{table}, line {line}: not UTF-8 text", table=table, line=line),
            hint="save the table as CSV UTF-8",
        ) from None
    except (OSError, ValueError) as error:
        raise WatchlistError(
            "watchlist_csv_unreadable",
            say("{table}: {error}", table=table, error=error),
            hint="see watchlists/README.md for the format",
        ) from None
    return raw, unicodedata.normalize("NFC", text)


def _read_rows(text: str, found: Findings) -> None:
    rows = _rows(text, found)
    head = next(rows, (1, []))[1]
    columns = [name.strip().lower() for name in head]
    if not _check_columns(columns, found):
        return
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            found.problem(
                line,
                "row",
                say(
                    "{cells_count} fields where the first line has {columns_count}",
                    cells_count=len(cells),
                    columns_count=len(columns),
                ),
                "put text that contains a comma in double quotes",
            )
            continue
        _read_row(line, dict(zip(columns, map(str.strip, cells), strict=True)), found)


def _rows(text: str, found: Findings) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        found.problem(reader.line_num, "row", say("not CSV: {error}", error=error), "check the double quotes")


def _check_columns(columns: list[str], found: Findings) -> bool:
    before = len(found.problems)
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t"):
        found.problem(1, "columns", "the fields are not separated by commas", "save with comma as separator")
        return False
    for name in REQUIRED:
        if name not in columns:
            found.problem(
                1,
                name,
                "the column is missing",
                say("the first line names {required}", required=", ".join(REQUIRED)),
            )
    for name in columns:
        if columns.count(name) > 1:
            found.problem(1, name or "columns", "the column is there twice")
        elif name in NAMES:
            found.warnings.append(
                Problem(1, name, "names are not taken into the van; the column is ignored", "leave it out")
            )
        elif name not in REQUIRED + OPTIONAL:
            known = ", ".join(REQUIRED + OPTIONAL)
            found.problem(1, name or "columns", "an unknown column", say("known are {known}", known=known))
    return len(found.problems) == before


def _read_row(line: int, row: dict[str, str], found: Findings) -> None:
    before = len(found.problems)
    born = found.day_of(line, "date_of_birth", row.get("date_of_birth", ""))
    review = found.day_of(line, "review_date", row.get("review_date", ""), future=True)
    try:
        response = Response(row["response"].lower())
    except ValueError:
        found.problem(line, "response", say("{row!a} is none of red, amber, green", row=row["response"]))
        response = Response.AMBER
    try:
        entry = Entry(
            reference=row["reference"],
            category=row["category"].lower(),
            requested_response=response,
            images=_images(line, row, found),
            date_of_birth=born,
            review_date=review,
            **{name: row.get(name, "") for name in TEXTS},
        )
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        found.problem(line, name, message)
        return
    if len(found.problems) == before:
        found.add(line, entry)


def _images(line: int, row: dict[str, str], found: Findings) -> tuple[CandidateImage, ...]:
    """Raises ValueError as :class:`CandidateImage` does, or where there are not as many values as images."""
    names = _listed(row["images"])
    sources = _one_each("image_source", row.get("image_source", ""), len(names))
    days = [
        found.day_of(line, "image_taken", text)
        for text in _one_each("image_taken", row.get("image_taken", ""), len(names))
    ]
    faces = [_face(text) for text in _one_each("image_face", row.get("image_face", ""), len(names))]
    return tuple(CandidateImage(*image) for image in zip(names, sources, days, faces, strict=True))


def _face(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,5}) ([0-9]{1,5})", text)
    if found is None:
        raise ValueError(
            "image_face: write two whole numbers of pixels, from the left and from the top: 120 88"
        )
    return int(found[1]), int(found[2])


def _one_each(name: str, cell: str, images: int) -> list[str]:
    """One value for all images, or one for each, separated as the images are."""
    values = [value.strip() for value in cell.split(";")]
    if len(values) == 1:
        return values * images
    if len(values) != images:
        raise ValueError(
            f"{name}: {len(values)} values for {images} images; give one for all, or one for each"
        )
    return values


def _listed(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(";") if name.strip()]


def _read_people(folder: Path, category: str | None, response: Response, found: Findings) -> None:
    if category is None:
        found.problem(
            None,
            "watchlist.csv",
            "the folder holds no CSV file",
            "add one, or say with --category why everybody here is looked for",
        )
        return
    if category not in categories():
        found.problem(
            None, "category", say("must be one of {categories}", categories=", ".join(categories()))
        )
        return
    for person in sorted(item for item in folder.iterdir() if item.is_dir() and not item.is_symlink()):
        pictures = sorted(item.name for item in person.iterdir() if item.suffix.lower() in _SUFFIXES)
        try:
            images = tuple(CandidateImage(f"{person.name}/{name}") for name in pictures[:MOST_IMAGES])
            found.add(None, Entry(person.name, category, response, images))
        except ValueError as error:
            found.problem(None, person.name, str(error))


def check_pictures(pictures: Pictures, found: Findings, progress: Progress | None = None) -> None:
    """Read every picture once: it is there, nobody else's, and of a kind and size that is taken."""
    total, owners = len(found.entries), dict[str, str]()
    for done, entry in enumerate(found.entries, 1):
        line = found.lines[entry.reference]
        where = "" if line else f"{entry.reference}, "
        for image in entry.images:
            try:
                if image.file in owners:
                    raise ValueError(f"{image.file} is also the image of {owners[image.file]}")
                pictures.read(image.file)
            except ValueError as error:
                found.problem(line, f"{where}images", str(error))
            owners[image.file] = entry.reference
        if len(owners) > MOST_PICTURES:
            found.problem(
                line, f"{where}images", say("more than {most_pictures} pictures", most_pictures=MOST_PICTURES)
            )
            return
        if progress:
            progress(done, total)
