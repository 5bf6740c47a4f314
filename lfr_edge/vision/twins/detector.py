"""The detector whose graph takes bytes and gives boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.models.fuse import COLUMNS, MOST_CANDIDATES
from lfr_edge.vision.detectors.detector import NetworkDetector
from lfr_edge.vision.detectors.nms import suppress
from lfr_edge.vision.faces import Faces, Float32Array
from lfr_edge.vision.letterbox import Canvas, Picture, Placement, letterbox, place, planes
from lfr_edge.vision.sessions import Binding, Program
from lfr_edge.vision.twins.geometry import anchors, resamplers

LADDER: Final = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class FrameCanvas(Canvas):
    """A canvas that the graph fills: ``pixels`` is the camera's whole frame, I420 (height · 3/2, width).

    **Lifetime:** as Canvas.
    """

    at: Placement


@dataclass(frozen=True, slots=True)
class _Rung:
    """One geometry at one batch: its buffers and the binding that runs them."""

    varying: tuple[NDArray[Any], ...]  # uint8, one row a frame
    found: Float32Array  # (batch, MOST_CANDIDATES, COLUMNS)
    binding: Binding

    def wipe(self) -> None:
        for array in self.varying:
            array[:] = 0
        self.binding.run()
        self.found[:] = 0


class TwinDetector:
    """A Detector. Pictures that are no camera's frames go through `plain` where the graph begins at the frame.

    **Thread rule:** one thread at a time. **Lifetime:** the buffers hold the last pictures until :meth:`scrub` or
    the next ones.

    Args:
        plain: the same network without a twin; gives manifest, score and overlap.
        program: the twin's graph, which begins where its inputs say.
        most: frames in one run at most; on a CPU one, because a batch is slower there.
    """

    def __init__(self, plain: NetworkDetector, program: Program, *, most: int) -> None:
        self.manifest = plain.manifest
        self._plain = plain
        self._program = program
        self._takes_frames = "luma" in program.inputs
        most = 1 if program.on_cpu else most
        self._ladder = tuple(size for size in LADDER if size <= most)
        self._rungs: dict[tuple[object, ...], _Rung] = {}

    def canvas(self, picture: Picture, side: int) -> Canvas:
        contract = self.manifest.input
        if not (self._takes_frames and isinstance(picture, Frame)):
            return letterbox(picture, side, contract)
        width, height = picture.width, picture.height
        at = place(width, height, side, contract)
        scale_x, scale_y = at.inner_width / width, at.inner_height / height
        return FrameCanvas(picture.pixels, scale_x, scale_y, width, height, at)

    def detect(self, canvases: Sequence[Canvas]) -> list[Faces]:
        faces = [Faces.none() for _ in canvases]
        groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for row, canvas in enumerate(canvases):
            if self._takes_frames and not isinstance(canvas, FrameCanvas):
                (faces[row],) = self._plain.detect([canvas])
            else:
                groups[_geometry(canvas)].append(row)
        for rows in groups.values():
            largest = self._ladder[-1]
            for start in range(0, len(rows), largest):
                part = rows[start : start + largest]
                for row, found in zip(part, self._run([canvases[row] for row in part]), strict=True):
                    kept = suppress(found.boxes, self._plain.overlap)
                    faces[row] = canvases[row].to_picture(found[kept])
        return faces

    def candidates(self, canvas: Canvas) -> list[Faces]:
        """Everything at or above the score, doubles included, of each frame of every rung with this canvas in all
        its places: what :mod:`.proof` compares."""
        return [canvas.to_picture(found) for size in self._ladder for found in self._run([canvas] * size)]

    def warm(self, sizes: Sequence[tuple[int, int]], batches: Sequence[int] = ()) -> None:
        """Run every rung at each canvas (width, height), for 16:9 frames of 1080p where the graph takes frames."""
        self._plain.warm(sizes[:1])
        for width, height in sizes:
            if self._takes_frames:
                at = place(1920, 1080, max(width, height), self.manifest.input)
                frame = np.zeros((1080 * 3 // 2, 1920), np.uint8)
                canvas: Canvas = FrameCanvas(frame, 1, 1, 1920, 1080, at)
            else:
                canvas = Canvas(np.zeros((height, width, 3), np.uint8), 1, 1, width, height)
            for batch in self._ladder:
                # Three times: CUDA graphs are captured at the second or third run of a shape.
                for _ in range(1 if self._program.on_cpu else 3):
                    self._run([canvas] * batch)

    def scrub(self) -> None:
        self._plain.scrub()
        for rung in self._rungs.values():
            rung.wipe()

    def _run(self, canvases: Sequence[Canvas]) -> list[Faces]:
        batch = next(size for size in self._ladder if size >= len(canvases))
        rung = self._rung(canvases[0], batch)
        for row, canvas in enumerate(canvases):
            _fill(rung.varying, row, canvas)
        for array in rung.varying:
            array[len(canvases) :] = 0
        rung.binding.run()
        return [self._read(rung.found[row]) for row in range(len(canvases))]

    def _read(self, found: Float32Array) -> Faces:
        """One frame's candidates, which come best first."""
        rows = found[: int(np.count_nonzero(found[:, 0] >= self._plain.min_score))].copy()
        return Faces(rows[:, 1:5], rows[:, 5:].reshape(-1, 5, 2), rows[:, 0])

    def _rung(self, canvas: Canvas, batch: int) -> _Rung:
        key = (*_geometry(canvas), batch)
        if key not in self._rungs:
            inputs = self._inputs(canvas, batch)
            found = np.zeros((batch, MOST_CANDIDATES, COLUMNS), np.float32)
            varying = [name for name in inputs if inputs[name].dtype == np.uint8]
            fixed = [name for name in inputs if name not in varying]
            binding = self._program.bind(inputs, {"candidates": found}, constant=fixed)
            self._rungs[key] = _Rung(tuple(inputs[name] for name in varying), found, binding)
        return self._rungs[key]

    def _inputs(self, canvas: Canvas, batch: int) -> dict[str, NDArray[Any]]:
        family = self.manifest.family
        if isinstance(canvas, FrameCanvas):
            at, width, height = canvas.at, canvas.width, canvas.height
            return {
                "luma": np.zeros((batch, 1, height, width), np.uint8),
                "chroma": np.zeros((batch, 2, height // 2, width // 2), np.uint8),
                **resamplers(width, height, at),
                "anchors": anchors(family, at.height, at.width),
            }
        rows, columns = canvas.pixels.shape[:2]
        return {
            "pixels": np.zeros((batch, rows, columns, 3), np.uint8),
            "anchors": anchors(family, rows, columns),
        }


def _geometry(canvas: Canvas) -> tuple[object, ...]:
    at = canvas.at if isinstance(canvas, FrameCanvas) else None
    return (canvas.pixels.shape, at)


def _fill(buffers: Sequence[UInt8Array], row: int, canvas: Canvas) -> None:
    if not isinstance(canvas, FrameCanvas):
        buffers[0][row] = canvas.pixels
        return
    luma, blue, red = planes(canvas.pixels)
    buffers[0][row, 0] = luma
    buffers[1][row, 0] = blue
    buffers[1][row, 1] = red
