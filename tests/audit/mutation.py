"""Mutation testing of ``lfr_edge/audit``: ``python tests/audit/mutation.py FOLDER [--sample N --seed S --workers W]``.

Needs mutmut in the environment. Copies the room and its in-process tests to FOLDER and runs mutmut 3 there, each mutant
against the tests that reach it; ``mutmut results`` in FOLDER lists what survived. Left out: words for people (string
literals with a space, and the values put into them), the declaration of command-line options, and tests that start
other programs or take longer than a second. Run again, it goes on where it was; stopped early, what is done is a random
sample.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
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
    for name in (
        "__init__.py",
        "errors.py",
        "clock.py",
        "sentences.py",
        "audit",
        "cli/__init__.py",
        "cli/audit.py",
    ):
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
        if getattr(node.func, "value", "") == "say":
            return ()
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


def verdicts(folder: Path) -> dict[str, int | None]:
    """Every mutant by name: the exit status of its tests, None while it was not tried."""
    found: dict[str, int | None] = {}
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        found |= json.loads(meta.read_text())["exit_code_by_key"]
    return found


def names(folder: Path, seed: int) -> list[str]:
    """Every mutant that has no verdict yet, in an order that is random and always the same for a seed.

    The order is that of all mutants, so what was done in an earlier run is the beginning of it."""
    tried = verdicts(folder)
    every = sorted(tried)
    random.Random(seed).shuffle(every)
    return [name for name in every if tried[name] is None]


def main() -> None:
    line = argparse.ArgumentParser(description="Mutation testing of lfr_edge/audit.")
    line.add_argument("folder", type=Path)
    line.add_argument("--sample", type=int, help="stop after so many mutants (default: all)")
    line.add_argument("--seed", type=int, default=1, help="of the order in which they are tried")
    line.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    asked = line.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lay_out(folder)
    os.chdir(folder)
    leave_words_alone()
    from mutmut.__main__ import cli

    workers = ["--max-children", str(asked.workers)]
    with contextlib.suppress(SystemExit):
        # makes all mutants, measures all tests
        cli(["run", *workers, "lfr_edge.audit.crc32c.x_crc32c__mutmut_1"])
    left = names(folder, asked.seed)
    if asked.sample is not None:
        left = left[: asked.sample]
    while left:  # in parts: what is done when it is stopped is a random sample
        part, left = left[:50], left[50:]
        with contextlib.suppress(SystemExit):
            cli(["run", *workers, *part])


if __name__ == "__main__":
    main()
