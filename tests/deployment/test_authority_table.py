"""docs/explanation/clauses.md: every code symbol and every test that it names exists, and no clause is left out."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from lfr_edge.deployment.authority import RULES
from lfr_edge.deployment.control.proposal import RULES as KINDS
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "explanation" / "clauses.md"
TEXT = PAGE.read_text(encoding="utf-8")


def symbols(text: str) -> list[str]:
    return sorted(set(re.findall(r"`(lfr_edge\.[\w.]+)`", text)))


def named_tests(text: str) -> list[str]:
    return sorted(set(re.findall(r"`(tests/[\w/.]+::[\w]+)`", text)))


def exists(symbol: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one."""
    parts = symbol.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset(
        functions
        | {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    )


def is_test(name: str) -> bool:
    path, _, function = name.partition("::")
    return (REPOSITORY / path).exists() and function in names_in(REPOSITORY / path)


@pytest.mark.parametrize("symbol", symbols(TEXT))
def test_the_code_exists(symbol):
    assert exists(symbol)


@pytest.mark.parametrize("name", named_tests(TEXT))
def test_the_test_exists(name):
    assert is_test(name)


def test_the_control_an_invented_name_is_noticed():
    assert not exists("lfr_edge.deployment.authority.rules.weather")
    assert not exists("lfr_edge.nowhere")
    assert not is_test("tests/deployment/test_authority.py::test_invented")
    assert not is_test("tests/deployment/nowhere.py::test_invented")
    assert len(symbols(TEXT)) > 40
    assert len(named_tests(TEXT)) > 40


def test_every_row_of_the_page_names_code_and_test():
    for line in TEXT.splitlines():
        if line.startswith("| ") and line.count("|") == 4 and "`tests/" in line:
            assert symbols(line), line
    tables = [line for line in TEXT.splitlines() if line.startswith("| Asked |")]
    assert len(tables) == 5


def test_every_clause_and_every_change_is_on_the_page():
    for rule in RULES:
        row = f"| {rule.number} {rule.title} | `{rule.check.__module__}.{rule.check.__name__}` |"
        assert f"{row} `{rule.refusal.code}` |" in TEXT
    for kind, rule in KINDS.items():
        words = [", ".join(sorted(roles)).replace("_", " ") for roles in (rule.propose, rule.approve)]
        assert f"| `{kind}` | {words[0]} | {words[1]} |" in TEXT


def test_the_count_of_variants_is_the_one_that_is_tried():
    from tests.deployment.two_persons import ATTACKS

    assert f"{len(ATTACKS)} ways" in TEXT
    assert f"{len(ATTACKS) * len(KINDS)} variants" in TEXT
