"""People who walk through pictures by a script, and a pack whose networks cost nothing: to time what is around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import cv2
import numpy as np

from lfr_edge.models import families
from lfr_edge.models.manifest import Licence, NetworkManifest
from lfr_edge.vision.detectors import Detector
from lfr_edge.vision.embedder import LADDER, FusedEmbedder
from lfr_edge.vision.faces import Faces, Float32Array
from lfr_edge.vision.letterbox import Canvas, Picture
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.sessions import Session

FRAME_NS: Final = 40_000_000  # 25 frames a second
_ABOUT: Final[dict[str, Any]] = {
    "licence": Licence(name="none", operational_use="no", note="no weights"),
    "source": "benchmarks/_crowd.py",
    "training_data": "none",
}
_EMBEDDER: Final = families.ARCFACE_512.describe(b"none", id="r50-silent", **_ABOUT)
_DETECTOR: Final = families.SCRFD.describe(b"none", id="scrfd-silent", **_ABOUT)
# Five points of a face whose box is one unit wide: the crop's own, moved to the middle of the box.
_FACE: Final = (np.array(families.ARCFACE_112, np.float32) - 56) / 112 * 0.9
_STAYS: Final = (60, 150)  # frames: 2.4 to 6 s before the camera
_WIDTH: Final = (60.0, 150.0)  # pixels
_MISSED: Final = 0.03  # share of faces that the detector does not find in one frame
_WEAK: Final = 0.05  # share that it finds with less than it needs to start a passage


class ScriptedCrowd:
    """A Detector that finds, at :attr:`moment`, who the script says stands before each camera.

    As one leaves the next one comes, so that every frame holds as many; nobody is ever the same person twice.
    """

    def __init__(self, cameras: Sequence[str], faces: int, moments: int, seed: int = 11) -> None:
        self.manifest: NetworkManifest = _DETECTOR
        self.cameras = tuple(cameras)
        self.moment = 0
        chance = np.random.default_rng(seed)
        self._found = [_script(chance, faces, moments) for _ in cameras]

    def canvas(self, picture: Picture, side: int) -> Canvas:
        return cast(Canvas, picture)

    def detect(self, canvases: Sequence[Canvas]) -> list[Faces]:
        return [script[self.moment] for script in self._found]

    def warm(self, sizes: Sequence[tuple[int, int]], batches: Sequence[int] = (1,)) -> None:
        return

    def scrub(self) -> None:
        return


class SilentSession:
    """Writes random templates where a card would write real ones; padded batches, as a card has them."""

    on_cpu = False
    providers = ("SilentExecutionProvider",)

    def __init__(self, dimension: int, seed: int = 5) -> None:
        self._drawn = np.random.default_rng(seed).standard_normal((4 * LADDER[0], dimension), np.float32)
        self._at = 0

    def run(self, blob: Float32Array) -> list[Float32Array]:
        return [self._drawn[: len(blob)]]

    def run_into(self, blob: Float32Array, out: Float32Array) -> None:
        self._at = (self._at + 7) % (len(self._drawn) - len(blob))
        np.copyto(out, self._drawn[self._at : self._at + len(blob)])


def scripted_stack(crowd: ScriptedCrowd) -> VisionStack:
    """The product's own stack but for the networks, OpenCV's threads included."""
    cv2.setNumThreads(1)  # as VisionStack.open, which is not called here
    session = cast(Session, SilentSession(_EMBEDDER.dimension or 0))
    embedder = FusedEmbedder([(_EMBEDDER, session)])
    return VisionStack(cast(Detector, crowd), embedder, fingerprint="0" * 64, sessions=[session])


def _script(chance: np.random.Generator, faces: int, moments: int) -> list[Faces]:
    """What one camera's detector finds at each moment: `faces` people in view, each on a straight way of its own."""
    left = np.zeros(faces, np.intp)  # frames until this person has gone
    centre, speed = np.zeros((faces, 2)), np.zeros((faces, 2))
    width, growth = np.zeros(faces), np.ones(faces)
    found = []
    for moment in range(moments):
        fresh = np.flatnonzero(left <= 0)
        stays = chance.integers(*_STAYS, len(fresh))
        # At the first moment some are half way through already.
        left[fresh] = stays if moment else (stays * chance.random(len(fresh))).astype(np.intp) + 1
        centre[fresh] = chance.uniform((120, 120), (1800, 960), (len(fresh), 2))
        width[fresh] = chance.uniform(*_WIDTH, len(fresh))
        speed[fresh] = chance.uniform(-0.05, 0.05, (len(fresh), 2)) * width[fresh, None]
        growth[fresh] = chance.uniform(0.998, 1.004, len(fresh))
        centre, width, left = centre + speed, width * growth, left - 1
        found.append(_faces(chance, centre, width))
    return found


def _faces(chance: np.random.Generator, centre: np.ndarray, width: np.ndarray) -> Faces:
    n = len(width)
    at = centre + chance.normal(0, 0.7, (n, 2))  # a detector's jitter, pixels
    points = (_FACE[None] * width[:, None, None] + at[:, None]).astype(np.float32)
    half = np.stack([width / 2, width * 0.65], axis=1)
    boxes = np.concatenate([at - half, at + half], axis=1).astype(np.float32)
    scores = np.where(chance.random(n) < _WEAK, 0.45, chance.uniform(0.75, 0.95, n)).astype(np.float32)
    seen = np.flatnonzero(chance.random(n) >= _MISSED)
    order = seen[np.argsort(-scores[seen], kind="stable")]
    return Faces(boxes[order], points[order], scores[order])
