"""What the reading of a list found, whatever its format: entries, or every reason why not."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final, Protocol

from lfr_edge.errors import WatchlistError
from lfr_edge.models.licence import Purpose
from lfr_edge.sentences import Sentence, listed, say
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.lawful import gaps
from lfr_edge.watchlist.pictures import read_picture

_SHOWN: Final = 20  # problems in an error's text; `check --json` prints all
EARLIEST: Final = date(1900, 1, 1)

Progress = Callable[[int, int], None]
"""Told (done, total) entries."""


class Pictures(Protocol):
    """The pictures of a list, wherever they lie. **Thread rule:** any thread, one read at a time."""

    def read(self, name: str) -> bytes:
        """The encoded picture, checked anew at each read. Raises ValueError with a sentence for a person."""
        ...


@dataclass(frozen=True, slots=True)
class FolderPictures:
    folder: Path

    def read(self, name: str) -> bytes:
        return read_picture(self.folder, name)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signed the list: an enrolled key, not a claim."""

    key_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Problem:
    line: int | None  # of the CSV, counted from 1; None where there is no CSV or no one line
    field: str
    message: str
    hint: str = ""

    @property
    def sentence(self) -> str:
        place = say("line {line}, {field}", line=self.line, field=self.field) if self.line else self.field
        values = {"place": place, "message": _sentence(self.message), "hint": _sentence(self.hint)}
        return say("{place}: {message} ({hint})" if self.hint else "{place}: {message}", **values)

    def __str__(self) -> str:
        return str(self.sentence)


def _sentence(text: str) -> Sentence:
    return text if isinstance(text, Sentence) else say(text.replace("{", "{{").replace("}", "}}"))


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found. `entries` are complete only where there is no problem."""

    folder: Path  # or the archive
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    pictures: Pictures = field(default_factory=lambda: FolderPictures(Path()), repr=False)
    purpose: Purpose = "evaluation"
    issuer: Issuer | None = None  # None where nobody signed
    bundle_sha256: str = ""  # hex, of the manifest or of the table; empty where there is neither
    compiled_at: datetime | None = None  # UTC, by the issuer; None where nobody says
    operation: str = ""  # for which it was compiled, as its authority names it; empty where nobody says

    def required(self) -> Survey:
        """Itself, or WatchlistError ``watchlist_refused`` with the first problems in its text."""
        if self.problems:
            shown = [problem.sentence for problem in self.problems[:_SHOWN]]
            more = len(self.problems) - len(shown)
            raise WatchlistError(
                "watchlist_refused",
                say(
                    "the list is refused, nothing was changed; {count} problem(s):\n  {problems}",
                    count=len(self.problems),
                    problems=listed(
                        [*shown, *([say("… and {more} more", more=more)] if more else [])], "\n  "
                    ),
                ),
                hint="correct the rows named above; see every problem with: lfr-edge watchlist check FOLDER",
            )
        return self


@dataclass(slots=True)
class Findings:
    """Collects while a list is read; :meth:`survey` closes it.

    What an entry leaves unsaid (:func:`~lfr_edge.watchlist.lawful.gaps`) is a problem of that entry on an
    operational list, and one warning per field on a list for evaluation. **Thread rule:** one thread.
    """

    day: date  # of the deployment
    purpose: Purpose
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    lines: dict[str, int | None] = field(default_factory=dict)  # reference → where it stood first
    _unsaid: Counter[str] = field(default_factory=Counter)

    def problem(self, line: int | None, name: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(line, name, message, hint))

    def add(self, line: int | None, entry: Entry, where: str = "") -> None:
        """Take an entry. `where` stands before the fields in what is found, for lists without lines."""
        if entry.reference in self.lines:
            first = self.lines[entry.reference]
            message = (
                say(
                    "{reference} is there twice (first in line {first})",
                    reference=entry.reference,
                    first=first,
                )
                if first
                else say("{reference} is there twice", reference=entry.reference)
            )
            self.problem(line, f"{where}reference", message, "give all images of a person in one entry")
            return
        self.lines[entry.reference] = line
        self.entries.append(entry)
        found = gaps(entry, self.day)
        if self.purpose == "operational":
            for gap in found:
                self.problem(line, f"{where}{gap.field}", gap.message, gap.hint)
        else:
            self._unsaid.update(
                dict.fromkeys((gap.field for gap in found), 1)
            )  # in their order, each once an entry

    def day_of(self, line: int | None, name: str, text: str, *, future: bool = False) -> date | None:
        """A date in the one form that is taken, YYYY-MM-DD; None and a problem for anything else."""
        if not text:
            return None
        day = None
        if len(text) == len("2026-11-22"):  # Python takes more forms
            with contextlib.suppress(ValueError):
                day = date.fromisoformat(text)
        if day is None or text != day.isoformat():
            self.problem(
                line, name, say("{text!a} is not a date", text=text), "write year-month-day, as in 2026-11-22"
            )
            return None
        if day < EARLIEST or (day > self.day and not future):
            self.problem(
                line,
                name,
                say("{text} lies before 1900", text=text)
                if future
                else say("{text} lies before 1900 or in the future", text=text),
            )
        return day

    def survey(
        self,
        place: Path,
        pictures: Pictures,
        *,
        issuer: Issuer | None = None,
        bundle_sha256: str = "",
        compiled_at: datetime | None = None,
        operation: str = "",
    ) -> Survey:
        if not self.entries and not self.problems:
            self.problem(None, "list", "there is nobody on it")
        for name, count in self._unsaid.items():
            message = say(
                "not as an operational list needs it, in {count} of {entries} entries",
                count=count,
                entries=len(self.entries),
            )
            self.warnings.append(Problem(None, name, message))
        return Survey(
            place,
            tuple(self.entries),
            tuple(self.problems),
            tuple(self.warnings),
            pictures,
            self.purpose,
            issuer,
            bundle_sha256,
            compiled_at,
            operation,
        )
