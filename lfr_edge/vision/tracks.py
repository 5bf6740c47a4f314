"""Passages within one camera: which face of this frame is the face of the last.

After ByteTrack: confident faces are joined to tracks first, then weak ones may continue a track but never start
one, which carries a passage through a blurred or half hidden moment. A track ends when its face was not seen for
a set time of the camera's own clock; numbers mean nothing outside one camera and one connection, and nothing is
kept that could join two passages (domain.md 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces, IntArray

Float64Array = NDArray[np.float64]

NO_TRACK: Final = -1

# A hurried walk is 2 m/s and a face is 0.16 m wide: 12 widths a second when the direction is not known yet.
_UNKNOWN_SPEED: Final = 12.0
# Once the velocity is known: braking or turning, widths a second. Lower mixes fewer people of the dev clips
# (6 of 89 passages at 2, 9 at 6), higher splits none less.
_KNOWN_SPEED: Final = 2.0
_JITTER: Final = 0.5  # widths that a box may jump between frames without the face moving
_MOST_GROWTH: Final = 1.8  # a face does not grow or shrink more than this between two looks
# Weights of the newest look in position and velocity (an alpha-beta filter; a Kalman filter's steady state).
_ALPHA: Final = 0.8
_BETA: Final = 0.5


@dataclass(frozen=True, slots=True)
class TrackUpdate:
    """What one frame did to the camera's tracks."""

    track_ids: IntArray  # (n,) per face of the frame; NO_TRACK for a weak face that continues none
    ended: tuple[int, ...]  # tracks that were not seen for track_lost_s; their slots are to be wiped


