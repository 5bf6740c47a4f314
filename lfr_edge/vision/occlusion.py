"""How likely it is that eyes, mouth or a good part of the face are hidden in an aligned picture.

Two short sums over one set of plain measures: light, colour beside the face's own, contrast and edges, cell by cell,
and how much left and right differ. Their coefficients were derived from public photographs with things drawn before
the faces (`python -m benchmarks.occlusion`; docs/explanation/watchlist-quality.md has how often they are right).
They say nothing about a person: whatever stands before a face, glass, cloth or a hand, counts alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lfr_edge.capture.frame import UInt8Array

Float32Array = NDArray[np.float32]

PARTS: Final = ("eyes", "mouth", "face")
_CELL: Final = 8  # pixels of the 112 crop
_ROWS, _COLUMNS = slice(24, 112), slice(16, 96)  # brow to below the chin, temple to temple
_GRID: Final = (11, 10)  # cells of these
_CORE: Final = (slice(36, 102), slice(26, 86))  # what the face's own light and colour are taken from
# Ranges in which a measure counts; beyond them it is as unusual as can be.
_LIGHT_MOST, _COLOUR_MOST, _LEAST_CONTRAST = 3.0, 4.0, 4.0
_COLOUR_UNIT: Final = 10.0  # of CIE a* and b*
_EDGE_FLOOR: Final = 0.02
_EACH_SIDE: Final = (0, 1, 2, 6)  # light, both colours, edges: also as the difference between left and right
FEATURES: Final = _GRID[0] * _GRID[1] // 2 * (9 + len(_EACH_SIDE))


@dataclass(frozen=True, slots=True)
class Weights:
    """One logistic sum."""

    bias: float
    weights: Float32Array  # (FEATURES,)


def likelihoods(crop: UInt8Array) -> dict[str, float]:
    """How likely each of `PARTS` is hidden, 0 to 1, in a crop (112, 112, 3) BGR at the ArcFace points."""
    measured = features(crop)
    found = {}
    for part, one in _weights().items():
        found[part] = 1 / (1 + math.exp(-min(max(float(measured @ one.weights) + one.bias, -30.0), 30.0)))
    return found


def features(crop: UInt8Array) -> Float32Array:
    """(FEATURES,) of a crop (112, 112, 3) BGR.

    **Lifetime:** the planes it works on are overwritten before it returns.
    """
    lab = cv2.cvtColor(crop.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_BGR2Lab)
    planes = _planes(lab)
    cells = np.stack(
        [
            cv2.resize(
                plane[_ROWS, _COLUMNS], _GRID[::-1], interpolation=cv2.INTER_AREA
            )  # exact means of cells
            for plane in planes
        ],
        axis=2,
    )
    lab[:] = 0
    planes[:] = 0
    cells[..., 3:6] = np.sqrt(np.maximum(cells[..., 3:6], 0))
    cells[..., 6] = np.log(cells[..., 6] + _EDGE_FLOOR)
    half = _GRID[1] // 2
    left, right = cells[:, :half], cells[:, ::-1][:, :half]
    both, apart = (left + right) / 2, np.abs(left - right)[..., _EACH_SIDE]
    joined: Float32Array = np.concatenate([both, apart], axis=2).ravel().astype(np.float32)
    return joined


def _planes(lab: Float32Array) -> Float32Array:
    """(9, 112, 112): light and colours against the face's own, their squares, and edges: any, lying, downwards."""
    core = lab[_CORE]
    planes = np.empty((9, *lab.shape[:2]), np.float32)
    light = core[..., 0]
    contrast = max(float(light.std()), _LEAST_CONTRAST)
    np.clip((lab[..., 0] - light.mean()) / contrast, -_LIGHT_MOST, _LIGHT_MOST, out=planes[0])
    for at in (1, 2):
        own = np.median(core[..., at])
        np.clip((lab[..., at] - own) / _COLOUR_UNIT, -_COLOUR_MOST, _COLOUR_MOST, out=planes[at])
    np.square(planes[:3], out=planes[3:6])
    soft = cv2.GaussianBlur(planes[0], (0, 0), 0.8)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    cv2.magnitude(across, down, planes[6])
    planes[7] = np.abs(down) - np.abs(across)
    planes[8] = down
    for buffer in (soft, across, down):
        buffer[:] = 0
    return planes


@cache
def _weights() -> Mapping[str, Weights]:
    raw = json.loads(files("lfr_edge.vision").joinpath("occlusion.json").read_text(encoding="utf-8"))
    return {part: Weights(raw[part]["bias"], np.asarray(raw[part]["weights"], np.float32)) for part in PARTS}
