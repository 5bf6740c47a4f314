"""The floor: nothing but ``session.run``, on real pictures, at the batch that is cheapest."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort

from lfr_edge.capture.frame import Frame
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.models.store import Pack
from lfr_edge.vision.align import similarity, warp
from lfr_edge.vision.denormals import denormals_as_zero
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import fill_blob, letterbox
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.sessions import session_options


@dataclass(slots=True)
class Bare:
    """One network with one input. Times are per picture or face, milliseconds."""

    network: NetworkManifest
    blob: Float32Array
    session: ort.InferenceSession = field(repr=False)
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    @property
    def batch(self) -> int:
        return len(self.blob)

    def once(self) -> None:
        """One timed call. Denormals are flushed, as the product does: the floor is the best that can be had."""
        name = self.session.get_inputs()[0].name
        with denormals_as_zero():
            wall, cpu = time.perf_counter(), time.process_time()
            self.session.run(None, {name: self.blob})
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.cpu_ms.append(1000 * cpu / self.batch)
        self.wall_ms.append(1000 * wall / self.batch)

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_ms)

    @property
    def wall(self) -> float:
        return statistics.median(self.wall_ms)

    def forget(self) -> None:
        self.cpu_ms.clear()
        self.wall_ms.clear()


def bare_detector(pack: Pack, frame: Frame, side: int, threads: int) -> Bare:
    network = pack.manifest.detector
    canvas = letterbox(frame, side, network.input)
    blob = np.empty((1, 3, *canvas.pixels.shape[:2]), np.float32)
    fill_blob(canvas.pixels, network.input, blob[0])
    return _opened(pack, network, blob, threads)


def bare_embedders(
    pack: Pack, stack: VisionStack, frame: Frame, batches: tuple[int, ...], threads: int
) -> list[Bare]:
    """Every embedder at every batch, on the first frame's faces (repeated as needed)."""
    faces = stack.detect([frame])[0]
    points = (
        faces.points
        if len(faces)
        else np.array([[(500, 400), (560, 400), (530, 440), (505, 470), (555, 470)]], np.float32)
    )
    made = []
    for network in pack.manifest.embedders:
        assert network.input.height is not None
        assert network.template is not None
        side = network.input.height
        crop = np.empty((side, network.input.width or side, 3), np.uint8)
        for batch in batches if network.input.batch else (1,):
            blob = np.empty((batch, 3, *crop.shape[:2]), np.float32)
            for row in range(batch):
                warp(frame, similarity(points[[row % len(points)]], network.template)[0], crop)
                fill_blob(crop, network.input, blob[row])
            made.append(_opened(pack, network, blob, threads))
    return made


def best(bares: list[Bare]) -> dict[str, Bare]:
    """Of each network, the batch that costs least."""
    found: dict[str, Bare] = {}
    for bare in bares:
        known = found.get(bare.network.id)
        if known is None or bare.cpu < known.cpu:
            found[bare.network.id] = bare
    return found


_SESSIONS: dict[tuple[str, int], ort.InferenceSession] = {}


def _opened(pack: Pack, network: NetworkManifest, blob: Float32Array, threads: int) -> Bare:
    key = (network.sha256, threads)
    if key not in _SESSIONS:
        _SESSIONS[key] = ort.InferenceSession(
            pack.read(network), session_options(threads), providers=["CPUExecutionProvider"]
        )
    bare = Bare(network, blob, _SESSIONS[key])
    bare.once()  # the first call allocates
    bare.forget()
    return bare
