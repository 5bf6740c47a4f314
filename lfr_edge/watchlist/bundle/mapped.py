"""JSON files of another system, read by a mapping → a survey. Files only: there is no network client here.

A force exports from its own system on its own network; what reaches this program is a file that somebody carried.
"""

from __future__ import annotations

import base64
import binascii
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from lfr_edge.errors import WatchlistError
from lfr_edge.models.licence import Purpose
from lfr_edge.sentences import say
from lfr_edge.watchlist.bundle.mapping import FIELDS, From, Mapping, at_path, day_text
from lfr_edge.watchlist.entry import TEXTS, CandidateImage, Entry, Response
from lfr_edge.watchlist.findings import Findings, Progress, Survey
from lfr_edge.watchlist.folder import check_pictures
from lfr_edge.watchlist.pictures import MOST_BYTES, read_inside
from lfr_edge.watchlist.whole import check_whole

MOST_JSON_BYTES: Final = 64 << 20
MOST_DOCUMENTS: Final = 50_000
_PNG_BASE64: Final = base64.b64encode(b"\x89PNG\r\n").decode()  # six bytes: no padding


@dataclass(slots=True)
class MappedPictures:
    """Pictures beside the documents, or inside them. **Thread rule:** one thread (it keeps the last document)."""

    folder: Path
    mapping: Mapping
    places: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # name → document, person, image
    _document: tuple[str, list[Any]] = ("", [])

    def read(self, name: str) -> bytes:
        place = self.places.get(name)
        data = self._inside(*place) if place else read_inside(self.folder, name)
        check_whole(name, data)
        return data

    def _inside(self, document: str, person: int, image: int) -> bytes:
        if self._document[0] != document:
            self._document = (document, _people(_parse(self.folder, document), self.mapping))
        try:
            listed = at_path(self._document[1][person], self.mapping.images.list)
            return _decode(at_path(listed[image], self.mapping.images.data or ""))
        except (IndexError, TypeError):
            raise ValueError(f"{document} changed while it was read") from None


def read_mapped(
    path: Path,
    mapping: Mapping,
    *,
    purpose: Purpose = "evaluation",
    today: date | None = None,
    progress: Progress | None = None,
) -> Survey:
    """One JSON file, or every ``*.json`` of a folder, with pictures beside them or inside.

    Raises:
        WatchlistError: ``watchlist_json_unreadable``. Faults of single people are the survey's problems.
    """
    folder, names = _documents(path)
    findings = Findings(today or datetime.now(UTC).date(), purpose)
    pictures = MappedPictures(folder, mapping)
    digest = sha256()
    for name in names:
        try:
            raw = read_inside(folder, name, MOST_JSON_BYTES)
            people = _people(_parsed(raw), mapping)
        except ValueError as error:
            raise _unreadable(folder / name, str(error)) from None
        digest.update(sha256(raw).digest())
        for number, person in enumerate(people):
            _Person(mapping, findings, pictures, name, number, person).take()
    check_pictures(pictures, findings, progress)
    return findings.survey(folder, pictures, bundle_sha256=digest.hexdigest())


@dataclass(slots=True)
class _Person:
    mapping: Mapping
    findings: Findings
    pictures: MappedPictures
    document: str
    number: int
    raw: Any
    where: str = ""

    def take(self) -> None:
        self.where = f"{self.document} person {self.number + 1}, "
        before = len(self.findings.problems)
        values = {name: self._value(name, self.mapping.fields.get(name), self.raw) for name in FIELDS}
        response = self._response(values["requested_response"])
        born = self.findings.day_of(None, self.where + "date_of_birth", values["date_of_birth"])
        review = self.findings.day_of(None, self.where + "review_date", values["review_date"], future=True)
        try:
            entry = Entry(
                reference=values["reference"],
                category=values["category"],
                requested_response=response,
                images=tuple(self._images()),
                date_of_birth=born,
                review_date=review,
                **{name: values[name] for name in TEXTS},
            )
        except ValueError as error:
            name, _, message = str(error).partition(": ")
            self.findings.problem(None, self.where + name, message)
            return
        if len(self.findings.problems) == before:
            self.findings.add(None, entry, f"{entry.reference}, ")

    def _value(self, name: str, source: From | None, raw: Any) -> str:
        if source is None:
            return ""
        try:
            text = unicodedata.normalize("NFC", self.mapping.value(raw, source))
        except ValueError as error:
            self.findings.problem(
                None, self.where + name, str(error), "add it to the mapping, or leave them out"
            )
            return ""
        return day_text(text, source.date) if name in {"date_of_birth", "review_date", "taken"} else text

    def _response(self, text: str) -> Response:
        try:
            return Response(text)
        except ValueError:
            self.findings.problem(
                None,
                self.where + "requested_response",
                "is none of red, amber, green",
                "see the mapping's codes",
            )
            return Response.AMBER

    def _images(self) -> Iterator[CandidateImage]:
        images = self.mapping.images
        listed = at_path(self.raw, images.list)
        for index, image in enumerate(listed if isinstance(listed, list) else []):
            taken = self._value("taken", images.taken, image)
            yield CandidateImage(
                self._file(index, image),
                self._value("image_source", images.source, image),
                self.findings.day_of(None, self.where + "image_taken", taken),
            )

    def _file(self, index: int, image: Any) -> str:
        if self.mapping.images.file is not None:
            return str(at_path(image, self.mapping.images.file) or "")
        data = at_path(image, self.mapping.images.data or "")
        suffix = "png" if isinstance(data, str) and data.startswith(_PNG_BASE64) else "jpg"
        name = f"{self.document}#{self.number + 1}-{index + 1}.{suffix}"
        self.pictures.places[name] = (self.document, self.number, index)
        return name


def _documents(path: Path) -> tuple[Path, list[str]]:
    if path.is_file():
        return path.parent, [path.name]
    if not path.is_dir():
        raise _unreadable(path, "not a JSON file and not a folder of them")
    names = sorted(item.name for item in path.iterdir() if item.suffix.lower() == ".json")
    if not 1 <= len(names) <= MOST_DOCUMENTS:
        raise _unreadable(
            path,
            say(
                "{names_count} JSON files; 1 to {most_documents} are taken",
                names_count=len(names),
                most_documents=MOST_DOCUMENTS,
            ),
        )
    return path, names


def _parse(folder: Path, name: str) -> Any:
    return _parsed(read_inside(folder, name, MOST_JSON_BYTES))


def _parsed(raw: bytes) -> Any:
    """Raises ValueError with a sentence."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None


def _people(document: Any, mapping: Mapping) -> list[Any]:
    found = document if mapping.persons is None else at_path(document, mapping.persons)
    if mapping.persons is None and isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        raise ValueError(f"no list of people at {mapping.persons or 'the top'}")
    return found


def _decode(text: Any) -> bytes:
    """Raises ValueError with a sentence."""
    if not isinstance(text, str) or len(text) > MOST_BYTES * 4 // 3 + 4:
        raise ValueError(f"a picture is missing, no text, or larger than {MOST_BYTES >> 20} MiB")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a picture is not base64") from None


def _unreadable(path: Path, why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_json_unreadable",
        say("{path}: {why}", path=path, why=why),
        hint="name the exported JSON file, or the folder that holds it and the pictures",
    )
