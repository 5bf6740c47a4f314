"""The closed words of an authority: use cases, ranks, and what stands in each kind of field."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from lfr_edge.watchlist.entry import categories, image_sources


@dataclass(frozen=True, slots=True)
class UseCase:
    code: str
    paragraph: str  # of the force's LFR policy
    title: str
    meaning: str


@cache
def use_cases() -> Mapping[str, UseCase]:
    """Every use case there is, by code; there is no "other"."""
    text = files(__package__).joinpath("use_cases.json").read_text(encoding="utf-8")
    return {item["code"]: UseCase(**item) for item in json.loads(text)["use_cases"]}


class Rank(StrEnum):
    """Ranks of the police of England and Wales, lowest first (College of Policing APP: the Authorising Officer
    is a superintendent or above)."""

    CONSTABLE = "constable"
    SERGEANT = "sergeant"
    INSPECTOR = "inspector"
    CHIEF_INSPECTOR = "chief_inspector"
    SUPERINTENDENT = "superintendent"
    CHIEF_SUPERINTENDENT = "chief_superintendent"
    COMMANDER = "commander"
    ASSISTANT_CHIEF_CONSTABLE = "assistant_chief_constable"
    DEPUTY_ASSISTANT_COMMISSIONER = "deputy_assistant_commissioner"
    DEPUTY_CHIEF_CONSTABLE = "deputy_chief_constable"
    ASSISTANT_COMMISSIONER = "assistant_commissioner"
    CHIEF_CONSTABLE = "chief_constable"
    DEPUTY_COMMISSIONER = "deputy_commissioner"
    COMMISSIONER = "commissioner"

    def may_authorise(self) -> bool:
        ranks = list(Rank)
        return ranks.index(self) >= ranks.index(Rank.SUPERINTENDENT)

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


def plain(text: str) -> str:
    """Raises ValueError for text that a page or a print could show differently from what was signed."""
    if text != unicodedata.normalize("NFC", text):
        raise ValueError("is not normalised (NFC) text")
    if any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co"} and sign != "\n" for sign in text):
        raise ValueError("holds control or invisible characters")
    return text


def instant(text: str) -> str:
    """Raises ValueError for what is no moment of the calendar."""
    instant_ns(text)
    return text


def instant_ns(text: str) -> int:
    """``2026-11-22T10:00:00Z`` as nanoseconds since 1970 UTC."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def instant_text(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _known(what: str, codes: Iterable[str]) -> Callable[[str], str]:
    known = tuple(codes)

    def check(code: str) -> str:
        if code not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}")
        return code

    return check


def _enum(codes: Iterable[str]) -> JsonDict:
    return {"enum": list(codes)}


UseCaseCode = Annotated[
    str, AfterValidator(_known("use case", use_cases())), Field(json_schema_extra=_enum(use_cases()))
]
CategoryCode = Annotated[
    str, AfterValidator(_known("category", categories())), Field(json_schema_extra=_enum(categories()))
]
SourceCode = Annotated[
    str,
    AfterValidator(_known("image source", image_sources())),
    Field(json_schema_extra=_enum(image_sources())),
]
Instant = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$", examples=["2026-11-22T10:00:00Z"]),
    AfterValidator(instant),
]
Line = Annotated[str, Field(max_length=200), AfterValidator(plain)]
Prose = Annotated[str, Field(max_length=4000), AfterValidator(plain)]
