"""The model's arithmetic, and that it never claims more than was measured."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lfr_edge.matching.forecast import forecast, match_rate, scale_for
from lfr_edge.matching.threshold import Calibration


def point(list_size: int, target: float, threshold: float, **kwargs) -> Calibration:
    fields = {
        "fingerprint": "pack", "dimension": 8, "provider": "cpu", "precision": "fp32", "list_size": list_size,
        "target_fpir": target, "threshold": threshold, "low": threshold - 0.01, "high": threshold + 0.01,
        "impostors": 2000, "people": 1600, "measured": date(2026, 11, 22), "material": "pictures",
    }  # fmt: skip
    return Calibration(**(fields | kwargs))


POINTS = [
    point(n, fpir, at + n / 10_000)
    for n in (100, 1000)
    for fpir, at in ((0.1, 0.3), (0.01, 0.4), (0.001, 0.5))
]


def ask(**changes):
    question = {
        "fingerprint": "pack", "provider": "cpu", "precision": "fp32", "list_size": 1000, "threshold": 0.5,
        "faces_per_hour": 1000, "hours": 6,
    }  # fmt: skip
    return forecast(changes.pop("calibrations", POINTS), **(question | changes))


def test_at_a_calibrated_point_it_is_the_calibration():
    found = ask(threshold=0.5)
    assert found.kind == "estimate"
    assert found.fpir == pytest.approx(0.01, rel=1e-6)
    assert found.alerts == pytest.approx(60, rel=1e-6)
    assert found.low < found.alerts < found.high
    assert not found.extrapolated
    assert "about 60 (" in str(found)
    assert found.to_json()["kind"] == "estimate"


def test_another_list_size_follows_the_model():
    found = ask(threshold=0.5, list_size=500)
    rate = match_rate(point(1000, 0.01, 0.5))
    assert rate == pytest.approx(1.005e-5, rel=1e-3)
    assert found.fpir == pytest.approx(1 - (1 - rate) ** 500, rel=1e-6)
    longer = ask(threshold=0.5, list_size=20_000)
    assert longer.extrapolated
    assert longer.fpir == pytest.approx(1 - (1 - rate) ** 20_000, rel=1e-6)
    assert "longer list than was measured" in str(longer)


def test_outside_the_measured_thresholds_there_is_only_a_bound():
    high, low = ask(threshold=0.9), ask(threshold=0.1)
    assert (high.kind, low.kind) == ("at_most", "at_least")
    assert high.fpir == pytest.approx(0.001, rel=1e-6)
    assert low.fpir == pytest.approx(0.1, rel=1e-6)
    assert "at most" in str(high)
    assert "at least" in str(low)


@pytest.mark.parametrize(
    "change", [{"calibrations": []}, {"provider": "cuda"}, {"fingerprint": "x"}, {"list_size": 0}]
)
def test_without_a_calibration_it_cannot_tell(change):
    found = ask(**change)
    assert (found.kind, found.alerts, found.fpir) == ("cannot_tell", None, None)
    assert found.passages == 6000
    assert "cannot tell" in str(found)


@given(st.floats(0.2, 0.7), st.floats(0.2, 0.7), st.integers(1, 10**6), st.integers(1, 10**6))
@settings(max_examples=200, deadline=None)
def test_a_higher_threshold_and_a_shorter_list_never_cost_more(a, b, m, n):
    assume(a < b)
    assert ask(threshold=a, list_size=900).fpir >= ask(threshold=b, list_size=900).fpir
    short, long = sorted((m, n))
    one_size = [c for c in POINTS if c.list_size == 1000]
    assert ask(list_size=short, calibrations=one_size).fpir <= ask(list_size=long, calibrations=one_size).fpir
    assert 0 <= ask(threshold=a, list_size=n).fpir <= 1


def scale(**changes):
    question = {
        "fingerprint": "pack",
        "provider": "cpu",
        "precision": "fp32",
        "list_size": 500,
        "target_fpir": 0.01,
    }
    return scale_for(changes.pop("calibrations", POINTS), **(question | changes))


def test_the_scale_of_resemblance():
    found = scale()
    assert (found.look_alike, found.same_person) == (pytest.approx(0.5), pytest.approx(0.6))
    assert found.same_person_fmr == pytest.approx(match_rate(point(1000, 0.001, 0.6)))
    assert "pictures" in found.source
    assert scale(list_size=90).look_alike == pytest.approx(0.41)
    assert scale(list_size=20_000).look_alike == pytest.approx(0.5), "the longest list that was measured"
    chosen = scale(threshold=0.45)
    assert (chosen.look_alike, chosen.same_person) == (0.45, pytest.approx(0.6))
    assert "configured" in chosen.source
    assert scale(threshold=0.7).same_person == 0.7
    assert scale(calibrations=[]).look_alike is None
    assert scale(calibrations=[], threshold=0.5).same_person is None
