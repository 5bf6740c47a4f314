"""What a recogniser's one thread can carry when the networks cost nothing: tracking, choosing, aligning, searching.

    python -m benchmarks.loop --quick --json
    OPENBLAS_NUM_THREADS=1 python -m benchmarks.loop --cameras 1 8 32 64 --faces 16 --write
    OPENBLAS_NUM_THREADS=1 python -m benchmarks.loop --cameras 64 --recognisers 1 8      (processes at one moment)

Everything is the product's but the networks' outputs: faces are scripted (people who walk through, one after the
other, some frames missed), templates are drawn at random, so nobody is found on the list. Every step brings one frame
of each camera, 40 ms after the last: the whole load, whatever it costs. ``cameras_carried`` is how many cameras at
25 frames a second the recognisers carry so, if each has a processor to itself; ``cameras_carried_by_the_clock`` is what
they carried here, whoever else was busy. Letterboxing and decoding are not in it (a card does them, or ``stages.py``
tells what they cost a processor).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

import lfr_edge.recogniser.probes as probes_module
from benchmarks import _line
from benchmarks._crowd import FRAME_NS, ScriptedCrowd, scripted_stack
from benchmarks._material import drawn_index
from benchmarks._meter import Meter, Plan
from benchmarks._side_by_side import ChildError, Measure, Prepare, Row, shares, side_by_side
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
_SUMMED: Final = ("held", "put_off", "passed_over", "most_passages", "most_looks_a_step")


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument(
        "--cameras", type=int, nargs="+", metavar="N", help="(default: 1 8 32 64; quick: 1 2)"
    )
    options.add_argument("--faces", type=int, default=16, metavar="N", help="in each frame (default: 16)")
    options.add_argument("--listed", type=int, metavar="N", help=f"people (default: {_LISTED}; quick: 200)")
    options.add_argument("--steps", type=int, metavar="N", help="of each run (default: 100; quick: 10)")
    options.add_argument(
        "--recognisers", type=_line.at_least_one, nargs="+", default=[1], metavar="N",
        help="processes that share the cameras out, all at one moment (default: 1)",
    )  # fmt: skip
    args = options.parse_args(argv)
    counts = args.cameras or ([1, 2] if args.quick else [1, 8, 32, 64])
    if max(args.recognisers) > max(counts):
        options.error("a recogniser without a camera has nothing to do: --cameras is less than --recognisers")
    report = _line.Report("loop", args)
    about = {
        "faces": args.faces,
        "listed": args.listed or (200 if args.quick else _LISTED),
        "steps": args.steps or (10 if args.quick else 100),
    }
    try:
        rows = [row for many in args.recognisers for row in _rows(report, about, many, counts)]
    except ChildError as error:
        print(f"loop: {error}", file=sys.stderr)
        return 1
    shapes = {"frame": [1920, 1080], "faces_a_frame": args.faces, "list": about["listed"]}
    report.emit({"loop": rows}, shapes=shapes)
    return 0


def child(about: dict[str, Any]) -> Prepare:
    """One recogniser of several: :func:`~benchmarks._side_by_side.side_by_side` starts it."""
    return partial(_settled, about, drawn_frame(1920, 1080, 1).pixels)


def _rows(
    report: _line.Report, about: dict[str, Any], many: int, counts: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """One for each number of cameras that so many recognisers can share out."""
    with side_by_side("benchmarks.loop", [about] * many, partial(child, about)) as team:
        for count in (count for count in counts if count >= many):
            team.prepare([{"cameras": cameras} for cameras in shares(count, many)])
            row = _together(team.measure(), about["steps"])
            report.say(
                f"{count} cameras, {many} recognisers: {row['cpu_ms_a_frame']} ms a frame,"
                f" {row['cameras_carried']} carried, {row['stage_shares']}"
            )
            yield row


def _together(rows: Sequence[Row], steps: int) -> dict[str, Any]:
    """What recognisers side by side carried; of one the same as ever."""
    count = sum(row["cameras"] for row in rows)
    cpu_s, frames = sum(row["cpu_s"] for row in rows), steps * count
    carried = [steps * row["cameras"] / row["cpu_s"] / _FPS for row in rows]
    by_the_clock = sum(steps * row["cameras"] / row["wall_s"] for row in rows) / _FPS
    faces, templates = (sum(row[name] for row in rows) for name in ("faces", "templates"))
    stages = list(dict.fromkeys(stage for row in rows for stage in row["stage_shares"]))
    return {
        "cameras": count,
        "recognisers": len(rows),
        "cpu_ms_a_step": round(1000 * max(row["cpu_s"] for row in rows) / steps, 2),  # of the busiest
        "cpu_ms_a_frame": round(1000 * cpu_s / frames, 3),
        "frames_per_cpu_s": round(frames / cpu_s, 1),
        "cameras_carried": round(sum(carried), 1),
        "cameras_carried_each": {"least": round(min(carried), 1), "most": round(max(carried), 1)},
        "cameras_carried_by_the_clock": round(by_the_clock, 1),
        "faces_per_cpu_s": round(faces / cpu_s),
        "templates_per_cpu_s": round(templates / cpu_s),
        "templates_a_frame": round(templates / frames, 2),
        **{name: sum(row[name] for row in rows) for name in _SUMMED},
        "slots_mib": round(sum(row["slots_mib"] for row in rows), 1),
        "stage_shares": {
            stage: round(sum(row["stage_shares"].get(stage, 0.0) * row["cpu_s"] for row in rows) / cpu_s, 4)
            for stage in stages
        },
    }


@dataclass(frozen=True, slots=True)
class _Settled:
    """A recogniser whose passages end as often as they begin."""

    loop: Recogniser
    stack: VisionStack
    crowd: ScriptedCrowd
    pixels: np.ndarray  # of every frame
    moments: Iterator[int]
    steps: int

    def walk(self, steps: int) -> tuple[float, float]:
        """So many steps; CPU and wall seconds."""
        cpu_s = wall_s = 0.0
        for _ in range(steps):
            moment = next(self.moments)
            at = (moment + 1) * FRAME_NS
            frames = [
                Frame(name, 1, moment + 1, at, at, 1920, 1080, self.pixels) for name in self.crowd.cameras
            ]
            self.crowd.moment = moment
            began, began_wall = time.process_time(), time.perf_counter()
            self.loop.step(frames)
            self.loop.idle(at)
            cpu_s += time.process_time() - began
            wall_s += time.perf_counter() - began_wall
        return cpu_s, wall_s

    def measure(self) -> Row:
        """Twice as many steps as are timed: the second half, stage by stage, is also load for the others."""
        loop, steps = self.loop, self.steps
        before, put_off, passed_over = loop.reading(), loop.put_off, loop.passed_over
        cpu_s, wall_s = self.walk(steps)
        after, put_off, passed_over = loop.reading(), loop.put_off - put_off, loop.passed_over - passed_over
        meter = Meter()
        with meter.measuring(_plans(loop, self.stack)):
            self.walk(steps)
        loop.wipe()
        return {
            "cameras": len(self.crowd.cameras),
            "cpu_s": cpu_s,
            "wall_s": wall_s,
            "faces": after.faces - before.faces,
            "templates": after.probes - before.probes,
            "held": after.held,
            "put_off": put_off,
            "passed_over": passed_over,
            "most_passages": loop.bounds.passages,
            "most_looks_a_step": loop.bounds.looks,
            "slots_mib": loop.description()["slots_mib"],
            "stage_shares": meter.shares(),
        }


def _settled(about: dict[str, Any], pixels: np.ndarray, job: dict[str, Any]) -> Measure:
    """`job`: the numbers of the ``cameras`` that this recogniser looks at. They all show the same `pixels`."""
    names = [f"cam{number}" for number in job["cameras"]]
    most = 2 * (about["steps"] + _SETTLE)
    # Other people before other recognisers' cameras.
    crowd = ScriptedCrowd(names, about["faces"], most, seed=11 + job["cameras"][0])
    stack = scripted_stack(crowd)
    loop = Recogniser(
        stack, drawn_index(stack.dimension, about["listed"]), Judge(Policy(_CUT)), VisionSettings(),
        dict.fromkeys(names, 1280), timer=time.process_time,
    )  # fmt: skip
    ready = _Settled(loop, stack, crowd, pixels, iter(range(most)), about["steps"])
    ready.walk(_SETTLE)
    return ready.measure


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
