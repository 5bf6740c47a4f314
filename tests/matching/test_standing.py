"""What is said of a threshold in force: only what a calibration of exactly this network covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from lfr_edge.matching.standing import Standing, standing
from lfr_edge.matching.threshold import Calibration

_BASE = Calibration(
    "f",
    8,
    "cpu",
    "fp32",
    100,
    0.01,
    0.4,
    0.38,
    0.42,
    impostors=2000,
    people=1800,
    measured=date(2026, 11, 22),
)
_KNOWN = (
    _BASE,
    replace(_BASE, target_fpir=0.001, threshold=0.5, low=0.48, high=0.52),
    replace(_BASE, list_size=1000, threshold=0.45, low=0.44, high=0.46),
)


def ask(threshold: float, size: int, **other: str) -> Standing:
    named = {"fingerprint": "f", "provider": "cpu", "precision": "fp32"} | other
    return standing(_KNOWN, threshold=threshold, list_size=size, **named)


def test_the_smallest_rate_that_covers_the_list_and_the_threshold():
    stands = ask(0.45, 60)
    assert (stands.one_in, stands.rests_on) == (100, _KNOWN[0])
    assert not stands.near
    assert ask(0.4, 60).near
    assert ask(0.6, 100).one_in == 1000
    assert ask(0.45, 101).rests_on == _KNOWN[2]


@pytest.mark.parametrize(("threshold", "size"), [(0.39, 10), (0.45, 1001)])
def test_what_nothing_covers_cannot_be_told(threshold, size):
    assert ask(threshold, size).one_in is None


@pytest.mark.parametrize("change", [{"fingerprint": "g"}, {"provider": "cuda"}, {"precision": "fp16"}])
def test_another_network_provider_or_precision_invalidates_it(change):
    assert ask(0.6, 10).one_in == 1000
    assert ask(0.6, 10, **change).one_in is None


@pytest.mark.parametrize("change", [{"method": "guess"}, {"reach": 0.0}, {"reach": 11.0}])
def test_a_calibration_that_looks_too_far_is_none(change):
    with pytest.raises(ValueError, match="reach"):
        replace(_BASE, **change)
