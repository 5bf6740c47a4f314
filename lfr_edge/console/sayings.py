"""What the rooms below the console say, in the reader's language.

They give a code and an English sentence that remembers its pattern and values (:mod:`lfr_edge.sentences`). Here the
pattern is looked up under its code, then anywhere, and filled in anew. What has no translation stays English and is
marked as English, so that a screen reader reads it as such (WCAG 2.2, 3.1.2).
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from markupsafe import Markup, escape

from lfr_edge.console.texts import ENGLISH
from lfr_edge.errors import LfrError
from lfr_edge.sentences import Sentence

_WORDS: Final = re.compile(r"[^\W\d_]{2,}")  # letters in a row; without any there is nothing to translate


@dataclass(frozen=True, slots=True)
class Said:
    """A text and the language that it is in."""

    text: str
    language: str


class Sayings:
    """The sentences of one language."""

    def __init__(self, language: str = ENGLISH) -> None:
        self.language = language
        self._by_code = {} if language == ENGLISH else read_sayings(language)
        self._anywhere = {
            pattern: text for table in self._by_code.values() for pattern, text in table.items()
        }

    def __call__(self, text: str, code: str = "") -> Said:
        """`text` as this language says it under `code`; in English where it cannot."""
        found = str(text) if self.language == ENGLISH else self._translated(text, code)
        return Said(str(text), ENGLISH) if found is None else Said(found, self.language)

    def told(self, code: str = "", /, **texts: str) -> dict[str, str]:
        """For JSON: the texts by name; all English, with ``language``, where one of them has no translation."""
        found = {name: self(text, code) for name, text in texts.items()}
        if all(one.language == self.language for one in found.values()):
            return {name: one.text for name, one in found.items()}
        return {**{name: str(text) for name, text in texts.items()}, "language": ENGLISH}

    def html(self, text: str, code: str = "") -> Markup:
        """For a template: marked where it is not in the page's language."""
        found = self(text, code)
        if found.language == self.language:
            return escape(found.text)
        return Markup('<span lang="{}">{}</span>').format(found.language, found.text)

    def _translated(self, text: str, code: str) -> str | None:
        pattern, values = text, {}
        if isinstance(text, Sentence) and text.pattern:
            pattern, values = text.pattern, dict(text.values)
        if not _WORDS.search(_bare(pattern) if values else pattern):
            found: str | None = pattern
        else:
            found = self._by_code.get(code, {}).get(pattern) or self._anywhere.get(pattern)
        if found is None or not values:
            return found
        translated = {name: self._value(value) for name, value in values.items()}
        if any(value is None for value in translated.values()):
            return None
        return found.format(**translated)

    def _value(self, value: Any) -> Any:
        """Sentences and errors are translated, everything else is a name or a number; None: it cannot be.

        A plain string that is one of our sentences, word for word, is that sentence: some are handed on as values.
        """
        if isinstance(value, Sentence):
            return self._translated(value, "")
        if isinstance(value, LfrError):
            return self._translated(value.message, value.code)
        if isinstance(value, str) and " " in value:
            return self._anywhere.get(value, value)
        return "" if value is None else value


def _bare(pattern: str) -> str:
    return "".join(text for text, _, _, _ in string.Formatter().parse(pattern))


def read_sayings(language: str) -> Mapping[str, Mapping[str, str]]:
    """One language's file: by code (or room), English pattern → the sentence in that language."""
    path = resources.files(__package__).joinpath("texts", f"said.{language}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))
