from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.errors import MatchingError
from lfr_edge.matching.threshold import Calibration, choose, load_calibrations, save_calibrations

BASE = Calibration(
    fingerprint="pack-a",
    dimension=704,
    provider="cpu",
    precision="fp32",
    list_size=1000,
    target_fpir=0.01,
    threshold=0.4,
    low=0.38,
    high=0.42,
    impostors=2000,
    people=1800,
    measured=date(2026, 11, 22),
)
ASKED = {
    "fingerprint": "pack-a",
    "provider": "cpu",
    "precision": "fp32",
    "list_size": 1000,
    "target_fpir": 0.01,
}


def test_a_file_keeps_every_field(tmp_path):
    path = tmp_path / "calibration.json"
    both = (BASE, replace(BASE, list_size=100, threshold=0.39))
    save_calibrations(path, both)
    assert load_calibrations(path) == both


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"fingerprint": "pack-b"}, "threshold_model_mismatch"),
        ({"provider": "cuda"}, "threshold_runtime_mismatch"),
        ({"precision": "fp16"}, "threshold_runtime_mismatch"),
        ({"target_fpir": 0.001}, "threshold_rate_unknown"),
        ({"list_size": 1001}, "threshold_list_too_large"),
    ],
)
def test_a_threshold_is_refused_where_it_was_not_measured(asked, code):
    assert choose([BASE], **ASKED) is BASE  # the control
    with pytest.raises(MatchingError) as caught:
        choose([BASE], **(ASKED | asked))
    assert caught.value.code == code
    assert caught.value.hint


@given(st.lists(st.integers(1, 5000), min_size=1), st.integers(1, 5000))
def test_the_smallest_size_that_covers_the_list_is_chosen(sizes, wanted):
    calibrations = [replace(BASE, list_size=size) for size in sizes]
    covering = [size for size in sizes if size >= wanted]
    if covering:
        assert choose(calibrations, **(ASKED | {"list_size": wanted})).list_size == min(covering)
    else:
        with pytest.raises(MatchingError):
            choose(calibrations, **(ASKED | {"list_size": wanted}))


@pytest.mark.parametrize(
    "bad",
    [{"threshold": float("nan")}, {"low": 0.5}, {"high": 0.39}, {"target_fpir": 0.0}, {"impostors": 0}],
)
def test_impossible_values_are_refused(bad):
    with pytest.raises(ValueError):
        replace(BASE, **bad)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 2, "calibrations": []}', '{"format": 1, "calibrations": [{}]}']
)
def test_a_file_that_is_no_calibration(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(MatchingError) as caught:
        load_calibrations(path)
    assert caught.value.code == "calibration_invalid"


def test_a_field_too_many_is_refused(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"format": 1, "calibrations": [BASE.to_json() | {"extra": 1}]}))
    with pytest.raises(MatchingError):
        load_calibrations(path)


def test_an_absent_file(tmp_path):
    with pytest.raises(MatchingError) as caught:
        load_calibrations(tmp_path / "absent.json")
    assert caught.value.code == "calibration_missing"
