"""The desk, the record, the pictures and a witness in one seeded simulation (E8)."""

from __future__ import annotations

import logging
from typing import Final

from tests.faults.simulation.campaign import BrokenPromise, simulate
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
)
