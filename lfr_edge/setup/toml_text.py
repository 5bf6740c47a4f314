"""A configuration as TOML text. The standard library reads TOML and does not write it; this writes what Settings has:
strings, numbers, booleans, lists of these, tables and lists of tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def toml_text(table: Mapping[str, Any]) -> str:
    """What ``tomllib.loads`` turns into `table` again. ``None`` is left out: TOML has no such value.

    Raises:
        TypeError: a value that a configuration cannot hold.
    """
    return "\n".join(_lines(table, ())).strip("\n") + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    below = []
    for name, value in table.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            below.append(("[{}]", name, value))
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            below += [("[[{}]]", name, item) for item in value]
        else:
            yield f"{_key(name)} = {_value(value)}"
    for heading, name, inner in below:
        here = (*path, name)
        yield ""
        yield heading.format(".".join(map(_key, here)))
        yield from _lines(inner, here)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            text = repr(value)
            return text if "." in text or "e" in text else f"{text}.0"
        case str():
            return '"' + "".join(map(_character, value)) + '"'
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
    raise TypeError(f"a configuration holds no {type(value).__name__}")


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return f"\\u{ord(character):04X}" if ord(character) < 0x20 or ord(character) == 0x7F else character
