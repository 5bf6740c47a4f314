"""The parts of ``gpu.py`` that time networks alone: floor, options, alignment, and the comparison with the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks import _line
from benchmarks._random_networks import RandomPack
from lfr_edge.capture.frame import Frame
from lfr_edge.errors import VisionError
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.models.store import Pack
from lfr_edge.vision.align import similarity, warp
from lfr_edge.vision.embedder import CropShape
from lfr_edge.vision.letterbox import place
from lfr_edge.vision.sessions import Program, Provider, Runtime
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.twins.aligner import TwinAligner
from lfr_edge.vision.twins.drawn import drawn_frame
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.proof import compare
from lfr_edge.vision.twins.stack import OpenTwins, Twins, load_twins, plain_parts

FACES: Final = 16  # a frame, as the goal has it
# 112-pixel crops of faces 60 to 150 px wide: five points of one, moved about.
_POINTS: Final = np.array([(38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2)], np.float32)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run's material."""

    pack: Pack | RandomPack
    provider: Provider
    threads: int
    engines: Path
    report: _line.Report
    quick: bool
    about: dict[str, Any] = field(default_factory=dict)  # what another process opens the same from
    cameras: tuple[int, ...] = ()  # how many, one number a run
    recognisers: tuple[int, ...] = (1,)  # that share them out, one number for all those runs

    def __post_init__(self) -> None:
        cv2.setNumThreads(1)  # as VisionStack.open, which no part calls

    @property
    def side(self) -> int:
        return 320 if self.quick else 1280

    @property
    def batches(self) -> tuple[int, ...]:
        return (1, 2) if self.quick else (1, 4, 8, 16, 32)

    def runtime(self, acceleration: Acceleration, *names: Provider) -> Runtime:
        wanted = names or (self.provider,)
        tuning = acceleration.tuning(self.engines, half=self.pack.manifest.precision == "fp16")
        chosen = {name: tuning[name] for name in wanted if name in tuning}
        return Runtime(wanted, threads=self.threads, tuning=chosen)

    def twins(self, acceleration: Acceleration) -> OpenTwins:
        plain = plain_parts(self.pack, Runtime(threads=self.threads))
        derived = Twins.derive(self.pack, acceleration, self.provider)
        return load_twins(
            self.pack, derived, plain, acceleration, (self.provider,), self.threads, self.engines
        )

    def timed(self, work: Callable[[], object], *, least: int = 3) -> dict[str, float]:
        """Wall milliseconds of one call: after a warm-up, at least so many times, for about a second."""
        for _ in range(1 if self.quick else 4):
            work()
        times: list[float] = []
        ends = time.perf_counter() + (0.05 if self.quick else 1.0)
        while len(times) < least or (time.perf_counter() < ends and len(times) < 500):
            began = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - began))
        return {"median": round(statistics.median(times), 3), "low": round(min(times), 3), "n": len(times)}


def floor(bench: Bench) -> dict[str, Any]:
    """Each network bare: inputs and outputs stay on the device, CUDA graphs where the provider has them."""
    rows = []
    on_card = bench.provider != "cpu"
    acceleration = Acceleration(graph="pixels", cuda_graphs=on_card)
    for network in bench.pack.manifest.networks:
        names: tuple[Provider, ...] = (bench.provider, "cpu") if on_card else ("cpu",)
        program = bench.runtime(acceleration, *names).open_program(bench.pack.read(network), network.id)
        height, width = _image(bench, network)
        for batch in bench.batches if network.task == "embedder" or on_card else (1,):
            binding = _bare(program, batch, height, width)
            took = bench.timed(binding.run)
            each = took["median"] / batch
            flops = _gflops(bench, network, height, width)
            tflops = round(flops / each, 2) if flops else None
            rows.append({"network": network.id, "shape": [batch, 3, height, width], "ms": took,
                         "ms_each": round(each, 4), "tflop_s": tflops})  # fmt: skip
            bench.report.say(f"{network.id} × {batch}: {each:.3f} ms each")
    return {"networks": rows}


def options(bench: Bench) -> dict[str, Any]:
    """One option more each row: wall milliseconds a frame and a face, copies from and to the host included."""
    rows: list[dict[str, Any]] = []
    frame = drawn_frame()
    for name, batch, acceleration in _ladder(bench):
        try:
            row = _measured(bench, frame, batch, acceleration)
        except VisionError as error:
            # Said in the line: one option that this box refuses is no reason to stop.
            rows.append({"option": name, "refused": error.code})
            continue
        rows.append({"option": name, "batch": batch, **row})
        bench.report.say(
            f"{name}: {row['detector_ms_a_frame']} ms a frame, {row['embedder_ms_a_face']} ms a face"
        )
    return {"options": rows, "side": bench.side}


def align(bench: Bench) -> dict[str, Any]:
    """Crops of 16 faces of one frame: OpenCV on this CPU, and the graph on the device."""
    frame = drawn_frame()
    shape = CropShape.of(bench.pack.manifest.embedders[0])
    points = scattered(FACES)
    crops = np.zeros((FACES, shape.height, shape.width, 3), np.uint8)
    rows = range(FACES)

    def by_cpu() -> None:
        for matrix, row in zip(similarity(points, shape.template), rows, strict=True):
            warp(frame, matrix, crops[row])

    graph = TwinAligner(bench.runtime(Acceleration(), *_loose(bench)).open_program)
    return {
        "faces": FACES,
        "cpu_ms": bench.timed(by_cpu),
        "graph_ms": bench.timed(lambda: graph.align(frame, points, shape, crops, rows)),
    }


