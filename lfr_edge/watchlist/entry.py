"""A sought person on the list of one deployment, and the closed set of reasons for being on it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final

_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}")
MOST_IMAGES: Final = 32  # of one person
MOST_TEXT: Final = 500  # characters of a free field


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


@cache
def categories() -> Mapping[str, Category]:
    """Every category there is, by code, in the order of reports."""
    text = files("lfr_edge.watchlist").joinpath("categories.json").read_text(encoding="utf-8")
    return {item["code"]: Category(**item) for item in json.loads(text)["categories"]}


@dataclass(frozen=True, slots=True)
class Entry:
    """One sought person. No name: the van needs none, the reference leads to it elsewhere.

    Raises ValueError where a field is not allowed; the message is for a person and begins with the field.
    """

    reference: str
    category: str  # a code of categories()
    requested_response: Response
    images: tuple[str, ...]  # file names, best first; in a sealed list they only count the images
    image_source: str = ""  # e.g. "custody"
    image_taken: date | None = None
    date_of_birth: date | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if not _REFERENCE.fullmatch(self.reference):
            raise ValueError(
                "reference: 1 to 64 letters, digits, spaces or . _ / - are allowed, beginning with a letter or digit"
            )
        if self.category not in categories():
            raise ValueError(f"category: must be one of {', '.join(categories())}")
        if not 1 <= len(self.images) <= MOST_IMAGES:
            raise ValueError(f"images: 1 to {MOST_IMAGES} are needed, found {len(self.images)}")
        if len(set(self.images)) != len(self.images):
            raise ValueError("images: the same file is named twice")
        for field in ("image_source", "reason"):
            text = getattr(self, field)
            if len(text) > MOST_TEXT or text != unicodedata.normalize("NFC", text):
                raise ValueError(f"{field}: at most {MOST_TEXT} characters of normalised (NFC) text")
            if any(unicodedata.category(sign).startswith("C") for sign in text):
                raise ValueError(f"{field}: control characters are not allowed")
        if self.date_of_birth and self.image_taken and self.image_taken < self.date_of_birth:
            raise ValueError("image_taken: lies before the date of birth")

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "category": self.category,
            "requested_response": self.requested_response.value,
            "images": list(self.images),
            "image_source": self.image_source,
            "image_taken": self.image_taken and self.image_taken.isoformat(),
            "date_of_birth": self.date_of_birth and self.date_of_birth.isoformat(),
            "reason": self.reason,
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Entry:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        dates = {
            name: raw[name] and date.fromisoformat(raw[name]) for name in ("image_taken", "date_of_birth")
        }
        return Entry(
            reference=raw["reference"],
            category=raw["category"],
            requested_response=Response(raw["requested_response"]),
            images=tuple(raw["images"]),
            image_source=raw["image_source"],
            reason=raw["reason"],
            **dates,
        )
