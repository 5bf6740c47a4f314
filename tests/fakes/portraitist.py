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
    """(100, 100, 3) BGR: light, contrast and detail of a good photograph, and a drawn face with nothing before it."""
    y, x = np.mgrid[0:100, 0:100].astype(float)

    def blob(middle_x: float, middle_y: float, width: float, height: float) -> np.ndarray:
        return np.exp(-(((x - middle_x) / width) ** 2 + ((y - middle_y) / height) ** 2))

    light = 165 - 35 * ((x - 56) / 50) ** 2 - 25 * ((y - 66) / 60) ** 2
    for eye in (38, 73):
        light += 18 * blob(eye - 6, 52, 2, 2) + 18 * blob(eye + 6, 52, 2, 2)
        light -= 85 * blob(eye, 52, 5, 3.2) + 45 * blob(eye, 41, 10, 2.5) + 25 * blob(eye, 50, 10, 6)
    light += 22 * blob(56, 66, 3.5, 12) - 50 * blob(50.5, 74, 3, 2) - 50 * blob(61.5, 74, 3, 2)
    light -= 60 * blob(56, 92, 14, 1.6) + 22 * blob(56, 93, 15, 5)
    colour = np.stack([0.68 * light, 0.8 * light, light + 10 + 12 * blob(56, 92, 14, 4)], axis=-1)
    grain = np.random.default_rng(1).normal(0, 9, (100, 100, 1))
    return np.clip(colour + grain, 0, 255).astype(np.uint8)


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
