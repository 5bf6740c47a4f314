"""Cameras at 25 pictures a second through the recogniser's own loop, in one thread, as the sealed process runs it.

Pictures are taken as they become due; of a camera that was not looked at in time only the newest counts, and the
others are drops. Latency runs from the moment a picture was due to the end of the step that looked at it. Video
decoding is not in it (``decode`` measures that).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks import _line
from benchmarks._gpu_parts import FACES, Bench, scattered
from benchmarks._material import drawn_index, recogniser
from benchmarks._random_networks import RandomPack
from lfr_edge.capture.frame import Frame
from lfr_edge.energy import counters
from lfr_edge.vision.detectors import Detector
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.letterbox import Canvas, Picture
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.twins.drawn import drawn_frame
from lfr_edge.vision.twins.options import Acceleration

_PERIOD_NS: Final = 40_000_000
_LISTED: Final = 20_000
_PICTURES: Final = 8  # different ones


class Crowd:
    """A Detector that runs the network and then says that the same sixteen people walk by, 60 to 150 px wide.

    Random weights find nobody, and drawn streets hold fewer people than the goal names.
    """

    def __init__(self, inner: Detector) -> None:
        self.manifest = inner.manifest
        self._inner = inner
        self._step = 0
        self._points = scattered(FACES)

    def canvas(self, picture: Picture, side: int) -> Canvas:
        return self._inner.canvas(picture, side)

    def detect(self, canvases: Sequence[Canvas]) -> list[Faces]:
        self._inner.detect(canvases)
        self._step += 1
        points = (self._points + np.sin(self._step / 9) * 6).astype(np.float32)
        low, high = points.min(axis=1), points.max(axis=1)
        margin = (high - low) * 0.45
        boxes = np.concatenate([low - margin, high + margin], axis=1).astype(np.float32)
        faces = Faces(boxes, points, np.full(FACES, 0.9, np.float32))
        return [faces for _ in canvases]

    def warm(self, sizes: Sequence[tuple[int, int]], batches: Sequence[int] = (1,)) -> None:
        self._inner.warm(sizes, batches)

    def scrub(self) -> None:
        self._inner.scrub()


def cameras(bench: Bench) -> dict[str, Any]:
    """Latency, drops and faces for a rising number of cameras."""
    on_card = bench.provider != "cpu"
    # On a CPU the slice runs the graph that it can afford.
    acceleration = Acceleration(
        graph="frames" if on_card else "pixels", detector_batch=16, cuda_graphs=on_card
    )
    opened = bench.twins(acceleration)
    opened.embedder.warm()
    crowd = Crowd(opened.detector)
    stack = VisionStack(crowd, opened.embedder, fingerprint="0" * 64, sessions=[])
    stack.providers = opened.providers
    pictures = [drawn_frame(1920, 1080, seed).pixels for seed in range(1 if bench.quick else _PICTURES)]
    listed = 200 if bench.quick else _LISTED
    rows = []
    for count in (1, 2) if bench.quick else (1, 8, 16, 32, 64):
        rows.append(_run(bench, stack, listed, pictures, count))
        bench.report.say(f"{count} cameras: {rows[-1]['latency_ms']}, drops {rows[-1]['drops']}")
    return {
        "cameras": rows,
        "faces_a_frame": FACES,
        "listed": listed,
        "graph": acceleration.graph,
        "note": "detections are the detector's time and sixteen scripted people; video decoding is not in it"
        if isinstance(bench.pack, RandomPack)
        else "sixteen scripted people a picture; video decoding is not in it",
    }


def _run(
    bench: Bench, stack: VisionStack, listed: int, pictures: Sequence[np.ndarray], count: int
) -> dict[str, Any]:
    names = [f"cam{number}" for number in range(count)]
    loop = recogniser(stack, drawn_index(stack.dimension, listed), 0.99, dict.fromkeys(names, bench.side))
    energy, _ = counters()
    before = {name: read() for name, read in energy.items()}
    began = time.monotonic_ns()
    ends = began + int((0.6 if bench.quick else 8.0) * 1e9)
    offsets = [number * _PERIOD_NS // count for number in range(count)]
    last = [-1] * count  # picture of each camera that was taken last
    latencies: list[float] = []
    dropped = steps = 0
    while (now := time.monotonic_ns()) < ends:
        frames = []
        for camera, name in enumerate(names):
            due = (now - began - offsets[camera]) // _PERIOD_NS
            if due > last[camera]:
                dropped += int(due - last[camera] - 1)
                last[camera] = int(due)
                at = began + offsets[camera] + int(due) * _PERIOD_NS
                pixels = pictures[(int(due) + camera) % len(pictures)]
                frames.append(Frame(name, 1, int(due) + 1, at, at, 1920, 1080, pixels))
        if not frames:
            time.sleep(0.0005)
            continue
        loop.step(frames)
        steps += 1
        done = time.monotonic_ns()
        latencies += [(done - frame.captured_ns) / 1e6 for frame in frames]
    took_s = (time.monotonic_ns() - began) / 1e9
    probes = loop.reading().to_json()
    used = {name: round(read() - before[name]) for name, read in energy.items()}
    loop.wipe()
    return {
        "cameras": count,
        "latency_ms": _line.percentiles(latencies),
        "looked_at_per_s": round(len(latencies) / took_s, 1),
        "drops": round(dropped / max(1, dropped + len(latencies)), 4),
        "frames_a_step": round(len(latencies) / max(1, steps), 2),
        "ledger": probes,
        "passed_over": loop.passed_over,
        "put_off": loop.put_off,
        "stages_ms_last": {
            name: round(1000 * getattr(loop.stages, name), 2) for name in loop.stages.__slots__
        },
        "energy_mj": used,
    }
