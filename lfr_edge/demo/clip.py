"""A street of our own: people cut from two published photographs walk past a drawn shop front.

The sought person is NASA's portrait of Eileen Collins (public domain, in scikit-image's wheel); the public are
the six people of InsightFace's sample group photo. Both come from the package registries, checked by sha256, and
are never kept in this project. A composed clip proves that the machine works, not how well it recognises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # x, y, width, height of the face in the photograph

WIDTH: Final = 1920
HEIGHT: Final = 1080
FPS: Final = 25
SOUGHT: Final = "sought"

# Faces as YuNet 2023mar finds them in the two pinned pictures.
SOUGHT_BOX: Final[Box] = (178, 63, 90, 113)
PUBLIC_BOXES: Final[tuple[Box, ...]] = (
    (466, 267, 102, 145),
    (749, 352, 99, 123),
    (1126, 273, 95, 124),
    (906, 58, 99, 144),
    (61, 268, 107, 129),
    (267, 151, 105, 127),
)


@dataclass(frozen=True, slots=True)
class Head:
    pixels: Image  # (h, w, 3) BGR
    alpha: NDArray[np.float32]  # (h, w, 1) 0..1
    face_height: int  # pixels of the face inside the cut-out


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through the picture."""

    head: Head
    coat: tuple[int, int, int]  # BGR
    enters_s: float
    lasts_s: float
    starts: tuple[
        float, float, float
    ]  # x, y of the face's centre as a share of the picture; face height in pixels
    ends: tuple[float, float, float]

    def at(self, seconds: float) -> tuple[int, int, float] | None:
        """Centre x, y and face height in pixels, or None while out of the scene."""
        share = (seconds - self.enters_s) / self.lasts_s
        if not 0 <= share <= 1:
            return None
        x, y, size = (a + (b - a) * share for a, b in zip(self.starts, self.ends, strict=True))
        step = math.sin(2 * math.pi * 1.8 * seconds) * size * 0.03  # 1.8 steps a second is a normal walk
        return round(x * WIDTH), round(y * HEIGHT + step), size


def cut_head(photograph: Image, face: Box) -> Head:
    """The head around a face, with a soft oval edge."""
    x, y, width, height = face
    left, right = max(0, x - width // 3), min(photograph.shape[1], x + width + width // 3)
    top, bottom = max(0, y - height // 3), min(photograph.shape[0], y + height + height // 5)
    pixels = photograph[top:bottom, left:right].copy()
    across, down = right - left, bottom - top
    mask = np.zeros((down, across), np.float32)
    centre = (across // 2, down // 2)
    axes = (round(across * 0.44), round(down * 0.46))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, width / 30)), np.float32)
    return Head(pixels, soft.reshape(down, across, 1), height)


def street() -> Image:
    """Wall, windows and pavement, with fixed noise so that the encoder has real work to do."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    shade = np.linspace(150, 190, HEIGHT)[:, None, None]
    picture[:] = np.clip(shade * np.array([0.92, 0.97, 1.0]), 0, 255)
    for left in range(120, WIDTH, 420):
        cv2.rectangle(picture, (left, 90), (left + 260, 470), (96, 84, 70), -1)
        cv2.rectangle(picture, (left, 90), (left + 260, 470), (60, 58, 56), 8)
        cv2.line(picture, (left + 130, 90), (left + 130, 470), (60, 58, 56), 6)
    cv2.rectangle(picture, (0, 840), (WIDTH, HEIGHT), (120, 122, 124), -1)
    for left in range(-400, WIDTH, 260):
        cv2.line(picture, (left + 300, 840), (left, HEIGHT), (104, 106, 108), 3)
    noise = np.random.default_rng(7).normal(0, 4, (HEIGHT, WIDTH, 1))
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def walks(sought: Image, public: Image) -> tuple[Walk, ...]:
    """Who walks when: faces of 56 to 170 px, up to six people at once."""
    strangers = [cut_head(public, box) for box in PUBLIC_BOXES]
    wanted = cut_head(sought, SOUGHT_BOX)
    return (
        Walk(strangers[0], (70, 50, 40), 0.0, 6.0, (0.02, 0.48, 70), (0.98, 0.52, 84)),
        Walk(strangers[1], (40, 60, 90), 0.6, 6.5, (0.95, 0.40, 60), (0.05, 0.36, 56)),
        Walk(strangers[2], (90, 70, 50), 1.5, 6.0, (0.30, 0.36, 56), (0.16, 0.50, 150)),
        Walk(wanted, (150, 90, 40), 2.5, 6.0, (0.72, 0.38, 64), (0.60, 0.50, 170)),
        Walk(strangers[3], (50, 50, 60), 5.0, 5.5, (0.02, 0.44, 90), (0.96, 0.40, 66)),
        Walk(strangers[4], (60, 80, 60), 6.0, 5.5, (0.40, 0.36, 56), (0.36, 0.52, 140)),
        Walk(strangers[5], (80, 60, 80), 6.6, 5.0, (0.92, 0.46, 100), (0.10, 0.46, 100)),
    )


def paint(picture: Image, walk: Walk, seconds: float) -> None:
    place = walk.at(seconds)
    if place is None:
        return
    x, y, size = place
    scale = size / walk.head.face_height
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    head = cv2.resize(walk.head.pixels, None, fx=scale, fy=scale, interpolation=interpolation)
    alpha = cv2.resize(walk.head.alpha, (head.shape[1], head.shape[0]))[..., None]
    shoulders = (x, round(y + size * 2.1))
    cv2.ellipse(picture, shoulders, (round(size * 1.0), round(size * 1.5)), 0, 0, 360, walk.coat, -1)
    cv2.rectangle(
        picture,
        (x - round(size), shoulders[1]),
        (x + round(size), shoulders[1] + round(size * 5)),
        walk.coat,
        -1,
    )
    left, top = x - head.shape[1] // 2, y - head.shape[0] // 2
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(WIDTH, left + head.shape[1]), min(HEIGHT, top + head.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    region = picture[y0:y1, x0:x1]
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    region[:] = np.rint(region * (1 - alpha[part]) + head[part] * alpha[part]).astype(np.uint8)


def frames(sought: Image, public: Image, seconds: float) -> Iterator[Image]:
    """The pictures of the clip, BGR, the farthest person painted first."""
    background = street()
    people = walks(sought, public)
    for number in range(round(seconds * FPS)):
        now = number / FPS
        picture = background.copy()
        here = [walk for walk in people if walk.at(now)]
        for walk in sorted(here, key=lambda walk: (walk.at(now) or (0, 0, 0.0))[2]):
            paint(picture, walk, now)
        yield picture


def write_clip(
    path: Path,
    sought: Image,
    public: Image,
    *,
    seconds: float = 12.0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Encode the scene as 1080p25 H.264, a key frame every second and no B-frames, as cameras do."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "21", "g": str(FPS), "bf": "0", "threads": "2"}
        for number, picture in enumerate(frames(sought, public, seconds)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            if progress:
                progress((number + 1) / (seconds * FPS))
        container.mux(stream.encode(None))
