from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.evaluation.intervals import binomial_cdf, binomial_rate, caution, clopper_pearson, resolvable


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [  # published tables, e.g. Agresti & Coull 1998; 0 of n: 1 - 0.025^(1/n)
        (0, 10, 0.0, 0.3085),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (1, 100, 0.0002531, 0.05446),
    ],
)
def test_known_intervals(events, n, low, high):
    assert clopper_pearson(events, n) == pytest.approx((low, high), abs=2e-4)


def test_the_mets_own_figure():
    """7 false alerts in 2,424,559 faces: domain.md 7 prints 1 in 346,000 (168,000 to 861,000)."""
    rate = binomial_rate(7, 2_424_559)
    assert 1 / rate.value == pytest.approx(346_366, rel=1e-3)
    assert 1 / rate.low == pytest.approx(861_000, rel=0.01)
    assert 1 / rate.high == pytest.approx(168_000, rel=0.01)


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0, 1))
@settings(deadline=None)
def test_the_distribution_against_the_plain_sum(n, events, p):
    events = min(events, n)
    plain = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(events + 1))
    assert binomial_cdf(events, n, p) == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
def test_exact_intervals_cover_at_least_what_they_promise(truth):
    generator = np.random.default_rng(3)
    outcomes = generator.binomial(80, truth, 2000)
    bounds = {k: clopper_pearson(int(k), 80) for k in np.unique(outcomes)}
    covered = np.mean([bounds[k][0] <= truth <= bounds[k][1] for k in outcomes])
    assert covered >= 0.94  # 0.95 less three standard errors of 2,000 trials is 0.935


def test_no_trial_is_no_rate():
    rate = binomial_rate(0, 0)
    assert rate.value is None
    assert "cannot tell" in str(rate)
    with pytest.raises(ValueError):
        clopper_pearson(3, 2)


def test_what_a_sample_can_show():
    assert resolvable(0.01, 99)
    assert "at least 300" in resolvable(0.01, 99)
    assert not resolvable(0.01, 100)
    assert caution(0.01, 100)
    assert not caution(0.01, 300)
