"""Asking for an authority field by field, as its schema names them.

What is asked, in which order and with which words comes from the schema alone: a new field is asked for by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lfr_edge.deployment.authority.document import Document, parse_document, schema
from lfr_edge.deployment.authority.terms import FORMAT
from lfr_edge.deployment.authority.words import instant_text, use_cases
from lfr_edge.errors import DeploymentError

Ask = Callable[[str], str]
_DAY_S: Final = 86_400
_INSTANT: Final = r"^\d{4}-"
_PLACE_OF_LIST: Final = ";"  # between items: prose holds commas


@dataclass(frozen=True, slots=True)
class Question:
    path: tuple[str, ...]
    title: str
    description: str
    schema: dict[str, Any]  # of the one value
    optional: bool = False  # a whole part that may be left out


def questions() -> Iterator[Question]:
    """Every field of the document in its order, parts before their fields."""
    whole = schema()
    yield from _below(whole["$defs"]["Authority"], (), whole["$defs"])


def _below(part: dict[str, Any], path: tuple[str, ...], parts: dict[str, Any]) -> Iterator[Question]:
    for name, field in part["properties"].items():
        here = (*path, name)
        if name == "format":
            continue
        options = field.get("anyOf", [])
        reference = field.get("$ref") or next((o["$ref"] for o in options if "$ref" in o), None)
        below = parts[reference.rsplit("/", 1)[-1]] if reference else field
        words = {"title": field.get("title", name), "description": field.get("description", "")}
        if "properties" in below:
            if options:
                yield Question(here, words["title"], words["description"], below, optional=True)
            yield from _below(below, here, parts)
        else:
            yield Question(here, words["title"], words["description"], {**below, **_items(field)})


def _items(field: dict[str, Any]) -> dict[str, Any]:
    return {"items": field["items"]} if "items" in field else {}


def blank(now_ns: int) -> dict[str, Any]:
    """A draft that says nothing yet: it can be read, and its clauses name every gap."""
    tomorrow_ns = (now_ns // (_DAY_S * 10**9) + 1) * _DAY_S * 10**9
    empty = {"reference": "", "version": ""}
    case = next(iter(use_cases().values()))
    return {
        "format": FORMAT,
        "purpose": "operational",
        "operation": "NEW",
        "use_case": case.code,
        "policy_paragraph": case.paragraph,
        **dict.fromkeys(("legal_basis", "objective", "necessity", "proportionality", "alternatives"), ""),
        "place": {
            "name": "", "latitude": 0.0, "longitude": 0.0, "radius_m": 100, "zone": "", "sensitive_places": [],
        },
        "start": instant_text(tomorrow_ns + 10 * 3600 * 10**9),
        "end": instant_text(tomorrow_ns + 16 * 3600 * 10**9),
        "cameras": [],
        "watchlist": {
            "categories": [], "criteria": "", "maximum_size": 1, "image_sources": [], "under_18": False,
            "under_18_reason": "",
        },
        "threshold": {"floor": 1.0, "changed_by": []},
        "retention": {"alert_images_h": 24, "watchlist_h": 0},
        "assessments": {name: dict(empty) for name in ("dpia", "eia", "cia", "apd")},
        "officer": {"name": "", "rank": "superintendent", "granted": instant_text(now_ns)},
        "urgent": None,
        "command": {"gold": "", "silver": "", "bronze": ""},
        "conditions": [],
    }  # fmt: skip


def document_of(raw: dict[str, Any]) -> Document:
    """Raises DeploymentError: ``authority_invalid``."""
    return parse_document(json.dumps({"authority": raw}).encode(), "the draft")


def fill_in(raw: dict[str, Any], ask: Ask, say: Callable[[str], None], now_ns: int) -> dict[str, Any]:
    """Ask for every field; an empty answer keeps what is there. A wrong answer is asked again.

    Args:
        ask: shows a prompt and returns what was typed.
    """
    skipped: tuple[str, ...] = ()
    for question in questions():
        if skipped and question.path[: len(skipped)] == skipped:
            continue
        skipped = ()
        if question.optional:
            if not _wanted(question, raw, ask):
                _put(raw, question.path, None)
                skipped = question.path
            elif _get(raw, question.path) is None:
                _put(raw, question.path, _urgent(now_ns))
            continue
        _answered(question, raw, ask, say)
        if question.path == ("use_case",):
            raw["policy_paragraph"] = use_cases()[raw["use_case"]].paragraph
    return raw


def set_field(raw: dict[str, Any], path: str, text: str, now_ns: int) -> None:
    """``place.name=Market Square`` without questions. A field of a part that was left out brings the part with it.

    Raises:
        DeploymentError: ``authority_field_unknown``, ``authority_invalid``.
    """
    question = next((q for q in questions() if ".".join(q.path) == path and not q.optional), None)
    if question is None:
        raise DeploymentError(
            "authority_field_unknown",
            f"there is no field {path}",
            hint="lfr-edge authority schema lists them",
        )
    if question.path[0] == "urgent" and raw["urgent"] is None:
        raw["urgent"] = _urgent(now_ns)
    _put(raw, question.path, _value(question, text))
    document_of(raw)


def _wanted(question: Question, raw: dict[str, Any], ask: Ask) -> bool:
    present = _get(raw, question.path) is not None
    answer = ask(f"\n{question.title}? yes/no [{'yes' if present else 'no'}] ").strip().lower()
    return present if not answer else answer.startswith("y")


def _answered(question: Question, raw: dict[str, Any], ask: Ask, say: Callable[[str], None]) -> None:
    before = _get(raw, question.path)
    while True:
        text = ask(f"\n{_wording(question)}\n  [{_shown(before)}] ").strip()
        if not text:
            return
        try:
            _put(raw, question.path, _value(question, text))
            document_of(raw)
        except DeploymentError as error:
            _put(raw, question.path, before)
            say(f"  {error.message}")
        else:
            return


def _wording(question: Question) -> str:
    path = " · ".join(word.replace("_", " ") for word in question.path)
    codes = question.schema.get("enum") or question.schema.get("items", {}).get("enum")
    choice = f" ({', '.join(codes)})" if codes else ""
    several = f" Several: with {_PLACE_OF_LIST} between." if question.schema.get("type") == "array" else ""
    return f"{path}: {question.description}{choice}{several}".strip()


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{_PLACE_OF_LIST} ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _value(question: Question, text: str) -> Any:
    kind = question.schema.get("type")
    if kind == "array":
        return [item.strip() for item in text.split(_PLACE_OF_LIST) if item.strip()]
    if kind == "boolean":
        return text.lower().startswith("y")
    if kind in {"integer", "number"}:
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError:
            return text  # refused by the schema, in its words
    if str(question.schema.get("pattern", "")).startswith(_INSTANT):
        return moment(text)
    return text


def moment(text: str) -> str:
    """``2026-11-22 10:00`` (UTC) or ``2026-07-01 10:00+01:00`` as the document writes it; anything else unchanged."""
    try:
        parsed = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d\d)", "", text))
    except ValueError:
        return text
    zoned = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return instant_text(int(zoned.timestamp()) * 10**9)


def _urgent(now_ns: int) -> dict[str, str]:
    day_ns = _DAY_S * 10**9
    return {
        "reason": "", "given": instant_text(now_ns), "taken_down_by": "", "confirm_by": instant_text(now_ns + day_ns)
    }  # fmt: skip


def _get(raw: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        raw = raw[name]
    return raw


def _put(raw: Any, path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        raw = raw[name]
    raw[path[-1]] = value
