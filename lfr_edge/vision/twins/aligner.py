"""Aligned crops of all faces of a frame in one launch on the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.models.fuse import aligner as aligner_graph
from lfr_edge.vision.align import Float64Array, similarity
from lfr_edge.vision.embedder import CropShape
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import planes
from lfr_edge.vision.sessions import Binding, Program
from lfr_edge.vision.slots import SealedMemory

_FACES: Final = (1, 4, 16, 64)  # in one launch
# Up to which factor of shrinking, how many samples along a crop pixel's side. Up to twice the
# plain path samples bilinearly, too; beyond that the samples must not skip pixels of the frame.
_SAMPLES: Final = ((2.0, 1), (4.0, 4), (math.inf, 8))
_USUAL: Final = (1920, 1080)

Opener = Callable[[bytes, str], Program]


class _Launch:
    """Buffers and binding for one frame size, crop shape, sampling and number of faces."""

    def __init__(self, program: Program, size: tuple[int, int], shape: CropShape, faces: int) -> None:
        width, height = size
        self.memory = SealedMemory(
            ((1, 1, height, width), np.uint8),
            ((1, 2, height // 2, width // 2), np.uint8),
            ((faces, 3, 2), np.float32),
            ((faces, shape.height, shape.width, 3), np.uint8),
        )
        self.luma, self.chroma, self.places, self.crops = self.memory.arrays
        inputs: dict[str, NDArray[Any]] = {
            "luma": self.luma,
            "chroma": self.chroma,
            "places": self.places,
        }
        self.binding: Binding = program.bind(inputs, {"crops": self.crops})
        self.used = False


class TwinAligner:
    """**Thread rule:** one thread. **Lifetime:** buffers are sealed; overwritten by :meth:`scrub`.

    Args:
        open_program: opens a graph on the wanted device.
    """

    def __init__(self, open_program: Opener) -> None:
        self._open = open_program
        self._programs: dict[tuple[int, int, int], Program] = {}
        self._launches: dict[tuple[object, ...], _Launch] = {}

    def align(
        self, frame: Frame, points: Float32Array, shape: CropShape, crops: UInt8Array, rows: Sequence[int]
    ) -> None:
        """Write the faces with `points` (n, 5, 2) into `crops` at `rows`."""
        matrices = similarity(points, shape.template)
        shrinks = [1 / max(math.hypot(m[0, 0], m[1, 0]), 1e-9) for m in matrices]
        samples = np.array([next(each for most, each in _SAMPLES if shrink <= most) for shrink in shrinks])
        for each in np.unique(samples):
            chosen = np.flatnonzero(samples == each)
            for start in range(0, len(chosen), _FACES[-1]):
                part = chosen[start : start + _FACES[-1]]
                self._cut(frame, matrices[part], shape, int(each), crops, [rows[i] for i in part])

    def warm(self, shapes: Sequence[CropShape]) -> None:
        """Open every sampling, and run the launches that a 1080p camera needs first."""
        for shape in shapes:
            for _, samples in _SAMPLES:
                for faces in _FACES if samples == 1 else _FACES[:2]:
                    self._launch(_USUAL, shape, samples, faces).binding.run()

    def scrub(self) -> None:
        for launch in self._launches.values():
            launch.memory.wipe()
            if launch.used:
                launch.binding.run()
                launch.memory.wipe()
                launch.used = False

    def _cut(
        self,
        frame: Frame,
        matrices: Float64Array,
        shape: CropShape,
        samples: int,
        crops: UInt8Array,
        rows: Sequence[int],
    ) -> None:
        faces = next(size for size in _FACES if size >= len(rows))
        launch = self._launch((frame.width, frame.height), shape, samples, faces)
        luma, blue, red = planes(frame.pixels)
        launch.luma[0, 0] = luma
        launch.chroma[0, 0], launch.chroma[0, 1] = blue, red
        launch.places[:] = _NOWHERE
        for at, matrix in enumerate(matrices):
            launch.places[at] = places(matrix, frame.width, frame.height)
        launch.used = True
        launch.binding.run()
        for at, row in enumerate(rows):
            np.copyto(crops[row], launch.crops[at])
        launch.crops[:] = 0

    def _launch(self, size: tuple[int, int], shape: CropShape, samples: int, faces: int) -> _Launch:
        key = (size, shape, samples, faces)
        if key not in self._launches:
            graph = (shape.height, shape.width, samples)
            if graph not in self._programs:
                self._programs[graph] = self._open(aligner_graph(*graph), "aligner")
            self._launches[key] = _Launch(self._programs[graph], size, shape, faces)
        return self._launches[key]


# Every pixel of an empty place lies outside the picture.
_NOWHERE: Final = np.array([[0, 0], [0, 0], [-9, -9]], np.float32)


def places(matrix: Float64Array, width: int, height: int) -> Float32Array:
    """(3, 2) crop pixel (x, y, 1) → place in the frame, -1 the first pixel's centre and 1 the last's.

    `matrix` (2, 3) maps picture pixels to crop pixels.
    """
    linear = matrix[:, :2]
    if abs(np.linalg.det(linear)) < 1e-12:
        return _NOWHERE  # five points in one place: a black crop
    back = np.linalg.inv(linear)
    picture = np.concatenate([back, (-back @ matrix[:, 2])[:, None]], axis=1)  # (2, 3)
    picture *= 2 / np.array([width - 1, height - 1])[:, None]
    picture[:, 2] -= 1
    return np.asarray(picture.T, np.float32)
