"""Faults in every system call of a box's larger acts: rotate, erase, import, upgrade (A2)."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from itertools import count, product
from pathlib import Path
from typing import Final

from tests.faults.calls.disturbed import CALLS, FAULTS, Actor
from tests.faults.calls.lives import LIVES
from tests.trials.parts import go_verifier
from tests.trials.trial import Attempt, Fact, Outcome, Trial

Walk = tuple[str, str, str, bool]  # life, call, fault, for ever


def disturb(attempt: Attempt) -> Outcome:
    """Walk the fault through every occurrence; n bounds the runs, spread over all combinations."""
    return _disturb(attempt, list(product(LIVES, CALLS, FAULTS, (False, True))), hasty=False)


def disturb_a_hasty_box(attempt: Attempt) -> Outcome:
    return _disturb(attempt, [(life, "fdatasync", "signal=KILL", False) for life in LIVES], hasty=True)


def _disturb(attempt: Attempt, walks: list[Walk], *, hasty: bool) -> Outcome:
    logging.getLogger("lfr_edge").setLevel(logging.CRITICAL)  # of retention, which says each time what failed
    attempt.chance("order").shuffle(walks)
    program = go_verifier(attempt.folder) if attempt.n >= 20 else None
    going = {walk: count(1) for walk in walks}
    ends: Counter[str] = Counter()
    tried, met, failures = 0, 0, []
    with Actor() as actor:
        while going and tried < attempt.n:
            for walk in list(going):
                if tried >= attempt.n:
                    break
                occurrence = next(going[walk])
                how, there, wrong = _once(attempt.folder, actor, walk, occurrence, program, hasty=hasty)
                tried, met = tried + 1, met + there
                ends[how] += 1
                name = f"{walk[0]}: {walk[1]} {walk[2]} {occurrence}{'+' if walk[3] else ''}"
                failures += [f"{name}: {wrong}"] if wrong else []
                if not there:
                    del going[walk]
                attempt.step(1)
    facts: dict[str, Fact] = {
        "faults met": met,
        "walked to their end": len(walks) - len(going),
        "of": len(walks),
    }
    return Outcome(tried, tuple(failures), facts | {f"ended: {how}": n for how, n in sorted(ends.items())})


def _once(
    folder: Path, actor: Actor, walk: Walk, occurrence: int, program: Path | None, *, hasty: bool
) -> tuple[str, bool, str]:
    """How the act ended, whether it met the fault, and what was wrong afterwards."""
    life, call, fault, forever = walk
    made, root = folder / f"made-{life}", folder / "run"
    if not made.exists():
        made.mkdir()
        LIVES[life].begin(made)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(made, root, symlinks=True)
    when = f"{occurrence}+" if forever else f"{occurrence}"
    ended = actor.act(life, root, folder / "trace", call, fault, when, hasty=hasty)
    try:
        wrong = LIVES[life].judge(root, ended.told, program)
    except Exception as error:  # whatever it is, the box did not survive
        wrong = f"{type(error).__name__}: {error}"
    if not wrong and not ended.met and ended.how != "done":
        wrong = f"without a fault it ended as: {ended.how}"
    return ended.how, ended.met, wrong


TRIALS: Final = (
    Trial(
        name="syscalls",
        bar="A2",
        promise="no I/O error and no kill at any system call of a rotation, an erasure, an import or an upgrade "
        "leaves anything half, or loses what was acknowledged",
        does="strace fails one occurrence after the other of 14 calls (EIO, ENOSPC, SIGKILL; once, and from then on "
        "for ever); both verifiers find nothing, and the same act done again comes to its end",
        sabotage="a box that acknowledges before it acts",
        unit="runs",
        slice=8,
        full=20_000,
        run=disturb,
        control=disturb_a_hasty_box,
        control_n=8,
        ci="tests/faults/test_calls.py::test_an_act_is_disturbed_at_some_calls",
        needs=("strace", "go"),
        about="30 min; ends by itself when every occurrence was met",
    ),
)
