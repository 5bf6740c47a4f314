"""Mutation testing of ``lfr_edge/audit``: ``python tests/audit/mutation.py FOLDER`` with mutmut in the environment.

Copies the room and its in-process tests to FOLDER and runs mutmut 3 there; ``mutmut results`` in FOLDER lists what
survived. Left out: words for people (string literals with a space), the declaration of command-line options, and tests
that start other programs or take longer than a second. Run again, it goes on where it was; stopped early, what is
done is a random sample.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = """\
[project]
name = "audit-alone"
version = "0"
[tool.mutmut]
source_paths = ["lfr_edge"]
only_mutate = ["lfr_edge/audit/*"]
do_not_mutate_patterns = ['add_argument\\(', 'add_parser\\(', '_parser\\(', 'set_defaults\\(', 'ArgumentParser\\(']
also_copy = ["audit_logs"]
pytest_add_cli_args_test_selection = ["tests/audit"]
pytest_add_cli_args = [
  "--deselect=tests/audit/test_recovery.py::test_truncate_the_last_record_at_every_byte",
  "--deselect=tests/audit/test_recovery.py::test_truncate_the_signed_files_at_every_byte",
  "--deselect=tests/audit/test_tamper.py::test_random_edits",
  "--deselect=tests/audit/test_commands.py::test_a_witness_from_key_to_anchor",
  "--deselect=tests/audit/test_commands.py::test_errors_never_look_like_an_alteration",
]
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-m", "not trial and not slow", "-p", "no:cacheprovider"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
timeout = 60
pythonpath = ["."]
markers = ["slow: left out", "trial: left out"]
"""
OTHER_PROGRAMS = (
    "test_independent.py",
    "test_syscalls.py",
    "test_faults.py",
    "test_every_edit.py",
    "test_power.py",
)


def lay_out(folder: Path) -> None:
    """The room, what it imports, and its tests."""
    for name in ("__init__.py", "errors.py", "clock.py", "audit", "cli/__init__.py", "cli/audit.py"):
        _copy(REPOSITORY / "lfr_edge" / name, folder / "lfr_edge" / name)
    # The product's own command line would bring the whole product with it.
    (folder / "lfr_edge/cli/main.py").write_text("from lfr_edge.audit.__main__ import main as main\n")
    _copy(REPOSITORY / "tests" / "audit", folder / "tests" / "audit")
    for name in OTHER_PROGRAMS:
        (folder / "tests" / "audit" / name).unlink(missing_ok=True)
    _copy(REPOSITORY / "audit_logs" / "samples", folder / "audit_logs" / "samples")
    (folder / "pyproject.toml").write_text(SETTINGS)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def leave_words_alone() -> None:
    """No mutation of what only people read, to which no test holds us: strings that hold a space, and hints."""
    from mutmut.mutation import mutators

    changed, removed = mutators.operator_string, mutators.operator_arg_removal

    def operator_string(node: Any) -> Iterable[Any]:
        return () if _is_for_people(node) else changed(node)

    def operator_arg_removal(node: Any) -> Iterable[Any]:
        silent = [
            arg
            for arg in node.args
            if _is_for_people(arg.value) or (arg.keyword and arg.keyword.value == "hint")
        ]
        # A mutant lacks one argument, or has None in its place; of those that are for people it must keep all.
        return (one for one in removed(node) if all(arg in one.args for arg in silent))

    table = mutators.mutation_operators
    exchanged = {changed: operator_string, removed: operator_arg_removal}
    table[:] = [(kind, exchanged.get(made, made)) for kind, made in table]


def _is_for_people(node: Any) -> bool:
    """A literal with a space, plain or formatted, or several put together."""
    parts = [getattr(node, name) for name in ("left", "right") if hasattr(node, name)]
    texts = [getattr(part, "value", "") for part in getattr(node, "parts", ())]
    value = getattr(node, "value", "")
    return any(isinstance(text, str) and " " in text for text in (value, *texts)) or any(
        map(_is_for_people, parts)
    )


def names(folder: Path) -> list[str]:
    """Every mutant that has no verdict yet, in an order that is random and always the same."""
    found: list[str] = []
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        verdicts = json.loads(meta.read_text())["exit_code_by_key"]
        found += [name for name, verdict in verdicts.items() if verdict is None]
    random.Random(1).shuffle(found)
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    lay_out(folder)
    os.chdir(folder)
    leave_words_alone()
    from mutmut.__main__ import cli

    workers = ["--max-children", str(os.cpu_count() or 2)]
    with contextlib.suppress(SystemExit):
        cli(
            ["run", *workers, "lfr_edge.audit.crc32c.x_crc32c__mutmut_1"]
        )  # makes all mutants, measures all tests
    while left := names(folder):  # in parts: what is done when it is stopped is a random sample
        with contextlib.suppress(SystemExit):
            cli(["run", *workers, *left[:250]])


if __name__ == "__main__":
    main()
