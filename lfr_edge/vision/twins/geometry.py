"""What a twin's graph is told about one camera and one canvas: resampling matrices, and where predictions lie."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from lfr_edge.models.fuse import MOST_CANDIDATES
from lfr_edge.vision.detectors.detector import cells
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import Placement, resampling

# Stride and predictions a cell of each level, in the order in which the twin joins the levels.
_LEVELS: Final = {
    "yunet": ((8, 1), (16, 1), (32, 1)),
    "scrfd": ((8, 2), (16, 2), (32, 2)),
    "centerface": ((4, 1),),
}


def anchors(family: str, height: int, width: int) -> Float32Array:
    """(a + MOST_CANDIDATES, 3): x and y of each prediction's cell and its stride, canvas pixels; then zeros."""
    parts = []
    for stride, each in _LEVELS[family]:
        corner = cells(height // stride, width // stride, each) * np.float32(stride)
        parts.append(np.concatenate([corner, np.full((len(corner), 1), stride, np.float32)], axis=1))
    return np.concatenate([*parts, np.zeros((MOST_CANDIDATES, 3), np.float32)])


def resamplers(width: int, height: int, at: Placement) -> dict[str, Float32Array]:
    """The matrices that shrink a frame's planes as the plain path does, by input of the twin.

    They are OpenCV's own filter, applied to single pixels: whatever it does to a line of a plane is a column of
    the matrix.
    """
    method = resampling(width / at.inner_width)
    rows = _matrix(height, at.inner_height, method)
    columns = _matrix(width, at.inner_width, method)
    # A pair of canvas pixels shares its chroma, as in I420 itself.
    chroma_rows = _matrix(height // 2, at.inner_height // 2, method).repeat(2, axis=0)
    chroma_columns = _matrix(width // 2, at.inner_width // 2, method).repeat(2, axis=0)
    return {
        "rows": _beside(rows, at.height),
        "columns": np.ascontiguousarray(_beside(columns, at.width).T),
        "chroma_rows": _beside(chroma_rows, at.height),
        "chroma_columns": np.ascontiguousarray(_beside(chroma_columns, at.width).T),
    }


def _matrix(source: int, target: int, method: int) -> Float32Array:
    """(target, source): what one pixel of the source gives to each of the target."""
    single = np.eye(source, dtype=np.float32)
    return np.asarray(cv2.resize(single, (source, target), interpolation=method), np.float32)


def _beside(matrix: Float32Array, size: int) -> Float32Array:
    """Rows of zeros for the part of the canvas beside the picture."""
    return np.concatenate([matrix, np.zeros((size - len(matrix), matrix.shape[1]), np.float32)])
