"""What really happened in a clip: who passed when, and where every face was (format: docs of the clips)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfr_edge.errors import EvaluationError

Float32Array = NDArray[np.float32]

# An alert names the frame its picture is from; a truth frame this close is the same moment.
_NEAR_S = 0.2
_SAME_FACE_IOU = 0.3


@dataclass(frozen=True, slots=True)
class TruePassage:
    """One person's way through the picture: one recognition opportunity if the person is listed."""

    number: int
    identity: str
    start_s: float
    end_s: float
    widest_px: float  # of the face's box, along the whole passage


@dataclass(frozen=True, slots=True)
class Truth:
    """One clip. `faces` maps a frame number (from 0) to the passages' numbers and boxes in it."""

    clip: str
    fps: float
    frames: int
    width: int
    height: int
    passages: tuple[TruePassage, ...]
    faces: Mapping[int, tuple[tuple[int, ...], Float32Array]] = field(repr=False)  # boxes (n, 4) x1 y1 x2 y2

    def opportunities(self, listed: set[str]) -> tuple[TruePassage, ...]:
        return tuple(passage for passage in self.passages if passage.identity in listed)

    def passage_at(self, time_s: float, box: tuple[float, float, float, float]) -> TruePassage | None:
        """Whose face `box` shows at that time: the largest overlap in the nearest frame of the truth."""
        found = self._nearest(time_s)
        if found is None:
            return None
        numbers, boxes = found
        overlap = iou(np.asarray(box, np.float32), boxes)
        if not len(overlap) or overlap.max() < _SAME_FACE_IOU:
            return None
        number = numbers[int(overlap.argmax())]
        return next(passage for passage in self.passages if passage.number == number)

    def _nearest(self, time_s: float) -> tuple[tuple[int, ...], Float32Array] | None:
        frame = round(time_s * self.fps)
        reach = round(_NEAR_S * self.fps)
        for distance in range(reach + 1):
            for candidate in (frame - distance, frame + distance):
                if candidate in self.faces:
                    return self.faces[candidate]
        return None


def iou(box: Float32Array, boxes: Float32Array) -> Float32Array:
    """(n,) intersection over union of `box` (4,) with each of `boxes` (n, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.asarray(shared / np.maximum(areas - shared, 1e-9), np.float32)


def read_truth(path: Path) -> Truth:
    """Read and check a truth file.

    Raises:
        EvaluationError: ``truth_missing`` or ``truth_invalid``.
    """
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")), path.stem)
    except OSError as error:
        raise EvaluationError(
            "truth_missing", f"{path}: {error.strerror}", hint="name it with --truth"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            "truth_invalid",
            f"{path} is not a clip's truth: {error!r}",
            hint="JSON with fps, frames, width, height, tracks[tid, identity, t_start, t_end] and gt[f, faces[t, b]]",
        ) from None


def _parsed(raw: Mapping[str, Any], name: str) -> Truth:
    faces = {
        int(frame["f"]): (
            tuple(int(face["t"]) for face in frame["faces"]),
            np.array([face["b"] for face in frame["faces"]], np.float32).reshape(-1, 4),
        )
        for frame in raw["gt"]
    }
    widest = _widest(faces)
    passages = tuple(
        TruePassage(
            int(track["tid"]),
            str(track["identity"]),
            float(track["t_start"]),
            float(track["t_end"]),
            widest.get(int(track["tid"]), 0.0),
        )
        for track in raw["tracks"]
    )
    known = {passage.number for passage in passages}
    if len(known) != len(passages) or not set(widest) <= known:
        raise ValueError("tracks and faces do not belong together")
    fps, frames = float(raw["fps"]), int(raw["frames"])
    if not 0 < fps < math.inf or frames < 1:
        raise ValueError("fps and frames are positive")
    clip = str(raw.get("clip", name))
    return Truth(clip, fps, frames, int(raw["width"]), int(raw["height"]), passages, faces)


def _widest(faces: Mapping[int, tuple[tuple[int, ...], Float32Array]]) -> dict[int, float]:
    widest: dict[int, float] = {}
    for numbers, boxes in faces.values():
        for number, width in zip(numbers, boxes[:, 2] - boxes[:, 0], strict=True):
            widest[number] = max(widest.get(number, 0.0), float(width))
    return widest
