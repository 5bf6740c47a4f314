from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.tracks import NO_TRACK, Tracker, nearest_pairs

SECOND = 1_000_000_000


def seen(*faces: tuple[float, float, float], scores=None) -> Faces:
    """Faces from (centre x, centre y, width)."""
    rows = np.array(faces, np.float32).reshape(-1, 3)
    half = np.stack([rows[:, 2] / 2, rows[:, 2] * 0.65], axis=1)
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
    scores = np.full(len(rows), 0.9, np.float32) if scores is None else np.array(scores, np.float32)
    return Faces(boxes, np.zeros((len(rows), 5, 2), np.float32), scores)


@pytest.fixture
def tracker():
    return Tracker("gate", VisionSettings(min_score=0.6, track_lost_s=0.6))


def test_a_walk_is_one_track(tracker):
    ids = {
        int(tracker.update(seen((100 + 12 * i, 200, 50)), i * SECOND // 5).track_ids[0]) for i in range(20)
    }
    assert ids == {1}


@pytest.mark.parametrize("fps", [25, 10, 5])
def test_two_people_who_cross_keep_their_tracks(tracker, fps):
    """Two widths a second towards each other, 0.9 widths apart in height."""
    left, right = [], []
    for i in range(4 * fps):
        x = 100 + 200 * i / fps
        update = tracker.update(seen((x, 200, 60), (900 - x, 254, 60)), i * SECOND // fps)
        left.append(int(update.track_ids[0]))
        right.append(int(update.track_ids[1]))
    assert set(left) == {1}
    assert set(right) == {2}


def test_a_fast_walker_at_a_low_rate(tracker):
    """40 px face, 1.5 m/s, five looks a second: it moves almost two widths between looks."""
    ids = {int(tracker.update(seen((75 * i, 200, 40)), i * SECOND // 5).track_ids[0]) for i in range(10)}
    assert ids == {1}


def test_a_weak_face_continues_a_track_and_starts_none(tracker):
    first = tracker.update(seen((100, 100, 50)), 0)
    weak = tracker.update(seen((102, 100, 50), (500, 100, 50), scores=[0.4, 0.4]), SECOND // 25)
    assert first.track_ids.tolist() == [1]
    assert weak.track_ids.tolist() == [1, NO_TRACK]


def test_a_track_ends_by_the_cameras_clock(tracker):
    tracker.update(seen((100, 100, 50)), 0)
    assert tracker.update(Faces.none(), int(0.5 * SECOND)).ended == ()
    assert tracker.alive == (1,)
    late = tracker.update(seen((100, 100, 50)), int(0.7 * SECOND))
    assert late.ended == (1,)
    assert late.track_ids.tolist() == [2]


def test_a_short_gap_is_bridged_along_the_walk(tracker):
    for i in range(10):
        tracker.update(seen((10 * i, 100, 50)), i * SECOND // 25)
    after = tracker.update(seen((10 * 21, 100, 50)), 21 * SECOND // 25)  # unseen for 0.48 s
    assert after.track_ids.tolist() == [1]


def test_far_away_is_somebody_else(tracker):
    tracker.update(seen((100, 100, 50)), 0)
    assert tracker.update(seen((400, 100, 50)), SECOND // 25).track_ids.tolist() == [2]


def test_a_face_of_another_size_is_somebody_else(tracker):
    tracker.update(seen((100, 100, 30)), 0)
    assert tracker.update(seen((100, 100, 90)), SECOND // 25).track_ids.tolist() == [2]


def test_a_new_epoch_ends_everything(tracker):
    tracker.update(seen((100, 100, 50), (300, 100, 50)), 0)
    assert tracker.restart() == (1, 2)
    assert tracker.alive == ()
    assert tracker.update(seen((100, 100, 50)), 0).track_ids.tolist() == [1]


def test_time_that_goes_back_is_survived(tracker):
    tracker.update(seen((100, 100, 50)), SECOND)
    assert tracker.update(seen((101, 100, 50)), 0).track_ids.tolist() == [1]


def test_two_cameras_share_nothing():
    one, two = (Tracker(name, VisionSettings()) for name in ("a", "b"))
    one.update(seen((100, 100, 50)), 0)
    assert two.alive == ()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(5, 80)), max_size=6), max_size=6
    )
)
def test_every_confident_face_has_exactly_one_track(frames):
    tracker = Tracker("gate", VisionSettings())
    known: set[int] = set()
    for i, frame in enumerate(frames):
        update = tracker.update(seen(*frame), i * SECOND // 10)
        ids = update.track_ids.tolist()
        assert len(ids) == len(frame)
        assert len(set(ids)) == len(ids)
        assert NO_TRACK not in ids
        assert not set(update.ended) & set(tracker.alive)
        known |= set(ids)
    assert known == set(range(1, len(known) + 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.randoms(use_true_random=False))
def test_pairs_are_greedy(rows, columns, random):
    cost = np.array([[random.choice([np.inf, random.random()]) for _ in range(columns)] for _ in range(rows)])
    cost = cost.reshape(rows, columns)
    plain, left = [], cost.copy()
    while left.size and np.isfinite(left).any():
        row, column = np.unravel_index(np.argmin(left), left.shape)
        plain.append((row, column))
        left[row] = np.inf
        left[:, column] = np.inf
    assert nearest_pairs(cost) == plain


@pytest.mark.parametrize(("step", "mixed", "split"), [(1, 6, 20), (5, 7, 26)])
def test_the_clips_passages(shared, step, mixed, split):
    """True boxes of the four clips with 4 % noise and 7 % misses, at 25 and 5 looks a second: 89 passages."""
    random = np.random.default_rng(1)
    people, tracks = {}, {}
    for clip in ("sparse20", "crowd20", "lowlight20", "negative20"):
        truth = json.loads((shared / f"videos/dev_{clip}.json").read_text())
        tracker = Tracker(clip, VisionSettings(track_lost_s=0.6))
        for frame in truth["gt"][::step]:
            there = [f for f in frame["faces"] if f["vis"] > 0.5 and f["b"][2] - f["b"][0] >= 20]
            there = [f for f in there if random.random() > 0.07]
            boxes = np.array([f["b"] for f in there], np.float32).reshape(-1, 4)
            width = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
            boxes = (boxes + random.normal(0, 0.04, boxes.shape) * width).astype(np.float32)
            points, scores = np.zeros((len(boxes), 5, 2), np.float32), np.full(len(boxes), 0.9, np.float32)
            update = tracker.update(Faces(boxes, points, scores), frame["f"] * SECOND // 25)
            for face, track in zip(there, update.track_ids.tolist(), strict=True):
                people.setdefault((clip, face["t"]), set()).add(track)
                tracks.setdefault((clip, track), set()).add(face["t"])
    assert len(people) >= 85
    assert sum(len(who) > 1 for who in tracks.values()) <= mixed
    assert sum(len(own) - 1 for own in people.values()) <= split


class OneByOne(Tracker):
    """The plain way: every look by itself."""

    def _observe(self, tracks, states, t_ns):
        for track, state in zip(tracks, states, strict=True):
            elapsed = max(t_ns - int(self._seen_ns[track]), 0) / 1e9
            if elapsed > 0:
                predicted = self._states[track, :2] + self._speed[track] * elapsed
                miss = state[:2] - predicted
                self._speed[track] += (0.5 if self._looks[track] > 1 else 1.0) * miss / elapsed
                self._states[track, :2] = predicted + 0.8 * miss
                self._states[track, 2:] += 0.8 * (state[2:] - self._states[track, 2:])
                self._seen_ns[track] = t_ns
            self._looks[track] += 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**20), st.integers(1, 7))
def test_all_looks_of_a_frame_together_are_what_they_are_one_by_one(seed, people):
    rng = np.random.default_rng(seed)
    plan = VisionSettings(min_score=0.6, track_lost_s=0.3)
    fast, plain = Tracker("gate", plan), OneByOne("gate", plan)
    places, t_ns = rng.uniform(0, 900, (people, 2)), 0
    for _ in range(12):
        t_ns += int(rng.choice([0, 40, 80, 400])) * 1_000_000  # also the same moment twice
        places += rng.normal(0, 8, places.shape)
        there = rng.random(people) < 0.8
        faces = seen(*((x, y, 50) for x, y in places[there]), scores=rng.uniform(0.4, 1, int(there.sum())))
        one, other = fast.update(faces, t_ns), plain.update(faces, t_ns)
        assert one.track_ids.tolist() == other.track_ids.tolist()
        assert one.ended == other.ended
        np.testing.assert_allclose(fast._states, plain._states, rtol=1e-12)
        np.testing.assert_allclose(fast._speed, plain._speed, rtol=1e-9, atol=1e-9)
        assert fast._looks.tolist() == plain._looks.tolist()
