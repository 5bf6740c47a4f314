"""The trial of every design of the page on accuracy, and what it would say of intervals that claim too much."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lfr_edge.evaluation.intervals import wilson
from tests.evaluation.coverage import DESIGNS, SEED, measure, trials

_RUNS = int(os.environ.get("COVERAGE_RUNS", "1000"))


@pytest.mark.trial
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DESIGNS)
def test_95_percent_intervals_hold_the_truth_in_93_to_97_of_100(name):
    good, told = measure(DESIGNS[name], _RUNS, SEED)
    print(f"{name}: {good} of {told}")
    assert told >= 0.98 * _RUNS
    assert 0.93 <= good / told <= 0.97


def test_intervals_that_take_pictures_for_people_are_found_out():
    """The control: Wilson's interval over all pictures, as if nobody had been seen twice."""

    def naive(seed: int) -> bool:
        events = trials({"a": 0.2}, 100, 6, seed).events
        low, high = wilson(float(events.mean()), len(events))
        return low <= 0.2 <= high

    good, told = measure(naive, 200, SEED)
    assert good / told < 0.85


def test_the_page_on_accuracy_names_every_design():
    """What is measured is published: each design's figure stands in the page, in its own words."""
    page = (Path(__file__).parents[2] / "docs/accuracy.md").read_text()
    rows = dict(re.findall(r"^\| (\w+: [^|]+?) \| ([^|]+?) \|$", page, re.MULTILINE))
    assert set(rows) == set(DESIGNS)
    assert all(93 <= float(told.split(" %")[0]) <= 97 for told in rows.values())
