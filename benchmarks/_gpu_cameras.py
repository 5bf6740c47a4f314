"""Cameras at 25 pictures a second through the recogniser's own loop, in one thread, as the sealed process runs it.

Pictures are taken as they become due; of a camera that was not looked at in time only the newest counts, and the
others are drops. Latency runs from the moment a picture was due to the end of the step that looked at it. Video
decoding is not in it (``decode`` measures that). Several recognisers are processes of their own on the one card, each
with networks, list and a part of the cameras; what they open and warm is over before the first picture is due.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks import _line
from benchmarks._gpu_parts import FACES, Bench, scattered
from benchmarks._material import drawn_index, recogniser
from benchmarks._random_networks import RandomPack
from benchmarks._side_by_side import Measure, Prepare, Row, shares, side_by_side
from lfr_edge.capture.frame import Frame
from lfr_edge.energy import counters
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.vision.detectors import Detector
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.letterbox import Canvas, Picture
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.twins.drawn import drawn_frame
from lfr_edge.vision.twins.options import Acceleration

_PERIOD_NS: Final = 40_000_000
_LISTED: Final = 20_000
_PICTURES: Final = 8  # different ones
_SUMMED: Final = ("passed_over", "put_off")


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
    """Latency, drops and faces for a rising number of cameras, looked at by one recogniser or several."""
    return {
        "cameras": [row for many in bench.recognisers for row in _rows(bench, many)],
        "faces_a_frame": FACES,
        "listed": _listed(bench),
        "graph": _acceleration(bench).graph,
        "note": "detections are the detector's time and sixteen scripted people; video decoding is not in it"
        if isinstance(bench.pack, RandomPack)
        else "sixteen scripted people a picture; video decoding is not in it",
    }


def prepare(bench: Bench) -> Prepare:
    """Opens the networks. A job is the numbers of a recogniser's own ``cameras``, and how many there are ``of``."""
    opened = bench.twins(_acceleration(bench))
    opened.embedder.warm()
    crowd = Crowd(opened.detector)
    stack = VisionStack(crowd, opened.embedder, fingerprint="0" * 64, sessions=[])
    stack.providers = opened.providers
    pictures = [drawn_frame(1920, 1080, seed).pixels for seed in range(1 if bench.quick else _PICTURES)]

    def ready(job: dict[str, Any]) -> Measure:
        names = {f"cam{number}": number * _PERIOD_NS // job["of"] for number in job["cameras"]}
        index = drawn_index(stack.dimension, _listed(bench))
        loop = recogniser(stack, index, 0.99, dict.fromkeys(names, bench.side))
        return partial(_measured, loop, names, pictures, 0.6 if bench.quick else 8.0)

    return ready


def _acceleration(bench: Bench) -> Acceleration:
    on_card = bench.provider != "cpu"
    # On a CPU the slice runs the graph that it can afford.
    return Acceleration(graph="frames" if on_card else "pixels", detector_batch=16, cuda_graphs=on_card)


def _listed(bench: Bench) -> int:
    return 200 if bench.quick else _LISTED


def _rows(bench: Bench, many: int) -> Iterator[dict[str, Any]]:
    """One for each number of cameras that so many recognisers can share out."""
    abouts = [bench.about | {"engines": str(bench.engines / f"{many}-{number}")} for number in range(many)]
    with side_by_side("benchmarks.gpu", abouts, partial(prepare, bench)) as team:
        for count in (count for count in bench.cameras if count >= many):
            team.prepare([{"cameras": mine, "of": count} for mine in shares(count, many)])
            # Of the whole card and the whole box: read once, whoever looks.
            energy, _ = counters()
            before = {name: read() for name, read in energy.items()}
            found = team.measure()
            used = {name: round(read() - before[name]) for name, read in energy.items()}
            row = {"cameras": count, "recognisers": many} | _together(found) | {"energy_mj": used}
            bench.report.say(
                f"{count} cameras, {many} recognisers: {row['latency_ms']}, drops {row['drops']}"
            )
            yield row


def _measured(
    loop: Recogniser, offsets: dict[str, int], pictures: Sequence[np.ndarray], seconds: float
) -> Row:
    """`offsets`: nanoseconds by which each camera's pictures are due after the first one's."""
    began = time.monotonic_ns()
    ends = began + int(seconds * 1e9)
    last = dict.fromkeys(offsets, -1)  # picture of each camera that was taken last
    latencies: list[float] = []
    dropped = steps = 0
    while (now := time.monotonic_ns()) < ends:
        frames = []
        for camera, (name, offset) in enumerate(offsets.items()):
            due = (now - began - offset) // _PERIOD_NS
            if due > last[name]:
                dropped += due - last[name] - 1
                last[name] = due
                at = began + offset + due * _PERIOD_NS
                pixels = pictures[(due + camera) % len(pictures)]
                frames.append(Frame(name, 1, due + 1, at, at, 1920, 1080, pixels))
        if not frames:
            time.sleep(0.0005)
            continue
        loop.step(frames)
        steps += 1
        done = time.monotonic_ns()
        latencies += [round((done - frame.captured_ns) / 1e6, 3) for frame in frames]
    took_s = (time.monotonic_ns() - began) / 1e9
    ledger = loop.reading().to_json()
    stages = {name: round(1000 * getattr(loop.stages, name), 2) for name in loop.stages.__slots__}
    loop.wipe()
    return {
        "latencies": latencies,
        "took_s": took_s,
        "dropped": dropped,
        "steps": steps,
        "ledger": ledger,
        "passed_over": loop.passed_over,
        "put_off": loop.put_off,
        "stages": stages,
    }


def _together(rows: Sequence[Row]) -> dict[str, Any]:
    """Sums over the recognisers, latencies of all pictures, and the recogniser that is worst off."""
    latencies = [taken for row in rows for taken in row["latencies"]]
    of_each = [p95 for row in rows if (p95 := _line.percentiles(row["latencies"])["p95"]) is not None]
    rates = [len(row["latencies"]) / row["took_s"] for row in rows]
    dropped, looked = sum(row["dropped"] for row in rows), len(latencies)
    return {
        "latency_ms": _line.percentiles(latencies),
        "worst_p95_ms": max(of_each, default=None),
        "looked_at_per_s": round(sum(rates), 1),
        "looked_at_per_s_each": {"least": round(min(rates), 1), "most": round(max(rates), 1)},
        "drops": round(dropped / max(1, dropped + looked), 4),
        "frames_a_step": round(looked / max(1, sum(row["steps"] for row in rows)), 2),
        "ledger": {name: sum(row["ledger"][name] for row in rows) for name in rows[0]["ledger"]},
        **{name: sum(row[name] for row in rows) for name in _SUMMED},
        "stages_ms_last": {name: max(row["stages"][name] for row in rows) for name in rows[0]["stages"]},
    }
