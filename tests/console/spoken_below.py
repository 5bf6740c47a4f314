"""Every sentence that the console may show and that is made below it, read from the source.

A sentence is found where it is a text of an error, a finding, a clause or a trouble, or a pattern of ``say``. It comes
with its code where the source names one, else with its module.
"""

from __future__ import annotations

import ast
import functools
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lfr_edge
from lfr_edge.cli.error_codes import error_kinds

_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")
_ROOT: Final = Path(lfr_edge.__file__).parent
# What runs at a terminal and never behind the console: the command line, the demo, the laboratory, the fetching and
# converting of networks, and the settings, whose faults stop the service before there is a page.
TERMINAL: Final = (
    "cli/", "demo/", "evaluation/", "settings/", "trials/", "setup/", "audit/commands.py", "audit/receipt_commands.py",
    "audit/witness_commands.py", "audit/witness_server.py", "models/convert/", "models/fetch.py", "models/recipes.py",
    "models/importers.py", "models/archive.py", "models/graph_check.py", "watchlist/bundle/write.py",
)  # fmt: skip
# Calls whose texts are for people, beside the errors.
_TOLD: Final = frozenset(
    {"Finding", "_find", "Trouble", "Problem", "problem", "say", "listed", "refused", "_refused"}
)


@dataclass(frozen=True, slots=True)
class Below:
    code: str  # of the error, clause or finding; else the module
    pattern: str
    where: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for _, name, _, _ in string.Formatter().parse(self.pattern) if name)


def spoken_below() -> tuple[Below, ...]:
    """In the order of the source."""
    sources = _sources()
    kinds = error_kinds(sources.values())
    return tuple(one for path, tree in sources.items() for one in _in_module(path, tree, _known(tree, kinds)))


@functools.cache
def _sources() -> dict[Path, ast.Module]:
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(_ROOT.rglob("*.py"))
        if not str(path.relative_to(_ROOT)).startswith(TERMINAL)
    }


def _known(tree: ast.Module, kinds: dict[str, str]) -> set[str]:
    """Names of the calls of this module whose texts are for people."""
    known = set(kinds) | _TOLD
    if "lfr_edge.sentences" not in {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }:
        known.discard("say")  # somebody else's
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and kinds.get(getattr(node.returns, "id", "")):
            known.add(node.name)
    return known


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", None) or getattr(call.func, "attr", "")


def _in_module(path: Path, tree: ast.Module, known: set[str]) -> Iterator[Below]:
    module = str(path.relative_to(_ROOT).with_suffix("")).replace("/", ".")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node)
        if name not in known and name != "__init__":
            continue
        if name == "say" and not isinstance(node.func, ast.Name):
            continue  # a method of another meaning
        texts = [
            *node.args,
            *(word.value for word in node.keywords if word.arg in {"hint", "message", "text"}),
        ]
        code = module
        if texts and isinstance(texts[0], ast.Constant) and _is_code(texts[0].value):
            code = texts[0].value
        for text in texts:
            for pattern in _patterns(text, least=1 if name == "say" else 2):
                yield Below(code, pattern, f"{module}:{node.lineno}")


def _patterns(node: ast.expr, *, least: int) -> Iterator[str]:
    """Texts of at least so many words that hold a letter to translate."""
    match node:
        case ast.Constant(value=str(text)) if len(text.split()) >= least:
            bare = "".join(part for part, _, _, _ in string.Formatter().parse(text)) if "{" in text else text
            if _LETTERS.search(bare):
                yield text
        case ast.IfExp(body=body, orelse=other):
            yield from _patterns(body, least=least)
            yield from _patterns(other, least=least)


def flattened() -> tuple[str, ...]:
    """Where a text with values in it is put together before it is handed on: nobody could say it otherwise.

    The first line of the place, and the text. Values without words (a path, a number) are no sentence.
    """
    found = []
    sources = _sources()
    kinds = error_kinds(sources.values())
    for path, tree in sources.items():
        known = _known(tree, kinds) - {"say", "listed"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node) in known:
                texts = [*node.args[1:], *(word.value for word in node.keywords if word.arg == "hint")]
                found += [f"{path}:{text.lineno} {ast.unparse(text)}" for text in texts if _has_words(text)]
    return tuple(found)


def _has_words(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr(values=parts):
            return any(isinstance(one, ast.Constant) and " " in str(one.value).strip() for one in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return any(_has_words(one) or _is_text(one) for one in (left, right))
        case ast.IfExp(body=body, orelse=other):
            return any(isinstance(one, ast.JoinedStr) and _has_words(one) for one in (body, other))
    return False


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip()


def _is_code(value: object) -> bool:
    return isinstance(value, str) and " " not in value and "_" in value
