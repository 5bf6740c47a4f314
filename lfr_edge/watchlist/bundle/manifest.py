"""``manifest.json``: who is on the list and why, as the issuing authority signs it.

The file is RFC 8785 canonical JSON to the byte, so that one list has one SHA-256 and two parsers read the same.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, Self

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from lfr_edge.errors import WatchlistError
from lfr_edge.models.licence import Purpose
from lfr_edge.sentences import say
from lfr_edge.watchlist.entry import (
    BLUE_LIST,
    MOST_IMAGES,
    MOST_SIDE,
    MOST_TEXT,
    CandidateImage,
    Entry,
    Response,
    categories,
    check_text,
    image_sources,
)

FORMAT: Final = "lfr-edge watchlist bundle 1"
MOST_PEOPLE: Final = 500_000
# Commas and openings of a manifest: 20,000 people with 3 images need 700,000. Each may become an object in memory.
_MOST_VALUES: Final = 2_000_000
_BEYOND: Final = re.compile(rb"[\xf0-\xf4]")  # first bytes of characters beyond U+FFFF


def _written(text: str) -> str:
    check_text("text", text)
    if text != text.strip():
        raise ValueError("begins or ends with a space")
    return text


def _one_of_categories(code: str) -> str:
    if code not in categories():
        raise ValueError(f"must be one of {', '.join(categories())}")
    return code


def _one_of_sources(code: str) -> str:
    if code not in image_sources():
        raise ValueError(f"must be one of {', '.join(image_sources())}")
    return code


def _real_day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("is no day of the calendar; write year-month-day") from None
    if day.year < 1900:
        raise ValueError("lies before 1900")
    return text


def _real_moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no moment of the calendar; write as 2026-11-22T06:30:00Z") from None
    return text


Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT), AfterValidator(_written)]
Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}$")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_real_day)]
Moment = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
    AfterValidator(_real_moment),
]
Place = Annotated[int, Field(ge=0, lt=MOST_SIDE)]
ImageFile = Annotated[str, Field(pattern=r"^images/[A-Za-z0-9][A-Za-z0-9_-]{0,79}\.(jpg|jpeg|png)$")]


def _absent(schema: dict[str, Any]) -> None:
    """What is not said is left out: the schema names no default."""
    schema.pop("default", None)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _absent_rather_than_null(cls, raw: Any) -> Any:
        if isinstance(raw, dict):
            for name, value in raw.items():
                if value is None and name in cls.model_fields:
                    raise ValueError(f"{name}: null is not taken; leave the field out")
        return raw


class BundleImage(Part):
    """One candidate image."""

    file: ImageFile = Field(description="Its name in the bundle.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="Of its bytes.")
    source: Annotated[str, AfterValidator(_one_of_sources)] = Field(
        description="Where it is from.",
        json_schema_extra=lambda schema: schema.update(enum=[*image_sources()]),
    )
    taken: Day = Field(description="When it was taken.")
    face: Annotated[tuple[Place, Place], Field(strict=False)] | SkipJsonSchema[None] = Field(
        None,
        json_schema_extra=_absent,
        description="Where it shows several faces: x and y in pixels of a point on the one that is meant.",
    )


class BundleEntry(Part):
    """One sought person. No name: the reference leads to it in the force's own system."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={
            "if": {"properties": {"category": {"const": BLUE_LIST}}},
            "then": {"required": ["consent_reference"]},
            "else": {"properties": {"consent_reference": False}},
        },
    )

    reference: Reference = Field(description="Leads to the person in the force's own system.")
    category: Annotated[str, AfterValidator(_one_of_categories)] = Field(
        description="Why the person may be looked for; each code stands on a paragraph of the policy.",
        json_schema_extra=lambda schema: schema.update(enum=[*categories()]),
    )
    requested_response: Literal["red", "amber", "green"] = Field(
        description="red: immediate action; amber: arrest or engage; green: identify."
    )
    legal_basis: Text = Field(description="The power under which the person may be looked for.")
    holding_statement: Text = Field(description="Why these images are lawfully held.")
    date_of_birth: Day = Field(description="Who is under 18 follows from it and from nothing else.")
    reason: Text = Field(description="Why this person is on this list.")
    originating_officer: Text = Field(description="Staff number or role of whoever asked for it.")
    review_date: Day = Field(description="Past it, the entry needs a new decision.")
    under_18_authority: Text | SkipJsonSchema[None] = Field(
        None,
        json_schema_extra=_absent,
        description="Reference of the separate authority; needed for a person under 18 at the deployment.",
    )
    consent_reference: Text | SkipJsonSchema[None] = Field(
        None,
        json_schema_extra=_absent,
        description="Of the recorded consent; needed on the blue list, and only there.",
    )
    images: Annotated[list[BundleImage], Field(min_length=1, max_length=MOST_IMAGES)] = Field(
        description="Best first."
    )

    @model_validator(mode="after")
    def _consent_and_blue_list_go_together(self) -> Self:
        if (self.category == BLUE_LIST) != (self.consent_reference is not None):
            raise ValueError("consent_reference: is needed on the blue list, and only there")
        return self

    def entry(self) -> Entry:
        """Raises ValueError, beginning with the field, for what only the fields together can show."""
        return Entry(
            reference=self.reference,
            category=self.category,
            requested_response=Response(self.requested_response),
            images=tuple(
                CandidateImage(image.file, image.source, date.fromisoformat(image.taken), image.face)
                for image in self.images
            ),
            date_of_birth=date.fromisoformat(self.date_of_birth),
            legal_basis=self.legal_basis,
            holding_statement=self.holding_statement,
            reason=self.reason,
            originating_officer=self.originating_officer,
            review_date=date.fromisoformat(self.review_date),
            under_18_authority=self.under_18_authority or "",
            consent_reference=self.consent_reference or "",
        )


