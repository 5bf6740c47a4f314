"""Mutation testing of ``lfr_edge/audit``: ``python tests/audit/mutation.py FOLDER [--sample N --seed S] [--again]``.

Needs mutmut (3.8), which makes the mutants; running them is done here, because it is many times quicker and counts
rightly. FOLDER gets a copy of the room and its in-process tests. They are run once to learn which test runs which
line. Then they are imported once, and for each mutant a fork exchanges the code of the one function and runs the tests
that run the mutated line, quickest first, until one fails. Where that line runs already while modules are imported,
or the signature is mutated, a new process imports the mutated room instead.

Left out: words for people (string literals with a space, hints, whatever stands in ``say(…)``), the declaration of
command-line options, and tests that start other programs. ``equivalent.toml`` names mutants that were read and change
nothing that can be told. Run again, it goes on where it was: a verdict stays while the function, its tests' names and
their durations may change, and ``--again`` tries those once more that lived. FOLDER/verdicts.json holds them all.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
ROOM = "lfr_edge/audit"
SETTINGS = """\
[project]
name = "audit-alone"
version = "0"
[tool.mutmut]
source_paths = ["lfr_edge"]
do_not_mutate_patterns = [
  'add_argument\\(', 'add_parser\\(', 'add_subparsers\\(', '_parser\\(', 'set_defaults\\(', 'ArgumentParser\\(',
]
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-m", "not trial", "-p", "no:cacheprovider", "-q"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
timeout = 180
tmp_path_retention_policy = "none"
pythonpath = ["."]
filterwarnings = ["error", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
markers = ["slow: minutes", "trial: left out"]
"""
PRODUCT = """\
from lfr_edge.audit.__main__ import main as alone

def main(line: list[str]) -> int:
    return alone(line[line[0] == "audit" :])
"""
PARTS = ("__init__.py", "errors.py", "clock.py", "sentences.py", "audit", "cli/__init__.py", "cli/audit.py")
OTHER_PROGRAMS = (
    "test_independent.py", "test_syscalls.py", "test_every_edit.py", "test_power.py", "test_mutation.py",
)  # fmt: skip
MEMORY_BYTES = 4 << 30  # a mutant may ask for everything
KILLED, SLOW, LIVES, UNREACHED = "killed", "stopped or crashed", "lives", "no test reaches it"
FAILED, NEW_PROCESS = "no verdict", "asks for a new process"


@dataclass(frozen=True)
class Mutant:
    """One change of one function. Its name says which: ``module.function: was → becomes``, and which of several."""

    name: str
    module: str
    at: str  # function, or Class.function
    line: int  # of the file, from 1
    nodes: tuple[Any, Any, Any]  # module, original, mutated: of libcst
    in_signature: bool

    @property
    def source(self) -> str:
        """The whole module with this mutation in it."""
        from mutmut.mutation.file_mutation import deep_replace

        module, old, new = self.nodes
        made: str = deep_replace(module, old, new).code
        return made


def lay_out(folder: Path) -> None:
    """The room, what it imports, and its tests."""
    for name in PARTS:
        _copy(REPOSITORY / "lfr_edge" / name, folder / "lfr_edge" / name)
    # The product's own command line would bring the whole product with it.
    (folder / "lfr_edge/cli/main.py").write_text(PRODUCT)
    _copy(REPOSITORY / "tests" / "audit", folder / "tests" / "audit")
    _copy(REPOSITORY / "tests" / "faults" / "tiny_disk.py", folder / "tests" / "faults" / "tiny_disk.py")
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


# What is mutated


def leave_words_alone() -> None:
    """No mutation of what only people read, to which no test holds us: strings that hold a space, and hints."""
    from mutmut.mutation import file_mutation, mutators

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

    table: list[Any] = mutators.mutation_operators
    exchanged = {changed: operator_string, removed: operator_arg_removal}
    table[:] = [(kind, exchanged.get(made, made)) for kind, made in table]
    visitor = file_mutation.MutationVisitor
    skips = visitor._skip_node_and_children

    def skip(self: Any, node: Any) -> bool:
        called = getattr(getattr(node, "func", None), "value", "")
        word = getattr(getattr(node, "keyword", None), "value", "")
        return called == "say" or word == "hint" or skips(self, node)

    visitor._skip_node_and_children = skip


def _is_for_people(node: Any) -> bool:
    """A literal with a space, plain or formatted, several put together, or a sentence by ``say``."""
    parts = [getattr(node, name) for name in ("left", "right") if hasattr(node, name)]
    texts = [getattr(part, "value", "") for part in getattr(node, "parts", ())]
    value = getattr(node, "value", "")
    said = getattr(getattr(node, "func", None), "value", "") == "say"
    spaced = any(isinstance(text, str) and " " in text for text in (value, *texts))
    return said or spaced or any(map(_is_for_people, parts))


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutation that mutmut makes of the functions of one file, in the file's order."""
    import libcst
    from libcst.metadata import MetadataWrapper, PositionProvider
    from mutmut.mutation.file_mutation import create_mutations

    module, mutations, _, _ = create_mutations(str(path), path.read_text())
    places = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    owners = {id(member): top for top in module.body for member in getattr(top.body, "body", ())}
    counts: dict[str, int] = {}
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if not isinstance(function, libcst.FunctionDef):
            continue  # a module's and a class's own lines: mutmut leaves them alone
        owner = owners.get(id(function))
        at = f"{owner.name.value}.{function.name.value}" if owner else function.name.value
        old, new = (
            " ".join(module.code_for_node(node).split())
            for node in (mutation.original_node, mutation.mutated_node)
        )
        name = f"{path.stem}.{at}: {old} → {new}"
        counts[name] = counts.get(name, 0) + 1
        yield Mutant(
            name if counts[name] == 1 else f"{name} ({counts[name]})",
            f"lfr_edge.audit.{path.stem}",
            at,
            places[mutation.original_node if mutation.original_node in places else function].start.line,
            (module, mutation.original_node, mutation.mutated_node),
            _holds(function.params, mutation.original_node),
        )


def _holds(tree: Any, node: Any) -> bool:
    return tree is node or any(_holds(child, node) for child in tree.children)


def equivalents() -> dict[str, str]:
    """Mutant's name → why nobody can tell it from the original."""
    listed = tomllib.loads(EQUIVALENT.read_text())["mutant"] if EQUIVALENT.exists() else []
    return {one["name"]: one["why"] for one in listed}


# Which tests


class Lines:
    """Which tests run which lines, by a run of all of them under coverage; made once per FOLDER and source."""

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData

        self._data = CoverageData(str(folder / "lines.coverage"))
        self._data.read()
        self._folder = folder
        durations = json.loads((folder / "durations.json").read_text())
        self.durations: dict[str, float] = durations

    @functools.cache  # noqa: B019 - as long as the program
    def _of_file(self, module: str) -> tuple[dict[int, list[str]], dict[int, range]]:
        path = self._folder / (module.replace(".", "/") + ".py")
        by_line = self._data.contexts_by_lineno(str(path))
        spans: dict[int, range] = {}
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                continue
            first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
            body: list[ast.stmt] = getattr(node, "body", [])
            end = body[0].lineno - 1 if body else getattr(node, "end_lineno", first)
            span = range(first, max(first, end) + 1)
            for line in span:
                if line not in spans or len(spans[line]) > len(span):
                    spans[line] = span
        return by_line, spans

    def tests(self, mutant: Mutant) -> tuple[list[str], bool]:
        """The tests that run the mutated statement, quickest first; and whether an import does."""
        by_line, spans = self._of_file(mutant.module)
        found: set[str] = set()
        for line in spans.get(mutant.line, range(mutant.line, mutant.line + 1)):
            found.update(by_line.get(line, ()))
        tests = {context.rsplit("|", 1)[0] for context in found} - {""}
        order = sorted(tests, key=lambda test: (self.durations.get(test, 0.0), test))
        return order, "" in found


class _Durations:
    """Of each test, set-up and all."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


def learn(folder: Path) -> None:
    """Run all tests once under coverage (in a process of its own: nothing may be imported here before a fork)."""
    environment = {**os.environ, "COVERAGE_FILE": str(folder / "lines.coverage")}
    (folder / "lines.coverage").unlink(missing_ok=True)
    (folder / ".coveragerc").write_text(f"[run]\nsource = {folder / ROOM}\nparallel = false\n")
    line = [sys.executable, __file__, str(folder), "--learn"]
    subprocess.run(line, check=True, cwd=folder, env=environment)


def learn_here(folder: Path) -> int:
    durations = _Durations()
    covered = [f"--cov={folder / ROOM}", "--cov-context=test", "--cov-report=", "--cov-config=.coveragerc"]
    status = pytest.main(["tests/audit", *covered], plugins=[durations])
    if status:
        raise SystemExit("a test fails without any mutant")
    (folder / "durations.json").write_text(json.dumps(durations.seconds))
    return 0


def _steady() -> None:
    """Property tests draw the same examples each time, and do not shrink what they found."""
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")


# One mutant


def exchange(mutant: Mutant) -> bool:
    """Put the mutated code into the live function. False where a new process has to import it."""
    found = _code_of(compile(mutant.source, "<mutant>", "exec"), mutant.at.split("."))
    live = importlib.import_module(mutant.module)
    *owner, name = mutant.at.split(".")
    holder = getattr(live, owner[0]) if owner else live
    function = inspect.getattr_static(holder, name)
    function = getattr(function, "__func__", function)
    if found is None or not isinstance(function, FunctionType):
        return False
    if found.co_freevars != function.__code__.co_freevars:
        return False
    function.__code__ = found.replace(co_filename=function.__code__.co_filename)
    return True


def _code_of(code: CodeType, path: Sequence[str]) -> CodeType | None:
    for name in path:
        inner = [one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name]
        if not inner:
            return None
        code = inner[-1]
    return code


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module with a mutation in it."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(name, self) if name == self._module else None

    def get_filename(self, name: str) -> str:
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:
        return self._source.encode()

    def path_stats(self, path: str | bytes) -> Any:
        raise OSError  # no byte code is kept


class Forks:
    """Takes the place of pytest's loop over the tests: a fork per mutant, each with some of the tests."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        by_name = {item.nodeid: item for item in session.items}
        durations = self._work.lines.durations
        gc.freeze()  # a child that collects garbage would copy every page
        for mutant in self._work.todo:
            tests, at_import = self._work.lines.tests(mutant)
            tests.sort(key=self._work.killers(mutant), reverse=True)  # stable: else as they come
            items = [by_name[test] for test in tests if test in by_name]
            verdict, by = (LIVES, "") if items or at_import else (UNREACHED, "")
            seconds = 20 + 10 * sum(durations[item.nodeid] for item in items)
            if items and not mutant.in_signature:
                job = functools.partial(_tried, session, mutant, items, durations, self._work.control)
                verdict, by = _fork(job, seconds)
            if verdict == LIVES and (at_import or mutant.in_signature or by == NEW_PROCESS):
                job = functools.partial(_anew, mutant, tests, self._work.control)
                verdict, by = _fork(job, seconds + 60)
            self._work.note(mutant, verdict, by)
        return True


def _tried(
    session: pytest.Session, mutant: Mutant, items: list[Any], durations: dict[str, float], control: bool
) -> tuple[str, str]:
    try:
        if not control and not exchange(mutant):
            return LIVES, NEW_PROCESS
    except Exception as error:  # of this program, not of the room: no verdict
        return FAILED, repr(error)
    for item, following in zip(items, [*items[1:], None], strict=True):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
        signal.setitimer(signal.ITIMER_REAL, 10 * durations[item.nodeid] + 10)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return KILLED, item.nodeid
    return LIVES, ""


def _anew(mutant: Mutant, tests: list[str], control: bool) -> tuple[str, str]:
    """Import everything again, with the mutation in it, in a new process."""
    order = tests or ["tests/audit"]
    (Path.cwd() / "one.json").write_text(json.dumps(order))
    (Path.cwd() / "one.py").write_text(mutant.nodes[0].code if control else mutant.source)
    line = [sys.executable, __file__, ".", "--one", mutant.module]
    done = subprocess.run(line, capture_output=True, check=False)
    return (LIVES, "") if done.returncode == 0 else (KILLED, "import anew")


def _one_here(module: str) -> int:
    source = Path("one.py").read_text()
    sys.meta_path.insert(0, Mutated(module, Path(module.replace(".", "/") + ".py").resolve(), source))
    return int(pytest.main(["-x", *json.loads(Path("one.json").read_text())]))


def _fork(job: Any, seconds: float) -> tuple[str, str]:
    """What `job` says in a child, which has `seconds` and its own group of processes."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        os.close(read)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silent, descriptor)
        said = (KILLED, "broke the test run")
        with contextlib.suppress(BaseException):
            said = job()
        os.write(write, json.dumps(said).encode())
        os._exit(0)
    os.close(write)
    end = time.monotonic() + seconds
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return SLOW, ""
        time.sleep(0.005)
    answer = os.read(read, 65_536)
    os.close(read)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    verdict, by = json.loads(answer) if answer else (SLOW, "")
    return verdict, by


# The whole run


class Work:
    """What is to be tried, and the verdicts, kept in FOLDER after each."""

    def __init__(self, folder: Path, seconds: float, *, control: bool) -> None:
        self.lines = Lines(folder)
        self.control = control
        self.todo: list[Mutant] = []
        self.verdicts: dict[str, dict[str, Any]] = {}
        self._end = time.monotonic() + seconds
        self._file = folder / ("control.json" if control else "verdicts.json")
        if self._file.exists() and not control:
            self.verdicts = json.loads(self._file.read_text())

    def killers(self, mutant: Mutant) -> Callable[[str], int]:
        """How many mutants of the same function a test has killed: it goes first."""
        place = f"{mutant.module.rpartition('.')[2]}.{mutant.at}: "
        mine = [each["by"] for name, each in self.verdicts.items() if name.startswith(place)]
        return mine.count

    def note(self, mutant: Mutant, verdict: str, by: str) -> None:
        self.verdicts[mutant.name] = {"line": mutant.line, "verdict": verdict, "by": by}
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self.verdicts, indent=0, ensure_ascii=False))
        new.replace(self._file)
        if time.monotonic() > self._end:
            self.todo.clear()


def report(sample: list[Mutant], verdicts: dict[str, dict[str, Any]]) -> None:
    """The score of a sample by module, and each mutant in it that lives."""
    why = equivalents()
    rows: dict[str, list[int]] = {}
    for mutant in sample:
        verdict = verdicts.get(mutant.name, {}).get("verdict")
        row = rows.setdefault(mutant.module.rpartition(".")[2], [0, 0, 0, 0])
        if verdict in {None, FAILED}:
            row[3] += 1
        elif verdict in {KILLED, SLOW}:
            row[0] += 1
        elif mutant.name in why:
            row[2] += 1
        else:
            row[1] += 1
            print(f"{mutant.module}:{mutant.line} {verdict}: {mutant.name}")
    for module, row in sorted(rows.items(), key=lambda one: -one[1][1]):
        print(
            f"{module:18} {row[0]:5} killed {row[1]:4} live {row[2]:3} equivalent {row[3]:5} without verdict"
        )
    killed, live, same, rest = (sum(column) for column in zip(*rows.values(), strict=True))
    low, high = wilson(killed, killed + live)
    share = killed / max(1, killed + live)
    print(f"{killed} of {killed + live} killed: {share:.1%} (95 %: {low:.1%} to {high:.1%}); ", end="")
    print(f"{same} equivalent, {rest} without verdict, {len(sample)} in the sample")


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.959964, hits / of
    middle, width = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + (z / (2 * of)) ** 2)
    return (middle - width) / (1 + z * z / of), (middle + width) / (1 + z * z / of)


def main() -> int:
    line = argparse.ArgumentParser(description="Mutation testing of lfr_edge/audit.")
    line.add_argument("folder", type=Path)
    line.add_argument("--sample", type=int, help="only so many mutants (default: all)")
    line.add_argument("--seed", type=int, default=1, help="of which")
    line.add_argument("--module", action="append", help="only of this one")
    line.add_argument("--again", action="store_true", help="copy and learn anew, and try again what lived")
    line.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    line.add_argument("--control", action="store_true", help="mutate nothing: all must live")
    line.add_argument("--learn", action="store_true", help=argparse.SUPPRESS)
    line.add_argument("--one", help=argparse.SUPPRESS)
    asked = line.parse_args()
    folder = asked.folder.resolve()
    if asked.learn or asked.one:
        _steady()
        sys.path.insert(0, str(folder))
        return learn_here(folder) if asked.learn else _one_here(asked.one)
    if asked.again or not (folder / "durations.json").exists():
        lay_out(folder)
        learn(folder)
    os.chdir(folder)
    leave_words_alone()
    paths = sorted(
        path for path in (folder / ROOM).glob("*.py") if path.stem in (asked.module or [path.stem])
    )
    mutants = [mutant for path in paths for mutant in mutants_of(path)]
    print(f"{len(mutants)} mutants")
    if asked.sample is not None:
        mutants = random.Random(asked.seed).sample(mutants, min(asked.sample, len(mutants)))
    work = Work(folder, asked.seconds, control=asked.control)
    why = equivalents()
    for mutant in mutants:
        before = work.verdicts.get(mutant.name, {}).get("verdict")
        if before is None or (asked.again and before not in {KILLED, SLOW} and mutant.name not in why):
            work.todo.append(mutant)
    _steady()
    sys.path.insert(0, str(folder))
    pytest.main(["tests/audit"], plugins=[Forks(work)])
    report(mutants, work.verdicts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
