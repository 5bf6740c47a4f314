"""Shapes and surfaces on the canvas that things before a face are drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32Array = NDArray[np.float32]
Generator = np.random.Generator

FINE: Final = 2  # canvas pixels for one pixel of the aligned crop
ROOM: Final = 56  # crop pixels of canvas beyond each edge of the crop
SIDE: Final = (112 + 2 * ROOM) * FINE


@dataclass(frozen=True, slots=True)
class Layer:
    """Something drawn on the canvas."""

    colour: Float32Array  # (SIDE, SIDE, 3) BGR 0..255
    alpha: Float32Array  # (SIDE, SIDE) 0..1


def blank() -> Float32Array:
    return np.zeros((SIDE, SIDE), np.float32)


def at(points: list[tuple[float, float]]) -> NDArray[np.int32]:
    return np.asarray(np.round((np.array(points, np.float64) + ROOM) * FINE), np.int32)


def polygon(points: list[tuple[float, float]], corner: float = 0.0) -> Float32Array:
    drawn = blank()
    cv2.fillPoly(drawn, [at(points)], 1.0, cv2.LINE_AA)
    return rounded(drawn, corner)


def rounded(drawn: Float32Array, by: float) -> Float32Array:
    """Corners rounded by about `by` crop pixels."""
    if by <= 0:
        return drawn
    soft = cv2.GaussianBlur(drawn, (0, 0), by * FINE)
    made: Float32Array = np.clip((soft - 0.5) * 2.5 * by * FINE / 3 + 0.5, 0, 1).astype(np.float32)
    return made


def oval(centre: tuple[float, float], axes: tuple[float, float], angle: float = 0.0) -> Float32Array:
    drawn = blank()
    middle = at([centre])[0]
    size = (max(1, round(axes[0] * FINE)), max(1, round(axes[1] * FINE)))
    cv2.ellipse(drawn, (int(middle[0]), int(middle[1])), size, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    return drawn


def line(points: list[tuple[float, float]], width: float) -> Float32Array:
    drawn = blank()
    cv2.polylines(drawn, [at(points)], False, 1.0, max(1, round(width * FINE)), cv2.LINE_AA)
    return drawn


def plain(colour: ArrayLike) -> Float32Array:
    return np.broadcast_to(np.asarray(colour, np.float32), (SIDE, SIDE, 3)).copy()


def waves(chance: Generator, size: float, strength: float) -> Float32Array:
    """(SIDE, SIDE) smooth unevenness around 1: folds, shadow, wear."""
    cells = max(2, round(SIDE / (size * FINE)))
    rough = chance.normal(0, 1, (cells, cells)).astype(np.float32)
    made: Float32Array = 1 + strength * cv2.resize(rough, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return made


def any_colour(chance: Generator) -> Float32Array:
    """Cloth: black and white often, everything else sometimes."""
    kind = chance.random()
    if kind < 0.25:
        return np.asarray(chance.uniform(12, 45) + chance.normal(0, 3, 3), np.float32)
    if kind < 0.45:
        return np.asarray(chance.uniform(170, 245) + chance.normal(0, 5, 3), np.float32)
    hue = np.array(
        [[[chance.integers(0, 180), chance.integers(40, 230), chance.integers(50, 230)]]], np.uint8
    )
    return np.asarray(cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def skin_like(chance: Generator, skin: Float32Array) -> Float32Array:
    """A hand of the same person: near the face's colour, not the same."""
    return np.asarray(np.clip(skin * chance.uniform(0.8, 1.15) + chance.normal(0, 5, 3), 8, 250), np.float32)


def pattern(chance: Generator, base: Float32Array) -> Float32Array:
    """Stripes, checks, dots or flowers in two colours."""
    other = any_colour(chance)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / FINE
    turn, pitch = chance.uniform(0, np.pi), chance.uniform(4, 14)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    kind = chance.integers(0, 4)
    if kind == 0:
        marks = np.sin(2 * np.pi * u / pitch)
    elif kind == 1:
        marks = np.sin(2 * np.pi * u / pitch) * np.sin(2 * np.pi * v / pitch)
    elif kind == 2:
        marks = np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch) - 1
    else:
        marks = waves(chance, pitch, 1.0) - 1
    share = np.clip(marks * 3 + 0.5, 0, 1)[..., None].astype(np.float32)
    made: Float32Array = np.add(base * (1 - share), other * share)
    return made


def folds(
    chance: Generator, colour: Float32Array, size: float = 14.0, strength: float = 0.12
) -> Float32Array:
    uneven = waves(chance, size, strength)[..., None] * waves(chance, 2.5, 0.03)[..., None]
    made: Float32Array = np.multiply(colour, uneven)
    return made