def prove(bench: Bench) -> dict[str, Any]:
    """The twins on the device against the plain path on the CPU; with random weights, templates alone."""
    rows: dict[str, Any] = {}
    wanted = (
        Acceleration(graph="pixels"),
        Acceleration(graph="frames"),
        Acceleration(graph="frames", align_in_graph=True),
    )
    for acceleration in wanted:
        twins = bench.twins(acceleration)
        plain = plain_parts(bench.pack, Runtime(threads=bench.threads))
        name = acceleration.graph + (", alignment too" if acceleration.align_in_graph else "")
        if isinstance(bench.pack, RandomPack):
            rows[name] = {"cosine": _least_cosine(plain[1], twins.embedder)}
        else:
            rows[name] = compare(plain, (twins.detector, twins.embedder), (bench.side,)).to_json()
    return {"compared": rows}


def scattered(count: int, seed: int = 3) -> np.ndarray:
    """(count, 5, 2) points of faces 60 to 150 px wide, all over a 1080p frame."""
    chance = np.random.default_rng(seed)
    size = chance.uniform(0.6, 1.5, (count, 1, 1))
    corner = chance.uniform((0, 0), (1700, 880), (count, 2))[:, None]
    return np.asarray(_POINTS * size + corner, np.float32)


def _ladder(bench: Bench) -> Iterator[tuple[str, int, Acceleration]]:
    """What is added, frames in one run, and all options so far."""
    most = bench.batches[-1] if bench.quick else 8
    now = Acceleration(detector_batch=most, device_buffers=False)
    yield "plain path", 1, now
    now = replace(now, graph="pixels")
    yield "normalising and boxes in the graph", 1, now
    now = replace(now, device_buffers=True)
    yield "buffers on the device", 1, now
    if bench.provider != "cpu":
        now = replace(now, cuda_graphs=True)
        yield "CUDA graphs", 1, now
        yield "channels last", 1, replace(now, channels_last=True)
    frames = replace(now, graph="frames")
    yield "colour and resizing in the graph", 1, frames
    if bench.provider != "cpu":
        yield f"{most} cameras in one run", most, frames
        yield f"{most} cameras, pixels", most, now
        yield f"{most} cameras, pixels, channels last", most, replace(now, channels_last=True)


def _measured(bench: Bench, frame: Frame, batch: int, acceleration: Acceleration) -> dict[str, Any]:
    faces = 2 if bench.quick else 32
    if acceleration.graph == "plain":
        detector, embedder = plain_parts(bench.pack, bench.runtime(acceleration, *_loose(bench)))
    else:
        opened = bench.twins(acceleration)
        detector, embedder = opened.detector, opened.embedder  # type: ignore[assignment]
    frames = [frame] * batch
    looked = bench.timed(lambda: detector.detect([detector.canvas(one, bench.side) for one in frames]))
    slots = ProbeSlots(faces, [(s.height, s.width) for s in embedder.crop_shapes], embedder.dimension)
    rows = slots.acquire(faces)
    slots.crops[0][:] = np.random.default_rng(1).integers(0, 256, slots.crops[0].shape, np.uint8)
    embedded = bench.timed(lambda: embedder.embed(slots, rows))
    return {
        "detector_ms_a_frame": round(looked["median"] / batch, 3),
        "embedder_ms_a_face": round(embedded["median"] / faces, 4),
        "frames_per_s": round(1000 * batch / looked["median"], 1),
        "faces_per_s": round(1000 * faces / embedded["median"], 1),
        "n": [looked["n"], embedded["n"]],
    }


def _loose(bench: Bench) -> tuple[Provider, ...]:
    return ("cpu",) if bench.provider == "cpu" else (bench.provider, "cpu")


def _image(bench: Bench, network: NetworkManifest) -> tuple[int, int]:
    if network.input.height is not None:
        return network.input.height, network.input.width or network.input.height
    at = place(1920, 1080, bench.side, network.input)
    return at.height, at.width


def _bare(program: Program, batch: int, height: int, width: int) -> Any:
    """A binding that copies nothing: what is timed is the network."""
    image = np.random.default_rng(0).standard_normal((batch, 3, height, width)).astype(np.float32)
    return program.bind_bare({program.inputs[0]: image})


def _gflops(bench: Bench, network: NetworkManifest, height: int, width: int) -> float | None:
    """Of one picture; random networks count their own, at 640 × 640 for a detector."""
    if not isinstance(bench.pack, RandomPack):
        return None
    counted = bench.pack.gflops[network.id]
    return counted if network.task == "embedder" else counted * height * width / 640**2


def _least_cosine(plain: Any, twin: Any) -> float:
    found = []
    for embedder in (plain, twin):
        slots = ProbeSlots(4, [(s.height, s.width) for s in embedder.crop_shapes], embedder.dimension)
        rows = slots.acquire(4)
        slots.crops[0][:] = np.random.default_rng(5).integers(0, 256, slots.crops[0].shape, np.uint8)
        embedder.embed(slots, rows)
        found.append(slots.templates[list(rows)].copy())
    return round(float(np.einsum("ij,ij->i", *found).min()), 6)
