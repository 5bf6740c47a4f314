"""What can be measured of a candidate image, under the names of ISO/IEC 29794-5.

The names are the quality elements of ISO/IEC 29794-5:2025 as its reference implementation (OFIQ) spells them. Where
``same`` is True the native value is the one that standard defines, on our own five points and crop; where it is
False the element is the same and the measure is our own, because the standard's needs a trained network: of what is
hidden, ours is a likelihood (:mod:`lfr_edge.vision.occlusion`), the standard's a share of pixels. What nothing here
tells is in :data:`NOT_MEASURED`, and is said, not guessed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.vision.align import similarity, warp
from lfr_edge.vision.occlusion import likelihoods
from lfr_edge.vision.portraits import Portrait
from lfr_edge.vision.quality import head_pose, share_inside

_SIDE: Final = 224  # of the crop for light: twice the networks' 112, so that a cheek holds enough pixels
_FACE: Final = np.array(  # where the ArcFace crop has the five points
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
# Parts of the 112 crop as (rows, columns): brow to chin and temple to temple; each cheek beside the nose.
_WHOLE: Final = (slice(36, 102), slice(26, 86))
_CHEEKS: Final = ((slice(60, 80), slice(28, 46)), (slice(60, 80), slice(66, 84)))
_FINE_PX: Final = 1.5  # tells blurred faces from sharp ones best, of 1 to 3 pixels (watchlist-quality.md)
_DARK, _LIGHT = 25, 247  # luminance at or below, at or above: ISO/IEC 29794-5's exposure ranges

_PARSING: Final = "needs a network that tells skin, hair, glasses and masks apart, which no pack brings"
_EXPRESSION: Final = "needs a network for facial expression, which no pack brings"
NOT_MEASURED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NoHeadCoverings": _PARSING,
        "BackgroundUniformity": _PARSING,
        "EyesOpen": _EXPRESSION,
        "MouthClosed": _EXPRESSION,
        "ExpressionNeutrality": _EXPRESSION,
        "UnifiedQualityScore": "the standard's is one network's opinion; ours is given as `quality`, and is another",
        "NaturalColour": "the networks here were found to be indifferent to it",
        "HeadSize": "InterEyeDistance and the crop elements already say what matters for matching",
    }
)


@dataclass(frozen=True, slots=True)
class Element:
    """One quality element of one face."""

    name: str  # ISO/IEC 29794-5, as OFIQ spells it
    value: float
    unit: str
    same: bool  # whether the value is the standard's own measure


@dataclass(frozen=True, slots=True)
class PictureQuality:
    """All elements of one face, by name, and two facts that have no name in the standard."""

    elements: Mapping[str, Element]
    inside: float  # share of the face's box that lies in the picture, 0..1
    jpeg_quality: int | None  # 1..100 as the last encoder was asked; None for a PNG

    def __getitem__(self, name: str) -> float:
        return self.elements[name].value


def measure_picture(portrait: Portrait, face: int, data: bytes) -> PictureQuality:
    """Measure face `face` of a decoded picture; `data` are the file's bytes.

    **Lifetime:** the crops this works on are overwritten before it returns.
    """
    still, found = portrait.picture, portrait.found
    points = still.faces.points[face]
    yaw, pitch, roll = (float(angle[0]) for angle in head_pose(points[None]))
    areas = sorted((one.area for one in found), reverse=True)
    values: list[tuple[str, float, str, bool]] = [
        ("SingleFacePresent", _unicity(areas), "second face, relative", True),
        ("InterEyeDistance", found[face].eye_px / max(math.cos(math.radians(yaw)), 0.2), "px", True),
        ("HeadPoseYaw", yaw, "degrees", True),
        ("HeadPosePitch", pitch, "degrees", True),
        ("HeadPoseRoll", roll, "degrees", True),
        *_margins(portrait, face),
        *_crop_elements(still.pixels, points),
        ("CompressionArtifacts", blockiness(still.pixels, found[face].box), "block edges, relative", False),
    ]
    inside = share_inside(still.faces.boxes[face][None], portrait.width, portrait.height)
    elements = {name: Element(name, value, unit, same) for name, value, unit, same in values}
    return PictureQuality(MappingProxyType(elements), float(inside[0]), jpeg_quality(data))


def aligned(pixels: UInt8Array, points: NDArray[np.float32], scale: float = 1.0) -> UInt8Array:
    """The face at `points` (5, 2) as the networks see it, (112 · scale, 112 · scale, 3) BGR.

    **Lifetime:** the caller overwrites it.
    """
    side = round(112 * scale)
    crop = np.zeros((side, side, 3), np.uint8)
    template = [(float(x), float(y)) for x, y in _FACE * scale]
    warp(pixels, similarity(points[None], template)[0], crop)
    return crop


def continued(pixels: UInt8Array, points: NDArray[np.float32]) -> UInt8Array:
    """As :func:`aligned`, with the picture's edge continued: a tight crop is not taken for something black before a
    chin.

    **Lifetime:** the caller overwrites it.
    """
    matrix = similarity(points[None], [(float(x), float(y)) for x, y in _FACE])[0]
    height, width = pixels.shape[:2]
    shrink = math.hypot(matrix[0, 0], matrix[1, 0])
    if shrink < 1e-6:
        return aligned(pixels, points)
    corners = np.array([(0, 0), (112, 0), (112, 112), (0, 112)], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    beyond = max(0.0, -float(seen.min()), *(seen.max(axis=0) - (width, height)))
    margin = min(math.ceil(beyond) + 2, math.ceil(112 / shrink)) if beyond > 0 else 0
    if not margin:
        return aligned(pixels, points)
    wide = cv2.copyMakeBorder(pixels, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    crop = aligned(wide, points + np.float32(margin))
    wide[:] = 0
    return crop


def _unicity(areas: list[float]) -> float:
    """0 for one face alone, towards 1 as the second largest grows to the size of the largest."""
    return math.sqrt(areas[1] / areas[0]) if len(areas) > 1 and areas[0] > 0 else 0.0


def _margins(portrait: Portrait, face: int) -> list[tuple[str, float, str, bool]]:
    """Room around the eyes: sideways in eye distances; up and down in distances from eyes to mouth.

    The standard measures the head's length to the chin, which five points do not hold: hence `same` is False
    upwards and downwards.
    """
    points = portrait.picture.faces.points[face].astype(np.float64)
    middle, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    eyes = max(float(np.linalg.norm(points[1] - points[0])), 1e-6)
    length = max(float(np.linalg.norm(mouth - middle)), 1e-6)
    left, right = sorted((float(points[0, 0]), float(points[1, 0])))
    sideways, upright = "eye distances", "distances from eyes to mouth"
    return [
        ("LeftwardCropOfTheFaceImage", left / eyes, sideways, True),
        ("RightwardCropOfTheFaceImage", (portrait.width - right) / eyes, sideways, True),
        ("UpwardCropOfTheFaceImage", float(middle[1]) / length, upright, False),
        ("DownwardCropOfTheFaceImage", (portrait.height - float(middle[1])) / length, upright, False),
    ]


def _crop_elements(pixels: UInt8Array, points: NDArray[np.float32]) -> Iterator[tuple[str, float, str, bool]]:
    large, small = aligned(pixels, points, 2.0), aligned(pixels, points)
    try:
        yield from _light(large)
        yield from _sharpness(small)
        small[:] = 0
        small = continued(pixels, points)
        hidden = likelihoods(small)
        yield "EyesVisible", hidden["eyes"], "likelihood that they are hidden", False
        yield "MouthOcclusionPrevention", hidden["mouth"], "likelihood that it is hidden", False
        yield "FaceOcclusionPrevention", hidden["face"], "likelihood that much of it is hidden", False
    finally:
        large[:] = 0
        small[:] = 0


def _light(large: UInt8Array) -> list[tuple[str, float, str, bool]]:
    grey = np.zeros((_SIDE, _SIDE), np.uint8)
    try:
        cv2.cvtColor(large, cv2.COLOR_BGR2GRAY, dst=grey)
        whole = grey[_twice(_WHOLE)]
        left, right = (_histogram(grey[_twice(cheek)]) for cheek in _CHEEKS)
        histogram = _histogram(whole)
        used = histogram[histogram > 0]
        return [
            ("UnderExposurePrevention", float(histogram[: _DARK + 1].sum()), "share of the face", True),
            ("OverExposurePrevention", float(histogram[_LIGHT:].sum()), "share of the face", True),
            ("DynamicRange", float(-(used * np.log2(used)).sum()), "bits", True),
            ("IlluminationUniformity", float(np.minimum(left, right).sum()), "share in common", True),
            ("LuminanceMean", float(whole.mean()) / 255, "0 to 1", True),
            ("LuminanceVariance", float((whole / 255.0).var()), "0 to 1", True),
        ]
    finally:
        grey[:] = 0


def _sharpness(small: UInt8Array) -> list[tuple[str, float, str, bool]]:
    plain = np.zeros((112, 112), np.float32)
    try:
        plain[:] = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        return [("Sharpness", fine_detail(plain), "fine detail, relative", False)]
    finally:
        plain[:] = 0


def fine_detail(grey: NDArray[np.float32]) -> float:
    """What a slight blur takes from the aligned face (112, 112), in shares of its whole contrast.

    Relative, so that a dark or pale picture is not taken for a blurred one. The networks see this crop, so detail
    finer than its pixels does not count.
    """
    fine = (grey - cv2.GaussianBlur(grey, (0, 0), _FINE_PX))[_WHOLE]
    return float(fine.std() / max(float(grey[_WHOLE].std()), 1.0))


def _twice(part: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, columns = (slice(2 * one.start, 2 * one.stop) for one in part)
    return rows, columns


def _histogram(part: UInt8Array) -> NDArray[np.float64]:
    """(256,) shares of the pixels."""
    return np.bincount(part.ravel(), minlength=256) / max(part.size, 1)


def blockiness(pixels: UInt8Array, box: tuple[float, float, float, float]) -> float:
    """How much stronger edges are on JPEG's 8-pixel grid than inside its cells, over the face; 1 is none.

    Only a grid that still lies where the encoder put it is seen: a picture that was enlarged or cropped after
    it was compressed hard looks clean here, though blurred.
    """
    height, width = pixels.shape[:2]
    x1, y1 = (max(0, int(value) & ~7) for value in box[:2])
    x2, y2 = min(width, int(box[2]) + 8 & ~7), min(height, int(box[3]) + 8 & ~7)
    if x2 - x1 < 24 or y2 - y1 < 24:
        return 1.0
    grey = cv2.cvtColor(pixels[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY).astype(np.float32)
    steps = []
    for turned in (grey, grey.T):
        across = np.abs(np.diff(turned, axis=1)).mean(axis=0)  # step i lies between columns i and i + 1
        on_grid = across[7::8]
        inside = np.delete(across, np.s_[7::8])
        steps.append((float(on_grid.mean()) + 0.5) / (float(inside.mean()) + 0.5))
    return float(np.mean(steps))


# Sums of JPEG's luminance table as ITU-T T.81 annex K prints it; libjpeg scales it by the "quality" it is asked for.
_ANNEX_K_SUM: Final = 3688


def jpeg_quality(data: bytes) -> int | None:
    """The quality that libjpeg would have been asked for to make this file's luminance table; None if no JPEG.

    Encoders with tables of their own give a near figure. It tells of the last compression only.
    """
    table = _luminance_table(data)
    if table is None:
        return None
    scale = 100.0 * sum(table) / _ANNEX_K_SUM
    quality = 100 - scale / 2 if scale <= 100 else 5000 / scale
    return max(1, min(100, round(quality)))


def _luminance_table(data: bytes) -> tuple[int, ...] | None:
    """Quantisation table 0, from the segments before the first scan."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xDA or length < 2:
            return None
        if marker == 0xDB:
            found = _table_zero(data[at + 4 : at + 2 + length])
            if found is not None:
                return found
        at += 2 + length
    return None


def _table_zero(segment: bytes) -> tuple[int, ...] | None:
    at = 0
    while at < len(segment):
        wide, number = segment[at] >> 4, segment[at] & 15
        size = 128 if wide else 64
        body = segment[at + 1 : at + 1 + size]
        if len(body) < size:
            return None
        if number == 0:
            return struct.unpack(">64H", body) if wide else tuple(body)
        at += 1 + size
    return None
