"""A camera's cable is pulled and plugged in again (E1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lfr_edge.demo.rtsp_server import RtspServer
from tests.capture.conftest import encode
from tests.faults.cable import camera_on_a_cable, may_lay_cables, pull_and_plug, two_stations
from tests.trials.parts import run
from tests.trials.trial import Attempt, NotHereError, Outcome, Trial

_LONGEST_OUT_S: Final = 4.0


@asynccontextmanager
async def local_camera(clip: Path) -> AsyncIterator[str]:
    """The other camera's address: on this machine, on no cable."""
    server = RtspServer()
    await server.start()
    server.add("/yard", clip)
    try:
        yield server.url("/yard")
    finally:
        await server.stop()


def pull_cables(attempt: Attempt) -> Outcome:
    return run(_pull(attempt, stall_s=1.0))


def pull_cables_unwatched(attempt: Attempt) -> Outcome:
    """The keeper waits half a minute before it asks why no picture comes."""
    return run(_pull(attempt, stall_s=30.0, read_timeout_s=30.0))


async def _pull(attempt: Attempt, **settings: float) -> Outcome:
    if not may_lay_cables():
        raise NotHereError("camera-cable needs network namespaces")
    clip, chance = encode(attempt.folder / "h264.mp4"), attempt.chance("cable")
    failures, seen, back = [], [], []
    async with local_camera(clip) as other:
        with camera_on_a_cable(clip) as cable, two_stations(cable.url, other, **settings) as (gate, yard):
            async with gate, yard:
                for number in range(attempt.n):
                    cycle = await pull_and_plug(cable, gate, yard, chance.uniform(0, _LONGEST_OUT_S))
                    failures += [f"cycle {number}: {cycle.wrong}"] if cycle.wrong else []
                    seen.append(cycle.seen_s)
                    back.append(cycle.back_s)
                    attempt.step(1)
    facts = {"slowest loss seen, s": round(max(seen), 2), "slowest return, s": round(max(back), 2)}
    return Outcome(attempt.n, tuple(failures), facts)


TRIALS: Final = (
    Trial(
        name="camera-cable",
        bar="E1",
        promise="a pulled camera is seen within 5 s, gives pictures within 10 s of its return, disturbs no other",
        does="the camera lives in a network namespace; its end of the cable goes down and up again",
        sabotage="a keeper that does not look for half a minute",
        unit="cycles",
        slice=1,
        full=100,
        run=pull_cables,
        control=pull_cables_unwatched,
        control_n=1,
        ci="tests/faults/test_cable.py::test_a_pulled_cable_is_seen_and_heals_and_the_other_camera_goes_on",
        needs=("root",),
        about="15 min",
    ),
)
