"""Every parser of somebody else's bytes, fuzzed by coverage (D1 to D4). The corpus is kept beside the targets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.faults.fuzz.targets import TARGETS
from tests.trials.parts import REPOSITORY
from tests.trials.trial import Attempt, Outcome, Trial

CORPUS: Final = REPOSITORY / "tests" / "faults" / "corpus"
FULL: Final = (
    1_000_000  # inputs, in the order of what ten minutes give: a full run lasts so long, whatever it tries
)
_FULL_S: Final = 600
MOST_KEPT: Final = 8192  # bytes of one kept input
_WHAT: Final = {
    "archive": "the ZIP reader of watchlist bundles",
    "image": "the checks of a candidate's picture, and its decoder",
    "bundle-manifest": "the manifest of a watchlist bundle",
    "model-manifest": "the manifest of a model pack (pydantic, whose coverage no fuzzer sees)",
    "release-manifest": "the manifest of a release",
    "authority": "the Written Authority Document",
    "audit-frame": "frames, torn tails and entries of the record",
    "checkpoint": "checkpoints, heads, keys and a witness's requests",
    "sdp": "a camera's SDP, as FFmpeg reads it (whose coverage no fuzzer sees)",
}


def _fuzz(target: str) -> Callable[[Attempt], Outcome]:
    def fuzz(attempt: Attempt) -> Outcome:
        work = attempt.folder / "corpus"
        shutil.copytree(CORPUS / target, work) if (CORPUS / target).is_dir() else work.mkdir()
        outcome = _run(attempt, target, work)
        if attempt.n < FULL or outcome.failures:
            return outcome
        kept = _keep(target, work, attempt.folder / "kept")
        return replace(outcome, facts={**outcome.facts, "inputs kept": kept})

    return fuzz


def _sabotaged(target: str) -> Callable[[Attempt], Outcome]:
    return lambda attempt: _run(attempt, target, attempt.folder / "corpus", "--sabotage")


def _run(attempt: Attempt, target: str, work: Path, *more: str) -> Outcome:
    whole = attempt.n >= FULL
    limits = [f"-max_total_time={_FULL_S}"] if whole else [f"-runs={attempt.n}"]
    command = [sys.executable, "-m", "tests.faults.fuzz.run", target, str(work), *more, *limits]
    command += [f"-seed={attempt.seed % 2**31 or 1}", f"-artifact_prefix={attempt.folder}/", "-timeout=10"]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, errors="replace", check=False
    )
    told = re.findall(r"^#(\d+)\t\S+.*?(?:cov: (\d+))?", done.stderr, re.MULTILINE)
    coverage = re.findall(r"cov: (\d+)", done.stderr)
    tried = max((int(number) for number, _ in told), default=0)
    attempt.step(min(tried, attempt.n))
    failures = []
    if done.returncode:
        finds = [path.read_bytes().hex()[:2000] for path in attempt.folder.glob("*-*") if path.is_file()]
        error = re.search(
            r"Uncaught Python exception: ===\s*\n(.+)|(libFuzzer: .+)", done.stdout + done.stderr
        )
        words = next(filter(None, error.groups()), "") if error else done.stderr[-300:]
        failures.append(f"{words} on input {finds}")
    facts = {"seconds": _FULL_S} if whole else {}
    return Outcome(tried, tuple(failures), facts | {"edges": int(coverage[-1])} if coverage else facts)


def _keep(target: str, work: Path, smallest: Path) -> int:
    """The fewest inputs that reach what all of them reach; how many."""
    smallest.mkdir()
    if TARGETS[target].says is None:
        command = [
            sys.executable,
            "-m",
            "tests.faults.fuzz.run",
            target,
            str(smallest),
            str(work),
            "-merge=1",
        ]
        subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
    else:  # one of each answer is all there is
        shutil.copytree(work, smallest, dirs_exist_ok=True)
    kept = [path for path in smallest.iterdir() if not path.name.startswith("seed-")]
    kept = [path for path in kept if 0 < path.stat().st_size <= MOST_KEPT]
    shutil.rmtree(CORPUS / target, ignore_errors=True)
    (CORPUS / target).mkdir(parents=True)
    for path in kept:
        shutil.copyfile(path, CORPUS / target / path.name)
    return len(kept)


TRIALS: Final = tuple(
    Trial(
        name=f"fuzz-{target}",
        bar="D",
        promise=f"no input breaks a parser: {what}",
        does=(
            "atheris (libFuzzer, guided by Python's coverage)"
            if TARGETS[target].says is None
            else "libFuzzer's changes"
        )
        + ": each input is accepted or refused in words",
        sabotage="a refusal counts as a break",
        unit="inputs",
        slice=2000,
        full=FULL,
        run=_fuzz(target),
        control=_sabotaged(target),
        control_n=2_000,
        ci="tests/faults/test_fuzz.py::test_every_kept_input_and_some_new_ones",
        needs=("atheris",),
        about="or what 10 min give",
    )
    for target, what in _WHAT.items()
)
