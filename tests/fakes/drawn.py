"""Figures for the pictures of the manual: plainly drawn, so that no page of the documents holds a face.

A detector must not take them for one (``tests/test_pictures.py`` asks the default pack's), and a reader
must still see which of two figures is the same: each has its hair, and a sign where a face would be.
"""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFilter

GROUND, LINE = (196, 202, 206), (44, 66, 84)
SIDE = 320


def figure(kind: int, *, seen: bool = False) -> bytes:
    """A JPEG of 320 × 320: one of a few figures; `seen` as a street camera would show it, small and soft."""
    picture = Image.new("RGB", (SIDE, SIDE), GROUND)
    draw = ImageDraw.Draw(picture)
    draw.polygon(
        [(40, 320), (70, 262), (130, 240), (190, 240), (250, 262), (280, 320)], outline=LINE, width=5
    )
    draw.polygon(
        [(100, 90), (220, 90), (232, 165), (205, 230), (160, 250), (115, 230), (88, 165)],
        outline=LINE,
        width=5,
    )
    _hair(draw, kind % 3)
    _sign(draw, kind % 4)
    if seen:
        picture = (
            picture.resize((84, 84))
            .filter(ImageFilter.GaussianBlur(0.6))
            .resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        )
        picture = Image.blend(picture, Image.new("RGB", (SIDE, SIDE), (90, 96, 102)), 0.25)
    return _jpeg(picture)


def street() -> bytes:
    """A JPEG of 480 × 270: a drawn street with people whose heads are hidden, as tiles leave the recogniser."""
    picture = Image.new("RGB", (480, 270), (104, 112, 118))
    draw = ImageDraw.Draw(picture)
    draw.polygon([(0, 270), (190, 120), (290, 120), (480, 270)], fill=(128, 134, 138))
    for left, top, right in ((0, 20, 120), (128, 60, 186), (296, 52, 360), (368, 10, 480)):
        draw.rectangle((left, top, right, 190), fill=(84, 92, 100), outline=(70, 78, 86))
        for x in range(left + 10, right - 14, 24):
            for y in range(top + 12, 160, 30):
                draw.rectangle((x, y, x + 12, y + 16), fill=(112, 122, 130))
    for x, y, size in ((150, 150, 40), (232, 138, 30), (318, 160, 50), (60, 165, 52)):
        draw.polygon([(x - size // 2, y + 2 * size), (x - size // 3, y + size // 2), (x + size // 3, y + size // 2),
                      (x + size // 2, y + 2 * size)], fill=(58, 70, 82))  # fmt: skip
        draw.rectangle((x - size // 4, y - size // 6, x + size // 4, y + size // 2), fill=(150, 146, 142))
    return _jpeg(picture)


def _sign(draw: ImageDraw.ImageDraw, kind: int) -> None:
    """Instead of eyes, nose and mouth: a sign that tells one figure from another."""
    if kind == 0:
        draw.polygon([(160, 122), (206, 214), (114, 214)], outline=LINE, width=7)
    elif kind == 1:
        draw.ellipse((116, 128, 204, 216), outline=LINE, width=7)
    elif kind == 2:
        draw.polygon([(160, 118), (212, 170), (160, 222), (108, 170)], fill=LINE)
    else:
        for x in (120, 146, 172, 198):
            draw.line((x, 128, x, 214), fill=LINE, width=7)


def _hair(draw: ImageDraw.ImageDraw, kind: int) -> None:
    if kind == 0:
        draw.polygon(
            [(92, 110), (100, 70), (160, 48), (220, 70), (228, 110), (205, 92), (115, 92)], fill=LINE
        )
    elif kind == 1:
        draw.polygon([(80, 230), (78, 120), (110, 62), (160, 50), (210, 62), (242, 120), (240, 230), (226, 230),
                      (222, 96), (98, 96), (94, 230)], fill=LINE)  # fmt: skip
    else:
        draw.rectangle((84, 66, 236, 98), fill=LINE)
        draw.line((60, 100, 260, 100), fill=LINE, width=8)


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()
