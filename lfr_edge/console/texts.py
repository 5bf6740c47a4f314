"""Every word that a page shows, from one file per language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any


class Texts:
    """The texts of one language, by dotted key. A missing key is an error, never a blank page."""

    def __init__(self, language: str = "en") -> None:
        folder = resources.files(__package__).joinpath("texts")
        self._texts = tomllib.loads(folder.joinpath(f"{language}.toml").read_text(encoding="utf-8"))
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
