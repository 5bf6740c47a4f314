"""CenterFace: a heat map of face centres at a quarter of the canvas, with size, offset and points beside it."""

from __future__ import annotations

from typing import Final

import numpy as np

from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.vision.detectors.detector import Candidates, NetworkDetector
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.sessions import Session

_STRIDE: Final = 4
_CHANNELS: Final = (1, 2, 2, 10)  # heat, log size (h, w), offset (y, x), points (y, x) × 5


class CenterFace(NetworkDetector):
    """**Thread rule:** one thread at a time."""

    overlap = 0.3  # the authors' decoder

    def __init__(self, session: Session, manifest: NetworkManifest, *, min_score: float) -> None:
        super().__init__(session, manifest, min_score=min_score)
        if len(session.outputs) != len(_CHANNELS):
            raise self._shape_error()

    def decode(self, outputs: list[Float32Array], height: int, width: int) -> Candidates:
        if tuple(output.shape[1] for output in outputs) != _CHANNELS:
            raise self._shape_error()
        heat, sizes, offsets, points = outputs
        frame, row, column = np.nonzero(heat[:, 0] >= self.min_score)
        # Everything below is y first, as the network has it, and turned round at the end.
        size = np.exp(sizes[frame, :, row, column]) * _STRIDE
        centre = (np.stack([row, column], axis=1) + offsets[frame, :, row, column] + 0.5) * _STRIDE
        corner = centre - size / 2
        landmarks = points[frame, :, row, column].reshape(-1, 5, 2) * size[:, None] + corner[:, None]
        boxes = np.concatenate([corner[:, ::-1], (corner + size)[:, ::-1]], axis=1)
        return Candidates(
            frame,
            boxes.astype(np.float32),
            landmarks[:, :, ::-1].astype(np.float32),
            heat[frame, 0, row, column],
        )
