"""A camera's picture → the detector's canvas, converting only what is looked at.

An I420 picture is shrunk plane by plane and only the small picture is turned into colour: at 1080p that is less
than half the work of converting first (platform.md 2.2: 2.1 ms + 1.1 ms). The canvas takes the picture's shape
from a short ladder instead of a square: 1280 × 736 for 16:9 costs the detector 42 % less than 1280 × 1280.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.models.manifest import InputContract
from lfr_edge.vision.faces import Faces, Float32Array

Picture = Frame | UInt8Array
"""A camera's frame, or a BGR array (h, w, 3)."""

# Short side over long side: 16:9, 4:3, square. Few shapes mean few warm-ups and few arenas.
_ASPECTS: Final = (9 / 16, 3 / 4, 1.0)
_STRIDE: Final = 32


@dataclass(frozen=True, slots=True)
class Canvas:
    """What the detector looks at: the shrunk picture in the top left corner, black elsewhere.

    **Lifetime:** holds everybody in the picture; dropped with the frame, never stored.
    """

    pixels: UInt8Array  # (h, w, 3) BGR; h and w multiples of 32, or the network's fixed size
    scale_x: float  # canvas pixels per picture pixel
    scale_y: float
    width: int  # of the picture, pixels
    height: int

    def to_picture(self, faces: Faces) -> Faces:
        """The same faces in pixels of the full picture."""
        scale = np.array([self.scale_x, self.scale_y], np.float32)
        boxes = (faces.boxes.reshape(-1, 2, 2) / scale).astype(np.float32).reshape(-1, 4)
        points = (faces.points / scale).astype(np.float32)
        return Faces(boxes, points, faces.scores)


def picture_size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels."""
    if isinstance(picture, Frame):
        return picture.width, picture.height
    return picture.shape[1], picture.shape[0]


def canvas_size(width: int, height: int, side: int, contract: InputContract) -> tuple[int, int]:
    """Width and height of the canvas for a picture of this size.

    `side` is the longest side; a smaller picture is not enlarged (that costs time and adds no detail).
    """
    if contract.width and contract.height:
        return contract.width, contract.height
    stride = int(np.lcm(_STRIDE, contract.stride))
    long, short = max(width, height), min(width, height)
    top = _up(min(side, long), stride)
    aspect = next(a for a in _ASPECTS if a >= short / long - 1e-3)
    low = min(top, _up(aspect * top, stride))
    return (top, low) if width >= height else (low, top)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies on its canvas: in the top left corner."""

    width: int  # of the canvas, pixels
    height: int
    inner_width: int  # of the picture on it; even
    inner_height: int


def place(width: int, height: int, side: int, contract: InputContract) -> Placement:
    """A picture of this size on a canvas of :func:`canvas_size`, its aspect kept."""
    canvas_w, canvas_h = canvas_size(width, height, side, contract)
    scale = min(canvas_w / width, canvas_h / height)
    if not (contract.width and contract.height):
        scale = min(scale, side / max(width, height), 1.0)
    # Even, because chroma has half the rows and columns.
    inner_w = max(2, min(canvas_w, round(width * scale)) & ~1)
    inner_h = max(2, min(canvas_h, round(height * scale)) & ~1)
    return Placement(canvas_w, canvas_h, inner_w, inner_h)


def letterbox(picture: Picture, side: int, contract: InputContract) -> Canvas:
    """The picture at its :func:`place`, black elsewhere."""
    width, height = picture_size(picture)
    at = place(width, height, side, contract)
    pixels = np.empty((at.height, at.width, 3), np.uint8)
    pixels[at.inner_height :] = 0
    pixels[: at.inner_height, at.inner_width :] = 0
    _shrink(picture, pixels[: at.inner_height, : at.inner_width])
    return Canvas(pixels, at.inner_width / width, at.inner_height / height, width, height)


def shrink(picture: Picture, width: int) -> UInt8Array:
    """The whole picture at `width` pixels (an even number, at most its own), (h, width, 3) BGR."""
    full_width, full_height = picture_size(picture)
    width = min(width, full_width) & ~1
    out = np.zeros((max(2, round(full_height * width / full_width) & ~1), width, 3), np.uint8)
    _shrink(picture, out)
    return out


