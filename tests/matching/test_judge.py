"""The judge against a plain reading of its rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.matching.judge import (
    NOBODY,
    Candidate,
    Judge,
    Look,
    NoMatch,
    Policy,
    Reason,
    Suppressed,
    TrackKey,
)

SECOND = 1_000_000_000
A1, A2, B1 = TrackKey("gate", 1, 1), TrackKey("gate", 1, 2), TrackKey("door", 1, 1)


def reasons(judge: Judge, track: TrackKey, *looks: Look, now: int = 0) -> list[object]:
    verdicts = [judge.judge(track, look, now) for look in looks]
    return [v.reason if isinstance(v, NoMatch) else type(v) for v in verdicts]


def test_two_looks_must_agree():
    judge = Judge(Policy(0.5, agreement=2))
    assert reasons(judge, A1, Look("W-1", 0.6), Look("W-2", 0.6), Look("W-1", 0.4), Look("W-1", 0.5)) == [
        Reason.AGREEMENT,
        Reason.AGREEMENT,
        Reason.BELOW_THRESHOLD,
        Candidate,
    ]


def test_an_alert_says_what_it_rests_on():
    judge = Judge(Policy(0.5, agreement=1))
    judge.judge(A1, Look("W-2", 0.1), 0)
    assert judge.judge(A1, Look("W-1", 0.6, "W-2", 0.2), 0) == Candidate(A1, "W-1", 0.6, "W-2", 0.2, 1, 2)


def test_a_close_runner_up_prevents_the_look_from_counting():
    judge = Judge(Policy(0.5, agreement=1, margin=0.1))
    assert reasons(judge, A1, Look("W-1", 0.6, "W-2", 0.55), Look("W-1", 0.6, "W-2", 0.45)) == [
        Reason.MARGIN,
        Candidate,
    ]


def test_one_alert_per_person_and_camera_in_the_cooldown():
    judge = Judge(Policy(0.5, agreement=1, cooldown_s=60))
    look = Look("W-1", 0.6)
    assert isinstance(judge.judge(A1, look, 0), Candidate)
    assert reasons(judge, A1, look, now=61 * SECOND) == [Reason.SETTLED]  # one passage, one alert
    verdict = judge.judge(A2, look, 20 * SECOND)
    assert verdict == Suppressed(A2, "W-1", 0.6, 40.0)
    assert reasons(judge, A2, look, now=21 * SECOND) == [Reason.SETTLED]  # counted once
    assert isinstance(judge.judge(B1, look, 21 * SECOND), Candidate)  # another camera
    assert isinstance(judge.judge(A2, Look("W-2", 0.6), 22 * SECOND), Candidate)  # another person
    assert isinstance(judge.judge(A2, look, 60 * SECOND), Candidate)  # still there when it has run out
    assert (judge.raised, judge.shown, judge.suppressed) == (5, 4, 1)


def test_nobody_and_no_number_are_below_every_threshold():
    judge = Judge(Policy(-1.0, agreement=1))
    looks = Look(NOBODY, 1.0), Look("W-1", float("nan")), Look("W-1", float("-inf"))
    assert reasons(judge, A1, *looks) == [Reason.BELOW_THRESHOLD] * 3


def test_a_forgotten_passage_starts_again():
    judge = Judge(Policy(0.5, agreement=2))
    judge.judge(A1, Look("W-1", 0.6), 0)
    judge.forget(A1)
    judge.forget(A1)
    assert judge.passages == 0
    assert reasons(judge, A1, Look("W-1", 0.6)) == [Reason.AGREEMENT]


def test_a_withdrawn_person_loses_looks_and_cooldown():
    judge = Judge(Policy(0.5, agreement=2))
    judge.judge(A1, Look("W-1", 0.6), 0)
    judge.withdraw("W-1")
    assert reasons(judge, A1, Look("W-1", 0.6), Look("W-1", 0.6)) == [Reason.AGREEMENT, Candidate]
    judge.withdraw("W-1")
    assert reasons(judge, A2, Look("W-1", 0.6), Look("W-1", 0.6)) == [Reason.AGREEMENT, Candidate]


def test_a_new_policy_starts_the_count_of_looks_again():
    judge = Judge(Policy(0.5, agreement=2))
    judge.judge(A1, Look("W-1", 0.6), 0)
    judge.adopt(Policy(0.7, agreement=2))
    assert judge.policy.threshold == 0.7
    assert reasons(judge, A1, Look("W-1", 0.6), Look("W-1", 0.8), Look("W-1", 0.8)) == [
        Reason.BELOW_THRESHOLD,
        Reason.AGREEMENT,
        Candidate,
    ]


@pytest.mark.parametrize("bad", [{"threshold": 1.1}, {"agreement": 0}, {"margin": -1}, {"cooldown_s": -1}])
def test_a_policy_out_of_range_is_refused(bad):
    with pytest.raises(ValueError):
        Policy(**{"threshold": 0.5, **bad})


TRACKS = st.sampled_from([A1, A2, B1])
PEOPLE = st.sampled_from(["W-1", "W-2", "W-3"])
LOOKS = st.builds(Look, PEOPLE, st.sampled_from([0.3, 0.5, 0.7]), PEOPLE, st.sampled_from([0.2, 0.45, 0.5]))


@given(
    st.lists(st.tuples(TRACKS, LOOKS, st.integers(0, 40)), max_size=60),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.1]),
)
def test_every_history_keeps_the_promises(history, agreement, margin):
    policy = Policy(0.5, agreement, margin, cooldown_s=60)
    judge, now = Judge(policy), 0
    counting: dict[tuple[TrackKey, str], int] = {}
    alerts: dict[tuple[str, str], list[int]] = {}
    per_passage: dict[tuple[TrackKey, str], list[type]] = {}
    for track, look, seconds in history:
        now += seconds * SECOND
        verdict = judge.judge(track, look, now)
        key = (track, look.best)
        good = look.score >= 0.5 and look.score - look.runner_up_score >= margin
        counting[key] = counting.get(key, 0) + good
        if isinstance(verdict, NoMatch):
            # Nothing is swallowed: enough agreement without a verdict only if this passage had one.
            if good and counting[key] >= agreement:
                assert verdict.reason is Reason.SETTLED
                assert per_passage.get(key)
            continue
        assert good
        assert counting[key] >= agreement
        per_passage.setdefault(key, []).append(type(verdict))
        times = alerts.setdefault((track.camera, look.best), [])
        if isinstance(verdict, Candidate):
            assert not times or now - times[-1] >= 60 * SECOND
            assert verdict.agreed == counting[key]
            times.append(now)
        else:
            assert now - times[-1] < 60 * SECOND
            assert verdict.remaining_s == pytest.approx(60 - (now - times[-1]) / SECOND)
    for verdicts in per_passage.values():
        assert verdicts in ([Candidate], [Suppressed], [Suppressed, Candidate])
    assert judge.shown == sum(map(len, alerts.values()))
    assert judge.raised == sum(map(len, per_passage.values()))
