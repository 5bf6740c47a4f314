"""A folder with pictures and a CSV, or with one folder of pictures per person → entries, or every reason why not.

All or nothing: one wrong row refuses the list, and every wrong row is named at once, with its line, the field and
what to do.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.entry import MOST_IMAGES, Entry, Response, categories
from lfr_edge.watchlist.pictures import read_picture

REQUIRED: Final = ("reference", "category", "response", "images")
OPTIONAL: Final = ("image_source", "image_taken", "date_of_birth", "reason")
# A van needs no names: the reference leads to the person in the force's own system (domain.md 2).
NAMES: Final = frozenset({"name", "surname", "forename", "first_name", "last_name", "full_name"})
MOST_CSV_BYTES: Final = 64 << 20
MOST_PICTURES: Final = 500_000
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})
_SHOWN: Final = 20  # problems in an error's text; `check --json` prints all

Progress = Callable[[int, int], None]
"""Told (done, total) entries."""


@dataclass(frozen=True, slots=True)
class Problem:
    line: int | None  # of the CSV, counted from 1; None where there is no CSV or no one line
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, {self.field}" if self.line else self.field
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in a folder. `entries` are complete only where there is no problem."""

    folder: Path
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def required(self) -> Survey:
        """Itself, or WatchlistError ``watchlist_refused`` with the first problems in its text."""
        if self.problems:
            shown = [str(problem) for problem in self.problems[:_SHOWN]]
            more = len(self.problems) - len(shown)
            raise WatchlistError(
                "watchlist_refused",
                f"the list is refused, nothing was changed; {len(self.problems)} problem(s):\n  "
                + "\n  ".join(shown + ([f"… and {more} more"] if more else [])),
                hint="correct the rows named above; see every problem with: lfr-edge watchlist check FOLDER",
            )
        return self


@dataclass(slots=True)
class _Found:
    today: date
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    lines: dict[str, int | None] = field(default_factory=dict)  # reference → where it stood first

    def problem(self, line: int | None, name: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(line, name, message, hint))


def survey(
    path: Path,
    *,
    category: str | None = None,
    response: Response = Response.AMBER,
    progress: Progress | None = None,
    today: date | None = None,
) -> Survey:
    """Read a folder (or a CSV file beside its pictures) and look at every field and every picture's header.

    A folder without a CSV holds one folder per person, whose name is the reference; `category` is then needed and
    `response` applies to all. Nothing is decoded.

    Raises:
        WatchlistError: ``watchlist_folder_missing`` or ``watchlist_csv_unreadable``. Faults of single rows are
            not raised: they are the survey's problems.
    """
    folder, table = _locate(path)
    found = _Found(today or datetime.now(UTC).date())
    if table is None:
        _read_people(folder, category, response, found)
    else:
        _read_rows(_csv_text(table), found)
    _check_pictures(folder, found, progress)
    if not found.entries and not found.problems:
        found.problem(None, "list", "there is nobody on it")
    return Survey(folder, tuple(found.entries), tuple(found.problems), tuple(found.warnings))


def read_folder(path: Path, *, category: str | None = None, response: Response = Response.AMBER) -> Survey:
    """A list without a problem. Raises WatchlistError ``watchlist_refused`` and those of :func:`survey`."""
    return survey(path, category=category, response=response).required()


def _locate(path: Path) -> tuple[Path, Path | None]:
    if path.is_file() and path.suffix.lower() == ".csv":
        return path.parent, path
    if not path.is_dir():
        raise WatchlistError(
            "watchlist_folder_missing",
            f"{path} is not a folder and not a CSV file",
            hint="give the folder that holds watchlist.csv and the pictures; the format is in watchlists/README.md",
        )
    tables = sorted(item for item in path.iterdir() if item.suffix.lower() == ".csv")
    if len(tables) > 1:
        tables = [item for item in tables if item.name == "watchlist.csv"]
        if not tables:
            raise WatchlistError(
                "watchlist_csv_unreadable",
                f"{path} holds several CSV files and none is called watchlist.csv",
                hint="rename the list to watchlist.csv, or give its path instead of the folder's",
            )
    return path, tables[0] if tables else None


def _csv_text(table: Path) -> str:
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
            f"{table}, line {line}: not UTF-8 text",
            hint="save the table as CSV UTF-8",
        ) from None
    except (OSError, ValueError) as error:
        raise WatchlistError(
            "watchlist_csv_unreadable", f"{table}: {error}", hint="see watchlists/README.md for the format"
        ) from None
    return unicodedata.normalize("NFC", text)


