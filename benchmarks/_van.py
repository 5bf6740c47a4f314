"""The real service on this machine: our RTSP server as the street, a sealed list, everything a van runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from benchmarks import ASKED_FOR_BLAS_THREADS
from benchmarks._material import Material, model_store
from lfr_edge.models.store import Pack
from lfr_edge.service import Service
from lfr_edge.settings import Settings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.container import seal
from lfr_edge.watchlist.enrol import Rules, enrol_list
from lfr_edge.watchlist.entry import Response
from lfr_edge.watchlist.folder import read_folder
from lfr_edge.watchlist.keys import new_key, write_key_file

_LIVE_S: Final = 30.0


def sealed_list(folder: Path, found: Material, loaded: Pack, stack: VisionStack) -> dict[str, Path]:
    """Enrol and seal the people as any list is; the watchlist section of the settings."""
    key, key_file, path = new_key(), folder / "list.key", folder / "list.sealed"
    write_key_file(key_file, key)
    people = read_folder(found.people, category="blue_list", response=Response.GREEN)
    enrolled = enrol_list(people, stack, Rules(several_faces="central"), skip_refused=True)
    seal(path, enrolled, key=key, fingerprint=loaded.fingerprint, dimension=stack.dimension)
    return {"path": path, "key_file": key_file}


@contextlib.asynccontextmanager
async def street(clips: list[Path]) -> AsyncIterator[list[str]]:
    """One RTSP address for each clip, played for ever at its own pace by a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lfr_edge.demo.rtsp_server", *map(str, clips), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield list(json.loads(await process.stdout.readline())["urls"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def van(
    found: Material,
    watchlist: dict[str, Path],
    *,
    cameras: int,
    pack: str,
    threads: int,
    cut: float,
    side: int,
    recognisers: int = 0,
    on_started: Callable[[], None] = lambda: None,
) -> AsyncIterator[Service]:
    """A started service whose cameras are live. `found.clips` are dealt out to the cameras in turn.

    `recognisers` as models.recognisers. `on_started` is called between the service's start and the first camera's
    picture.
    """
    with tempfile.TemporaryDirectory(prefix="lfr-van-") as scratch:
        folder = Path(scratch)
        clips = [found.clips[number % len(found.clips)] for number in range(cameras)]
        async with street(clips) as urls:
            raw: dict[str, Any] = {
                "site": "Benchmark",
                "data": folder / "data",
                "audit": folder / "audit",
                "cameras": [
                    {"id": f"cam{number}", "url": url, "detector_side": side}
                    for number, url in enumerate(urls, start=1)
                ],
                "models": {
                    "pack": pack,
                    "store": model_store().root,
                    "purpose": "evaluation",
                    "threads": threads,
                    "recognisers": recognisers,
                },
                # A clip comes round every 20 s: without a short cool-down each person would raise one alert for all.
                "matching": {"threshold": cut, "cooldown_s": 1.0},
                "watchlist": watchlist,
                "console": {"port": 0},
                "deployment": {"autostart": True, "destroy_list": False},
            }
            if not ASKED_FOR_BLAS_THREADS:
                os.environ.pop("OPENBLAS_NUM_THREADS", None)  # the product's processes run as they ship
            service = Service(Settings.model_validate(raw))
            await service.start()
            on_started()
            try:
                await _live(service)
                yield service
            finally:
                await service.stop(why="end of the benchmark")


async def _live(service: Service) -> None:
    async with asyncio.timeout(_LIVE_S):
        while any(camera.state != "live" for camera in service.run.cameras.statuses):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)
