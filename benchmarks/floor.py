"""Bare session.run of each network at each rung of the ladder: what nothing around it can beat.

python -m benchmarks.floor --quick --json
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks import _line
from benchmarks._bare import Bare, bare_detector, bare_embedders, best
from benchmarks._material import frames, material, pack
from lfr_edge.vision.embedder import LADDER
from lfr_edge.vision.pipeline import VisionStack

_SIDES = (640, 960, 1280, 1920)


def main(argv: list[str] | None = None) -> int:
    args = _line.parser(__doc__).parse_args(argv)
    report = _line.Report("floor", args)
    loaded = pack(args.pack)
    stack = VisionStack.open(loaded, threads=args.threads)
    with material(most_people=1) as clips, frames(clips.clips[0]) as stream:
        frame = next(stream)
        for _ in range(49):
            frame = next(stream)  # somebody has come into the picture by now
        sides = _SIDES[::2] if args.quick else _SIDES
        detectors = [bare_detector(loaded, frame, side, args.threads) for side in sides]
        batches = (1, 4, 16) if args.quick else tuple(sorted(LADDER))
        embedders = bare_embedders(loaded, stack, frame, batches, args.threads)
    rounds = 0
    while rounds < 1 or (rounds < (5 if args.quick else 25) and report.time_left(180)):
        for bare in (*detectors, *embedders):
            bare.once()
        rounds += 1
        report.say(f"round {rounds}")
    rows = [_row(bare) for bare in (*detectors, *embedders)]
    cheapest = {
        name: {"batch": bare.batch, "cpu_ms": round(bare.cpu, 2)} for name, bare in best(embedders).items()
    }
    report.emit(
        {"rounds": rounds, "networks": rows, "best": cheapest},
        shapes={
            "frame": [frame.width, frame.height],
            "detector_sides": list(sides),
            "batches": list(batches),
        },
    )
    return 0


def _row(bare: Bare) -> dict[str, Any]:
    return {
        "network": bare.network.id,
        "shape": list(bare.blob.shape),
        "cpu_ms": _line.spread(bare.cpu_ms, 2),
        "wall_ms": _line.spread(bare.wall_ms, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
