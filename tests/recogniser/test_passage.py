"""When a face is worth a template."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.matching.judge import TrackKey
from lfr_edge.recogniser.passage import INTERVAL_NS, Passage, weight

KEY = TrackKey("cam", 1, 1)


def test_a_new_passage_is_always_worth_a_look() -> None:
    assert Passage(KEY, 0).worth(0.1, 0, budget=4) > 0


def test_the_same_view_is_not_worth_another_until_time_has_passed() -> None:
    passage = Passage(KEY, 0)
    passage.looked(0.5, 0)
    assert passage.worth(0.5, INTERVAL_NS - 1, budget=4) == 0
    assert passage.worth(0.5, INTERVAL_NS, budget=4) > 0


def looks_of(times_ns: Iterable[int]) -> list[int]:
    """When a passage that never looks better is looked at, seen at these moments."""
    passage, looks = Passage(KEY, 0), []
    for now_ns in times_ns:
        if passage.worth(0.5, now_ns, budget=1000) > 0:
            passage.looked(0.5, now_ns)
            looks.append(now_ns)
    return looks


@given(st.integers(4, 30), st.floats(0, 1), st.integers(1, 4))
def test_a_box_that_drops_frames_looks_as_often(fps: int, phase: float, drop: int) -> None:
    """As long as frames come twice as often as looks: five a second, whatever is dropped and wherever a frame falls."""
    period = 1_000_000_000 // fps
    seen = [1 + int((number + phase) * period) for number in range(fps * 20) if number % (drop + 1) != drop]
    gaps = [after - before for before, after in pairwise(seen)]
    looks = looks_of(seen)
    assert len(looks) <= (seen[-1] - seen[0]) / INTERVAL_NS + 1, "never more"
    if max(gaps) < INTERVAL_NS / 2:
        assert len(looks) >= (seen[-1] - seen[0]) / INTERVAL_NS, "one for each interval"


def test_after_a_gap_the_rhythm_begins_anew() -> None:
    """Looks that nobody could take are not made up for."""
    late = looks_of([0, INTERVAL_NS * 17 // 10, INTERVAL_NS * 2, INTERVAL_NS * 27 // 10])
    assert late == [0, INTERVAL_NS * 17 // 10, INTERVAL_NS * 27 // 10]
    kept = looks_of([0, INTERVAL_NS * 12 // 10, INTERVAL_NS * 2, INTERVAL_NS * 27 // 10])
    assert kept == [0, INTERVAL_NS * 12 // 10, INTERVAL_NS * 2]


def test_a_clear_gain_in_quality_is_worth_a_look_at_once() -> None:
    passage = Passage(KEY, 0)
    passage.looked(0.5, 0)
    assert passage.worth(0.6, 1, budget=4) > passage.worth(0.5, INTERVAL_NS, budget=4)


def test_a_much_worse_view_never_is() -> None:
    passage = Passage(KEY, 0)
    passage.looked(0.8, 0)
    assert passage.worth(0.3, 100 * INTERVAL_NS, budget=4) == 0


def test_the_budget_ends_looks_except_for_a_better_view() -> None:
    passage = Passage(KEY, 0)
    for number in range(3):
        passage.looked(0.5, number * INTERVAL_NS)
    assert passage.worth(0.5, 99 * INTERVAL_NS, budget=3) == 0
    assert passage.worth(0.7, 99 * INTERVAL_NS, budget=3) > 0


def test_new_passages_go_first() -> None:
    known = Passage(KEY, 0)
    known.looked(0.2, 0)
    assert Passage(TrackKey("cam", 1, 2), 1).worth(0.1, 0, budget=4) > known.worth(1.0, INTERVAL_NS, budget=4)


def test_better_views_weigh_more_and_none_weighs_nothing() -> None:
    assert weight(0.9) > weight(0.3) > weight(0.0) > 0


def test_when_time_is_short_a_passage_near_an_alert_goes_before_a_new_one() -> None:
    known = Passage(KEY, 0, score=0.45)
    known.looked(0.5, 0)
    new = Passage(TrackKey("cam", 1, 2), 1)
    assert known.urgency(0.5, INTERVAL_NS, budget=4, threshold=0.5) > new.urgency(
        0.5, INTERVAL_NS, budget=4, threshold=0.5
    )
    stranger = Passage(KEY, 0, score=0.1)
    stranger.looked(0.5, 0)
    assert stranger.urgency(0.5, INTERVAL_NS, budget=4, threshold=0.5) < new.urgency(
        0.5, INTERVAL_NS, budget=4, threshold=0.5
    )
