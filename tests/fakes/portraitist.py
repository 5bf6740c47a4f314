"""A vision side of enrolment that finds what the picture's file name, written into its bytes, tells it to find."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from lfr_edge.errors import VisionError
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.portraits import Degradation, Found, Portrait, Still

_POINTS = np.array([(38, 52), (73, 52), (56, 72), (41, 92), (71, 92)], np.float32)


def _drawn() -> np.ndarray:
    """(100, 100, 3): light, contrast and detail of a good photograph, and no face."""
    pixels = np.random.default_rng(1).integers(40, 220, (100, 100, 1))
    return np.repeat(pixels, 3, axis=2).astype(np.uint8)


class FakePortraitist:
    """Reads a JSON list of faces after the picture's own bytes: ``png() + b"[{...}]"``.

    Each face is the keyword arguments of :class:`Found`, plus ``seed`` for its template.
    """

    dimension = 8
    fingerprint = "sha256:fake"

    def look(self, image: bytes) -> Portrait:
        text = image[image.rfind(b"IEND") + 8 :]
        if not text:
            raise VisionError("vision_image_unreadable", "the picture cannot be decoded")
        faces = json.loads(text)
        found = tuple(
            Found(
                tuple(face["box"]),
                face.get("score", 0.9),
                face.get("eye_px", 80.0),
                face.get("quality", 0.9),
                tuple(face.get("weaknesses", ())),
            )
            for face in faces
        )
        n = len(faces)
        boxes = np.array([face["box"] for face in faces], np.float32).reshape(n, 4)
        still = Still(
            _drawn(),
            Faces(boxes, np.tile(_POINTS, (n, 1, 1)), np.ones(n, np.float32)),
        )
        self._seeds = [face.get("seed", 0) for face in faces]
        return Portrait(100, 100, found, still)

    def templates(self, portrait: Portrait, face: int, variants: Sequence[Degradation]) -> np.ndarray:
        seed = self._seeds[face]
        if seed is None:
            return np.full((1 + len(variants), self.dimension), np.nan, np.float32)
        matrix = np.random.default_rng(seed).standard_normal((1 + len(variants), self.dimension))
        return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
