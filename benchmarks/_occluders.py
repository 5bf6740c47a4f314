"""A thing drawn before a face, and how much of eyes, mouth and face it hides.

Each style (`_styles.py`) is drawn in the coordinates of the aligned crop, twice as fine and with half a crop of room
around it, then laid over the photograph through the affine map of its five points, with the photograph's own light and
grain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from benchmarks._strokes import FINE, ROOM, Float32Array, Generator, Layer
from lfr_edge.capture.frame import UInt8Array

_POINTS: Final = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
# Parts of the aligned crop that a standard's component speaks of, as polygons in its pixels.
ZONES: Final[Mapping[str, tuple[tuple[tuple[int, int], ...], ...]]] = {
    "eyes": (((27, 44), (50, 44), (50, 60), (27, 60)), ((62, 44), (85, 44), (85, 60), (62, 60))),
    "mouth": (((38, 85), (56, 82), (74, 85), (74, 99), (56, 104), (38, 99)),),
    "face": (((24, 28), (88, 28), (92, 60), (86, 90), (68, 112), (44, 112), (26, 90), (20, 60)),),
}


@dataclass(frozen=True, slots=True)
class Covered:
    """A photograph with something before the face, and the share of each zone that it hides."""

    picture: UInt8Array
    shares: Mapping[str, float]


Style = Callable[[Generator, Float32Array], Layer]  # (chance, the face's own colour BGR)


def cover(picture: UInt8Array, points: Float32Array, style: Style, chance: Generator) -> Covered:
    """`points` (5, 2) in pixels of `picture` (h, w, 3) BGR."""
    skin = _skin(picture, points)
    layer = style(chance, skin)
    target = (_POINTS + ROOM) * FINE
    fine = np.column_stack([target, np.ones(5)])
    forth = np.linalg.lstsq(fine, points.astype(np.float64), rcond=None)[0].T  # (2, 3) canvas → picture
    forth[:, 2] += chance.normal(0, 0.012 * np.linalg.norm(points[1] - points[0]), 2)
    size = (picture.shape[1], picture.shape[0])
    shrink = float(np.sqrt(abs(np.linalg.det(forth[:, :2]))))
    soft = max(0.01, 0.4 / max(shrink, 1e-3) * 0.5)
    colour = cv2.warpAffine(cv2.GaussianBlur(layer.colour, (0, 0), soft), forth, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(cv2.GaussianBlur(layer.alpha, (0, 0), soft), forth, size, flags=cv2.INTER_LINEAR)
    lit = _light(picture, points, colour, chance)
    blended = picture * (1 - alpha[..., None]) + lit * alpha[..., None]
    return Covered(np.clip(blended, 0, 255).astype(np.uint8), _shares(layer.alpha))


def _shares(alpha: Float32Array) -> dict[str, float]:
    """Hidden is what less than two fifths shines through of."""
    hidden = alpha > 0.6
    shares = {}
    for name, polygons in ZONES.items():
        zone = np.zeros(alpha.shape, np.uint8)
        for polygon in polygons:
            cv2.fillPoly(zone, [np.asarray((np.array(polygon) + ROOM) * FINE, np.int32)], 1)
        shares[name] = float(hidden[zone > 0].mean())
    return shares


def _skin(picture: UInt8Array, points: Float32Array) -> Float32Array:
    """The colour beside the nose, below the eyes."""
    found = []
    for eye, mouth in ((0, 3), (1, 4)):
        x, y = (0.45 * points[eye] + 0.55 * points[mouth]).astype(int)
        patch = picture[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
        if patch.size:
            found.append(np.median(patch.reshape(-1, 3), axis=0))
    return np.asarray(np.mean(found, axis=0) if found else (90, 110, 150), np.float32)


def _light(
    picture: UInt8Array, points: Float32Array, colour: Float32Array, chance: Generator
) -> Float32Array:
    """The photograph's broad light laid on the thing, and the photograph's grain."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    eyes = float(np.linalg.norm(points[1] - points[0]))
    broad = cv2.GaussianBlur(grey, (0, 0), max(1.0, 0.6 * eyes))
    x, y = points.mean(axis=0).astype(int)
    here = float(broad[np.clip(y, 0, grey.shape[0] - 1), np.clip(x, 0, grey.shape[1] - 1)])
    shade = np.clip(broad / max(here, 8.0), 0.5, 1.5) ** chance.uniform(0.3, 1.0)
    level = np.clip(here / 120.0, 0.35, 1.3) ** chance.uniform(0.3, 1.0)
    grain = float(np.std(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))) * 0.6
    noise = chance.normal(0, max(grain, 0.5), grey.shape).astype(np.float32)
    lit: Float32Array = colour * (shade * level)[..., None] + noise[..., None]
    return lit
