"""All faces of one frame as one set of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Faces:
    """What a detector found in one frame, best score first. Row i of every array is face i.

    Index with a boolean mask, an index array or a slice to keep some of them: ``faces[faces.scores > 0.8]``.
    """

    boxes: Float32Array  # (n, 4) x1 y1 x2 y2 in pixels of the full frame
    points: Float32Array  # (n, 5, 2) the subject's right eye, left eye, nose tip, right and left mouth corner
    scores: Float32Array  # (n,) 0..1

    def __post_init__(self) -> None:
        n = len(self.scores)
        assert self.boxes.shape == (n, 4), self.boxes.shape
        assert self.points.shape == (n, 5, 2), self.points.shape

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: BoolArray | IntArray | slice) -> Faces:
        return Faces(self.boxes[rows], self.points[rows], self.scores[rows])

    @property
    def eye_px(self) -> Float32Array:
        """(n,) distance between the eye points in pixels of the full frame."""
        return np.asarray(np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1), dtype=np.float32)

    @staticmethod
    def none() -> Faces:
        return Faces(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
