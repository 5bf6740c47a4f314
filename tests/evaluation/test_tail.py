"""Thresholds of rare rates: against known truth, and against what they must refuse."""

from __future__ import annotations

import numpy as np
import pytest

from lfr_edge.evaluation.pareto import estimate, goodness
from lfr_edge.evaluation.tail import CannotTell, Level, Tail, Tops, design_effect, level, tail_of
from tests.evaluation.coverage import best_of, carried, threshold


def tops_of(scores: np.ndarray, seekers=None, found=None, *, size: int = 1000) -> Tops:
    n = len(scores)
    seekers = np.arange(n) if seekers is None else np.asarray(seekers)
    found = n + np.arange(n) if found is None else np.asarray(found)
    return Tops(size, scores, np.ones(n), seekers, found, np.unique(found))


_RATES = ((0.02, "in the tail"), (0.001, "at the edge of the sample"), (0.0003, "six times beyond"))


@pytest.mark.parametrize(("rate", "where"), _RATES)
def test_intervals_hold_the_truth(rate, where):
    """A slice of tests/evaluation/coverage.py; 10 of 14 or fewer happen to a 95 % interval once in 2,000."""
    held = threshold(1600, rate)
    assert sum(held(seed) is True for seed in range(14)) >= 11, where


def test_pairs_that_are_met_twice_do_not_shrink_the_interval():
    held = carried(1200, 32, 5000, 0.01)
    assert sum(held(seed) is True for seed in range(10)) >= 7


def test_the_design_effect_counts_shared_persons():
    n, rows = 4000, np.arange(40)
    scores = np.linspace(1.0, 0.5, n)
    everybody = list(range(n))
    assert design_effect(tops_of(scores), rows) == pytest.approx(1.0, abs=0.1)
    twice = tops_of(scores, [i ^ 1 for i in everybody], everybody)  # each pair from both sides
    assert design_effect(twice, rows) == pytest.approx(2.0, abs=0.1)
    lamb = tops_of(scores, everybody, [n] * 40 + [n + i for i in range(1, n - 39)])  # one whom all resemble
    assert design_effect(lamb, rows) > 30


def test_far_beyond_the_sample_it_cannot_tell():
    tops = tops_of(best_of(np.random.default_rng(1), 1600, 1000))
    tail = tail_of(tops)
    found = level(tops, tail, 0.00001)
    assert isinstance(found, CannotTell)
    assert "10 times at most" in found.reason


def test_too_few_searches_cannot_tell():
    few = tops_of(best_of(np.random.default_rng(1), 40, 1000))
    tail = tail_of(few)
    assert isinstance(tail, CannotTell)
    assert isinstance(level(few, tail, 0.001), CannotTell)
    counted = level(few, tail, 0.2)
    assert isinstance(counted, Level)
    assert counted.method == "counted"


def test_a_tail_of_two_kinds_is_refused():
    """Positive control of the goodness check: label errors put a second hill beyond the tail."""
    generator = np.random.default_rng(2)
    clean = best_of(generator, 1600, 1000)
    dirty = clean.copy()
    dirty[:60] = generator.uniform(0.92, 0.93, 60)
    assert isinstance(level(tops_of(clean), tail_of(tops_of(clean)), 0.001), Level)
    tail = tail_of(tops_of(dirty))
    assert isinstance(tail, Tail)
    assert tail.fit < 0.005
    found = level(tops_of(dirty), tail, 0.001)
    assert isinstance(found, CannotTell)
    assert "two names" in found.reason


def test_probes_without_a_template_raise_no_alert():
    scores = np.full(1000, -np.inf)
    scores[:30] = np.linspace(0.2, 0.4, 30)
    found = level(tops_of(scores), tail_of(tops_of(scores)), 0.1)
    assert isinstance(found, CannotTell)


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.2])
def test_the_estimate_finds_a_known_tail(shape):
    uniform = np.random.default_rng(3).random((50, 200))
    drawn = 0.03 * np.expm1(-shape * np.log(uniform)) / shape
    shapes, scales = estimate(drawn)
    assert shapes.mean() == pytest.approx(shape, abs=0.05)
    assert scales.mean() == pytest.approx(0.03, rel=0.05)
    fits = [goodness(row, seed=i) for i, row in enumerate(drawn[:20])]
    assert 0.2 < np.mean(fits) < 0.8
