"""What the recogniser's one thread can carry when the networks cost nothing: tracking, choosing, aligning, searching.

    python -m benchmarks.loop --quick --json
    OPENBLAS_NUM_THREADS=1 python -m benchmarks.loop --cameras 1 8 32 64 --faces 16 --write

Everything is the product's but the networks' outputs: faces are scripted (people who walk through, one after the
other, some frames missed), templates are drawn at random, so nobody is found on the list. Every step brings one frame
of each camera, 40 ms after the last: the whole load, whatever it costs. ``cameras_carried`` is how many cameras at
25 frames a second one processor carries so; letterboxing and decoding are not in it (a card does them, or
``stages.py`` tells what they cost a processor).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

import lfr_edge.recogniser.probes as probes_module
from benchmarks import _line
from benchmarks._crowd import FRAME_NS, ScriptedCrowd, scripted_stack
from benchmarks._material import drawn_index
from benchmarks._meter import Meter, Plan
from lfr_edge.capture.frame import Frame
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.tracks import Tracker
from lfr_edge.vision.twins.drawn import drawn_frame

_LISTED: Final = 20_000
_FPS: Final = 1e9 / FRAME_NS
_CUT: Final = 0.99  # cosine that no random template reaches
_SETTLE: Final = 30  # steps until passages end as often as they begin


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument(
        "--cameras", type=int, nargs="+", metavar="N", help="(default: 1 8 32 64; quick: 1 2)"
    )
    options.add_argument("--faces", type=int, default=16, metavar="N", help="in each frame (default: 16)")
    options.add_argument("--listed", type=int, metavar="N", help=f"people (default: {_LISTED}; quick: 200)")
    options.add_argument("--steps", type=int, metavar="N", help="of each run (default: 100; quick: 10)")
    args = options.parse_args(argv)
    report = _line.Report("loop", args)
    listed = args.listed or (200 if args.quick else _LISTED)
    rows = []
    for count in args.cameras or ((1, 2) if args.quick else (1, 8, 32, 64)):
        rows.append(_run(args, count, listed))
        report.say(f"{count} cameras: {rows[-1]['cpu_ms_a_frame']} ms a frame, {rows[-1]['stage_shares']}")
    shapes = {"frame": [1920, 1080], "faces_a_frame": args.faces, "list": listed}
    report.emit({"loop": rows}, shapes=shapes)
    return 0


def _run(args: argparse.Namespace, count: int, listed: int) -> dict[str, Any]:
    names = [f"cam{number}" for number in range(count)]
    steps = args.steps or (10 if args.quick else 100)
    crowd = ScriptedCrowd(names, args.faces, 2 * (steps + _SETTLE))
    stack = scripted_stack(crowd)
    loop = Recogniser(
        stack, drawn_index(stack.dimension, listed), Judge(Policy(_CUT)), VisionSettings(),
        dict.fromkeys(names, 1280), timer=time.process_time,
    )  # fmt: skip
    pixels = drawn_frame(1920, 1080, 1).pixels
    moments = iter(range(2 * (steps + _SETTLE)))
    _walk(loop, crowd, pixels, moments, _SETTLE)
    before, put_off, passed_over = loop.reading(), loop.put_off, loop.passed_over
    cpu_s = _walk(loop, crowd, pixels, moments, steps)
    after, put_off, passed_over = loop.reading(), loop.put_off - put_off, loop.passed_over - passed_over
    meter = Meter()
    with meter.measuring(_plans(loop, stack)):
        _walk(loop, crowd, pixels, moments, steps)
    loop.wipe()
    frames = steps * count
    return {
        "cameras": count,
        "cpu_ms_a_step": round(1000 * cpu_s / steps, 2),
        "cpu_ms_a_frame": round(1000 * cpu_s / frames, 3),
        "frames_per_cpu_s": round(frames / cpu_s, 1),
        "cameras_carried": round(frames / cpu_s / _FPS, 1),
        "faces_per_cpu_s": round((after.faces - before.faces) / cpu_s),
        "templates_per_cpu_s": round((after.probes - before.probes) / cpu_s),
        "templates_a_frame": round((after.probes - before.probes) / frames, 2),
        "held": after.held,
        "put_off": put_off,
        "passed_over": passed_over,
        "most_passages": loop.bounds.passages,
        "most_looks_a_step": loop.bounds.looks,
        "slots_mib": loop.description()["slots_mib"],
        "stage_shares": meter.shares(),
    }


def _walk(
    loop: Recogniser, crowd: ScriptedCrowd, pixels: np.ndarray, moments: Iterator[int], steps: int
) -> float:
    """So many steps; CPU seconds."""
    spent = 0.0
    for _ in range(steps):
        moment = next(moments)
        at = (moment + 1) * FRAME_NS
        frames = [Frame(name, 1, moment + 1, at, at, 1920, 1080, pixels) for name in crowd.cameras]
        crowd.moment = moment
        began = time.process_time()
        loop.step(frames)
        loop.idle(at)
        spent += time.process_time() - began
    return spent


def _plans(loop: Recogniser, stack: VisionStack) -> list[Plan]:
    passages, probes, slots = loop._passages, loop._probes, loop._slots
    return [
        (loop, "step", "loop", False),
        (passages, "follow", "passages", False),
        (Tracker, "update", "tracking", False),
        (probes, "choose", "choosing", False),
        (probes_module, "geometry", "geometry", False),
        (stack, "align", "sharpness", False),
        (stack.embedder, "align", "alignment", False),
        (stack.embedder, "embed", "embedding_without_network", False),
        (slots, "accumulate", "fusion", False),
        (probes, "_judge_all", "judging", False),
        (loop._index, "search", "search", False),
        (slots, "wipe", "wipe", True),
        (loop._scrubber, "work", "wipe", True),
        (loop, "idle", "idle", False),
    ]


if __name__ == "__main__":
    sys.exit(main())