class Head(Part):
    """What the manifest says about the list as a whole."""

    format: Literal["lfr-edge watchlist bundle 1"]
    list_id: Reference = Field(description="Of this list; another compilation has another.")
    operation: Reference = Field(description="The operation it was compiled for, as its authority names it.")
    issued_by: Text = Field(description="The issuing authority, for people; the signature says who it was.")
    compiled_at: Moment = Field(description="UTC. A list older than 24 hours is not activated.")
    purpose: Purpose = Field(description="A list for evaluation is never used operationally.")


class Manifest(Head):
    """The whole of ``manifest.json``."""

    entries: Annotated[list[BundleEntry], Field(min_length=1, max_length=MOST_PEOPLE)]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a manifest that is otherwise readable."""

    where: str  # e.g. "W-2026-0411, legal_basis"
    message: str


def canonical(manifest: Manifest) -> bytes:
    """The bytes that are signed."""
    return bytes(rfc8785.dumps(manifest.model_dump(mode="json", exclude_none=True)))


def parse(raw: bytes) -> Mapping[str, Any]:
    """The members of a manifest, canonical to the byte, not yet judged.

    Raises:
        WatchlistError: ``watchlist_manifest_refused``.
    """
    if sum(raw.count(sign) for sign in (b",", b"[", b"{")) > _MOST_VALUES or _BEYOND.search(raw):
        raise refused("it holds more values than a list needs, or characters beyond U+FFFF")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise _not_canonical() from None
    if not isinstance(found, dict) or not isinstance(found.get("entries"), list):
        raise refused("it holds no list of entries")
    if not 1 <= len(found["entries"]) <= MOST_PEOPLE:
        raise refused(
            say(
                "it holds {found_count} entries; 1 to {most_people} are taken",
                found_count=len(found["entries"]),
                most_people=MOST_PEOPLE,
            )
        )
    try:
        same = rfc8785.dumps(found) == raw
    except (ValueError, RecursionError):
        raise _not_canonical() from None
    if not same:
        raise _not_canonical()
    return found


def _not_canonical() -> WatchlistError:
    return refused("it is not JSON as RFC 8785 writes it: members sorted, each once, no spaces")


def read_head(found: Mapping[str, Any]) -> Head:
    """Raises WatchlistError ``watchlist_manifest_refused`` with every field that is wrong."""
    try:
        return Head.model_validate({name: value for name, value in found.items() if name != "entries"})
    except ValidationError as error:
        faults = "; ".join(f"{fault.where}: {fault.message}" for fault in _faults(error, ""))
        raise refused(faults) from None


def read_entries(found: Mapping[str, Any]) -> Iterator[BundleEntry | Fault]:
    """Each entry, or every fault of it."""
    for number, raw in enumerate(found["entries"], 1):
        try:
            yield BundleEntry.model_validate(raw)
        except ValidationError as error:
            yield from _faults(error, f"{_name(raw, number)}, ")


def _name(raw: Any, number: int) -> str:
    reference = raw.get("reference") if isinstance(raw, dict) else None
    if isinstance(reference, str) and re.fullmatch(r"[A-Za-z0-9 ._/-]{1,64}", reference):
        return reference
    return f"entry {number}"


def _faults(error: ValidationError, before: str) -> Iterator[Fault]:
    """In plain words, and without the value: a person's data stays out of errors."""
    for fault in error.errors(include_url=False, include_input=False):
        if fault["type"] == "none_required":  # the other half of "this or nothing"
            continue
        message = {
            "missing": "is missing",
            "extra_forbidden": "is not a field of this format",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, ").removeprefix("text: "))
        steps = [_printable(step) for step in fault["loc"] if not _of_pydantic(step)]
        if fault["type"] == "value_error" and (named := re.match(r"([a-z0-9_]+): ", message)):
            steps.append(named[1])  # a fault of several fields together begins with the one to correct
            message = message[named.end() :]
        yield Fault(before + (".".join(steps) or "entry"), message)


def _of_pydantic(step: int | str) -> bool:
    """Whether a step names a type and not a place."""
    return isinstance(step, str) and re.match(r"(tuple|function|constrained|lax)[\[-]", step) is not None


def _printable(step: int | str) -> str:
    text = str(step)[:40]
    return text if not any(unicodedata.category(sign).startswith("C") for sign in text) else ascii(text)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that ``watchlists/bundle.schema.json`` holds."""
    made = Manifest.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lfr-edge watchlist bundle, manifest.json",
        **{name: value for name, value in made.items() if name != "title"},
    }


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def refused(why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_manifest_refused",
        say("manifest.json is refused: {why}", why=why),
        hint="make the bundle again with: lfr-edge watchlist bundle make; the format is in watchlists/README.md",
    )