def _read_rows(text: str, found: _Found) -> None:
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
                f"{len(cells)} fields where the first line has {len(columns)}",
                "put text that contains a comma in double quotes",
            )
            continue
        _read_row(line, dict(zip(columns, map(str.strip, cells), strict=True)), found)


def _rows(text: str, found: _Found) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        found.problem(reader.line_num, "row", f"not CSV: {error}", "check the double quotes")


def _check_columns(columns: list[str], found: _Found) -> bool:
    before = len(found.problems)
    if len(columns) == 1 and any(sign in columns[0] for sign in ";\t"):
        found.problem(1, "columns", "the fields are not separated by commas", "save with comma as separator")
        return False
    for name in REQUIRED:
        if name not in columns:
            found.problem(1, name, "the column is missing", f"the first line names {', '.join(REQUIRED)}")
    for name in columns:
        if columns.count(name) > 1:
            found.problem(1, name or "columns", "the column is there twice")
        elif name in NAMES:
            found.warnings.append(
                Problem(1, name, "names are not taken into the van; the column is ignored", "leave it out")
            )
        elif name not in REQUIRED + OPTIONAL:
            known = ", ".join(REQUIRED + OPTIONAL)
            found.problem(1, name or "columns", "an unknown column", f"known are {known}")
    return len(found.problems) == before


def _read_row(line: int, row: dict[str, str], found: _Found) -> None:
    before = len(found.problems)
    dates = {name: _date(line, name, row.get(name, ""), found) for name in ("image_taken", "date_of_birth")}
    try:
        response = Response(row["response"].lower())
    except ValueError:
        found.problem(line, "response", f"{row['response']!a} is none of red, amber, green")
        response = Response.AMBER
    images = tuple(name.strip() for name in row["images"].split(";") if name.strip())
    try:
        entry = Entry(
            reference=row["reference"],
            category=row["category"].lower(),
            requested_response=response,
            images=images,
            image_source=row.get("image_source", ""),
            reason=row.get("reason", ""),
            **dates,
        )
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        found.problem(line, name, message)
        return
    if len(found.problems) == before:
        _add(line, entry, found)


def _date(line: int, name: str, text: str, found: _Found) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        found.problem(line, name, f"{text!a} is not a date", "write year-month-day, as in 2026-11-22")
        return None
    if not date(1900, 1, 1) <= day <= found.today:
        found.problem(line, name, f"{text} lies before 1900 or in the future")
    return day


def _add(line: int | None, entry: Entry, found: _Found) -> None:
    if entry.reference in found.lines:
        first = found.lines[entry.reference]
        where = f" (first in line {first})" if first else ""
        found.problem(
            line, "reference", f"{entry.reference} is there twice{where}", "give all images in one row"
        )
        return
    found.lines[entry.reference] = line
    found.entries.append(entry)


def _read_people(folder: Path, category: str | None, response: Response, found: _Found) -> None:
    if category is None:
        found.problem(
            None,
            "watchlist.csv",
            "the folder holds no CSV file",
            "add one, or say with --category why everybody here is looked for",
        )
        return
    if category not in categories():
        found.problem(None, "category", f"must be one of {', '.join(categories())}")
        return
    for person in sorted(item for item in folder.iterdir() if item.is_dir() and not item.is_symlink()):
        pictures = sorted(item.name for item in person.iterdir() if item.suffix.lower() in _SUFFIXES)
        try:
            images = tuple(f"{person.name}/{name}" for name in pictures[:MOST_IMAGES])
            _add(None, Entry(person.name, category, response, images), found)
        except ValueError as error:
            found.problem(None, person.name, str(error))


def _check_pictures(folder: Path, found: _Found, progress: Progress | None) -> None:
    total, owners = len(found.entries), dict[str, str]()
    for done, entry in enumerate(found.entries, 1):
        line = found.lines[entry.reference]
        for name in entry.images:
            try:
                if name in owners:
                    raise ValueError(f"{name} is also the image of {owners[name]}")
                read_picture(folder, name)
            except ValueError as error:
                found.problem(line, "images", str(error))
            owners[name] = entry.reference
        if len(owners) > MOST_PICTURES:
            found.problem(line, "images", f"more than {MOST_PICTURES} pictures")
            return
        if progress:
            progress(done, total)
