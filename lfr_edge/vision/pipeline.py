"""One pack, opened and proved: what the recogniser, enrolment and evaluation share, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Protocol

import cv2
import numpy as np

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.models.manifest import NetworkManifest, PackManifest
from lfr_edge.vision.detectors import Detector, build_detector
from lfr_edge.vision.detectors.detector import NetworkDetector
from lfr_edge.vision.detectors.strips import striped
from lfr_edge.vision.embedder import Embedder, FusedEmbedder
from lfr_edge.vision.faces import Faces, Float32Array
from lfr_edge.vision.letterbox import Picture, canvas_size, picture_size
from lfr_edge.vision.pixels import decode_image
from lfr_edge.vision.portraits import Degradation, Found, Portrait, Still
from lfr_edge.vision.quality import Geometry, Quality, assess, geometry
from lfr_edge.vision.sessions import Provider, Runtime, Session
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.stack import fallen_back, open_twins

_PLAIN: Final = Acceleration()
# A face below `min_score` may continue a passage but not start one; below this share of it, it is noise.
_WEAK_SHARE: Final = 0.6
_STILL_SIDE: Final = 1280
_STILL_SLOTS: Final = 8
_SMALL_STILL: Final = 640  # longest side in pixels
# 16:9 cameras, which way up they hang does not matter; other shapes are warmed when a camera has them.
_USUAL_FRAMES: Final = ((1920, 1080),)


class OpenPack(Protocol):
    """What this room needs of an installed pack; the models room has verified it."""

    @property
    def manifest(self) -> PackManifest: ...

    @property
    def fingerprint(self) -> str: ...

    def read(self, network: NetworkManifest) -> bytes: ...


class VisionStack:
    """A pack's detector and embedder on open sessions.

    **Thread rule:** one thread at a time. **Lifetime:** enrolment's templates live in slots of its own, which are
    wiped before :meth:`templates` returns; the recogniser brings its own slots.
    """

    def __init__(
        self, detector: Detector, embedder: Embedder, *, fingerprint: str, sessions: Sequence[Session]
    ) -> None:
        self.detector = detector
        self.embedder = embedder
        self.fingerprint = fingerprint
        self.degraded: str = ""
        self.providers: tuple[str, ...] = tuple(dict.fromkeys(name for s in sessions for name in s.providers))
        self._stills: ProbeSlots | None = None

    @classmethod
    def open(
        cls,
        pack: OpenPack,
        *,
        providers: Sequence[Provider] = ("cpu",),
        threads: int = 0,
        allow_cpu: bool = False,
        min_score: float = 0.6,
        flip: bool = False,
        acceleration: Acceleration = _PLAIN,
    ) -> VisionStack:
        """Load every network of a verified pack and run each once.

        With an `acceleration` that asks for them, the pack's twins stand in for detector and embedder; the plain
        path stays open beside them for pictures that are no camera's frames.

        Raises:
            ModelError: a file does not verify. VisionError: see :class:`~lfr_edge.vision.sessions.Runtime` and
            :func:`~lfr_edge.vision.twins.stack.open_twins`.
        """
        # OpenCV's pictures are small here: a second thread of its own costs 6 % more CPU for a letterbox and 10 % for a
        # crop, and on a busy box the wait for it made a letterbox of 2.3 ms last 9.1. Its stack would hold faces, too.
        cv2.setNumThreads(1)
        fast = acceleration.graph != "plain" and not fallen_back(providers, allow_cpu=allow_cpu)
        # Beside twins the plain path sees stills alone: it stays on the CPU and takes nothing of a card's memory.
        runtime = Runtime(("cpu",) if fast else providers, threads=threads, allow_cpu=allow_cpu)
        manifest = pack.manifest
        finder = runtime.open(pack.read(manifest.detector), manifest.detector.id)
        detector = build_detector(manifest.detector, finder, min_score=min_score * _WEAK_SHARE)
        if isinstance(detector, NetworkDetector) and finder.on_cpu:
            detector.in_strips = partial(striped, runtime, pack.read(manifest.detector), manifest.detector)
        networks = [(network, runtime.open(pack.read(network), network.id)) for network in manifest.embedders]
        embedder = FusedEmbedder(networks, flip=flip)
        sessions = [finder, *(session for _, session in networks)]
        stack = cls(detector, embedder, fingerprint=pack.fingerprint, sessions=sessions)
        stack.degraded = runtime.degraded
        if fast:
            assert isinstance(detector, NetworkDetector)
            assert not flip, "twins do not mirror"
            twins = open_twins(pack, (detector, embedder), acceleration, providers=providers, threads=threads)
            stack.detector, stack.embedder = twins.detector, twins.embedder
            stack.providers = twins.providers
            twins.embedder.warm()
        else:
            embedder.warm()
        return stack

    @property
    def dimension(self) -> int:
        """Length of a template."""
        return self.embedder.dimension

    @property
    def one_by_one(self) -> bool:
        """Whether a face that is embedded overwrites all that the one before it left in the networks' memory."""
        return isinstance(self.embedder, FusedEmbedder) and self.embedder.one_by_one

    def slots(self, capacity: int) -> ProbeSlots:
        """Sealed memory for `capacity` faces of this pack."""
        return ProbeSlots(capacity, self._crops, self.dimension)

    @property
    def slot_bytes(self) -> int:
        """What one more slot takes of locked memory."""
        return ProbeSlots.bytes_each(self._crops, self.dimension)

    def warm(self, sides: Iterable[int], batches: Sequence[int] = (1,)) -> None:
        """Run the detector once at every canvas a 16:9 camera of these sides has."""
        contract = self.detector.manifest.input
        sizes = {canvas_size(w, h, side, contract) for side in sides for w, h in _USUAL_FRAMES}
        self.detector.warm(sorted(sizes), batches)

    def detect(self, pictures: Sequence[Picture], side: int = _STILL_SIDE) -> list[Faces]:
        """Faces of each picture, best score first, in its own pixels."""
        return self.detector.detect([self.detector.canvas(picture, side) for picture in pictures])

    def align(
        self,
        picture: Picture,
        faces: Faces,
        slots: ProbeSlots,
        rows: Sequence[int],
        known: Geometry | None = None,
    ) -> Quality:
        """Cut the faces out into the slots `rows` and assess them; `known` saves measuring it again."""
        self.embedder.align(picture, faces.points, slots, rows)
        if known is None:
            known = geometry(faces, *picture_size(picture))
        return assess(known, slots.crops[0], rows)

    def look(self, image: bytes) -> Portrait:
        """Decode an enrolment picture and find its faces, largest first.

        Raises:
            VisionError: ``vision_image_kind``, ``vision_image_size``, ``vision_image_broken``.
        """
        picture = decode_image(image)
        faces = self._find(picture)
        size = faces.boxes[:, 2:] - faces.boxes[:, :2]
        faces = faces[np.argsort(-size.prod(axis=1), kind="stable")[:_STILL_SLOTS]]
        slots = self._still_slots()
        rows = slots.acquire(len(faces))
        try:
            quality = self.align(picture, faces, slots, rows)
        finally:
            slots.wipe(rows)
        found = tuple(_found(faces, quality, i) for i in range(len(faces)))
        height, width = picture.shape[:2]
        return Portrait(width, height, found, Still(picture, faces))

    def templates(self, portrait: Portrait, face: int, variants: Sequence[Degradation] = ()) -> Float32Array:
        """(1 + variants, dimension) unit length: of the face as it is, then of each degraded variant.

        **Lifetime:** the result is the caller's, who seals it and overwrites it.
        """
        still = portrait.picture
        out = np.zeros((1 + len(variants), self.dimension), np.float32)
        slots = self._still_slots()
        for row, variant in enumerate((None, *variants)):
            picture, points = _as_seen(still, face, variant)
            probe = slots.acquire(1)
            try:
                self.embedder.align(picture, points[None], slots, probe)
                self.embedder.embed(slots, probe)
                np.copyto(out[row], slots.templates[probe[0]])
            finally:
                slots.wipe(probe)
        return out

    def scrub(self, *, thorough: bool = False) -> None:
        """Overwrite what the last faces left in buffers, arenas and stacks of this room (reliability.md 2).

        ``thorough`` also overwrites what the last picture left in the detector, which costs as much as a picture;
        while cameras run the next picture does it.
        """
        self.embedder.scrub()
        if thorough:
            self.detector.scrub()

    @property
    def _crops(self) -> list[tuple[int, int]]:
        return [(shape.height, shape.width) for shape in self.embedder.crop_shapes]

    def _find(self, still: UInt8Array) -> Faces:
        """A small still is shown to the detector at twice its size: its points are then better, and TPIR at 1 %
        FPIR on LFW (250 px) rises from 90.5 to 91.9 %, at 0.3 % from 77.5 to 86.1 %."""
        if max(still.shape[:2]) > _SMALL_STILL:
            return self.detect([still])[0]
        twice = np.asarray(cv2.resize(still, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.uint8)
        (faces,) = self.detect([twice])
        boxes, points = (
            (faces.boxes / 2).astype(np.float32),
            ((faces.points + 0.5) / 2 - 0.5).astype(np.float32),
        )
        return Faces(boxes, points, faces.scores)

    def _still_slots(self) -> ProbeSlots:
        if self._stills is None:
            self._stills = self.slots(_STILL_SLOTS)
        return self._stills


def _found(faces: Faces, quality: Quality, i: int) -> Found:
    x1, y1, x2, y2 = (float(value) for value in faces.boxes[i])
    return Found(
        box=(x1, y1, x2, y2),
        score=float(faces.scores[i]),
        eye_px=float(faces.eye_px[i]),
        quality=float(quality.overall[i]),
        weaknesses=quality.explain(i),
    )


def _as_seen(still: Still, face: int, variant: Degradation | None) -> tuple[UInt8Array, Float32Array]:
    """The picture as a street camera would have shown it."""
    picture, points = still.pixels, still.faces.points[face]
    if variant is None:
        return picture, points
    box = still.faces.boxes[face]
    width = max(float(box[2] - box[0]), 1.0)
    scale = 1.0 if variant.face_px is None else min(1.0, variant.face_px / width)
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    seen = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    if variant.light != 1:
        # The sensor loses light, the file holds gamma-coded values (2.2, as sRGB nearly is).
        table = np.clip(np.arange(256) * variant.light ** (1 / 2.2), 0, 255).astype(np.uint8)
        seen = np.asarray(cv2.LUT(seen, table), np.uint8)
    if variant.blur:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), variant.blur / 100 * width * scale), np.uint8)
    if variant.jpeg_quality is not None:
        _, data = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, variant.jpeg_quality])
        seen = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    stretch = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
    moved = ((points + 0.5) * stretch - 0.5).astype(np.float32)
    return seen, moved
