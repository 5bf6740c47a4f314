"""The index against a plain reference: sort all scores, take the best of each person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import index as index_module
from lfr_edge.watchlist.index import MOST_SINGLE_PROBES, NOBODY, WatchlistIndex

DIMENSION = 6


def unit(seed: int, rows: int, dimension: int = DIMENSION) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def reference_search(people: dict[str, np.ndarray], probe: np.ndarray) -> list[tuple[str, float]]:
    """Everybody's best score, best first."""
    best = {name: float((rows.astype(np.float64) @ probe).max()) for name, rows in people.items()}
    return sorted(best.items(), key=lambda pair: -pair[1])


def assert_agrees(index: WatchlistIndex, people: dict[str, np.ndarray], probes: np.ndarray) -> None:
    found = index.search(probes)
    for i, probe in enumerate(probes):
        wanted = reference_search(people, probe)
        truth = dict(wanted)
        for place, entry, score in (
            (0, found.entry[i], found.score[i]),
            (1, found.runner_up[i], found.runner_up_score[i]),
        ):
            if len(wanted) <= place:
                assert entry == NOBODY
                assert score == -np.inf
                continue
            # Among equals either person may be named, but the score must be theirs and the best there is.
            assert score == pytest.approx(wanted[place][1], abs=1e-5)
            assert truth[index.reference(int(entry))] == pytest.approx(wanted[place][1], abs=1e-5)
        if len(wanted) > 1:
            assert found.entry[i] != found.runner_up[i]


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "more", "twin", "withdraw", "compact"]), st.integers(0, 9)),
        max_size=25,
    ),
    st.integers(0, 2**20),
    st.sampled_from([(3, 0), (8192, 0), (3, 1000), (8192, 8)]),
    st.integers(1, MOST_SINGLE_PROBES + 4),
)
@settings(max_examples=150, deadline=None)
def test_any_history_of_changes_finds_what_the_reference_finds(history, seed, sizes, probes):
    """With blocks of so many rows, and several probes one by one from so many rows on."""
    patch = pytest.MonkeyPatch()
    patch.setattr(index_module, "BLOCK_ROWS", sizes[0])
    patch.setattr(index_module, "LEAST_SINGLE_ROWS", sizes[1])
    try:
        index, people = WatchlistIndex(DIMENSION), {}
        for step, (action, who) in enumerate(history):
            name = f"W-{who}"
            rows = unit(seed + step, 1 + who % 3)
            if action == "twin" and people:  # the same picture under two references: an exact tie
                rows = next(iter(people.values()))[:1]
            if action in ("add", "more", "twin"):
                index.add(name, rows)
                people[name] = np.vstack([people[name], rows]) if name in people else rows
            elif action == "withdraw" and name in people:
                assert index.withdraw(name) == len(people.pop(name))
            elif action == "compact":
                index.compact()
            assert len(index) == len(people)
            assert index.rows == sum(map(len, people.values()))
        queries = unit(seed + 999, probes)
        assert_agrees(index, people, queries)
        assert_agrees(index, people, queries[:1])
    finally:
        patch.undo()


def test_single_and_batch_paths_agree_over_several_blocks():
    index = WatchlistIndex(32)
    people = {f"W-{i}": unit(i, 1 + i % 4, 32) for i in range(4000)}  # about 10,000 rows: two blocks
    for name, rows in people.items():
        index.add(name, rows)
    for name in list(people)[::7]:
        index.withdraw(name)
        del people[name]
    probes = unit(77, MOST_SINGLE_PROBES + 1, 32)
    assert_agrees(index, people, probes)
    assert_agrees(index, people, probes[1:])
    for probe in probes:
        assert_agrees(index, people, probe[None])


def test_withdrawal_counts_with_the_next_probe_and_leaves_no_template():
    index = WatchlistIndex(DIMENSION)
    sought = unit(1, 1)
    index.add("W-1", sought)
    index.add("W-2", unit(2, 1))
    assert index.reference(int(index.search(sought).entry[0])) == "W-1"
    index.withdraw("W-1")
    assert "W-1" not in index
    assert index.reference(int(index.search(sought).entry[0])) == "W-2"
    assert not (index._pages.matrix == sought[0]).all(axis=1).any()
    assert not (index._halves.matrix == sought[0].astype(np.float16)).all(axis=1).any()
    with pytest.raises(WatchlistError) as caught:
        index.withdraw("W-1")
    assert caught.value.code == "watchlist_unknown_reference"


def test_where_everybody_was_withdrawn_nobody_is_found():
    index = WatchlistIndex(DIMENSION)
    sought = unit(1, 1)
    index.add("W-1", sought)
    index.withdraw("W-1")
    for probes in (sought, np.vstack([sought] * (MOST_SINGLE_PROBES + 1))):
        assert index.search(probes).entry.tolist() == [NOBODY] * len(probes)
        index.scrub()
    index.add("W-2", sought)
    assert index.reference(int(index.search(sought).entry[0])) == "W-2"