def to_bgr(frame: Frame) -> UInt8Array:
    """The whole frame in colour, (height, width, 3). 2 ms at 1080p: only for a picture that a person will see."""
    return np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_YUV2BGR_I420), np.uint8)


def region_bgr(picture: Picture, x1: int, y1: int, x2: int, y2: int) -> UInt8Array:
    """Colour of one region, (y2 - y1, x2 - x1, 3); the region lies within the picture, and for a camera's frame
    all four numbers are even (chroma has half the rows and columns)."""
    if not isinstance(picture, Frame):
        return picture[y1:y2, x1:x2]
    return _region(picture, (x1, y1, x2, y2), cv2.COLOR_YUV2BGR_I420)


def region_bgra(frame: Frame, x1: int, y1: int, x2: int, y2: int) -> UInt8Array:
    """As :func:`region_bgr`, with a fourth channel of 255: (y2 - y1, x2 - x1, 4)."""
    return _region(frame, (x1, y1, x2, y2), cv2.COLOR_YUV2BGRA_I420)


def fill_blob(pixels: UInt8Array, contract: InputContract, out: Float32Array) -> None:
    """``(x - mean) / scale`` of BGR `pixels` (h, w, 3) into `out` (3, h, w), planes in the network's order."""
    order = (2, 1, 0) if contract.colour == "rgb" else (0, 1, 2)
    for plane, channel in enumerate(order):
        # Straight into the caller's buffer: a plane in between would be a copy that no wipe reaches.
        np.copyto(out[plane], pixels[:, :, channel], casting="unsafe")
    if contract.mean:
        np.subtract(out, np.float32(contract.mean), out=out)
    if contract.scale != 1:
        np.multiply(out, np.float32(1 / contract.scale), out=out)


def fill_planes(pixels: UInt8Array, contract: InputContract, out: UInt8Array) -> None:
    """BGR `pixels` (h, w, 3) into `out` (3, h, w), planes in the network's order, values as they are."""
    order = (2, 1, 0) if contract.colour == "rgb" else (0, 1, 2)
    cv2.split(pixels, [out[order.index(channel)] for channel in range(3)])


def _region(frame: Frame, box: tuple[int, int, int, int], code: int) -> UInt8Array:
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    small = np.empty((height * 3 // 2, width), np.uint8)
    for source, target, shift in zip(planes(frame.pixels), planes(small), (0, 1, 1), strict=True):
        target[:] = source[y1 >> shift : y2 >> shift, x1 >> shift : x2 >> shift]
    colour = np.asarray(cv2.cvtColor(small, code), np.uint8)
    small[:] = 0  # a face in grey
    return colour


def _shrink(picture: Picture, target: UInt8Array) -> None:
    width, height = picture_size(picture)
    if isinstance(picture, Frame):
        _shrink_i420(picture, target)
    elif target.shape[:2] == (height, width):
        target[:] = picture
    else:
        cv2.resize(
            picture, target.shape[1::-1], dst=target, interpolation=resampling(width / target.shape[1])
        )


def _shrink_i420(frame: Frame, target: UInt8Array) -> None:
    height, width = target.shape[:2]
    if (width, height) == (frame.width, frame.height):
        cv2.cvtColor(frame.pixels, cv2.COLOR_YUV2BGR_I420, dst=target)
        return
    small = np.empty((height * 3 // 2, width), np.uint8)
    method = resampling(frame.width / width)
    for source, plane in zip(planes(frame.pixels), planes(small), strict=True):
        cv2.resize(source, plane.shape[::-1], dst=plane, interpolation=method)
    cv2.cvtColor(small, cv2.COLOR_YUV2BGR_I420, dst=target)


def planes(i420: UInt8Array) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
    """Views of Y (h, w), U and V (h/2, w/2) of a contiguous I420 array."""
    width = i420.shape[1]
    height = i420.shape[0] * 2 // 3
    flat = i420.reshape(-1)
    luma, chroma = height * width, height * width // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma : luma + 2 * chroma].reshape(half),
    )


def resampling(shrink: float) -> int:
    """Linear sampling skips pixels beyond a factor of two, and a small face is lost between them."""
    return cv2.INTER_AREA if shrink >= 2 else cv2.INTER_LINEAR


def _up(value: float, stride: int) -> int:
    return -int(-value // stride) * stride
