"""Hours in one line: memory, descriptors and latency of the live service over time, with their slope.

python -m benchmarks.soak --quick --json
python -m benchmarks.soak --minutes 60 --cameras 2 --threads 0

How many recognisers shared the cameras stands under ``processes``.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import _line
from benchmarks._material import Material, material, pack, threshold
from benchmarks._processes import Usage, family
from benchmarks._van import sealed_list, van
from lfr_edge.models.store import Pack
from lfr_edge.vision.pipeline import VisionStack

_WARM_SHARE: Final = 0.2  # of the samples: arenas and caches fill; the slope is taken after them


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument("--minutes", type=float, metavar="M", help="default: 60; quick: 0.4")
    options.add_argument("--cameras", type=int, default=1, metavar="N")
    options.add_argument("--side", type=int, default=1280, metavar="PX")
    options.add_argument(
        "--recognisers", type=_line.recognisers, default=0, metavar="N", help="as models.recognisers"
    )
    args = options.parse_args(argv)
    report = _line.Report("soak", args)
    minutes = args.minutes or (0.4 if args.quick else 60.0)
    loaded = pack(args.pack)
    with material(most_people=8 if args.quick else None) as found:
        figures = asyncio.run(_soak(args, report, loaded, found, minutes))
    report.emit(
        figures,
        shapes={"frame": [1920, 1080], "side": args.side, "cameras": args.cameras, "list": found.listed},
    )
    return 0


async def _soak(
    args: Any, report: _line.Report, loaded: Pack, found: Material, minutes: float
) -> dict[str, Any]:
    period_s = max(1.0, min(30.0, minutes * 60 / 40))
    samples: list[tuple[float, dict[int, Usage]]] = []
    with tempfile.TemporaryDirectory(prefix="lfr-list-") as scratch:
        stack = VisionStack.open(loaded, threads=args.threads)
        watchlist = await asyncio.to_thread(sealed_list, Path(scratch), found, loaded, stack)
        del stack
        async with van(
            found, watchlist, cameras=args.cameras, pack=args.pack, threads=args.threads,
            cut=threshold(loaded, found.listed), side=args.side, recognisers=args.recognisers,
        ) as service:  # fmt: skip
            loop = asyncio.get_running_loop()
            began = loop.time()
            while (now := loop.time() - began) < minutes * 60:
                samples.append((now, family()))
                report.say(f"{now:.0f} s")
                await asyncio.sleep(period_s)
            samples.append((loop.time() - began, family()))
            latencies = deque(service.run.latencies.offered)
            restarts, ledger = service.run.warden.restarts, dict(service.run.warden.pulse.get("ledger", {}))
            reconnects = sum(status.reconnects for status in service.run.cameras.statuses)
    half = len(latencies) // 2
    return {
        "minutes": round(minutes, 2),
        "processes": _trends(samples),
        "latency_ms": _line.percentiles(list(latencies), 1),
        "latency_ms_first_half": _line.percentiles(list(latencies)[:half], 1),
        "latency_ms_second_half": _line.percentiles(list(latencies)[half:], 1),
        "alerts": len(latencies),
        "ledger": ledger,
        "recogniser_restarts": restarts,
        "camera_reconnects": reconnects,
    }


def _trends(samples: list[tuple[float, dict[int, Usage]]]) -> dict[str, Any]:
    """By role, summed over its processes: memory and descriptors at the end, and what they gain an hour after warm-up.

    A sample with more or fewer processes than usual (one is starting anew) is left out of the slope: memory that is
    away for a moment is no trend. What pages several processes share counts for each.
    """
    table = {}
    for role in dict.fromkeys(usage.role for _, processes in samples for usage in processes.values()):
        found = [(at, [usage for usage in now.values() if usage.role == role]) for at, now in samples]
        found = [(at, mine) for at, mine in found if mine]
        usual = statistics.mode(len(mine) for _, mine in found)
        steady = [(at, mine) for at, mine in found[int(_WARM_SHARE * len(found)) :] if len(mine) == usual]
        memory = [sum(usage.rss_mib for usage in mine) for _, mine in found]
        table[role] = {
            "processes": usual,
            "rss_mib": round(memory[-1], 1),
            "rss_mib_peak": round(max(memory), 1),
            "rss_mib_per_hour": _slope([(at, sum(usage.rss_mib for usage in mine)) for at, mine in steady]),
            "descriptors": _descriptors(found[-1][1]),
            "descriptors_per_hour": _slope([(at, _descriptors(mine)) for at, mine in steady]),
        }
    return table


def _descriptors(mine: Sequence[Usage]) -> int | None:
    """None where one of them does not let us look: a sum without it would be too small."""
    counts = [usage.descriptors for usage in mine if usage.descriptors is not None]
    return sum(counts) if len(counts) == len(mine) else None


def _slope(points: Sequence[tuple[float, float | None]]) -> float | None:
    """An hour's gain; None for fewer than three points, or where one is not known."""
    known = np.array([point for point in points if point[1] is not None], np.float64)
    if len(known) < max(3, len(points)) or np.ptp(known[:, 0]) == 0:
        return None
    return round(float(np.polyfit(known[:, 0], known[:, 1], 1)[0]) * 3600, 2)


if __name__ == "__main__":
    sys.exit(main())
