"""The blocked comparison and the plain one agree; what it says follows from its thresholds."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from lists import unit

from lfr_edge.watchlist import lookalikes
from lfr_edge.watchlist.about import Scale
from lfr_edge.watchlist.lookalikes import MOST_NEAR, Resemblance, resemblances

D = 6


def compare(matrices, look_alike, same=None) -> Resemblance:
    references = [f"W-{n}" for n in range(len(matrices))]
    owners = np.repeat(np.arange(len(matrices)), [len(matrix) for matrix in matrices])
    return resemblances(references, owners, matrices, Scale(look_alike, same, 1e-6, "by hand"))


def plainly(matrices, look_alike):
    """One pair after the other."""
    near, pairs = {}, 0
    for i, a in enumerate(matrices):
        found = []
        for j, b in enumerate(matrices):
            score = max(float(x @ y) for x in a for y in b)
            if i != j and score >= look_alike:
                found.append((-score, j))
                pairs += i < j
        if found:
            near[f"W-{i}"] = [j for _, j in sorted(found)][:MOST_NEAR]
    return near, pairs


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=30),
    st.integers(0, 10**6),
    st.floats(-0.2, 0.9),
    st.integers(1, 9),
    st.integers(1, 9),
)
@settings(max_examples=120, deadline=None)
def test_blocks_change_nothing(images, seed, threshold, rows, columns):
    matrices = [unit(seed + n, count, D) for n, count in enumerate(images)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookalikes, "_ROWS", rows)
        patch.setattr(lookalikes, "_COLUMNS", columns)
        found = compare(matrices, threshold)
    scores = [float(x @ y) for a in matrices for b in matrices for x in a for y in b]
    if min(abs(score - threshold) for score in scores) < 1e-5:
        return  # float rounding decides: nothing to compare
    near, pairs = plainly(matrices, threshold)
    assert found.pairs == pairs
    assert {k: [int(other[2:]) for other, _ in v] for k, v in found.near.items()} == near


def test_one_person_twice_and_a_look_alike():
    base = unit(1, 1, D)
    kin = base + 0.9 * unit(2, 1, D)
    kin /= np.linalg.norm(kin)
    matrices = [base, unit(3, 2, D), base.copy(), kin.astype(np.float32)]
    found = compare(matrices, 0.6, 0.95)
    assert [(pair.first, pair.second) for pair in found.same] == [("W-0", "W-2")]
    assert found.same[0].score == pytest.approx(1, abs=1e-5)
    assert [other for other, _ in found.near["W-0"]] == ["W-2", "W-3"]
    assert found.compared == 6
    assert found.expected_by_chance == pytest.approx(6e-6)
    told = found.to_json()
    assert told["likely_the_same_person"] == [{"first": "W-0", "second": "W-2", "score": 1.0}]
    assert told["scale"]["source"] == "by hand"


def test_without_a_calibration_nothing_is_claimed():
    found = resemblances(["a", "b"], np.arange(2), [unit(1, 1, D), unit(1, 1, D)], Scale())
    assert (found.near, found.same, found.pairs) == ({}, (), 0)
    assert found.expected_by_chance is None
    assert "cannot tell" in found.scale.source


def test_a_list_of_one_person_in_every_entry_stays_bounded():
    """The worst list there is: everybody looks like everybody. All pairs are counted, ten kept of each."""
    people, one = 1500, unit(1, 1, D)
    matrices = [one.copy() for _ in range(people)]
    compare(matrices[:600], 0.5, 0.9)
    tracemalloc.start()
    found = compare(matrices, 0.5, 0.9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.pairs == people * (people - 1) // 2
    assert {len(near) for near in found.near.values()} == {MOST_NEAR}
    assert peak < 60 << 20


def test_the_lists_own_templates_are_left_alone():
    matrices = [unit(n, 2, D) for n in range(20)]
    before = [matrix.copy() for matrix in matrices]
    compare(matrices, 0.3)
    assert all(np.array_equal(a, b) for a, b in zip(matrices, before, strict=True))