def test_a_withdrawn_person_can_be_added_again():
    index = WatchlistIndex(DIMENSION)
    index.add("W-1", unit(1, 2))
    index.withdraw("W-1")
    index.add("W-1", unit(3, 1))
    found = index.search(unit(3, 1))
    assert index.reference(int(found.entry[0])) == "W-1"
    assert found.runner_up[0] == NOBODY


def test_wipe_overwrites_everything_and_says_how_much():
    index = WatchlistIndex(DIMENSION, capacity=10)
    index.add("W-1", unit(1, 3))
    index.add("W-2", unit(2, 1))
    matrix, halves = index._pages.matrix, index._halves.matrix
    assert matrix.any()  # the control: there was something to wipe
    assert halves.any()
    receipt = index.wipe()
    assert (receipt.entries, receipt.templates, receipt.verified) == (2, 4, True)
    assert receipt.size >= 10 * DIMENSION * 4
    assert not matrix.any()
    assert not halves.any()
    assert len(index) == index.rows == 0
    assert index.search(unit(1, 1)).entry[0] == NOBODY
    assert receipt.to_json()["bytes"] == receipt.size


def test_growth_wipes_the_pages_it_leaves():
    index = WatchlistIndex(DIMENSION, capacity=2)
    index.add("W-1", unit(1, 2))
    left, halves = index._pages.matrix, index._halves.matrix
    assert left.any()
    assert halves.any()
    index.add("W-2", unit(2, 2))
    assert index._pages.matrix is not left
    assert not left.any()
    assert not halves.any()


def test_scrub_clears_scores_and_results():
    index = WatchlistIndex(DIMENSION)
    index.add("W-1", unit(1, 1))
    index.add("W-2", unit(2, 1))
    found = index.search(unit(1, MOST_SINGLE_PROBES + 1))
    assert found.score.any()
    assert index._scores.any()
    index.scrub()
    assert not found.score.any()
    assert not index._scores.any()


@pytest.mark.parametrize("row", [[np.nan] * DIMENSION, [np.inf] + [0] * (DIMENSION - 1), [0] * DIMENSION])
def test_a_row_that_is_no_template_is_refused_and_nothing_is_added(row):
    index = WatchlistIndex(DIMENSION)
    with pytest.raises(WatchlistError) as caught:
        index.add("W-1", np.array([row], np.float32))
    assert caught.value.code == "template_invalid"
    assert index.rows == 0
    assert index.search(unit(1, 1)).entry[0] == NOBODY


def test_a_probe_that_is_not_finite_finds_nobody():
    index = WatchlistIndex(DIMENSION)
    index.add("W-1", unit(1, 1))
    bad = np.full((2, DIMENSION), np.nan, np.float32)
    assert index.search(bad).entry.tolist() == [NOBODY, NOBODY]
    assert index.search(bad[:1]).entry.tolist() == [NOBODY]


def test_wrong_shapes_are_refused():
    index = WatchlistIndex(DIMENSION, most_probes=2)
    for probes in (np.zeros((1, 5), np.float32), np.zeros((3, DIMENSION), np.float32)):
        with pytest.raises(ValueError):
            index.search(probes)
    with pytest.raises(ValueError):
        index.search(np.zeros((1, DIMENSION), np.float32), k=3)
    with pytest.raises(ValueError):
        index.add("W-1", np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError):
        index.commit(["W-1"], [1])
    with pytest.raises(IndexError):
        index.reference(0)
    with pytest.raises(ValueError):
        WatchlistIndex(0)


def test_many_images_of_one_person_take_the_batch_path():
    index = WatchlistIndex(DIMENSION)
    rows = unit(5, index_module.MOST_SCANNED_ROWS + 10)
    index.add("W-1", rows)
    index.add("W-2", unit(6, 1))
    assert_agrees(index, {"W-1": rows, "W-2": unit(6, 1)}, unit(7, 1))


def test_pages_are_not_in_core_dumps():
    index = WatchlistIndex(512, capacity=4096)  # 8 MiB: its own mapping
    start = index._pages.matrix.ctypes.data
    flags = ""
    inside = False
    with Path("/proc/self/smaps").open(encoding="ascii") as smaps:
        for line in smaps:
            head = line.split()[0]
            if "-" in head and not head.endswith(":"):
                low, high = (int(part, 16) for part in head.split("-"))
                inside = low <= start < high
            elif inside and line.startswith("VmFlags:"):
                flags = line
    assert " dd" in flags  # MADV_DONTDUMP
