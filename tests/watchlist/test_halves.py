"""The scan of the halves against a full scan: the same persons and scores, however near they lie to each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.watchlist.halves import LONGEST, HalfRows
from lfr_edge.watchlist.index import WatchlistIndex

DIMENSION = 24


def unit(rng: np.random.Generator, rows: int, dimension: int = DIMENSION) -> np.ndarray:
    matrix = rng.standard_normal((rows, dimension)).astype(np.float32)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), np.float32)


def crowded(seed: int, people: int, spread: float) -> tuple[WatchlistIndex, np.ndarray, np.ndarray]:
    """Templates around one direction, nearer to each other than halves can tell where `spread` is small."""
    rng = np.random.default_rng(seed)
    rows = unit(rng, 1) + np.float32(spread) * rng.standard_normal((people, DIMENSION)).astype(np.float32)
    index = WatchlistIndex(DIMENSION, capacity=people)
    for number, row in enumerate(rows):
        index.add(f"W-{number}", row[None])
    return index, rows, unit(rng, 1)


@given(st.integers(0, 2**20), st.integers(1, 60), st.sampled_from([1.0, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 0.0]))
@settings(max_examples=120, deadline=None)
def test_the_two_best_are_those_of_a_full_scan(seed: int, people: int, spread: float) -> None:
    index, rows, probe = crowded(seed, people, spread)
    index.withdraw("W-0")
    found = index.search(probe)
    scores = rows.astype(np.float64) @ probe[0].astype(np.float64)
    scores[0] = -np.inf
    wanted = np.sort(scores)[::-1]
    for place, entry, score in (
        (0, found.entry[0], found.score[0]),
        (1, found.runner_up[0], found.runner_up_score[0]),
    ):
        if place < people - 1:
            assert score == pytest.approx(wanted[place], abs=1e-6)
            assert scores[entry] == pytest.approx(wanted[place], abs=1e-6)


@given(st.integers(0, 2**20), st.sampled_from([1e-8, 1e-4, 1.0, 900.0]))
@settings(max_examples=120, deadline=None)
def test_no_half_is_further_from_its_template_than_the_bound(seed: int, length: float) -> None:
    rng = np.random.default_rng(seed)
    rows = unit(rng, 8, 704) * np.float32(length)
    halves = HalfRows(8, 704)
    halves.take(slice(0, 8), rows, float(np.linalg.norm(rows, axis=1).max()) * 1.001)
    # The worst probe there is: along the rounding errors of one row.
    apart = halves.matrix.astype(np.float64) - rows
    probe = np.asarray(apart[0] / max(np.linalg.norm(apart[0]), 1e-30), np.float32)
    assert np.abs(apart @ probe).max() <= halves.error(probe)


def test_the_bound_is_what_keeps_the_scan_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the bound, persons who lie near each other are confused."""
    monkeypatch.setattr(HalfRows, "error", lambda *_: 0.0)
    wrong = 0
    for seed in range(40):
        index, rows, probe = crowded(seed, 60, 1e-5)
        scores = rows.astype(np.float64) @ probe[0].astype(np.float64)
        wrong += bool(scores[index.search(probe).entry[0]] < scores.max() - 1e-6)
    assert wrong


def test_far_from_each_other_no_row_is_read_in_full_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    index = WatchlistIndex(DIMENSION, capacity=4000)
    rows = unit(rng, 4000)
    for number, row in enumerate(rows):
        index.add(f"W-{number}", row[None])
    monkeypatch.setattr(index, "_scan", lambda *_: pytest.fail("a full scan"))
    assert index.reference(int(index.search(rows[7:8]).entry[0])) == "W-7"


def test_rows_too_long_for_halves_are_searched_in_full() -> None:
    index = WatchlistIndex(2)
    index.add("W-1", np.array([[3 * LONGEST, 0]], np.float32))
    index.add("W-2", np.array([[4 * LONGEST, 0]], np.float32))
    found = index.search(np.array([[1, 0]], np.float32))
    assert (index.reference(int(found.entry[0])), float(found.score[0])) == ("W-2", 4 * LONGEST)
    index.wipe()
    index.add("W-3", np.array([[1, 0]], np.float32))
    assert index._halves.usable
