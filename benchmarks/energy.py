"""Millijoules for 1,000 faces, where the machine tells: RAPL for the processor, NVML for a GPU.

    python -m benchmarks.energy --quick --json

Without either counter (virtual machines, most ARM boards) it says so and gives the CPU seconds instead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from benchmarks import _line
from benchmarks._drive import SIDE, Drive, drive
from benchmarks._material import drawn_index, material, pack
from lfr_edge.energy import counters
from lfr_edge.vision.pipeline import VisionStack

_IDLE_S: Final = 2.0


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument("--frames", type=int, metavar="N", help="looked at (default: 500; quick: 50)")
    args = options.parse_args(argv)
    most = args.frames or (50 if args.quick else 500)
    report = _line.Report("energy", args)
    found, absent = counters()
    loaded = pack(args.pack)
    stack = VisionStack.open(loaded, threads=args.threads)
    idle_w = _idle(found)

    def go_on(done: Drive) -> bool:
        return report.time_left(120) and done.total("frames") < most

    with material(most_people=1) as street:
        before = {name: read() for name, read in found.items()}
        began = time.perf_counter()
        done = drive(
            loaded,
            stack,
            drawn_index(stack.dimension, 1000),
            street.clips,
            cut=0.99,
            threads=args.threads,
            go_on=go_on,
        )
        took_s = time.perf_counter() - began
        used_mj = {name: read() - before[name] for name, read in found.items()}
    faces, probes = done.total("faces"), done.total("probes")
    report.emit(
        {
            "counters": sorted(found),
            "absent": absent,
            "mj_per_1000_faces": {name: round(1000 * mj / faces, 1) for name, mj in used_mj.items() if faces},
            "mean_w": {name: round(mj / 1000 / took_s, 2) for name, mj in used_mj.items()},
            "idle_w": idle_w,
            "cpu_s_per_1000_faces": round(1000 * done.total("cpu_s") / faces, 3) if faces else None,
            "faces_detected": int(faces),
            "faces_embedded": int(probes),
            "note": "counters are of the whole package or card, the floor's own runs and everybody else included",
        },
        shapes={"frame": [1920, 1080], "side": SIDE},
    )
    return 0


def _idle(found: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Watts while this program waits: whoever shares the machine is in it."""
    if not found:
        return {}
    before = {name: read() for name, read in found.items()}
    time.sleep(_IDLE_S)
    return {name: round((read() - before[name]) / 1000 / _IDLE_S, 2) for name, read in found.items()}


if __name__ == "__main__":
    sys.exit(main())
