"""A sought person on the list of one deployment, and the closed sets of reasons and sources for being on it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}")
MOST_IMAGES: Final = 32  # of one person
MOST_TEXT: Final = 500  # characters of a free field
MOST_SIDE: Final = 65_536  # pixels; JPEG ends there
BLUE_LIST: Final = "blue_list"  # the category of consenting staff
ADULT_YEARS: Final = 18
TEXTS: Final = (
    "legal_basis",
    "holding_statement",
    "reason",
    "originating_officer",
    "under_18_authority",
    "consent_reference",
)
"""The free texts of an entry. None is needed to make one; :func:`lfr_edge.watchlist.lawful.gaps` says what lacks."""


class Response(StrEnum):
    """What the policy asks for when the person is found (domain.md 2)."""

    RED = "red"  # immediate action
    AMBER = "amber"  # arrest or engage
    GREEN = "green"  # identify


@dataclass(frozen=True, slots=True)
class Category:
    code: str
    paragraph: str  # of the force's LFR policy
    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where candidate images may come from; the authority names which of these it admits."""

    code: str
    title: str
    meaning: str


@cache
def categories() -> Mapping[str, Category]:
    """Every category there is, by code, in the order of reports."""
    return {item["code"]: Category(**item) for item in _closed()["categories"]}


@cache
def image_sources() -> Mapping[str, ImageSource]:
    """Every source that an operational list may name, by code, in the order of reports."""
    return {item["code"]: ImageSource(**item) for item in _closed()["image_sources"]}


def _closed() -> Any:
    return json.loads(files("lfr_edge.watchlist").joinpath("categories.json").read_text(encoding="utf-8"))


def check_text(field: str, text: str) -> None:
    """Raises ValueError, beginning with the field, for text that is long, not NFC or holds control characters.

    Text that looks like a formula (``=1+1``) is kept: whoever writes a table escapes it.
    """
    if len(text) > MOST_TEXT or text != unicodedata.normalize("NFC", text):
        raise ValueError(f"{field}: at most {MOST_TEXT} characters of normalised (NFC) text")
    if any(unicodedata.category(sign).startswith("C") for sign in text):
        raise ValueError(f"{field}: control characters are not allowed")


@dataclass(frozen=True, slots=True)
class CandidateImage:
    """One picture of a sought person, before and after it is sealed. Raises ValueError like :class:`Entry`."""

    file: str  # name below the list's folder; in a sealed list it only counts the images
    source: str = ""  # a code of image_sources() on an operational list
    taken: date | None = None
    face: tuple[int, int] | None = None  # x, y of a point on the face that is meant, where there are several

    def __post_init__(self) -> None:
        check_text("image_source", self.source)
        if self.face is not None and not all(0 <= place < MOST_SIDE for place in self.face):
            raise ValueError(f"image_face: two whole numbers of pixels below {MOST_SIDE} are needed")

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "source": self.source,
            "taken": self.taken and self.taken.isoformat(),
            "face": self.face and list(self.face),
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> CandidateImage:
        face = raw["face"]
        return CandidateImage(raw["file"], raw["source"], _day(raw["taken"]), face and (face[0], face[1]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One sought person. No name: the van needs none, the reference leads to it elsewhere.

    Empty text and None mean "not said"; which of them an operational list may not leave unsaid is
    :func:`lfr_edge.watchlist.lawful.gaps`. Raises ValueError where a field is not allowed; the message is for a
    person and begins with the field.
    """

    reference: str
    category: str  # a code of categories()
    requested_response: Response
    images: tuple[CandidateImage, ...]  # best first
    date_of_birth: date | None = None
    legal_basis: str = ""  # the power under which the person may be looked for
    holding_statement: str = ""  # why these images are lawfully held
    reason: str = ""  # for including this person on this list
    originating_officer: str = ""  # a staff number or role, who asked for it
    review_date: date | None = None  # past it, the entry needs a new decision
    under_18_authority: str = ""  # reference of the separate authority
    consent_reference: str = ""  # of a member of staff on the blue list

    def __post_init__(self) -> None:
        if not _REFERENCE.fullmatch(self.reference):
            raise ValueError(
                "reference: 1 to 64 letters, digits, spaces or . _ / - are allowed, beginning with a letter or digit"
            )
        if self.category not in categories():
            raise ValueError(f"category: must be one of {', '.join(categories())}")
        if not 1 <= len(self.images) <= MOST_IMAGES:
            raise ValueError(f"images: 1 to {MOST_IMAGES} are needed, found {len(self.images)}")
        if len({image.file for image in self.images}) != len(self.images):
            raise ValueError("images: the same file is named twice")
        for field in TEXTS:
            check_text(field, getattr(self, field))
        for image in self.images:
            if self.date_of_birth and image.taken and image.taken < self.date_of_birth:
                raise ValueError("image_taken: lies before the date of birth")

    @property
    def policy_paragraph(self) -> str:
        """Of the force's LFR policy: what the category stands on."""
        return categories()[self.category].paragraph

    @property
    def image_source(self) -> str:
        """Of the image that an alert shows."""
        return self.images[0].source

    @property
    def image_taken(self) -> date | None:
        return self.images[0].taken

    def age_on(self, day: date) -> int | None:
        """In full years, from the date of birth and nothing else; None where none is given."""
        born = self.date_of_birth
        if born is None:
            return None
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    def under_18_on(self, day: date) -> bool:
        """Whether known to be a child on that day; never inferred from a picture."""
        age = self.age_on(day)
        return age is not None and age < ADULT_YEARS

    def with_images(self, kept: Sequence[str]) -> Entry:
        """The same entry with only these files. Raises ValueError where none is left."""
        return replace(self, images=tuple(image for image in self.images if image.file in kept))

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "category": self.category,
            "requested_response": self.requested_response.value,
            "images": [image.to_json() for image in self.images],
            "date_of_birth": self.date_of_birth and self.date_of_birth.isoformat(),
            "review_date": self.review_date and self.review_date.isoformat(),
            **{name: getattr(self, name) for name in TEXTS},
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Entry:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        return Entry(
            reference=raw["reference"],
            category=raw["category"],
            requested_response=Response(raw["requested_response"]),
            images=tuple(CandidateImage.from_json(image) for image in raw["images"]),
            date_of_birth=_day(raw["date_of_birth"]),
            review_date=_day(raw["review_date"]),
            **{name: raw[name] for name in TEXTS},
        )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
