"""The supervisor's figures, against plain readings and published values."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.alerts.alert import Alert, AlertId, Drill, Facts, Look, State
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.performance import Operator, median_interval, operators, sensitivity
from tests.fakes.box import raised

SAME, DIFFERENT, UNSURE = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON, Answer.CANNOT_JUDGE
WHY = Factors.of(["features_agree"])


def ended(
    *looks: tuple[str, Answer], truth: Answer | None = None, state: State = State.NOT_REFERRED
) -> Alert:
    given_ = tuple(Look(who, answer, WHY, "", 1, 1000 * (n + 1)) for n, (who, answer) in enumerate(looks))
    alert = Alert(AlertId.new(1), 4, state, Facts.of(raised()), 5, looks=given_)
    return alert if truth is None else replace(alert, state=State.REVEALED, drill=Drill(truth, "c", True))


def test_each_look_counts_for_whom_it_was():
    told = {
        person.account: person
        for person in operators(
            [
                ended(("miller", SAME), ("reed", SAME), state=State.REFERRED),
                ended(("miller", SAME), ("reed", UNSURE), ("okafor", DIFFERENT)),
                ended(("reed", DIFFERENT)),
                ended(("miller", SAME), state=State.SECOND_LOOK),  # nobody is to know that answer yet
                ended(("miller", SAME), truth=SAME),
                ended(("miller", SAME), truth=DIFFERENT),
                ended(("miller", UNSURE), truth=SAME),
            ]
        )
    }
    miller, reed, okafor = told["miller"], told["reed"], told["okafor"]
    assert (miller.looks, miller.overrides, miller.shared, miller.agreed) == (2, 0, 2, 1)
    assert (miller.same_drills, miller.hits, miller.different_drills, miller.false_alarms) == (2, 1, 1, 1)
    assert (reed.looks, reed.overrides, reed.unsure, reed.shared, reed.agreed) == (3, 2, 1, 2, 1)
    assert (okafor.overrides, okafor.shared) == (1, 0), "a third look has no first or second to agree with"
    assert reed.took_ms == [2000, 2000, 1000]
    assert miller.drills == 3


def test_sensitivity_is_hautus_and_gourevitch_and_galanter():
    """8 of 10 and 2 of 10: log-linear rates 8.5/11 and 2.5/11, so d′ = 2·z(0.7727) = 1.496 by tables."""
    told = sensitivity(Operator("miller", same_drills=10, hits=8, different_drills=10, false_alarms=2))
    assert told.d_prime == pytest.approx(1.496, abs=0.001)
    assert told.criterion == pytest.approx(0, abs=1e-9)
    rate = 8.5 / 11
    density = math.exp(-((told.d_prime / 2) ** 2) / 2) / math.sqrt(2 * math.pi)
    half = 1.959964 * math.sqrt(2 * rate * (1 - rate) / (11 * density**2))
    assert told.high - told.d_prime == pytest.approx(half, rel=1e-6)


@pytest.mark.parametrize(("hits", "alarms"), [(0, 0), (5, 0), (5, 5), (0, 5)])
def test_perfect_and_hopeless_desks_have_a_figure(hits, alarms):
    told = sensitivity(Operator("x", same_drills=5, hits=hits, different_drills=5, false_alarms=alarms))
    assert math.isfinite(told.d_prime)
    assert told.low < told.d_prime < told.high
    if hits == alarms:
        assert told.low < 0 < told.high, "guessing cannot be told from seeing"


def test_without_both_kinds_of_drill_there_is_no_sensitivity():
    assert sensitivity(Operator("x", same_drills=9, hits=9)) is None


def test_the_interval_covers_what_it_says():
    """Simulated operators of known d′: about 95 of 100 intervals hold it."""
    chance, held = random.Random(7), 0
    for _ in range(400):
        hits = sum(chance.gauss(1.5, 1) > 0.75 for _ in range(40))
        alarms = sum(chance.gauss(0, 1) > 0.75 for _ in range(40))
        told = sensitivity(Operator("x", same_drills=40, hits=hits, different_drills=40, false_alarms=alarms))
        held += told.low <= 1.5 <= told.high
    assert 0.92 <= held / 400 <= 0.99


@given(st.lists(st.integers(0, 10**6), max_size=60))
def test_the_median_lies_in_its_interval(values):
    found = median_interval(values)
    assert (found is None) == (len(values) < 6)
    if found:
        assert found[1] <= found[0] <= found[2]


def test_the_medians_interval_is_the_tables():
    """n = 10: the 2nd and the 9th value (97.9 %); n = 6: the ends (96.9 %)."""
    assert median_interval(range(1, 11)) == (5.5, 2, 9)
    assert median_interval(range(1, 7)) == (3.5, 1, 6)
