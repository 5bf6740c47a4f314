"""Mutations of JSON as JSON: a byte changed at random seldom gets past the parser to what the parser guards."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

import rfc8785

Path = tuple[str | int, ...]

_ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63, 10**30, 0.5, -0.0, 1e308, 1e400,
    "", " ", "a", "0", "é", "e\u0301", "\u202e", "\ud800", "\u0000", "../x", "=1+1", "x" * 300,
    "2026-11-22", "2026-11-22T10:00:00Z", "9999-12-31T23:59:59+14:00", "0001-01-01", "0" * 64, [], {}, [[]],
)  # fmt: skip


def canonical(value: object) -> bytes:
    """RFC 8785 where the value has such a form."""
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        return readable(value)


def readable(value: object) -> bytes:
    return json.dumps(value).encode()


def compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def mutate(data: bytes, chance: random.Random, write: Callable[[object], bytes]) -> bytes | None:
    """`data` with one to three values changed, written by `write`; None where it is no JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    for _ in range(chance.randrange(1, 4)):
        value = _changed(value, chance)
    return write(value)


def _changed(value: Any, chance: random.Random) -> Any:
    places = list(_places(value, ()))
    place = chance.choice(places)
    if not place:
        return chance.choice(_ODD) if chance.random() < 0.05 else value
    parent = _at(value, place[:-1])
    key = place[-1]
    match chance.randrange(7):
        case 0:
            parent[key] = copy.deepcopy(chance.choice(_ODD))
        case 1:
            del parent[key]
        case 2:
            parent[key] = copy.deepcopy(_at(value, chance.choice(places)))
        case 3 if isinstance(parent, list):
            parent.insert(int(key), copy.deepcopy(parent[int(key)]))
        case 3:
            parent[chance.choice(("extra", "", "__class__", "é", str(key) * 2))] = parent[key]
        case 4 if isinstance(parent[key], str):
            parent[key] = _text(parent[key], chance)
        case 5 if isinstance(parent[key], int) and not isinstance(parent[key], bool):
            parent[key] += chance.choice((-1, 1, 10**6, -(10**6)))
        case _ if isinstance(parent, list):
            chance.shuffle(parent)
        case _:
            parent[key] = [parent[key]]
    return value


def _text(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    more = chance.choice(
        ("", " ", "\n", "\u200b", "é", "e\u0301", "\U0001f600", "\ud800", "0", "9", "-", "/", "<b>")
    )
    return text[:at] + more + text[at + chance.choice((0, 1, 1, 4)) :]


def _places(value: Any, above: Path) -> Any:
    yield above
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*above, key))
    elif isinstance(value, list):
        for number in range(len(value)):
            yield from _places(value[number], (*above, number))


def _at(value: Any, place: Path) -> Any:
    for key in place:
        value = value[key]
    return value
