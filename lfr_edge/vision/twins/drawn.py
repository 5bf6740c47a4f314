"""A street with drawn faces: what twins are compared on, because no picture of a person may come with the program.

Shaded ovals with eyes, brows, nose and mouth, at several sizes, in front of noise. Detectors take them for faces
(tests), and that is all they are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.vision.faces import Float32Array

Shade = Iterable[float]

_FINE: Final = 4  # drawn at this many times the size, then shrunk: soft edges, as a lens gives
_SKIN: Final = ((120, 150, 196), (84, 116, 168), (60, 84, 124), (140, 172, 214))  # BGR


def drawn_frame(width: int = 1920, height: int = 1080, seed: int = 7) -> Frame:
    """The street as a camera's frame; `width` and `height` are even."""
    pixels = np.asarray(cv2.cvtColor(drawn_street(width, height, seed), cv2.COLOR_BGR2YUV_I420), np.uint8)
    return Frame("drawn", 1, 1, 0, 0, width, height, pixels)


def drawn_street(width: int = 1920, height: int = 1080, seed: int = 7) -> UInt8Array:
    """(height, width, 3) BGR: faces from a twentieth to a third of the height, none over another."""
    chance = np.random.default_rng(seed)
    rough = chance.uniform(60, 170, (height // 60 + 1, width // 60 + 1, 3)).astype(np.float32)
    street = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    street += chance.normal(0, 5, street.shape).astype(np.float32)
    picture = np.asarray(np.clip(street, 0, 255), np.uint8)
    left = width // 40
    for share in (0.34, 0.25, 0.18, 0.13, 0.1, 0.075, 0.055):
        size = int(height * share)
        if left + size * 1.3 > width:
            break
        top = int(chance.uniform(0.05, 0.6) * (height - 1.4 * size))
        _face(picture, left, max(0, top), size, chance)
        left += int(size * 1.45)
    return picture


def _face(picture: UInt8Array, left: int, top: int, size: int, chance: np.random.Generator) -> None:
    """One face, `size` pixels wide with its hair."""
    side = size * _FINE
    shape = (int(side * 1.3), side)
    colours, cover = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    skin = np.array(_SKIN[int(chance.integers(len(_SKIN)))], np.float32)
    for x, y, wide, high, shade in _parts(skin):
        _oval(colours, x, y, wide, high, tuple(map(float, shade)))
    for x, y, wide, high, _ in _parts(skin)[:2]:  # hair and face hide what is behind them
        _oval(cover, x, y, wide, high, (1.0,))
    light = np.linspace(1.12, 0.78, side, dtype=np.float32)[None, :, None]
    soft = (size, int(size * 1.3))
    face = cv2.resize(
        cv2.GaussianBlur(colours * light, (0, 0), side / 90), soft, interpolation=cv2.INTER_AREA
    )
    edge = cv2.resize(cover, soft, interpolation=cv2.INTER_AREA)[..., None]
    region = picture[top : top + soft[1], left : left + soft[0]]
    height, width = region.shape[:2]
    face, edge = face[:height, :width], edge[:height, :width]
    region[:] = np.clip(region * (1 - edge) + face * edge, 0, 255).astype(np.uint8)


def _parts(skin: Float32Array) -> list[tuple[float, float, float, float, Shade]]:
    """Ovals from back to front: centre, half axes (shares of width and height), colour."""
    dark, white, pupil = (30, 34, 40), (225, 228, 232), (28, 30, 36)
    parts: list[tuple[float, float, float, float, Shade]] = [
        (0.5, 0.46, 0.46, 0.44, dark),  # hair
        (0.5, 0.54, 0.38, 0.43, skin),
        (0.5, 0.6, 0.055, 0.075, skin * 1.1),  # nose
        (0.5, 0.775, 0.14, 0.03, skin * np.array([0.75, 0.62, 0.92])),  # lips
        (0.5, 0.772, 0.13, 0.006, skin * 0.45),
    ]
    for sign in (-1, 1):
        x = 0.5 + sign * 0.165
        parts += [
            (x, 0.47, 0.11, 0.045, skin * 0.72),  # socket
            (x, 0.475, 0.075, 0.026, white),
            (x, 0.475, 0.032, 0.026, pupil),
            (x, 0.405, 0.105, 0.014, dark),  # brow
            (0.5 + sign * 0.035, 0.655, 0.022, 0.012, skin * 0.5),  # nostril
        ]
    return parts


def _oval(target: Float32Array, x: float, y: float, wide: float, high: float, shade: Sequence[float]) -> None:
    rows, columns = target.shape[:2]
    centre = (int(x * columns), int(y * rows))
    axes = (max(1, int(wide * columns)), max(1, int(high * rows)))
    cv2.ellipse(target, centre, axes, 0, 0, 360, shade, -1, cv2.LINE_AA)
