"""A mapping file (TOML): where each of our fields stands in the JSON of another system, and what its codes mean.

A mapping moves values and translates them by tables; it computes nothing. What it does not name is not taken, so
that a name or an address in the export never enters the list.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist.entry import MOST_TEXT, TEXTS

_MOST_BYTES: Final = 1 << 20
_STEP: Final = re.compile(
    r"([A-Za-z_][A-Za-z0-9_@:-]*)(?:\[(?:([0-9]{1,3})|([A-Za-z0-9_]+)=([^\]]{1,80}))\])?"
)
_DATE_PART: Final = {"YYYY": r"(?P<year>[0-9]{4})", "MM": r"(?P<month>[0-9]{2})", "DD": r"(?P<day>[0-9]{2})"}
FIELDS: Final = ("reference", "category", "requested_response", "date_of_birth", "review_date", *TEXTS)


def _path(text: str) -> str:
    if not all(_STEP.fullmatch(step) for step in _split(text)):
        raise ValueError("write a path as in subject.events[0].date or attributes[name=Category].value")
    return text


def _date_form(text: str) -> str:
    if sorted(re.findall("YYYY|MM|DD", text)) != ["DD", "MM", "YYYY"]:
        raise ValueError("write a date form with YYYY, MM and DD once each, as in DD/MM/YYYY")
    return text


def _field(name: str) -> str:
    if name not in FIELDS:
        raise ValueError(f"is no field of an entry; known are {', '.join(FIELDS)}")
    return name


Way = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_path)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class From(Part):
    """Where one value comes from: a path, or a constant; then a code table or a form of date."""

    path: Way | None = Field(None, description="From the person (or the image) downwards.")
    constant: Annotated[str, Field(max_length=MOST_TEXT)] | None = Field(
        None, description="The same for all."
    )
    codes: str | None = Field(None, description="Table under [codes] that translates the value.")
    date: Annotated[str, AfterValidator(_date_form)] = Field(
        "YYYY-MM-DD", description="How dates are written there; what follows (a time of day) is ignored."
    )

    def model_post_init(self, _context: Any) -> None:
        if (self.path is None) == (self.constant is None):
            raise ValueError("give either path or constant")


class Images(Part):
    """The pictures of a person."""

    list: Way = Field(description="The array of images, from the person downwards.")
    file: Way | None = Field(None, description="A file name below the folder of the JSON file.")
    data: Way | None = Field(None, description="Or the picture itself, base64.")
    source: From | None = None
    taken: From | None = None

    def model_post_init(self, _context: Any) -> None:
        if (self.file is None) == (self.data is None):
            raise ValueError("give either file or data")


class Mapping(Part):
    format: Literal["lfr-edge watchlist mapping 1"]
    name: str = Field(description="Of the system and the version of its export.")
    persons: Way | None = Field(
        None,
        description="The array of people in each document; left out where the document is it, or one person.",
    )
    fields: dict[Annotated[str, AfterValidator(_field)], From]
    images: Images
    codes: dict[str, dict[str, str]] = Field(default_factory=dict)

    def model_post_init(self, _context: Any) -> None:
        for source in (*self.fields.values(), self.images.source, self.images.taken):
            if source is not None and source.codes is not None and source.codes not in self.codes:
                raise ValueError(f"codes: there is no table [codes.{source.codes}]")

    def value(self, raw: Any, source: From) -> str:
        """One value as text, translated; empty where there is none. Raises ValueError for an unknown code."""
        if source.constant is not None:
            return source.constant
        found = at_path(raw, source.path or "")
        if found is None or isinstance(found, dict | list):
            return ""
        text = ("true" if found else "false") if isinstance(found, bool) else str(found).strip()
        if source.codes is None or not text:
            return text
        table = self.codes[source.codes]
        if text not in table:
            raise ValueError(f"{text[:40]!a} is not in the table [codes.{source.codes}]")
        return table[text]


def read_mapping(path: Path) -> Mapping:
    """Raises WatchlistError ``watchlist_mapping_refused`` with every field that is wrong."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES)
        return Mapping.model_validate(tomllib.loads(raw.decode()))
    except OSError as error:
        raise _refused(path, error.strerror or "unreadable") from None
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'mapping'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise _refused(path, "; ".join(faults)) from None
    except ValueError as error:
        raise _refused(path, str(error)) from None


def at_path(raw: Any, path: str) -> Any:
    """What stands there, or None. ``name[2]`` takes one of a list, ``name[key=value]`` the first that has it."""
    for step in _split(path):
        matched = _STEP.fullmatch(step)
        if matched is None or not isinstance(raw, dict):
            return None
        name, number, key, value = matched.groups()
        raw = raw.get(name)
        if number is not None:
            raw = raw[int(number)] if isinstance(raw, list) and int(number) < len(raw) else None
        elif key is not None:
            there = raw if isinstance(raw, list) else []
            raw = next((item for item in there if isinstance(item, dict) and item.get(key) == value), None)
    return raw


def day_text(text: str, form: str) -> str:
    """A date in `form`, as YYYY-MM-DD; itself where it is not in that form, for the reader to refuse."""
    pattern = re.escape(form)
    for part, group in _DATE_PART.items():
        pattern = pattern.replace(part, group)
    matched = re.match(pattern + r"(?![0-9])", text)
    if matched is None:
        return text
    year, month, day = (int(matched[name]) for name in ("year", "month", "day"))
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return text


def _split(path: str) -> Iterator[str]:
    """At dots, but not inside brackets."""
    return iter(re.split(r"\.(?![^\[]*\])", path))


def _refused(path: Path, why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_mapping_refused",
        say("{path}: {why}", path=path, why=why),
        hint="two worked mappings are in watchlists/mappings/, the format in watchlists/README.md",
    )
