"""Every word that a page shows, from one file per language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

ENGLISH: Final = "en"
# By the name that a reader of that language looks for.
LANGUAGES: Final = {ENGLISH: "English", "cy": "Cymraeg"}


class Texts:
    """The texts of one language, by dotted key. A missing key is an error, never a blank page.

    What a translation lacks is said in English: a test holds the files to the same keys, a page in use stays whole.
    """

    def __init__(self, language: str = ENGLISH) -> None:
        self._texts = read_texts(ENGLISH)
        if language != ENGLISH:
            self._texts = _overlaid(self._texts, read_texts(language))
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """Raises KeyError for an unknown key; `values` fill ``{braces}``."""
        node: Any = self._texts
        for part in key.split("."):
            node = node[part]
        if not isinstance(node, str):
            raise KeyError(key)
        return node.format(**values) if values else node

    def section(self, name: str) -> Mapping[str, Any]:
        """One table, for the page's scripts."""
        section: Mapping[str, Any] = self._texts[name]
        return section


def read_texts(language: str) -> dict[str, Any]:
    """One language's file as it is."""
    folder = resources.files(__package__).joinpath("texts")
    return tomllib.loads(folder.joinpath(f"{language}.toml").read_text(encoding="utf-8"))


def _overlaid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _overlaid(value, over.get(key, {})) if isinstance(value, dict) else over.get(key, value)
        for key, value in under.items()
    }
