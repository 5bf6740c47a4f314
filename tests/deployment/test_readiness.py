"""The readiness list: each line on its own, and the code by which a start is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lfr_edge.deployment.authority import Clause, clauses
from lfr_edge.deployment.readiness import (
    CODES,
    FREE_MIN,
    ListReading,
    Readings,
    readiness,
    refuse_list,
    refuse_unready,
)
from lfr_edge.errors import DeploymentError, ModelError
from lfr_edge.matching.standing import Standing
from lfr_edge.matching.threshold import Calibration
from tests.fakes.authority import example, fitting, signed_authority

NOW_NS = 1_795_000_000 * 10**9
HOUR_NS = 3_600 * 10**9
HOLDS = tuple(clauses(signed_authority(), fitting(example())))
CALIBRATED = Calibration(
    "pack",
    8,
    "cpu",
    "fp32",
    2000,
    0.01,
    0.4,
    0.39,
    0.41,
    impostors=2000,
    people=1600,
    measured=date(2026, 11, 22),
)
READY = Readings(
    purpose="operational",
    wall_ns=NOW_NS,
    clauses=HOLDS,
    refusal=None,
    listing=ListReading(1204, NOW_NS - HOUR_NS, approved=True),
    cameras={"north": "live", "south": "live"},
    models=None,
    clock_in_step=True,
    free=FREE_MIN,
    log="",
    briefed={"reed": "operator", "hughes": "deployment_officer"},
    standing=Standing(0.4, 1204, CALIBRATED),
)
BROKEN = (
    *HOLDS[:3],
    replace(HOLDS[3], ok=False, text="the rank is too low", hint="ask a superintendent"),
    *HOLDS[4:],
)
UNSIGNED = DeploymentError("authority_unsigned", "nobody has signed it", hint="have it signed")


def listing(**changes: Any) -> ListReading:
    assert READY.listing is not None
    return replace(READY.listing, **changes)


# What is wrong → the code of the refusal. One of each line, and the edges of those that have one.
REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no authority": ({"clauses": None}, "readiness_authority"),
    "an authority that cannot be believed": ({"clauses": None, "refusal": UNSIGNED}, "readiness_authority"),
    "a clause that does not hold": ({"clauses": BROKEN}, f"authority_{BROKEN[3].code}"),
    "a sealed list": ({"listing": None}, "readiness_list_unsealed"),
    "an unlawful entry": ({"listing": listing(unlawful=1)}, "readiness_list_lawful"),
    "an entry past review": ({"listing": listing(past_review=1)}, "readiness_list_lawful"),
    "a list of yesterday": (
        {"listing": listing(compiled_wall_ns=NOW_NS - 24 * HOUR_NS - 1)},
        "readiness_list_fresh",
    ),
    "a list of tomorrow": ({"listing": listing(compiled_wall_ns=NOW_NS + HOUR_NS)}, "readiness_list_fresh"),
    "one person": ({"listing": listing(approved=False)}, "readiness_list_approved"),
    "a dark camera": ({"cameras": {"north": "live", "south": "stalled"}}, "readiness_cameras"),
    "no camera": ({"cameras": {}}, "readiness_cameras"),
    "a threshold that nobody calibrated": ({"standing": Standing(0.4, 1204, None)}, "readiness_threshold"),
    "no threshold yet": ({"standing": None}, "readiness_threshold"),
    "an unlicensed network": ({"models": ModelError("model_licence_forbids", "no")}, "readiness_models"),
    "a clock of its own": ({"clock_in_step": False}, "readiness_clock"),
    "a full disk": ({"free": FREE_MIN - 1}, "readiness_disk"),
    "a dead log": ({"log": "the audit log failed"}, "readiness_log"),
    "nobody briefed": ({"briefed": {}}, "readiness_briefing"),
    "no operator briefed": ({"briefed": {"hughes": "deployment_officer"}}, "readiness_briefing"),
}


def test_everything_holds() -> None:
    lines = readiness(READY)
    assert tuple(line.code for line in lines) == CODES
    assert all(line.ok and line.required and not line.hint for line in lines)
    refuse_unready(lines)


def test_the_edges_hold() -> None:
    for edge in (NOW_NS - 24 * HOUR_NS, NOW_NS):
        refuse_unready(readiness(replace(READY, listing=listing(compiled_wall_ns=edge))))


@pytest.mark.parametrize("wrong", REFUSALS)
def test_a_start_is_refused_by_the_line_that_does_not_hold(wrong: str) -> None:
    changes, code = REFUSALS[wrong]
    lines = readiness(replace(READY, **changes))
    with pytest.raises(DeploymentError) as caught:
        refuse_unready(lines)
    assert caught.value.code == code
    assert caught.value.hint
    assert caught.value.message
    broken = [line for line in lines if not line.ok]
    assert all(line.hint for line in broken), "each says what to do"
    if code.startswith("readiness_"):
        assert broken[0].code == code.removeprefix("readiness_")


def test_every_line_has_a_refusal_here() -> None:
    """The control: a line that nobody tries is a line that nobody knows to work."""
    assert {f"readiness_{code}" for code in CODES} <= {code for _, code in REFUSALS.values()}


def test_an_evaluation_is_told_but_not_held_to_what_protects_the_public() -> None:
    trial = replace(READY, purpose="evaluation", clauses=None, clock_in_step=False,
                    listing=listing(unlawful=3, compiled_wall_ns=0), standing=Standing(0.4, 1204, None))  # fmt: skip
    lines = readiness(trial)
    refuse_unready(lines)
    advice = {line.code for line in lines if not line.ok}
    assert advice == {"authority", "list_lawful", "list_fresh", "clock", "threshold"}
    # An authority that was brought must hold, for a trial too; and so must the second person.
    for change, code in (({"clauses": BROKEN}, f"authority_{BROKEN[3].code}"),
                         ({"listing": listing(approved=False)}, "readiness_list_approved")):  # fmt: skip
        with pytest.raises(DeploymentError) as caught:
            refuse_unready(readiness(replace(trial, **change)))
        assert caught.value.code == code


def test_after_a_crash_it_goes_on_without_waiting_for_a_camera_or_a_briefing() -> None:
    old = listing(approved=False, compiled_wall_ns=NOW_NS - 30 * HOUR_NS, past_review=1)
    resumed = replace(
        READY,
        resuming=True,
        cameras={"north": "connecting"},
        briefed={},
        clock_in_step=False,
        free=0,
        listing=old,
        standing=None,
    )
    refuse_unready(readiness(resumed))
    for change, code in (({"clauses": BROKEN}, f"authority_{BROKEN[3].code}"),
                         ({"clauses": None}, "readiness_authority"), ({"log": "dead"}, "readiness_log"),
                         ({"listing": None}, "readiness_list_unsealed")):  # fmt: skip
        with pytest.raises(DeploymentError) as caught:
            refuse_unready(readiness(replace(resumed, **change)))
        assert caught.value.code == code


def test_it_says_how_often_the_threshold_will_be_wrong() -> None:
    line = next(line for line in readiness(READY) if line.code == "threshold")
    assert line.text == "0.4000: at most one false alert in 100 faces of people not listed"
    unknown = replace(READY, standing=Standing(0.4, 1204, None))
    line = next(line for line in readiness(unknown) if line.code == "threshold")
    assert "cannot tell" in line.text
    assert "calibrate" in line.hint


def test_the_authority_comes_with_its_clauses() -> None:
    line = next(line for line in readiness(replace(READY, clauses=BROKEN)) if line.code == "authority")
    assert len(line.clauses) == len(HOLDS)
    assert "clause 4" in line.text
    assert line.hint == "ask a superintendent"
    assert all(isinstance(clause, Clause) for clause in line.clauses)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"unlawful": 1}, "readiness_list_lawful"),
        ({"past_review": 2}, "readiness_list_lawful"),
        ({"compiled_wall_ns": NOW_NS - 25 * HOUR_NS}, "readiness_list_fresh"),
        ({"compiled_wall_ns": NOW_NS + HOUR_NS}, "readiness_list_fresh"),
    ],
)
def test_a_list_that_joins_a_live_one_is_held_to_the_same(changes: dict[str, Any], code: str) -> None:
    joins = listing(approved=False, **changes)
    with pytest.raises(DeploymentError) as caught:
        refuse_list(joins, "operational", NOW_NS)
    assert caught.value.code == code
    refuse_list(joins, "evaluation", NOW_NS)
    refuse_list(listing(approved=False), "operational", NOW_NS)
