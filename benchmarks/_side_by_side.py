"""One benchmark in several processes at one moment: recognisers that share the cameras out, as the product's do.

A child opens and settles what it needs, says so, and waits. When all have said so, all are told to go. Parent and
child speak JSON lines: what to open; then, again and again, a job, "ready", "go", the row. A child that fails fails
the benchmark, with the last line that it wrote on its error stream. Where one process is asked for, none is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from lfr_edge.errors import LfrError

Row = dict[str, Any]
Measure = Callable[[], Row]
Prepare = Callable[[dict[str, Any]], Measure]
"""Takes a job and does everything that no figure holds: building, warming, settling. What it returns is timed."""

LONGEST_S: Final = (
    300.0  # until a child answers: opening the networks on a card that starts cold takes a minute
)
_ENDING_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_REPOSITORY: Final = Path(__file__).resolve().parents[1]


class ChildError(Exception):
    """A process that measured is gone, or says nothing."""


class Team(Protocol):
    """One process or several. Jobs and rows are in the processes' order."""

    def prepare(self, jobs: Sequence[dict[str, Any]]) -> None: ...

    def measure(self) -> list[Row]:
        """All at one moment. Raises ChildError."""
        ...


@contextlib.contextmanager
def side_by_side(
    module: str,
    abouts: Sequence[dict[str, Any]],
    here: Callable[[], Prepare],
    longest_s: float = LONGEST_S,
) -> Iterator[Team]:
    """One process for each of `abouts`; each calls ``module.child(about)``, which returns a :data:`Prepare`.

    Args:
        here: the same for a single process, which is this one.
        longest_s: until every child has answered.

    **Lifetime:** the children end with the block, and by SIGKILL with this process.
    """
    if len(abouts) == 1:
        yield _Here(here())
        return
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_started(module, about)) for about in abouts]
        yield _Several(children, longest_s)


def shares(cameras: int, recognisers: int) -> list[list[int]]:
    """Numbers of the cameras that each process looks at: dealt out in turn."""
    return [list(range(first, cameras, recognisers)) for first in range(recognisers)]


class _Here:
    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._measures: list[Measure] = []

    def prepare(self, jobs: Sequence[dict[str, Any]]) -> None:
        self._measures = [self._prepare(job) for job in jobs]

    def measure(self) -> list[Row]:
        return [measure() for measure in self._measures]


class _Child:
    """The parent's side of one process."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Any) -> None:
        self.process = process
        self._errors = errors

    def fileno(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def tell(self, body: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # hear() says why
            self.process.stdin.write(json.dumps(body).encode() + b"\n")
            self.process.stdin.flush()

    def hear(self) -> Row:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ChildError(f"a process beside the others {self._last_words()}")
        return dict(json.loads(line))

    def _last_words(self) -> str:
        ended = self.process.wait(_ENDING_S)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"ended with status {ended}: {lines[-1] if lines else 'not a word'}"


class _Several:
    def __init__(self, children: Sequence[_Child], longest_s: float) -> None:
        self._children = children
        self._longest_s = longest_s

    def prepare(self, jobs: Sequence[dict[str, Any]]) -> None:
        for child, job in zip(self._children, jobs, strict=True):
            child.tell(job)
        self._answers()

    def measure(self) -> list[Row]:
        for child in self._children:
            child.tell("go")
        return self._answers()

    def _answers(self) -> list[Row]:
        """One line of each; whoever fails first is heard first. A child says one line, then waits for one."""
        heard: dict[_Child, Row] = {}
        ends = time.monotonic() + self._longest_s
        while waiting := [child for child in self._children if child not in heard]:
            ready, _, _ = select.select(waiting, [], [], max(0.0, ends - time.monotonic()))
            if not ready:
                raise ChildError(
                    f"{len(waiting)} of {len(self._children)} processes did not answer within {self._longest_s:g} s"
                )
            heard |= {child: child.hear() for child in ready}
        return [heard[child] for child in self._children]


@contextlib.contextmanager
def _started(module: str, about: dict[str, Any]) -> Iterator[_Child]:
    # A file for the errors: a pipe that nobody reads would fill up and stop the child.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._side_by_side", module, str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=_REPOSITORY,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            child = _Child(process, errors)
            child.tell(about)
            yield child
            process.stdin.close()  # nothing more to do: it ends by itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_S)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def main(arguments: Sequence[str]) -> int:
    """The child's side."""
    module, parent = arguments
    _end_with(int(parent))
    # What a library prints is no answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        _serve(module, lambda row: print(json.dumps(row, default=float), file=answers, flush=True))
    except LfrError as error:
        print(" ".join(error.diagnostics().split()), file=sys.stderr)
        return error.exit_code
    return 0


def _serve(module: str, answer: Callable[[Row], None]) -> None:
    about = sys.stdin.readline()
    prepare: Prepare = importlib.import_module(module).child(json.loads(about))
    for job in sys.stdin:
        measure = prepare(json.loads(job))
        answer({"ready": os.getpid()})
        if not sys.stdin.readline():
            return  # nobody waits for it any more
        answer(measure())


def _end_with(parent: int) -> None:
    """However the parent ends: a child that measures would not notice that its input has ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the kernel was asked
        raise SystemExit("the benchmark has ended already")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
