"""The desk, the record, the pictures and a witness in one seeded simulation (E8)."""

from __future__ import annotations

import logging
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.audit.test_power import LoopDisk
from tests.faults.simulation import kindness
from tests.faults.simulation.campaign import BrokenPromise, memory, simulate
from tests.faults.simulation.planted import BUGS
from tests.trials.trial import Attempt, Outcome, Trial

_STEPS_FOR_A_BUG: Final = 16_000  # each is found within 4,000 by seed 1


def simulate_all(attempt: Attempt) -> Outcome:
    logging.getLogger("lfr_edge").setLevel(logging.CRITICAL)
    try:
        told = simulate(attempt.n, attempt.seed, attempt.step)
    except BrokenPromise as broken:
        return Outcome(attempt.n, (str(broken),))
    return Outcome(told.pop("steps"), facts=told)


def plant_bugs(attempt: Attempt) -> Outcome:
    """All of them have to be found; one that survives makes the whole trial blind."""
    logging.getLogger("lfr_edge").setLevel(logging.CRITICAL)
    found, survived = [], []
    for name, bug in BUGS.items():
        try:
            with bug():
                simulate(_STEPS_FOR_A_BUG, attempt.seed, shrink=False)
        except BrokenPromise as broken:
            found.append(f"{name}: {broken}")
        else:
            survived.append(name)
    return Outcome(len(BUGS), () if survived else tuple(found), {"survived": ", ".join(survived) or "none"})


def compare_disks(attempt: Attempt) -> Outcome:
    return _compare(attempt, kind=False)


def compare_with_a_kind_disk(attempt: Attempt) -> Outcome:
    return _compare(attempt, kind=True)


def _compare(attempt: Attempt, *, kind: bool) -> Outcome:
    disk, failures, lost = LoopDisk(attempt.folder), [], 0
    try:
        for number in range(attempt.n):
            calls = kindness.story(attempt.chance(number))
            left = kindness.really(disk, f"s{number}", calls)
            with tempfile.TemporaryDirectory(dir=memory()) as base:
                wrong = kindness.unknown(Path(base), calls, attempt.seed, left, kind=kind)
                lost += bool(kindness.unknown(Path(base, "kind"), calls, 0, left, kind=True))
            failures += [f"story {number}: {wrong}"] if wrong else []
            attempt.step(1)
    finally:
        subprocess.run(["umount", "--lazy", str(disk.mount)], check=False, capture_output=True)
    return Outcome(attempt.n, tuple(failures), {"stories of which the cut took something": lost})


TRIALS: Final = (
    Trial(
        name="simulation",
        bar="E8",
        promise="what somebody was told survives every crash, exactly once, and everything agrees with the record",
        does="raise, offer, look, race, refer, engage, hold, erase, anchor, crash, by a seed: the real desk, record "
        "and pictures on a disk that drops, reorders and tears, a clock that jumps, a witness behind a bad line",
        sabotage=f"{len(BUGS)} planted bugs, one after the other; all have to be found",
        unit="steps",
        slice=480,
        full=100_000,
        run=simulate_all,
        control=plant_bugs,
        control_n=len(BUGS),
        ci="tests/faults/test_simulation.py::test_the_promises_hold_over_cuts_errors_races_and_jumps",
        about="10 min",
    ),
    Trial(
        name="simulation-disk",
        bar="E8",
        promise="the simulation's disk is no kinder than ext4: whatever a power cut leaves there, the fake leaves, too",
        does="up to six calls (append, sync, sync the folder, rename, unlink, shorten) on a loop-mounted ext4 whose "
        "journal is written out in between; its power goes (FS_IOC_SHUTDOWN), and what is left has to be among what "
        "the fake leaves after the same calls",
        sabotage="a fake that keeps what was written",
        unit="cuts",
        slice=6,
        full=1000,
        run=compare_disks,
        control=compare_with_a_kind_disk,
        control_n=10,
        ci="tests/faults/test_simulation.py::test_the_fake_disk_is_no_kinder_than_ext4",
        needs=("root", "loop device"),
        about="10 min",
    ),
)