class Tracker:
    """Tracks of one camera and one connection (epoch). Numbers rise from 1 and start again with each epoch.

    Faces at or above ``settings.min_score`` may start a track; everything the detector gives may continue one.

    **Thread rule:** one thread. **Lifetime:** holds boxes, never pictures or templates.
    """

    _ids: IntArray  # (n,)
    _states: Float64Array  # (n, 4) centre x, centre y, width, height; pixels
    _speed: Float64Array  # (n, 2) pixels a second
    _seen_ns: NDArray[np.int64]  # (n,)
    _looks: IntArray  # (n,)

    def __init__(self, camera: str, settings: VisionSettings) -> None:
        self.camera = camera
        self._high = settings.min_score
        self._lost_ns = int(settings.track_lost_s * 1e9)
        self._next = 1
        self._clear()

    @property
    def alive(self) -> tuple[int, ...]:
        """Tracks that have not ended, oldest first."""
        return tuple(int(track) for track in self._ids)

    def restart(self) -> tuple[int, ...]:
        """A new epoch: every track ends (returned) and numbers start again from 1."""
        ended = self.alive
        self._clear()
        self._next = 1
        return ended

    def update(self, faces: Faces, t_ns: int) -> TrackUpdate:
        """Join the faces of a frame captured at `t_ns` (monotonic, nanoseconds) to tracks.

        A frame that is older than the last one changes nothing but may still continue tracks.
        """
        ended = self._end(t_ns)
        track_ids = np.full(len(faces), NO_TRACK, np.intp)
        states = _states(faces)
        high = np.flatnonzero(faces.scores >= self._high)
        low = np.flatnonzero(faces.scores < self._high)
        free = np.ones(len(self._ids), np.bool_)
        for rows in (high, low):
            pairs = self._associate(states[rows], np.flatnonzero(free), t_ns)
            if not pairs:
                continue
            seen, tracks = rows[[row for row, _ in pairs]], np.array([track for _, track in pairs], np.intp)
            track_ids[seen] = self._ids[tracks]
            self._observe(tracks, states[seen], t_ns)
            free[tracks] = False
        new = high[track_ids[high] == NO_TRACK]
        if len(new):
            track_ids[new] = self._start(states[new], t_ns)
        return TrackUpdate(track_ids, ended)

    def _associate(self, states: Float64Array, free: IntArray, t_ns: int) -> list[tuple[int, int]]:
        """Pairs (row of `states`, track), nearest first; each used once."""
        if not len(states) or not len(free):
            return []
        elapsed = np.maximum(t_ns - self._seen_ns[free], 0) / 1e9
        predicted = self._states[free, :2] + self._speed[free] * elapsed[:, None]
        width = np.maximum(np.minimum(states[:, None, 2], self._states[None, free, 2]), 1e-3)
        distance = np.linalg.norm(states[:, None, :2] - predicted[None], axis=2) / width
        speed = np.where(self._looks[free] > 1, _KNOWN_SPEED, _UNKNOWN_SPEED)
        gate = _JITTER + speed * elapsed
        growth = np.abs(np.log(states[:, None, 2:] / self._states[None, free, 2:])).max(axis=2)
        cost = distance / gate + growth / np.log(_MOST_GROWTH)
        cost[(distance > gate) | (growth > np.log(_MOST_GROWTH))] = np.inf
        return [(row, int(free[column])) for row, column in nearest_pairs(cost)]

    def _observe(self, tracks: IntArray, states: Float64Array, t_ns: int) -> None:
        """Row i of `states` is the newest look at track ``tracks[i]``; each track once."""
        elapsed = np.maximum(t_ns - self._seen_ns[tracks], 0) / 1e9
        newer = elapsed > 0
        moved, elapsed, states = tracks[newer], elapsed[newer, None], states[newer]
        predicted = self._states[moved, :2] + self._speed[moved] * elapsed
        miss = states[:, :2] - predicted
        # The first step gives the velocity, later ones correct it.
        beta = np.where(self._looks[moved] > 1, _BETA, 1.0)[:, None]
        self._speed[moved] += beta * miss / elapsed
        self._states[moved, :2] = predicted + _ALPHA * miss
        self._states[moved, 2:] += _ALPHA * (states[:, 2:] - self._states[moved, 2:])
        self._seen_ns[moved] = t_ns
        self._looks[tracks] += 1

    def _start(self, states: Float64Array, t_ns: int) -> IntArray:
        n = len(states)
        ids = np.arange(self._next, self._next + n, dtype=np.intp)
        self._next += n
        self._ids = np.concatenate([self._ids, ids])
        self._states = np.concatenate([self._states, states])
        self._speed = np.concatenate([self._speed, np.zeros((n, 2))])
        self._seen_ns = np.concatenate([self._seen_ns, np.full(n, t_ns, np.int64)])
        self._looks = np.concatenate([self._looks, np.ones(n, np.intp)])
        return ids

    def _end(self, t_ns: int) -> tuple[int, ...]:
        lost = t_ns - self._seen_ns > self._lost_ns
        ended = tuple(int(track) for track in self._ids[lost])
        if ended:
            kept = ~lost
            self._ids, self._looks = self._ids[kept], self._looks[kept]
            self._states, self._speed = self._states[kept], self._speed[kept]
            self._seen_ns = self._seen_ns[kept]
        return ended

    def _clear(self) -> None:
        self._ids = np.zeros(0, np.intp)
        self._states = np.zeros((0, 4))
        self._speed = np.zeros((0, 2))
        self._seen_ns = np.zeros(0, np.int64)
        self._looks = np.zeros(0, np.intp)


def nearest_pairs(cost: Float64Array) -> Sequence[tuple[int, int]]:
    """Greedy assignment: the cheapest finite pair first, each row and column once."""
    rows, columns = np.nonzero(np.isfinite(cost))
    order = np.argsort(cost[rows, columns], kind="stable")
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    pairs = []
    for row, column in zip(rows[order], columns[order], strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            pairs.append((int(row), int(column)))
    return pairs


def _states(faces: Faces) -> Float64Array:
    """(n, 4) centre and size of each box."""
    boxes = faces.boxes.astype(np.float64)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, size], axis=1)
