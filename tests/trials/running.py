"""One run of a trial: is everything here, does the control fail, does the promise hold."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks._line import commit, hardware, versions
from tests.faults.whole import memory_group
from tests.trials.trial import Attempt, Code, Need, NotHereError, Outcome, Trial, shown

REPOSITORY: Final = Path(__file__).resolve().parents[2]
Verdict = Literal["held", "broken", "blind"]


def missing(trial: Trial) -> tuple[Need, ...]:
    """What the trial needs and this machine lacks."""
    return tuple(need for need in trial.needs if not _HERE[need]())


def carry_out(
    trial: Trial, n: int, seed: int, step: Callable[[int], None] = lambda done: None, *, control: bool = True
) -> dict[str, Any]:
    """Control first, then the attack; the result as it is kept.

    Raises:
        NotHereError: something is missing; nothing was tried.
    """
    lacking = missing(trial)
    if lacking:
        raise NotHereError(f"{trial.name} needs {', '.join(lacking)}")
    began, cpu = time.monotonic(), _cpu_s()
    seen = _attempt(trial.control, trial.control_n, seed, lambda done: None) if control else None
    outcome = _attempt(trial.run, n, seed, step)
    blind = not outcome.tried or (seen is not None and not seen.failures)
    verdict: Verdict = "broken" if outcome.failures else "blind" if blind else "held"
    return {
        "trial": trial.name,
        "ran": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seed": seed,
        "verdict": verdict,
        "unit": trial.unit,
        "asked": n,
        "tried": outcome.tried,
        "failures": len(outcome.failures),
        "failed": shown(outcome.failures),
        "bound_95": outcome.bound,
        "facts": dict(outcome.facts),
        "control": None
        if seen is None
        else {"sabotage": trial.sabotage, "tried": seen.tried, "failures": len(seen.failures)}
        | {"failed": shown(seen.failures)[:3]},
        "took_s": round(time.monotonic() - began, 1),
        "took_cpu_s": round(_cpu_s() - cpu, 1),
        "hardware": hardware(),
        "versions": versions() | {"kernel": platform.release()},
    }


def _attempt(code: Code, n: int, seed: int, step: Callable[[int], None]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="lfr-trial-", ignore_cleanup_errors=True) as scratch:
        try:
            return code(Attempt(n, seed, Path(scratch), step))
        except AssertionError as error:
            # Code shared with a test says so by an assertion, at the first failure.
            return Outcome(n, (_told(error),), {"stopped": "at the first failure"})


def _told(error: AssertionError) -> str:
    """What it says; where that is nothing, which assertion it was."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return str(error) or f"{Path(last.filename).name}:{last.lineno}: {last.line}"


def within(attempt: Attempt, name: str, n: int | None = None) -> Attempt:
    """A part of an attempt, in a folder of its own."""
    folder = attempt.folder / name
    folder.mkdir()
    return replace(attempt, folder=folder, n=attempt.n if n is None else n)


def _cpu_s() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _may_loop() -> bool:
    return os.geteuid() == 0 and Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4") is not None


def _may_trace() -> bool:
    probe = ["strace", "-qq", "-o/dev/null", "-einject=getppid:error=EIO", "true"]
    return (
        shutil.which("strace") is not None
        and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


_HERE: Final[dict[Need, Callable[[], bool]]] = {
    "root": lambda: os.geteuid() == 0,
    "loop device": _may_loop,
    "strace": _may_trace,
    "libeatmydata": lambda: any(Path("/usr/lib").glob("*/libeatmydata.so")),
    "go": lambda: shutil.which("go") is not None and Path("/usr/share/gocode/src/golang.org/x/mod").is_dir(),
    "atheris": lambda: find_spec("atheris") is not None,
    "shared": lambda: (REPOSITORY.parent / "shared" / "models").is_dir(),
    "memory group": memory_group.there_is_one,
    "networks": lambda: find_spec("onnxruntime") is not None,
}
