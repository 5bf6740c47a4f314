"""Every stage of a step: CPU ms p50/p95/p99 and its share of the whole.

python -m benchmarks.stages --quick --json
"""

from __future__ import annotations

import sys

from benchmarks import _line
from benchmarks._drive import SIDE, Drive, drive
from benchmarks._material import material, pack, threshold
from lfr_edge.evaluation.clip import gallery_of
from lfr_edge.vision.pipeline import VisionStack


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument("--side", type=int, default=SIDE, help="longest side of the detector's picture")
    args = options.parse_args(argv)
    report = _line.Report("stages", args)
    loaded = pack(args.pack)
    stack = VisionStack.open(loaded, threads=args.threads)
    with material(most_people=12 if args.quick else None) as found:
        gallery = gallery_of(found.people, stack)
        report.say(f"{len(gallery.references)} people enrolled")

        def go_on(done: Drive) -> bool:
            report.say(f"{int(done.total('frames'))} frames")
            return report.time_left(240) and done.total("frames") < (100 if args.quick else 2000)

        done = drive(
            loaded, stack, gallery.make(), found.clips, cut=threshold(loaded, found.listed),
            threads=args.threads, go_on=go_on, side=args.side,
        )  # fmt: skip
        kind = found.kind
    names = sorted({name for step in done.meter.steps for name in step})
    table = {
        name: _line.percentiles([step.get(name, 0.0) for step in done.meter.steps])
        | {"share": done.meter.shares()[name], "calls": done.meter.calls[name]}
        for name in names
    }
    table["all"] = _line.percentiles([sum(step.values()) for step in done.meter.steps]) | {"share": 1.0}
    report.emit(
        {"clock": "cpu_ms", "stages": table, **done.figures()},
        shapes={"frame": [1920, 1080], "side": args.side, "list": len(gallery.references), "material": kind},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
