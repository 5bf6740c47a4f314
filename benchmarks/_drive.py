"""The recogniser's own loop as fast as it goes, metered, with the floor measured between its blocks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import _line
from benchmarks._bare import Bare, bare_detector, bare_embedders, best
from benchmarks._material import frames, recogniser
from benchmarks._meter import Meter, is_network, metered
from lfr_edge.capture.frame import Frame
from lfr_edge.models.store import Pack
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.index import WatchlistIndex

BLOCK: Final = 25  # frames: one second of a camera
SIDE: Final = 1280  # CameraSettings.detector_side's default


@dataclass(slots=True)
class Block:
    """What one second of video cost, and what its networks would have cost bare, right before and after."""

    frames: int
    faces: int
    probes: int
    cpu_s: float
    wall_s: float
    floor_cpu_s: float
    floor_wall_s: float


@dataclass(slots=True)
class Drive:
    """One pass over the clips."""

    meter: Meter = field(default_factory=Meter)
    blocks: list[Block] = field(default_factory=list)
    floors: list[Bare] = field(default_factory=list)
    hits: int = 0
    put_off: int = 0
    passed_over: int = 0

    def total(self, name: str) -> float:
        return float(sum(getattr(block, name) for block in self.blocks))

    def figures(self) -> dict[str, Any]:
        cpu, wall = self.total("cpu_s"), self.total("wall_s")
        count, faces, probes = self.total("frames"), self.total("faces"), self.total("probes")
        shares = self.meter.shares()
        decode = shares.get("video_decode", 0.0)
        networks = sum(share for stage, share in shares.items() if is_network(stage))
        efficiency = self.total("floor_cpu_s") / cpu
        return {
            "efficiency": round(efficiency, 3),
            "efficiency_wall": round(self.total("floor_wall_s") / wall, 3),
            "efficiency_without_video_decode": round(efficiency / (1 - decode), 3),
            "efficiency_of_blocks": _line.spread([block.floor_cpu_s / block.cpu_s for block in self.blocks]),
            "network_share": round(networks, 3),
            "non_network_share": round(1 - networks, 3),
            "non_network_share_without_video_decode": round(1 - networks / (1 - decode), 3),
            "stage_shares": shares,
            "frames": int(count),
            "faces_detected": int(faces),
            "faces_embedded": int(probes),
            "hits": self.hits,
            "put_off": self.put_off,
            "passed_over": self.passed_over,
            "cpu_ms_per_frame": round(1000 * cpu / count, 2),
            "wall_ms_per_frame": round(1000 * wall / count, 2),
            "frames_per_cpu_s": round(count / cpu, 2),
            "frames_per_s": round(count / wall, 2),
            "faces_per_cpu_s": round(faces / cpu, 1),
            "faces_per_s": round(faces / wall, 1),
            "floor_cpu_ms": {_name(bare): round(bare.cpu, 2) for bare in self.cheapest()},
        }

    def cheapest(self) -> list[Bare]:
        return list(best(self.floors).values())


def drive(
    loaded: Pack,
    stack: VisionStack,
    index: WatchlistIndex,
    clips: tuple[Path, ...],
    *,
    cut: float,
    threads: int,
    go_on: Callable[[Drive], bool],
    side: int = SIDE,
) -> Drive:
    """Until the clips end or `go_on` says no. One camera per clip, one after the other: one thread, no waiting."""
    done = Drive()
    # CPU seconds for the loop's own budget, too: on a shared machine its wall clock measures the neighbours.
    loop = recogniser(stack, index, cut, {clip.stem: side for clip in clips}, timer=time.process_time)
    done.floors = _floors(loaded, stack, clips[0], side, threads)
    with metered(done.meter, loop, stack):
        for clip in clips:
            with frames(clip, clip.stem) as stream:
                while go_on(done):
                    block = _block(done, loop, stream)
                    if block.frames:
                        done.blocks.append(block)
                    if block.frames < BLOCK:
                        break
    done.put_off, done.passed_over = loop.put_off, loop.passed_over
    loop.finish()
    loop.wipe()
    if not done.blocks:
        raise SystemExit("no frame was measured")
    return done


def _block(done: Drive, loop: Recogniser, stream: Iterator[Frame]) -> Block:
    meter, count = done.meter, 0
    before = loop.reading()
    rows = dict(meter.rows)
    _bare_round(done)
    cpu, wall = time.process_time(), time.perf_counter()
    while count < BLOCK:
        with meter.stage("video_decode"):
            frame = next(stream, None)
        if frame is None:
            break
        done.hits += len(loop.step([frame]))
        meter.lap()
        count += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    _bare_round(done)
    after = loop.reading()
    ran = {stage: meter.rows[stage] - rows.get(stage, 0) for stage in meter.rows}
    floor_cpu, floor_wall = _floor(done, ran)
    return Block(
        count, after.faces - before.faces, after.probes - before.probes, cpu, wall, floor_cpu, floor_wall
    )


def _floor(done: Drive, ran: dict[str, int]) -> tuple[float, float]:
    """Seconds the bare networks take for the detections and embeddings that this block performed.

    From the bare runs nearest in time, so that a neighbour who slows the machine slows both sides alike.
    """
    cpu = wall = 0.0
    for bare in done.cheapest():
        times = ran.get(_stage(bare), 0)
        cpu += times * statistics.median(bare.cpu_ms[-_RECENT:]) / 1000
        wall += times * statistics.median(bare.wall_ms[-_RECENT:]) / 1000
    return cpu, wall


_RECENT: Final = 6  # bare runs: the three before the block and the three after it
_EACH: Final = 3


def _bare_round(done: Drive) -> None:
    for bare in done.floors:
        for _ in range(_EACH if bare.batch == 1 else 1):
            bare.once()


def _floors(loaded: Pack, stack: VisionStack, clip: Path, side: int, threads: int) -> list[Bare]:
    with frames(clip) as stream:
        frame = next(stream)
        for _ in range(24):
            frame = next(stream, frame)
    return [
        bare_detector(loaded, frame, side, threads),
        *bare_embedders(loaded, stack, frame, (1, 4, 8), threads),
    ]


def _stage(bare: Bare) -> str:
    return "detector_network" if bare.network.task == "detector" else f"embedder_network:{bare.network.id}"


def _name(bare: Bare) -> str:
    return f"{bare.network.id} {'x'.join(map(str, bare.blob.shape))}"
