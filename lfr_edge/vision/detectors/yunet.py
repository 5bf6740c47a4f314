"""YuNet (libfacedetection): anchor-free at strides 8, 16 and 32; twelve outputs cls, obj, bbox, kps × stride."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.vision.detectors.detector import Candidates, NetworkDetector, cells
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.sessions import Session

_STRIDES: Final = (8, 16, 32)
_KINDS: Final = ("cls", "obj", "bbox", "kps")


class YuNet(NetworkDetector):
    """Score = √(class × objectness). **Thread rule:** one thread at a time."""

    overlap = 0.3  # OpenCV's FaceDetectorYN default

    def __init__(self, session: Session, manifest: NetworkManifest, *, min_score: float) -> None:
        super().__init__(session, manifest, min_score=min_score)
        names = {name: row for row, name in enumerate(session.outputs)}
        try:
            self._rows = {s: [names[f"{kind}_{s}"] for kind in _KINDS] for s in _STRIDES}
        except KeyError:
            raise self._shape_error() from None

    def decode(self, outputs: list[Float32Array], height: int, width: int) -> Candidates:
        levels = [self._level([outputs[row] for row in self._rows[s]], height, width, s) for s in _STRIDES]
        return Candidates.join(levels)

    def _level(self, outputs: list[Float32Array], height: int, width: int, stride: int) -> Candidates:
        grid = _cells(height // stride, width // stride)
        classes, objects, boxes, points = outputs
        if classes.shape[1:] != (len(grid), 1) or points.shape[1:] != (len(grid), 10):
            raise self._shape_error()
        # Both lie within 0 and 1 but for the odd network that does not say so; of the few that pass it is made sure.
        frame, cell = np.nonzero(classes[..., 0] * objects[..., 0] >= self.min_score**2)
        squared = np.clip(classes[frame, cell, 0], 0, 1) * np.clip(objects[frame, cell, 0], 0, 1)
        passed = squared >= self.min_score**2
        frame, cell, squared = frame[passed], cell[passed], squared[passed]
        at, box = grid[cell], boxes[frame, cell]
        centre = (at + box[:, :2]) * stride
        half = np.exp(box[:, 2:]) * (stride / 2)
        landmarks = (points[frame, cell].reshape(-1, 5, 2) + at[:, None]) * stride
        return Candidates(
            frame,
            np.concatenate([centre - half, centre + half], axis=1).astype(np.float32),
            landmarks.astype(np.float32),
            np.sqrt(squared).astype(np.float32),
        )


@cache
def _cells(height: int, width: int) -> Float32Array:
    return cells(height, width)
