"""SCRFD with five points (InsightFace): two anchors a cell at strides 8, 16 and 32; nine outputs."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.vision.detectors.detector import Candidates, NetworkDetector, cells
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.sessions import Session

_STRIDES: Final = (8, 16, 32)
_ANCHORS: Final = 2


class Scrfd(NetworkDetector):
    """Outputs in order: scores × 3, distances to the box's sides × 3, offsets of the points × 3.

    **Thread rule:** one thread at a time.
    """

    overlap = 0.4  # InsightFace's default

    def __init__(self, session: Session, manifest: NetworkManifest, *, min_score: float) -> None:
        super().__init__(session, manifest, min_score=min_score)
        if len(session.outputs) != 3 * len(_STRIDES):
            raise self._shape_error()

    def decode(self, outputs: list[Float32Array], height: int, width: int) -> Candidates:
        levels = [self._level(outputs[row::3], height, width, stride) for row, stride in enumerate(_STRIDES)]
        return Candidates.join(levels)

    def _level(self, outputs: list[Float32Array], height: int, width: int, stride: int) -> Candidates:
        grid = _cells(height // stride, width // stride)
        try:
            # The usual export flattens batch and anchors into one dimension, frame by frame.
            scores = outputs[0].reshape(-1, len(grid))
            sides = outputs[1].reshape(-1, len(grid), 4)
            offsets = outputs[2].reshape(-1, len(grid), 5, 2)
        except ValueError:
            raise self._shape_error() from None
        frame, cell = np.nonzero(scores >= self.min_score)
        at = grid[cell] * stride
        side = sides[frame, cell] * stride
        return Candidates(
            frame,
            np.concatenate([at - side[:, :2], at + side[:, 2:]], axis=1).astype(np.float32),
            (offsets[frame, cell] * stride + at[:, None]).astype(np.float32),
            scores[frame, cell],
        )


@cache
def _cells(height: int, width: int) -> Float32Array:
    return cells(height, width, _ANCHORS)
