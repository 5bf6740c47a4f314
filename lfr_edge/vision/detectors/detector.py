"""What every detector does: batch the canvases, run, decode what passes the score, suppress doubles, map back."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.errors import VisionError
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.sentences import say
from lfr_edge.vision.detectors.nms import suppress
from lfr_edge.vision.detectors.strips import StripedNetwork
from lfr_edge.vision.faces import Faces, Float32Array, IntArray
from lfr_edge.vision.letterbox import Canvas, Picture, fill_blob, letterbox
from lfr_edge.vision.sessions import Session

# More candidates than this in one picture is noise or an attack on the time budget; a crowd of 200 has ~3,000.
_MOST_CANDIDATES: Final = 5_000


class Detector(Protocol):
    """Finds faces. **Thread rule:** one thread at a time (the input buffer is reused)."""

    manifest: NetworkManifest

    def canvas(self, picture: Picture, side: int) -> Canvas:
        """The picture as this network wants it, longest side at most `side` pixels."""

    def detect(self, canvases: Sequence[Canvas]) -> list[Faces]:
        """Faces of each canvas in pixels of its full picture, best score first.

        The canvases may have different sizes and come from different cameras; no frame changes another's faces.
        """

    def warm(self, sizes: Sequence[tuple[int, int]], batches: Sequence[int] = (1,)) -> None:
        """Run once at each canvas (width, height) and batch."""

    def scrub(self) -> None:
        """Overwrite what the last pictures left in this detector's buffers and in the runtime's arena."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Decoded boxes of a whole batch before suppression, canvas pixels."""

    frames: IntArray  # (n,) row of the batch
    boxes: Float32Array  # (n, 4) x1 y1 x2 y2
    points: Float32Array  # (n, 5, 2)
    scores: Float32Array  # (n,)

    @staticmethod
    def join(parts: Sequence[Candidates]) -> Candidates:
        return Candidates(
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.points for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )


class NetworkDetector:
    """The part that YuNet, SCRFD and CenterFace share. **Thread rule:** one thread at a time."""

    overlap: float  # boxes with more intersection over union than this are one face
    in_strips: Callable[[int, int], StripedNetwork | None] | None = None
    """(height, width) of a canvas → the network for it with its first layers in strips, asked by :meth:`warm`."""

    def __init__(self, session: Session, manifest: NetworkManifest, *, min_score: float) -> None:
        self.manifest = manifest
        self.min_score = min_score
        self._session = session
        self._blobs: dict[tuple[int, int, int], Float32Array] = {}
        self._striped: dict[tuple[int, int], StripedNetwork] = {}

    @abstractmethod
    def decode(self, outputs: list[Float32Array], height: int, width: int) -> Candidates:
        """Candidates at or above ``min_score``; outputs have the batch as first dimension where the network
        has one. Raises VisionError ``vision_network_shape`` where they are not this family's."""

    def canvas(self, picture: Picture, side: int) -> Canvas:
        return letterbox(picture, side, self.manifest.input)

    def detect(self, canvases: Sequence[Canvas]) -> list[Faces]:
        faces = [Faces.none() for _ in canvases]
        for rows in self._batches(canvases):
            for row, found in zip(rows, self._detect([canvases[row] for row in rows]), strict=True):
                faces[row] = canvases[row].to_picture(found)
        return faces

    def warm(self, sizes: Sequence[tuple[int, int]], batches: Sequence[int] = (1,)) -> None:
        for width, height in sizes:
            made = self.in_strips(height, width) if self.in_strips else None
            if made is not None:
                self._striped[height, width] = made
                continue
            for batch in batches if self.manifest.input.batch else (1,):
                self._run(self._blob(batch, height, width))

    def scrub(self) -> None:
        for network in self._striped.values():
            network.scrub()
        for blob in self._blobs.values():
            blob[:] = 0
            self._run(blob)

    def _batches(self, canvases: Sequence[Canvas]) -> list[list[int]]:
        """Rows that may run together: same size, and a network that takes more than one."""
        # On a CPU a batch is slower than its frames one by one (YuNet at 1280 × 736, 2 threads: 34 ms of CPU a frame
        # in a batch of two, 29 alone): the activations of one frame fit the cache, those of two do not.
        if not self.manifest.input.batch or self._session.on_cpu:
            return [[row] for row in range(len(canvases))]
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for row, canvas in enumerate(canvases):
            groups[canvas.pixels.shape].append(row)
        return list(groups.values())

    def _detect(self, canvases: Sequence[Canvas]) -> list[Faces]:
        height, width = canvases[0].pixels.shape[:2]
        network = self._striped.get((height, width)) if len(canvases) == 1 else None
        if network is not None:
            network.fill(canvases[0].pixels)
            outputs = self._run(network.planes)
        else:
            blob = self._blob(len(canvases), height, width)
            for row, canvas in enumerate(canvases):
                fill_blob(canvas.pixels, self.manifest.input, blob[row])
            outputs = self._run(blob)
        found = self.decode(outputs, height, width)
        return [self._finish(found, row) for row in range(len(canvases))]

    def _finish(self, found: Candidates, row: int) -> Faces:
        rows = np.flatnonzero(found.frames == row)
        rows = rows[np.argsort(-found.scores[rows], kind="stable")[:_MOST_CANDIDATES]]
        kept = rows[suppress(found.boxes[rows], self.overlap)]
        return Faces(found.boxes[kept], found.points[kept], found.scores[kept])

    def _blob(self, batch: int, height: int, width: int) -> Float32Array:
        key = (batch, height, width)
        if key not in self._blobs:
            self._blobs[key] = np.zeros((batch, 3, height, width), np.float32)
        return self._blobs[key]

    def _run(self, blob: Float32Array | UInt8Array) -> list[Float32Array]:
        """Of the planes of a striped network, or of a batch of the plain one."""
        if blob.dtype == np.uint8:
            return self._striped[blob.shape[2], blob.shape[3]].run()
        return self._session.run(blob.view(np.float32))

    def _shape_error(self) -> VisionError:
        return VisionError(
            "vision_network_shape",
            say(
                "{id}: the outputs are not those of {family}",
                id=self.manifest.id,
                family=self.manifest.family,
            ),
            hint="the manifest names the wrong family, or the file is not the one it describes",
        )


def cells(height: int, width: int, anchors: int = 1) -> Float32Array:
    """(height * width * anchors, 2) column and row of every prediction, row by row, anchors together."""
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    return np.repeat(grid, anchors, axis=0).astype(np.float32)
