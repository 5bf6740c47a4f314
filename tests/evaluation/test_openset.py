"""Figures against synthetic scores whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.evaluation.openset import Searches, det_curve, operating_points, rank_one, threshold_at
from tests.evaluation.coverage import tpir


def searches(mated, nonmated, correct=None, mated_people=None, nonmated_people=None) -> Searches:
    mated, nonmated = np.asarray(mated, np.float64), np.asarray(nonmated, np.float64)
    return Searches(
        mated,
        np.ones(len(mated), np.bool_) if correct is None else np.asarray(correct, np.bool_),
        np.arange(len(mated)) if mated_people is None else np.asarray(mated_people),
        nonmated,
        np.arange(len(nonmated)) if nonmated_people is None else np.asarray(nonmated_people),
    )


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.1, 0.01]),
)
def test_a_threshold_keeps_its_rate_and_is_the_lowest_that_does(scores, rate):
    scores = np.array(scores)
    threshold = threshold_at(scores, rate)
    assert (scores >= threshold).mean() <= rate + 1e-9
    lower = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    assert (scores >= lower).mean() > rate - 1e-9


def test_a_small_example_by_hand():
    found = searches(
        mated=[0.9, 0.8, 0.3, 0.95], correct=[True, True, True, False], nonmated=np.linspace(0, 0.5, 10)
    )
    (point,) = operating_points(found, (0.1,))
    assert point.threshold == pytest.approx(0.5 * 8 / 9, abs=1e-6)  # one of ten may pass
    assert point.tpir.value == 0.5  # 0.9 and 0.8; 0.95 names somebody else
    assert rank_one(found) == 0.75


def test_what_the_sample_cannot_show_has_no_number():
    found = searches(np.full(50, 0.9), np.linspace(0, 0.5, 200))
    by_rate = {point.target_fpir: point for point in operating_points(found)}
    assert by_rate[0.01].tpir.value == 1.0
    for rate in (0.001, 0.0001):
        assert by_rate[rate].tpir.value is by_rate[rate].threshold is None
        assert "rule of 3" in by_rate[rate].tpir.note


def test_certainty_is_not_claimed_from_few_people():
    (point,) = operating_points(searches(np.full(20, 0.9), np.linspace(0, 0.5, 300)), (0.01,))
    assert point.tpir.value == 1.0
    assert point.tpir.low == pytest.approx(0.05 ** (1 / 20), abs=1e-6)  # 0.861
    (point,) = operating_points(searches(np.full(20, -0.9), np.linspace(0, 0.5, 300)), (0.01,))
    assert point.tpir.value == 0.0
    assert point.tpir.high == pytest.approx(1 - 0.05 ** (1 / 20), abs=1e-6)


def test_probes_without_a_template_are_misses_and_no_alarms():
    found = searches(mated=[0.9, -np.inf], nonmated=[*np.linspace(0, 0.5, 10), *[-np.inf] * 90])
    (point,) = operating_points(found, (0.01,))
    assert point.tpir.value == 0.5
    assert point.threshold == pytest.approx(0.5 * 8 / 9, abs=1e-6)


@given(st.integers(0, 2**20))
@settings(max_examples=20, deadline=None)
def test_the_curve_runs_from_every_false_alert_to_none(seed):
    generator = np.random.default_rng(seed)
    curve = det_curve(searches(generator.normal(0.5, 0.2, 50), generator.normal(0.1, 0.1, 80)))
    fpir, fnir = [p["fpir"] for p in curve], [p["fnir"] for p in curve]
    assert fpir == sorted(fpir, reverse=True)
    assert fnir == sorted(fnir)
    assert (fnir[0], fpir[-1]) == (0.0, 0.0)


def test_no_search_no_curve():
    assert det_curve(searches([], [])) == []
    assert rank_one(searches([], [])) is None


def test_intervals_cover_the_truth():
    """A slice of tests/evaluation/coverage.py, with three correlated searches per person."""
    held, runs = tpir(150, 3, 600, 0.05), 120
    assert 0.88 <= sum(held(seed) is True for seed in range(runs)) / runs <= 0.995


def test_searches_resampled_alone_would_claim_too_much():
    """The control: treating one person's searches as independent gives a shorter interval."""
    generator = np.random.default_rng(5)
    own = generator.normal(0.45, 0.15, 40)
    mated = (own[:, None] + generator.normal(0, 0.01, (40, 10))).ravel()
    nonmated = generator.normal(0.2, 0.1, 500)
    by_person = operating_points(
        searches(mated, nonmated, mated_people=np.repeat(np.arange(40), 10)), (0.05,)
    )
    by_search = operating_points(searches(mated, nonmated), (0.05,))
    width = [p[0].tpir.high - p[0].tpir.low for p in (by_person, by_search)]
    assert width[0] > 1.5 * width[1]
