"""Enrolment pictures as values: what was found in a still, and how it may be degraded."""

from __future__ import annotations

from dataclasses import dataclass, field

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.vision.faces import Faces


@dataclass(frozen=True, slots=True)
class Found:
    """One face in an enrolment picture, as measured."""

    box: tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the picture
    score: float  # detector, 0..1
    eye_px: float  # distance between the eyes
    quality: float  # 0..1
    weaknesses: tuple[str, ...] = ()  # in plain words, worst first

    @property
    def area(self) -> float:
        """Square pixels."""
        x1, y1, x2, y2 = self.box
        return max(0.0, x2 - x1) * max(0.0, y2 - y1)


@dataclass(frozen=True, slots=True)
class Still:
    """A decoded picture and its faces, row i of ``faces`` being ``Portrait.found[i]``."""

    pixels: UInt8Array = field(repr=False)  # (h, w, 3) BGR
    faces: Faces = field(repr=False)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A decoded picture and the faces in it, largest first. **Lifetime:** dropped once its templates are made."""

    width: int
    height: int
    found: tuple[Found, ...]
    picture: Still = field(repr=False)


@dataclass(frozen=True, slots=True)
class Degradation:
    """How a street camera would have shown this picture: shrunk, darkened, blurred, compressed, in this order."""

    face_px: int | None = None  # width of the face's box after shrinking; None: as it is
    jpeg_quality: int | None = 85  # None: not compressed again
    blur: float = 0.0  # standard deviation of a Gaussian, in hundredths of the face's width
    light: float = 1.0  # share of the light that is left, before gamma: 0.25 are two stops
