"""Five-point alignment: where the points should lie in the crop, and the crop itself.

The similarity (scale, turn, shift) that brings five points nearest to a template in the least-squares sense has a
closed form in the plane; for all faces of a batch it is a few sums. It is the same transform as Umeyama's, without
a singular value decomposition per face (platform.md 4: 0.04 ms for 32 faces against 6.8 ms).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.models.manifest import Point
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import Picture, picture_size, region_bgr, region_bgra

Float64Array = NDArray[np.float64]

_MARGIN: Final = 2  # pixels around the region, for bilinear sampling
# Shrinking by more than this with bilinear sampling skips source pixels.
_ALIASING: Final = 2.0


def similarity(points: Float32Array, template: Sequence[Point]) -> Float64Array:
    """Matrices (n, 2, 3) that map picture pixels to crop pixels, for `points` (n, 5, 2).

    Five points in one place give the zero matrix (a black crop), not an error.
    """
    source = np.asarray(points, np.float64)
    target = np.asarray(template, np.float64)
    source_mean = source.mean(axis=1)
    target_mean = target.mean(axis=0)
    p = source - source_mean[:, None]
    q = target - target_mean
    spread = np.einsum("nij,nij->n", p, p)
    spread[spread == 0] = np.inf
    cos = np.einsum("nij,ij->n", p, q) / spread
    sin = (p[..., 0] @ q[:, 1] - p[..., 1] @ q[:, 0]) / spread
    matrices = np.empty((len(source), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = cos
    matrices[:, 1, 0] = sin
    matrices[:, 0, 1] = -sin
    matrices[:, :, 2] = target_mean - np.einsum("nij,nj->ni", matrices[:, :, :2], source_mean)
    return matrices


def warp(picture: Picture, matrix: Float64Array, out: UInt8Array) -> None:
    """One aligned BGR crop, written into `out` (h, w, 3); black where the picture ends.

    Only the region that the crop covers is converted to colour. A face much larger than the crop is shrunk by
    area first, because bilinear sampling would skip pixels.

    **Lifetime:** the crop is `out`, a slot; the region, and what else holds the face, is overwritten before it is
    freed.
    """
    height, width = out.shape[:2]
    shrink = 1 / max(math.hypot(matrix[0, 0], matrix[1, 0]), 1e-9)
    corners = _corners(matrix, width, height) if shrink < 1e6 else None
    box = None if corners is None else _region(picture, corners)
    if box is None:
        out[:] = 0
        return
    # Of a frame in four channels: the same numbers, and OpenCV 5 warps them in a third of the time (26 µs a face
    # against 75). Three of them are then the crop, 2 µs later.
    deep = isinstance(picture, Frame)
    region = region_bgra(picture, *box) if isinstance(picture, Frame) else region_bgr(picture, *box)
    source, whole = region, matrix.copy()
    whole[:, 2] += whole[:, :2] @ box[:2]
    if shrink > _ALIASING:
        source, whole = _pre_shrink(region, whole, shrink)
    # Of a picture straight into the slot: the crop appears there and nowhere else.
    crop = np.empty((height, width, 4), np.uint8) if deep else out
    cv2.warpAffine(source, whole, (width, height), dst=crop, flags=cv2.INTER_LINEAR, borderValue=0)
    if source is not region:
        source[:] = 0
    if deep:
        cv2.cvtColor(crop, cv2.COLOR_BGRA2BGR, dst=out)
        crop[:] = 0
        region[:] = 0  # otherwise a view of the caller's picture


def _corners(matrix: Float64Array, width: int, height: int) -> list[tuple[float, float]] | None:
    """Where the crop's corners lie in the picture; None where nothing is mapped to a crop.

    Plain numbers: for four points numpy takes twenty times as long.
    """
    (a, b, across), (c, d, down) = matrix.tolist()
    area = a * d - b * c
    if not area:
        return None
    corners = []
    for x, y in ((0, 0), (width, 0), (width, height), (0, height)):
        right, below = x - across, y - down
        corners.append(((d * right - b * below) / area, (a * below - c * right) / area))
    return corners


def _region(picture: Picture, corners: list[tuple[float, float]]) -> tuple[int, int, int, int] | None:
    """Even bounds of the part of the picture that the crop covers, or None where it covers none."""
    size = picture_size(picture)
    bounds: list[tuple[int, int]] = []
    for values, limit in zip(zip(*corners, strict=True), size, strict=True):
        if not all(map(math.isfinite, values)):
            return None
        low, high = min(values) - _MARGIN, max(values) + _MARGIN
        first = max(0, min(limit, math.floor(low))) & ~1
        last = min(limit, max(0, math.ceil(high) + (math.ceil(high) & 1)))
        bounds.append((first, last))
    (x1, x2), (y1, y2) = bounds
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _pre_shrink(region: UInt8Array, matrix: Float64Array, shrink: float) -> tuple[UInt8Array, Float64Array]:
    """The region at about the crop's own resolution, and the matrix from there."""
    height, width = region.shape[:2]
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = np.asarray(cv2.resize(region, size, interpolation=cv2.INTER_AREA), np.uint8)
    stretch = np.array([width / size[0], height / size[1]])
    scaled = matrix.copy()
    # Pixel centres lie at +0.5: u = (x + 0.5) / stretch - 0.5.
    scaled[:, 2] += scaled[:, :2] @ (0.5 * stretch - 0.5)
    scaled[:, :2] *= stretch
    return small, scaled
