"""Frame to alert: live cameras at their real pace through the whole service, and the loop as fast as it goes.

    python -m benchmarks.pipeline --quick --json
    python -m benchmarks.pipeline --cameras 1 2 4 8 --seconds 60 --threads 0

``efficiency`` = floor ÷ measured, in CPU time, of the fast run: floor is what bare ``session.run`` costs for exactly
the detections and embeddings that the run performed; measured is all CPU time of the process, video decoding
included. ``latency_ms`` and ``drops`` are of the live run with the most cameras.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import _line
from benchmarks._drive import SIDE, Drive, drive
from benchmarks._material import Material, material, pack, threshold
from benchmarks._processes import family, memory, spent
from benchmarks._van import sealed_list, van
from lfr_edge.evaluation.clip import gallery_of
from lfr_edge.models.store import Pack
from lfr_edge.vision.pipeline import VisionStack

_SETTLE_S = 1.5  # after the last camera went live: decoders and counters have found their pace


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument("--side", type=int, default=SIDE, help="longest side of the detector's picture")
    options.add_argument(
        "--cameras", type=int, nargs="+", metavar="N", help="live runs (default: 1 2; quick: 1)"
    )
    options.add_argument(
        "--seconds", type=float, metavar="S", help="of each live run (default: 40; quick: 10)"
    )
    options.add_argument("--frames", type=int, metavar="N", help="of the fast run (default: 1000; quick: 75)")
    options.add_argument(
        "--recognisers",
        type=_line.recognisers,
        default=0,
        metavar="N",
        help="of the live runs, as models.recognisers",
    )
    options.add_argument("--only", choices=("fast", "live"), help="one half of the benchmark")
    args = options.parse_args(argv)
    report = _line.Report("pipeline", args)
    loaded = pack(args.pack)
    stack = VisionStack.open(loaded, threads=args.threads)
    with material(most_people=12 if args.quick else None) as found:
        cut = threshold(loaded, found.listed)
        figures: dict[str, Any] = {"efficiency": None, "latency_ms": None, "drops": None}
        if args.only != "live":
            figures |= _fast(args, report, loaded, stack, found, cut)
        if args.only != "fast":
            figures |= asyncio.run(_live(args, report, loaded, stack, found, cut))
        shapes = {"frame": [1920, 1080], "side": args.side, "list": found.listed, "material": found.kind}
    report.emit(figures, shapes=shapes)
    return 0


def _fast(
    args: Any, report: _line.Report, loaded: Pack, stack: VisionStack, found: Material, cut: float
) -> dict[str, Any]:
    index = gallery_of(found.people, stack).make()
    most = args.frames or (75 if args.quick else 1000)

    def go_on(done: Drive) -> bool:
        return report.elapsed_s < (20 if args.quick else 150) and done.total("frames") < most

    done = drive(
        loaded, stack, index, found.clips, cut=cut, threads=args.threads, go_on=go_on, side=args.side
    )
    figures = done.figures()
    report.say(
        f"fast: efficiency {figures['efficiency']}, {figures['frames_per_cpu_s']} frames per CPU second"
    )
    return {"efficiency": figures["efficiency"], "fast": figures}


async def _live(
    args: Any, report: _line.Report, loaded: Pack, stack: VisionStack, found: Material, cut: float
) -> dict[str, Any]:
    counts = args.cameras or ([1] if args.quick else [1, 2])
    seconds = args.seconds or (10.0 if args.quick else 40.0)
    runs = []
    with tempfile.TemporaryDirectory(prefix="lfr-list-") as scratch:
        watchlist = await asyncio.to_thread(sealed_list, Path(scratch), found, loaded, stack)
        for count in counts:
            run = await _one(args, found, watchlist, cut, count, seconds)
            report.say(
                f"{count} cameras: {run['latency_ms']} ms, {run['drops']} drops, {run['alerts']} alerts"
            )
            runs.append(run)
    return {"latency_ms": runs[-1]["latency_ms"], "drops": runs[-1]["drops"], "live": runs}


async def _one(
    args: Any, found: Material, watchlist: dict[str, Path], cut: float, cameras: int, seconds: float
) -> dict[str, Any]:
    """One live run; the counters are differences over its `seconds`."""
    async with van(
        found, watchlist, cameras=cameras, pack=args.pack, threads=args.threads, cut=cut, side=args.side,
        recognisers=args.recognisers,
    ) as service:  # fmt: skip
        await asyncio.sleep(_SETTLE_S)
        earlier = len(service.run.latencies.offered)
        before, began = family(), _counters(service)
        await asyncio.sleep(seconds)
        after, ended = family(), _counters(service)
        latencies = list(service.run.latencies.offered)[earlier:]
        stages = service.run.warden.pulse.get("stages_ms", {})
        lag_ms = service.lag.worst_ms
        recognisers = len(service.run.warden.team.members)
    change = {name: ended[name] - began[name] for name in ended}
    cpu = spent(before, after)
    looked, offered = change["looked"], change["looked"] + change["dropped"]
    return {
        "cameras": cameras,
        "recognisers": recognisers,
        "seconds": seconds,
        "latency_ms": _line.percentiles(latencies, 1),
        "alerts": len(latencies),
        "drops": change["dropped"],
        "drop_share": round(change["dropped"] / offered, 3) if offered else None,
        "stale": change["stale"],
        "looked_at_fps_per_camera": round(looked / seconds / cameras, 2),
        "put_off": change["put_off"],
        "passed_over": change["passed_over"],
        "cpu_cores": {role: round(value / seconds, 3) for role, value in cpu.items()},
        "cpu_cores_per_camera": round(
            sum(v for role, v in cpu.items() if role != "street") / seconds / cameras, 3
        ),
        "rss_mib": memory(after),
        "worst_loop_lag_ms": round(lag_ms, 1),
        "stages_ms": stages,
    }


def _counters(service: Any) -> dict[str, int]:
    """What the recogniser's last sign of life said (at most 0.25 s old)."""
    pulse = service.run.warden.pulse
    cameras = pulse.get("cameras", {}).values()
    return {
        "looked": int(pulse.get("ledger", {}).get("frames", 0)),
        "dropped": sum(int(camera["dropped"]) for camera in cameras),
        "stale": sum(int(camera["stale"]) for camera in cameras),
        "put_off": int(pulse.get("put_off", 0)),
        "passed_over": int(pulse.get("passed_over", 0)),
    }


if __name__ == "__main__":
    sys.exit(main())
