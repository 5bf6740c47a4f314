"""Every error code of the product, read from its source: the reference page and the look-up cannot fall behind."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lfr_edge
from lfr_edge import errors

_CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class ErrorCode:
    code: str
    kind: str  # class of errors.py
    message: str  # as written in the source; … stands for what is known only then
    hint: str


def error_codes() -> tuple[ErrorCode, ...]:
    """Sorted by class and code. A code that is raised in several places has one row for each text."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(Path(lfr_edge.__file__).parent.rglob("*.py"))
    ]
    kinds = error_kinds(trees)
    found = {row for tree in trees for row in _codes_in(tree, kinds)}
    return tuple(sorted(found, key=lambda row: (row.kind, row.code, row.message, row.hint)))


def error_kinds(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Name of every error class → the class of errors.py that it is, or that it refines."""
    kinds = {
        name: name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.LfrError)
    }
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                base = next((b.id for b in node.bases if isinstance(b, ast.Name) and b.id in kinds), None)
                if base is not None:
                    kinds.setdefault(node.name, kinds[base])
    return kinds


def _codes_in(tree: ast.Module, kinds: dict[str, str]) -> Iterator[ErrorCode]:
    # A room's own short cuts (`def _invalid(code, …) -> AuditError`) count like the class that they return.
    local = dict(kinds)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name):
            local.setdefault(node.name, kinds.get(node.returns.id, ""))
        if isinstance(node, ast.ClassDef) and node.name in kinds:
            yield from _own_codes(node, kinds[node.name])
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and local.get(node.func.id):
            yield from _row(node, local[node.func.id])


def _own_codes(node: ast.ClassDef, kind: str) -> Iterator[ErrorCode]:
    """A class that names its own code: ``super().__init__("code", …)``."""
    for call in ast.walk(node):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "__init__"
        ):
            yield from _row(call, kind)


def _row(call: ast.Call, kind: str) -> Iterator[ErrorCode]:
    if not call.args or not isinstance(call.args[0], ast.Constant):
        return
    code = call.args[0].value
    if isinstance(code, str) and _CODE.fullmatch(code):
        hint = next((keyword.value for keyword in call.keywords if keyword.arg == "hint"), None)
        yield ErrorCode(code, kind, _text(call.args[1]) if len(call.args) > 1 else "", _text(hint))


def _text(node: ast.expr | None) -> str:
    """A string as far as the source knows it."""
    match node:
        case None:
            return ""
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
        case ast.Call(func=ast.Name(id="say"), args=[ast.Constant(value=str(pattern))]):
            return _plain(pattern)
    return "…"


def _plain(pattern: str) -> str:
    """A pattern of :mod:`lfr_edge.sentences` with … for each value."""
    return "".join(
        text + ("" if name is None else "…") for text, name, _, _ in string.Formatter().parse(pattern)
    )
