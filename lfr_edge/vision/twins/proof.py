"""Twin and plain path on the same drawn street: the same faces, boxes within a pixel, templates alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.errors import VisionError
from lfr_edge.sentences import say
from lfr_edge.vision.detectors import Detector
from lfr_edge.vision.embedder import Embedder
from lfr_edge.vision.faces import Faces, Float32Array
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.twins.detector import TwinDetector
from lfr_edge.vision.twins.drawn import drawn_frame

# What was asked for (issue 6): a threshold measured on the plain path has an interval of ± 0.003 at best.
LEAST_COSINE: Final = 0.999
MOST_PIXELS: Final = 1.0  # of the frame, any side of any box or point
SIDES: Final = (640, 1280)
# Half precision against the same networks in full, on the CPU: rounding of weights alone moves a template by 0.0001
# and a box by a tenth of a pixel. What it does to real faces is measured by 'calibrate drift'.
HALF_COSINE: Final = 0.995
HALF_PIXELS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Proof:
    """How far a fast path is from the plain one."""

    faces: int  # that the plain path found, over all pictures
    missed: int  # more or fewer on the fast path, the larger of the two in one picture
    pixels: float  # the largest distance between sides of a face's boxes, or its points
    cosine: float  # the least between two templates of one face

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def fault(self, *, least_cosine: float = LEAST_COSINE, most_pixels: float = MOST_PIXELS) -> str:
        """Why the two are not the same; empty where they are."""
        if not self.faces:
            return "the plain path found none of the drawn faces"
        if self.missed:
            return say("{missed} of {faces} faces more or fewer", missed=self.missed, faces=self.faces)
        if self.pixels > most_pixels:
            return say(
                "a box or point moved by {pixels:.2f} pixels, more than {most:g}",
                pixels=self.pixels,
                most=most_pixels,
            )
        if not self.cosine >= least_cosine:
            return say(
                "a template's cosine is {cosine:.5f}, less than {least:g}",
                cosine=self.cosine,
                least=least_cosine,
            )
        return ""


def compare(
    plain: tuple[Detector, Embedder], fast: tuple[Detector, Embedder], sides: Sequence[int] = SIDES
) -> Proof:
    """Both on the drawn street at each detector size, and embedders on several rungs of their ladder."""
    frame = drawn_frame()
    faces, missed, pixels, cosine = 0, 0, 0.0, 1.0
    for side in sides:
        (found,) = plain[0].detect([plain[0].canvas(frame, side)])
        canvas = fast[0].canvas(frame, side)
        (other,) = fast[0].detect([canvas])
        every = fast[0].candidates(canvas) if isinstance(fast[0], TwinDetector) else [other]
        faces += len(found)
        missed = max(missed, abs(len(found) - len(other)))
        pixels = max(pixels, *(distance(found, near) for near in every))
    for count in sorted({count for count in (1, 2, 3, len(found)) if count <= len(found)} - {0}):
        some = found.points[:count]
        templates = [_templates(embedder, frame, some) for embedder in (plain[1], fast[1])]
        cosine = min(cosine, float(np.einsum("ij,ij->i", *templates).min()))
    return Proof(faces, missed, round(pixels, 4), round(cosine, 6))


def require_same(name: str, proof: Proof) -> None:
    """Raises VisionError ``vision_twin_differs``."""
    if fault := proof.fault():
        raise VisionError(
            "vision_twin_differs",
            say(
                "{name}: the fast twin does not do what the plain path does: {fault}", name=name, fault=fault
            ),
            hint="set models.graph = 'plain'; the plain path needs no twin",
        )


def distance(faces: Faces, candidates: Faces) -> float:
    """Of the face whose nearest candidate is farthest. Suppression may keep another of two near-equal candidates,
    so all candidates count."""
    if not len(faces):
        return 0.0
    if not len(candidates):
        return float("inf")
    mine, theirs = (np.concatenate([f.boxes, f.points.reshape(-1, 10)], axis=1) for f in (faces, candidates))
    apart = np.abs(mine[:, None] - theirs[None]).max(axis=2)
    return float(apart.min(axis=1).max())


def _templates(embedder: Embedder, frame: Frame, points: Float32Array) -> Float32Array:
    """(n, d). The slots hold drawn faces alone."""
    shapes = [(shape.height, shape.width) for shape in embedder.crop_shapes]
    slots = ProbeSlots(len(points), shapes, embedder.dimension)
    rows = slots.acquire(len(points))
    embedder.align(frame, points, slots, rows)
    embedder.embed(slots, rows)
    return slots.templates[list(rows)].copy()
