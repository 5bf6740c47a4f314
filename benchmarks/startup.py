"""From nothing to the first picture recognised: the interpreter, the networks, the whole service.

python -m benchmarks.startup --quick --json
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import _line
from benchmarks._material import Material, material, pack, threshold
from benchmarks._van import sealed_list, van
from lfr_edge.models.store import Pack
from lfr_edge.vision.pipeline import VisionStack

_IMPORTS: Final = (
    "lfr_edge.cli.main",
    "lfr_edge.recogniser.worker",
    "lfr_edge.service.service",
    "lfr_edge.capture.child",
)


def _now(at: dict[str, float]) -> None:
    at["started"] = time.perf_counter()


def main(argv: list[str] | None = None) -> int:
    args = _line.parser(__doc__).parse_args(argv)
    report = _line.Report("startup", args)
    rounds = 2 if args.quick else 7
    loaded = pack(args.pack)
    imports = {name: _repeat(partial(_import, name), rounds) for name in _IMPORTS}
    report.say("imports measured")
    opened = _repeat(lambda: _open(loaded, args.threads), rounds)
    with material(most_people=4) as found:
        services = asyncio.run(_service(args, loaded, found, 1 if args.quick else 3, report))
    report.emit(
        {"import_ms": imports, "open_networks_ms": opened, "service_ms": services},
        shapes={"list": found.listed, "cameras": 1},
    )
    return 0


def _repeat(work: Callable[[], tuple[float, float]], rounds: int) -> dict[str, Any]:
    times = [work() for _ in range(rounds)]
    cpu, wall = zip(*times, strict=True)
    return {"cpu": _line.spread(cpu, 1), "wall": _line.spread(wall, 1)}


def _import(module: str) -> tuple[float, float]:
    """CPU and wall milliseconds of a fresh interpreter that imports one module and ends."""
    code = f"import {module}, time; print(time.process_time())"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return 1000 * float(done.stdout.split()[-1]), 1000 * (time.perf_counter() - began)


def _open(loaded: Pack, threads: int) -> tuple[float, float]:
    """Verify, load and warm the networks for one camera."""
    wall, cpu = time.perf_counter(), time.process_time()
    VisionStack.open(loaded, threads=threads).warm({1280})
    return 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)


async def _service(
    args: Any, loaded: Pack, found: Material, rounds: int, report: _line.Report
) -> dict[str, dict[str, float]]:
    """Wall milliseconds from ``Service.start`` until everything answers, and until a picture was looked at."""
    started, looked = [], []
    with tempfile.TemporaryDirectory(prefix="lfr-list-") as scratch:
        stack = VisionStack.open(loaded, threads=args.threads)
        watchlist = await asyncio.to_thread(sealed_list, Path(scratch), found, loaded, stack)
        for _ in range(rounds):
            began = time.perf_counter()
            at: dict[str, float] = {}
            async with van(
                found, watchlist, cameras=1, pack=args.pack, threads=args.threads, cut=threshold(loaded, 300),
                side=1280, on_started=partial(_now, at),
            ) as service:  # fmt: skip
                async with asyncio.timeout(30):
                    while not service.run.warden.pulse.get("ledger", {}).get("frames"):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                looked.append(1000 * (time.perf_counter() - began))
            started.append(1000 * (at["started"] - began))
            report.say(f"service up after {started[-1]:.0f} ms, first picture after {looked[-1]:.0f} ms")
    return {"started": _line.spread(started, 0), "first_picture_looked_at": _line.spread(looked, 0)}


if __name__ == "__main__":
    sys.exit(main())
