"""Sentences for people that remember how they were made, so that a page can say them in its reader's language.

The rooms below the console speak English. What they say is a pattern and the values in it; the console looks the
pattern up under the code that the sentence came with (an error's, a clause's, a finding's) and fills it in anew
(:mod:`lfr_edge.console.sayings`). A plain string is a pattern without values and needs nothing of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


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


def say(pattern: str, /, **values: Any) -> Sentence:
    """``say("camera {id} is {state}", id=…, state=…)``; braces as in :meth:`str.format`.

    Raises:
        KeyError: the pattern names a value that is not given.
    """
    return Sentence(pattern.format(**values), pattern, values)


def listed(parts: Iterable[str], between: str = ", ") -> Sentence:
    """Sentences in a row, each of which stays one: they become values named by their place."""
    values = {f"n{place}": part for place, part in enumerate(parts)}
    return say(between.join(f"{{{name}}}" for name in values), **values)
