"""Sentences for people that remember how they were made, so that a page can say them in its reader's language.

The rooms below the console speak English. What they say is a pattern and the values in it; the console looks the
pattern up under the code that the sentence came with (an error's, a clause's, a finding's) and fills it in anew
(:mod:`lfr_edge.console.sayings`). A plain string is a pattern without values and needs nothing of this.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any, Final

_OWN: Final = "{own}"


class Sentence(str):
    """English text that knows its pattern and values. Everywhere else it is the string that it looks like.

    A value may be a sentence itself, a sequence of them made by :func:`listed`, or an error: it is translated with
    the sentence it stands in. Written down, sent or joined to another string it is plain English for ever.
    """

    __slots__ = ("pattern", "values")

    pattern: str
    values: Mapping[str, Any]

    def __new__(cls, text: str, pattern: str = "", values: Mapping[str, Any] | None = None) -> Sentence:
        made = super().__new__(cls, text)
        made.pattern = pattern
        made.values = values or {}
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Sentence:
        """Itself, as of any string; a value may be an error, and few of those can be copied."""
        return self


def say(pattern: str, /, **values: Any) -> Sentence:
    """``say("camera {id} is {state}", id=…, state=…)``; braces as in :meth:`str.format`.

    Raises:
        KeyError: the pattern names a value that is not given.
    """
    return Sentence(pattern.format(**values), pattern, values)


def own_words(text: str) -> Sentence:
    """What a person wrote, such as the grounds of an authority: nobody's to translate, and of whatever language."""
    return Sentence(text, _OWN, {"own": text})


def is_own_words(text: str) -> bool:
    return isinstance(text, Sentence) and text.pattern == _OWN


def listed(parts: Iterable[str], between: str = ", ") -> Sentence:
    """Sentences in a row, each of which stays one: they become values named by their place."""
    values = {f"n{place}": part for place, part in enumerate(parts)}
    return say(between.join(f"{{{name}}}" for name in values), **values)


_FIELD: Final = re.compile(r"[a-z_][a-z0-9_]*")
_SPEC: Final = re.compile(r",?(\.\d)?[fg]?")
_MOST: Final = 1000  # characters of a pattern that comes from another process


def packed(text: str) -> Any:
    """For JSON to another process of ours: what :func:`unpacked` makes a sentence of again."""
    if not isinstance(text, Sentence) or not text.pattern:
        return str(text)
    values = {
        name: value
        if isinstance(value, int | float)
        else packed(value if isinstance(value, str) else str(value))
        for name, value in text.values.items()
    }
    return {"english": str(text), "pattern": text.pattern, "values": values}


def unpacked(raw: Any) -> str:
    """A sentence from JSON. Whoever sent it may be hostile: a pattern that could do more than fill in, or that does not
    make the English text of its values, is left alone, and the English text is taken as it is.

    Raises:
        ValueError, KeyError, TypeError: this is no text that :func:`packed` wrote.
    """
    if isinstance(raw, str):
        return raw
    english, pattern = str(raw["english"]), str(raw["pattern"])
    fields = [
        (name, spec) for _, name, spec, _ in string.Formatter().parse(pattern[:_MOST]) if name is not None
    ]
    if not all(_FIELD.fullmatch(name) and _SPEC.fullmatch(spec or "") for name, spec in fields):
        return english
    values = {
        str(name): value if isinstance(value, int | float) else unpacked(value)
        for name, value in dict(raw["values"]).items()
    }
    try:
        sentence = say(pattern, **values)
    except (KeyError, ValueError, TypeError):
        return english
    return sentence if sentence == english else english
