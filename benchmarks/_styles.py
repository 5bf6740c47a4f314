"""What people wear or hold before their faces: what `python -m benchmarks.occlusion` learns from, and is tried on.

`LEARNT` and `UNSEEN` share no style: what the coefficients do with the second is what they do with something new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from benchmarks._occluders import Style
from benchmarks._strokes import (
    FINE,
    SIDE,
    Float32Array,
    Generator,
    Layer,
    any_colour,
    blank,
    folds,
    line,
    oval,
    pattern,
    plain,
    polygon,
    rounded,
    skin_like,
    waves,
)

# -- before the eyes -------------------------------------------------------------------------------------------------


def _lenses(chance: Generator, shapes: list[Float32Array], *, graded: float, frame: float) -> Layer:
    """Dark glass with a frame around it, a bridge, temples, and what it mirrors."""
    glass = np.max(shapes, axis=0)
    tint = np.float32(chance.uniform(8, 50) + chance.normal(0, 8, 3)).clip(0, 90)
    depth = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
    dense = chance.uniform(0.82, 1.0) - graded * np.clip((depth - 0.42) * 6, 0, 1)
    colour = plain(tint)
    mirrored = np.clip(waves(chance, chance.uniform(5, 25), 1.0) - 1.2, 0, 1) * chance.uniform(0, 120)
    colour += mirrored[..., None]
    rim = cv2.dilate(glass, np.ones((3, 3), np.uint8), iterations=max(1, round(frame * FINE))) - glass
    y = chance.uniform(46, 51)
    rim = np.maximum(rim, line([(47, y + 2), (56, y), (65, y + 2)], chance.uniform(1, 3)))
    for outer, ear in (((30, y), (4, y - 2)), ((82, y), (108, y - 2))):
        rim = np.maximum(rim, line([outer, ear], chance.uniform(1, 3)))
    edge = any_colour(chance) if chance.random() < 0.4 else np.float32(chance.uniform(5, 60, 3))
    colour = colour * (1 - rim[..., None]) + edge * rim[..., None]
    return Layer(colour.astype(np.float32), np.maximum(glass * dense, rim).astype(np.float32))


def _both(draw: Callable[[float], Float32Array]) -> list[Float32Array]:
    return [draw(38.3), draw(73.5)]


def round_sunglasses(chance: Generator, skin: Float32Array) -> Layer:
    wide, high = chance.uniform(11, 15), chance.uniform(9, 14)
    down = chance.uniform(-1, 3)
    return _lenses(chance, _both(lambda x: oval((x, 52 + down), (wide, high))), graded=0, frame=1.0)


def square_sunglasses(chance: Generator, skin: Float32Array) -> Layer:
    wide, up, down = chance.uniform(12, 16), chance.uniform(8, 12), chance.uniform(7, 13)
    slant = chance.uniform(0, 3)

    def one(x: float) -> Float32Array:
        corners = [
            (x - wide, 52 - up),
            (x + wide, 52 - up),
            (x + wide - slant, 52 + down),
            (x - wide + slant, 52 + down),
        ]
        return polygon(corners, 2.0)

    return _lenses(chance, _both(one), graded=0, frame=chance.uniform(0.7, 2.0))


def black_bar(chance: Generator, skin: Float32Array) -> Layer:
    """What newspapers put over eyes."""
    top, bottom, wide = chance.uniform(36, 44), chance.uniform(58, 68), chance.uniform(34, 50)
    shape = polygon([(56 - wide, top), (56 + wide, top), (56 + wide, bottom), (56 - wide, bottom)])
    return Layer(plain(np.full(3, chance.uniform(0, 40))), shape)


def goggles(chance: Generator, skin: Float32Array) -> Layer:
    """One pane: for snow, cycling or work."""
    up, down, wide = chance.uniform(10, 18), chance.uniform(9, 16), chance.uniform(30, 38)
    pane = polygon(
        [
            (56 - wide, 52 - up),
            (56 + wide, 52 - up),
            (56 + wide, 52 + down),
            (56 + 9, 52 + down),
            (56, 52 + down * 0.5),
            (56 - 9, 52 + down),
            (56 - wide, 52 + down),
        ],
        3.0,
    )
    layer = _lenses(chance, [pane], graded=0, frame=chance.uniform(1, 3))
    colour = layer.colour * 0.5 + any_colour(chance) * waves(chance, 30, 0.3)[..., None] * 0.5
    return Layer(colour.astype(np.float32), layer.alpha)


def aviators(chance: Generator, skin: Float32Array) -> Layer:
    """Drops of glass, denser above than below."""
    wide, down = chance.uniform(13, 16), chance.uniform(12, 18)

    def one(x: float) -> Float32Array:
        side = 1 if x > 56 else -1
        return polygon(
            [
                (x - wide, 44),
                (x + wide, 44),
                (x + wide * 0.9, 55),
                (x + side * 3 + 6, 52 + down),
                (x + side * 3 - 6, 52 + down),
                (x - wide * 0.9, 55),
            ],
            2.5,
        )

    return _lenses(chance, _both(one), graded=chance.uniform(0, 0.22), frame=0.5)


def blindfold(chance: Generator, skin: Float32Array) -> Layer:
    """A band of patterned cloth, or hair, across the eyes."""
    top, bottom, lean = chance.uniform(30, 42), chance.uniform(60, 70), chance.uniform(-3, 3)
    shape = polygon(
        [
            (-4, top - lean),
            (56, top + 2),
            (116, top + lean),
            (116, bottom + lean),
            (56, bottom - 3),
            (-4, bottom - lean),
        ],
        1.5,
    )
    return Layer(folds(chance, pattern(chance, any_colour(chance))), shape)


def hand_before_eyes(chance: Generator, skin: Float32Array) -> Layer:
    return _hand(chance, skin, (56, chance.uniform(49, 54)), chance.uniform(-15, 15), flat=True)


# -- before the mouth ------------------------------------------------------------------------------------------------


def _mask_outline(chance: Generator) -> list[tuple[float, float]]:
    top, bottom = chance.uniform(64, 76), chance.uniform(114, 124)
    wide, low = chance.uniform(36, 46), chance.uniform(22, 32)
    return [
        (56 - wide, top + 6),
        (56 - 12, top + 1),
        (56, top - 3),
        (56 + 12, top + 1),
        (56 + wide, top + 6),
        (56 + wide - 3, 100),
        (56 + low, bottom - 2),
        (56, bottom + 1),
        (56 - low, bottom - 2),
        (56 - wide + 3, 100),
    ]


def _with_straps(chance: Generator, shape: Float32Array) -> Float32Array:
    for x, ear in ((20, 6), (92, 106)):
        shape = np.maximum(shape, line([(x, 78), (ear, 60)], 1.0))
        shape = np.maximum(shape, line([(x + (3 if x < 56 else -3), 104), (ear, 70)], 1.0))
    return shape


def surgical_mask(chance: Generator, skin: Float32Array) -> Layer:
    tones = [
        (200, 190, 140),
        (225, 215, 180),
        (235, 235, 235),
        (40, 38, 38),
        (190, 200, 150),
        (200, 170, 215),
    ]
    base = np.asarray(tones[chance.integers(0, len(tones))], np.float32) + chance.normal(0, 8, 3)
    y = np.mgrid[0:SIDE, 0:SIDE][0].astype(np.float32) / FINE
    pleats = 1 - 0.12 * (np.sin(2 * np.pi * y / chance.uniform(8, 13)) > 0.75)
    colour = plain(base) * pleats[..., None]
    return Layer(folds(chance, colour, 25, 0.06), _with_straps(chance, polygon(_mask_outline(chance), 2.0)))


def plain_cloth_mask(chance: Generator, skin: Float32Array) -> Layer:
    shape = _with_straps(chance, polygon(_mask_outline(chance), 3.0))
    seam = 1 - 0.25 * line([(56, 66), (56, 122)], 0.7)
    return Layer(folds(chance, plain(any_colour(chance)) * seam[..., None]), shape)


def turned_up_collar(chance: Generator, skin: Float32Array) -> Layer:
    """A collar, a roll-neck or a scarf drawn up over mouth and chin, with folds along it."""
    top, lean = chance.uniform(66, 84), chance.uniform(-8, 8)
    shape = polygon(
        [
            (-30, top + lean - 4),
            (30, top + lean / 2),
            (56, top + 3),
            (82, top - lean / 2),
            (142, top - lean - 4),
            (150, 165),
            (-40, 165),
        ],
        2.0,
    )
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / FINE
    ribs = 1 + 0.15 * np.sin(2 * np.pi * (y + 0.02 * (x - 56) ** 2 / 4) / chance.uniform(3, 12))
    return Layer(folds(chance, plain(any_colour(chance)) * ribs[..., None]), shape)


def box_before_mouth(chance: Generator, skin: Float32Array) -> Layer:
    """A cup, a telephone, a sheet of paper: one thing with straight edges."""
    x, y = chance.uniform(48, 64), chance.uniform(90, 104)
    wide, high, turn = chance.uniform(18, 40), chance.uniform(14, 30), chance.uniform(-0.5, 0.5)
    corners = [(-wide, -high), (wide, -high), (wide, high), (-wide, high)]
    shape = polygon(
        [
            (x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn))
            for u, v in corners
        ],
        chance.uniform(0, 2),
    )
    colour = pattern(chance, any_colour(chance)) if chance.random() < 0.5 else plain(any_colour(chance))
    return Layer(folds(chance, colour, 40, 0.1), shape)


def patterned_mask(chance: Generator, skin: Float32Array) -> Layer:
    shape = _with_straps(chance, polygon(_mask_outline(chance), 3.0))
    return Layer(folds(chance, pattern(chance, any_colour(chance))), shape)


def knitted_scarf(chance: Generator, skin: Float32Array) -> Layer:
    layer = turned_up_collar(chance, skin)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / FINE
    size = chance.uniform(2.5, 5)
    stitches = 1 + 0.25 * np.sin(2 * np.pi * (y + np.abs(((x / size) % 1) - 0.5) * size) / size)
    stripes = pattern(chance, any_colour(chance)) if chance.random() < 0.4 else plain(any_colour(chance))
    return Layer((stripes * stitches[..., None]).astype(np.float32), layer.alpha)


def hand_before_mouth(chance: Generator, skin: Float32Array) -> Layer:
    return _hand(
        chance,
        skin,
        (chance.uniform(50, 62), chance.uniform(92, 102)),
        chance.uniform(-50, 50),
        flat=chance.random() < 0.5,
    )


def microphone(chance: Generator, skin: Float32Array) -> Layer:
    x, y, size = chance.uniform(48, 64), chance.uniform(92, 102), chance.uniform(15, 23)
    head = oval((x, y), (size, size * chance.uniform(0.9, 1.2)))
    stem = line([(x, y), (x + chance.uniform(-30, 30), 165)], size * 0.7)
    base = any_colour(chance) if chance.random() < 0.3 else np.float32(chance.uniform(15, 70, 3))
    return Layer(folds(chance, plain(base), 6, 0.2), np.maximum(head, stem))


def _hand(
    chance: Generator, skin: Float32Array, centre: tuple[float, float], turn_deg: float, *, flat: bool
) -> Layer:
    """Four fingers side by side, or a fist, in skin, with the shadows between them."""
    tone = skin_like(chance, skin)
    shape, shadow = blank(), np.ones((SIDE, SIDE), np.float32)
    turn = np.radians(turn_deg)
    thick = chance.uniform(6, 8)
    for number in range(4):
        off = (number - 1.5) * thick * 1.7
        x, y = centre[0] - off * np.sin(turn), centre[1] + off * np.cos(turn)
        long = chance.uniform(30, 40) if flat else chance.uniform(14, 20)
        finger = oval((x, y), (long, thick), turn_deg)
        edge = finger - np.clip(
            cv2.erode(finger, np.ones((3, 3), np.uint8), iterations=2 * FINE // 2 + 1), 0, 1
        )
        shadow *= 1 - 0.35 * cv2.GaussianBlur(edge, (0, 0), 1.2 * FINE)
        shape = np.maximum(shape, finger)
    colour = plain(tone) * shadow[..., None] * waves(chance, 10, 0.05)[..., None]
    return Layer(colour.astype(np.float32), shape)


# -- before the rest of the face -------------------------------------------------------------------------------------


def hat_over_brow(chance: Generator, skin: Float32Array) -> Layer:
    """A beanie or brim down to the eyes, or over them."""
    low, bow = chance.uniform(36, 58), chance.uniform(-6, 4)
    shape = polygon(
        [
            (-10, low + 8),
            (20, low + bow / 2),
            (56, low + bow),
            (92, low + bow / 2),
            (122, low + 8),
            (122, -50),
            (-10, -50),
        ],
        1.5,
    )
    return Layer(folds(chance, plain(any_colour(chance))), shape)


def half_hidden(chance: Generator, skin: Float32Array) -> Layer:
    """Another head, a door, a shoulder: one side of the face is behind it."""
    edge, lean, bow = chance.uniform(44, 62), chance.uniform(-14, 14), chance.uniform(-6, 10)
    shape = polygon([(-56, -56), (edge + lean, -56), (edge + bow, 56), (edge - lean, 168), (-56, 168)], 3.0)
    shape = shape if chance.random() < 0.5 else np.ascontiguousarray(shape[:, ::-1])
    return Layer(folds(chance, plain(any_colour(chance)), 20, 0.15), shape)


def balaclava(chance: Generator, skin: Float32Array) -> Layer:
    """Cloth with a slit for the eyes."""
    up, down, wide = chance.uniform(8, 15), chance.uniform(8, 14), chance.uniform(30, 40)
    around = np.ones((SIDE, SIDE), np.float32) * oval((56, 60), (56, 85))
    slit = oval((56, 52), (wide, (up + down) / 2))
    return Layer(folds(chance, plain(any_colour(chance))), np.clip(around - slit, 0, 1))


def hair_over_face(chance: Generator, skin: Float32Array) -> Layer:
    """Strands down one side, over one eye and cheek."""
    tone = np.asarray(
        [(18, 20, 24), (30, 45, 70), (60, 110, 150), (140, 150, 155)][chance.integers(0, 4)], np.float32
    )
    shape = blank()
    for _ in range(int(chance.integers(60, 110))):
        x = chance.uniform(-5, 52)
        shape = np.maximum(
            shape, line([(x + 22, -30), (x + 6, 20), (x, 60), (x + chance.uniform(-10, 6), 130)], 1.6)
        )
    shape = cv2.GaussianBlur(shape, (0, 0), FINE * 0.6)
    shape = shape if chance.random() < 0.5 else np.ascontiguousarray(shape[:, ::-1])
    x = np.mgrid[0:SIDE, 0:SIDE][1].astype(np.float32) / FINE
    strands = 1 + 0.35 * np.sin(x * chance.uniform(1.5, 3) + 2 * waves(chance, 20, 1.0))
    return Layer((plain(tone) * strands[..., None]).astype(np.float32), shape)


def veil(chance: Generator, skin: Float32Array) -> Layer:
    """Cloth above the brows and from the nose down, in one colour or a pattern."""
    low, top = chance.uniform(60, 74), chance.uniform(32, 42)
    above = polygon([(-20, top + 6), (56, top), (132, top + 6), (132, -56), (-20, -56)], 2.0)
    below = polygon(
        [(-20, low - 4), (30, low + 2), (56, low - 3), (82, low + 2), (132, low - 4), (132, 168), (-20, 168)],
        2.0,
    )
    base = any_colour(chance)
    colour = pattern(chance, base) if chance.random() < 0.3 else plain(base)
    return Layer(folds(chance, colour), np.maximum(above, below))


# -- before nothing: what must not be taken for hiding ---------------------------------------------------------------


def clear_glasses(chance: Generator, skin: Float32Array) -> Layer:
    """Frames one sees through."""
    wide, high = chance.uniform(12, 16), chance.uniform(8, 12)
    lens = np.max(_both(lambda x: rounded(oval((x, 53), (wide, high)), 1.5)), axis=0)
    rim = (
        cv2.dilate(lens, np.ones((3, 3), np.uint8), iterations=max(1, round(chance.uniform(0.5, 2.0) * FINE)))
        - lens
    )
    rim = np.maximum(rim, line([(48, 51), (56, 49), (64, 51)], chance.uniform(0.8, 2)))
    for outer, ear in (((26, 50), (4, 48)), ((86, 50), (108, 48))):
        rim = np.maximum(rim, line([outer, ear], 1.2))
    glare = np.clip(waves(chance, 9, 1.0) - 2.2, 0, 1) * lens * chance.uniform(0, 0.7)
    tint = lens * chance.uniform(0, 0.25)
    edge = any_colour(chance) if chance.random() < 0.4 else np.float32(chance.uniform(5, 70, 3))
    colour = plain(edge) * rim[..., None] + 235 * glare[..., None] + 40 * (tint * (1 - rim))[..., None]
    return Layer(
        colour.astype(np.float32), np.clip(np.maximum(rim, np.maximum(glare, tint)), 0, 1).astype(np.float32)
    )


LEARNT: Final[tuple[Style, ...]] = (
    round_sunglasses, square_sunglasses, black_bar, goggles,
    surgical_mask, plain_cloth_mask, turned_up_collar, box_before_mouth, hand_before_mouth,
    hat_over_brow, half_hidden, balaclava, clear_glasses,
)  # fmt: skip
UNSEEN: Final[tuple[Style, ...]] = (
    aviators, blindfold, hand_before_eyes,
    patterned_mask, knitted_scarf, microphone,
    hair_over_face, veil,
)  # fmt: skip
