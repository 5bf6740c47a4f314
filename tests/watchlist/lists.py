"""Small synthetic lists: no faces, templates are random directions."""

from __future__ import annotations

from datetime import date

import numpy as np

from lfr_edge.watchlist.container import Enrolled
from lfr_edge.watchlist.entry import CandidateImage, Entry, Response

DIMENSION = 8
FINGERPRINT = "sha256:0123"


def unit(seed: int, rows: int, dimension: int = DIMENSION) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def person(number: int, images: int = 1, dimension: int = DIMENSION) -> Enrolled:
    entry = Entry(
        reference=f"W-{number:04}",
        category="wanted_by_court",
        requested_response=Response.RED,
        images=tuple(CandidateImage(f"{number}-{i}.jpg", "custody", date(2025, 3, 1)) for i in range(images)),
        date_of_birth=date(1990, 1, 2),
    )
    pictures = tuple(f"picture {number} {i} ".encode() * 20 for i in range(images))
    return Enrolled(entry, pictures, unit(number, images, dimension))
