"""Pictures for people, and pictures from strangers: JPEG out, tiles without faces, hostile images in."""

from __future__ import annotations

import struct
from typing import Final

import cv2
import numpy as np

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.errors import VisionError
from lfr_edge.sentences import say
from lfr_edge.vision.align import Float64Array, similarity, warp
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import Picture, picture_size, shrink

_CROP: Final = 112.0
_FACE: Final = np.array(  # where the ArcFace crop has the five points
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
MOST_PIXELS: Final = 40_000_000  # reliability.md 4
MOST_BYTES: Final = 50 * 1024 * 1024
_MOSAIC_CELLS: Final = 5  # a hidden face is at most this many cells wide: no network reads 5 × 5
_HIDE_MARGIN: Final = 0.35  # of the box, on each side: hair, ears and the next frame's movement


def jpeg(picture: UInt8Array, quality: int = 85) -> bytes:
    """A BGR picture as a baseline JPEG. Raises VisionError ``vision_image_encode``."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise VisionError(
            "vision_image_encode", say("a picture of shape {shape} cannot become a JPEG", shape=picture.shape)
        )
    return bytes(data)


def context_crop(
    picture: Picture, points: Float32Array, *, size: int = 320, context: float = 2.2
) -> UInt8Array:
    """The face as a person wants to see it, (size, size, 3) BGR: the whole head, upright, eyes level.

    `points` (5, 2) in picture pixels; `context` is the side in widths of the networks' crop. Black beyond the
    edge. Pictures of the list and of the street made by this function show faces at the same size.
    """
    template = [(float(x), float(y)) for x, y in crop_points(size, context=context)]
    out = np.zeros((size, size, 3), np.uint8)
    warp(picture, similarity(points[None], template)[0], out)
    return out


def crop_points(size: int = 320, *, context: float = 2.2) -> Float32Array:
    """(5, 2) where :func:`context_crop` puts the five points, in the crop's pixels: who has only the crop needs no
    detector to align it again."""
    scale = size / (context * _CROP)
    middle = np.array([size / 2, size * 0.48])
    return np.asarray((_FACE - (_CROP / 2, 66.0)) * scale + middle, np.float32)


def face_picture(picture: Picture, points: Float32Array, *, size: int = 320) -> bytes:
    """:func:`context_crop` as a JPEG."""
    return jpeg(context_crop(picture, points, size=size), quality=90)


def tile(picture: Picture, width: int, hide: Float32Array) -> bytes:
    """The camera's picture at `width` pixels as a JPEG, with the faces in `hide` (n, 4) beyond recovery."""
    return jpeg(hidden(picture, width, hide), quality=70)


def hidden(picture: Picture, width: int, hide: Float32Array) -> UInt8Array:
    """(h, width, 3) BGR. Each box grows by a third on every side and is averaged to 5 × 5 cells, drawn smoothly:
    nothing of the face is in the result, not merely unseen."""
    full_width, _ = picture_size(picture)
    small = shrink(picture, width)
    scale = small.shape[1] / full_width
    for box in np.asarray(hide, np.float64).reshape(-1, 4):
        _hide(small, box * scale)
    return small


def decode_image(data: bytes) -> UInt8Array:
    """A still from outside as BGR (h, w, 3), upright, with nothing of its metadata.

    The kind and the size are read from the header before any decoder sees the bytes.

    Raises:
        VisionError: ``vision_image_kind``, ``vision_image_size``, ``vision_image_broken``.
    """
    if len(data) > MOST_BYTES:
        raise VisionError(
            "vision_image_size", "the file is larger than 50 MiB", hint="send a smaller picture"
        )
    width, height = image_size(data)
    if width * height > MOST_PIXELS or min(width, height) < 1:
        raise VisionError(
            "vision_image_size",
            say("{width} × {height} pixels is outside 1 to 40 megapixels", width=width, height=height),
            hint="send a smaller picture",
        )
    try:
        # IMREAD_COLOR applies EXIF orientation and gives three 8-bit channels whatever the file has.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None or {*image.shape[:2]} != {height, width}:
        raise VisionError(
            "vision_image_broken",
            "the picture cannot be decoded",
            hint="open and save it again as JPEG or PNG",
        )
    return np.asarray(image, np.uint8)


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height that a JPEG's or PNG's header states. Raises VisionError ``vision_image_kind``."""
    size = _png_size(data) if data.startswith(b"\x89PNG\r\n\x1a\n") else _jpeg_size(data)
    if size is None:
        raise VisionError(
            "vision_image_kind",
            "neither a JPEG nor a PNG picture",
            hint="JPEG and PNG are taken, nothing else",
        )
    return size


def _png_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the first frame header (SOF0…SOF15), skipping other segments by their stated length."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xDA:  # pixels before any size
            return None
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if length < 2:
            return None
        at += 2 + length
    return None


def _hide(picture: UInt8Array, box: Float64Array) -> None:
    height, width = picture.shape[:2]
    grow = _HIDE_MARGIN * np.maximum(box[2:] - box[:2], 4)
    x1, y1 = np.clip(np.floor(box[:2] - grow), 0, (width, height)).astype(int)
    x2, y2 = np.clip(np.ceil(box[2:] + grow), 0, (width, height)).astype(int)
    if x2 <= x1 or y2 <= y1:
        return
    part = picture[y1:y2, x1:x2]
    cells = (min(_MOSAIC_CELLS, x2 - x1), min(_MOSAIC_CELLS, y2 - y1))
    coarse = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(coarse, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
