"""Cameras that fail in every way of a van: each fault is seen, heals, and touches no other camera (E1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from lfr_edge.capture.keeper import CameraKeeper
from lfr_edge.demo.rtsp_server import RtspServer
from tests.capture.conftest import encode
from tests.faults import failing
from tests.faults.cable import camera_on_a_cable, lose_for, may_lay_cables, pull_and_plug
from tests.faults.door import Door
from tests.faults.stations import Station, neighbour, slowest
from tests.trials.parts import run
from tests.trials.sabotage import children_without
from tests.trials.trial import Attempt, Fact, NotHereError, Outcome, Trial

_ENCODERS: Final = {"h264": "libx264", "hevc": "libx265"}
_LONGEST_OUT_S: Final = 4.0
_UNWATCHED: Final = {"stall_s": 30.0, "read_timeout_s": 30.0}  # the keeper looks after half a minute
LOSSES: Final = (0.01, 0.02, 0.05, 0.10, 0.20)
_LOSS_S: Final = 10.0


def pull_cables(attempt: Attempt) -> Outcome:
    return run(_pull(attempt, {}))


def pull_cables_unwatched(attempt: Attempt) -> Outcome:
    return run(_pull(attempt, _UNWATCHED))


async def _pull(attempt: Attempt, settings: dict[str, float]) -> Outcome:
    if not may_lay_cables():
        raise NotHereError("camera-cable needs network namespaces")
    clip, chance = encode(attempt.folder / "h264.mp4"), attempt.chance("cable")
    failures, seen, back = [], [], []
    async with neighbour(clip) as yard:
        with camera_on_a_cable(clip) as cable:
            async with Station(cable.url, "gate", **settings) as gate:
                for number in range(attempt.n):
                    cycle = await pull_and_plug(cable, gate, yard, chance.uniform(0, _LONGEST_OUT_S))
                    failures += [f"cycle {number}: {cycle.wrong}"] if cycle.wrong else []
                    seen.append(cycle.seen_s)
                    back.append(cycle.back_s)
                    attempt.step(1)
        facts = {"slowest loss seen, s": slowest(seen), "slowest return, s": slowest(back)}
        return Outcome(attempt.n, tuple(failures), facts | _of(yard))


def _of(yard: Station) -> dict[str, Fact]:
    return {"pictures of the other camera": yard.sequences.seen, "of them lost": yard.sequences.lost}


def lose_packets(attempt: Attempt) -> Outcome:
    """Each share over TCP and over UDP, again and again."""
    return run(_lose(attempt, list(product(("tcp", "udp"), LOSSES)), {}))


def lose_everything_unwatched(attempt: Attempt) -> Outcome:
    return run(_lose(attempt, [("tcp", 1.0)], _UNWATCHED))


async def _lose(attempt: Attempt, kinds: Sequence[tuple[str, float]], settings: dict[str, float]) -> Outcome:
    if not may_lay_cables(losing=True):
        raise NotHereError("camera-loss needs network namespaces, and iptables that drops at random")
    clip = encode(attempt.folder / "h264.mp4")
    failures, back, restarts = [], [], 0
    worst: dict[str, float] = {}
    async with neighbour(clip) as yard:
        with camera_on_a_cable(clip) as cable:
            for number in range(attempt.n):
                transport, share = kinds[number % len(kinds)]
                async with Station(cable.url, "gate", transport=transport, **settings) as gate:
                    period = await lose_for(cable, gate, yard, share, _LOSS_S)
                name = f"{share:.0%} {transport}"
                failures += [f"period {number}, {name}: {period.wrong}"] if period.wrong else []
                back.append(period.back_s)
                restarts += period.restarts
                worst[name] = min(worst.get(name, 1.0), period.share)
                attempt.step(1)
        facts: dict[str, Fact] = {"slowest return, s": slowest(back), "reconnections": restarts}
        facts |= {f"least pictures at {name}": share for name, share in sorted(worst.items())}
        return Outcome(attempt.n, tuple(failures), facts | _of(yard))


@asynccontextmanager
async def beside(
    clip: Path, *, other: Mapping[str, float] = MappingProxyType({}), **settings: float
) -> AsyncIterator[tuple[RtspServer, Station, Station]]:
    """A camera that will fail, its station, and another one's, which has the settings `other`."""
    server = RtspServer()
    await server.start()
    server.add(failing.PATH, clip)
    try:
        async with (
            neighbour(clip, **other) as yard,
            Station(server.url(failing.PATH), "gate", **settings) as gate,
        ):
            yield server, gate, yard
    finally:
        await server.stop()


def fall_silent(attempt: Attempt) -> Outcome:
    return run(_silent(attempt, {}))


def fall_silent_unwatched(attempt: Attempt) -> Outcome:
    return run(_silent(attempt, _UNWATCHED))


async def _silent(attempt: Attempt, settings: dict[str, float]) -> Outcome:
    clip, chance = encode(attempt.folder / "h264.mp4"), attempt.chance("silence")
    failures, cycles = [], []
    server = RtspServer()
    await server.start()
    server.add(failing.PATH, clip)
    try:
        async with neighbour(clip) as yard, Door(server.port) as door:
            camera = failing.Moody(door)
            async with Station(door.url(failing.PATH), "gate", **settings) as gate:
                for number in range(attempt.n):
                    step = failing.STEPS[number % len(failing.STEPS)]
                    cycle = await failing.fall_silent(camera, gate, yard, step, chance.uniform(0, 8))
                    failures += [f"cycle {number}, it {step}: {cycle.wrong}"] if cycle.wrong else []
                    cycles.append(cycle)
                    attempt.step(1)
            facts: dict[str, Fact] = {
                "slowest silence seen, s": slowest([cycle.seen_s for cycle in cycles]),
                "longest until asked again, s": slowest([cycle.asked_s for cycle in cycles]),
                "slowest return when asked, s": slowest([cycle.back_s for cycle in cycles]),
            }
            return Outcome(attempt.n, tuple(failures), facts | _of(yard))
    finally:
        await server.stop()


def reboot(attempt: Attempt) -> Outcome:
    return run(_reboot(attempt))


def reboot_and_ask_once(attempt: Attempt) -> Outcome:
    """The keeper takes the first failure for the last."""

    async def for_ever(self: CameraKeeper, *_: object) -> None:
        await self._stopping.wait()

    with patch.object(CameraKeeper, "_wait", for_ever):
        return run(_reboot(attempt))


async def _reboot(attempt: Attempt) -> Outcome:
    chance, failures, seen, back = attempt.chance("reboot"), [], [], []
    clips = [
        encode(attempt.folder / f"{number}.mp4", codec=_ENCODERS[codec], width=width, height=height)
        for number, (codec, width, height) in enumerate(failing.CLIPS)
    ]
    last = 0
    async with beside(clips[0]) as (server, gate, yard):
        for number in range(attempt.n):
            # Over one connection a camera changes the size, and not the codec.
            codec = failing.CLIPS[last][0]
            same = [n for n, clip in enumerate(failing.CLIPS) if clip[0] == codec and n != last]
            swap = chance.random() < 0.25
            last = chance.choice(same if swap else [n for n in range(len(clips)) if n != last])
            _, width, height = failing.CLIPS[last]
            cycle = await (
                failing.change_size(server, gate, yard, clips[last], (width, height))
                if swap
                else failing.reboot(server, gate, yard, clips[last], (width, height), chance)
            )
            failures += [f"cycle {number}: {cycle.wrong}"] if cycle.wrong else []
            seen.append(cycle.seen_s)
            back.append(cycle.back_s)
            attempt.step(1)
            if cycle.back_s == float("inf"):
                break
        facts: dict[str, Fact] = {"slowest loss seen, s": slowest(seen), "slowest return, s": slowest(back)}
        return Outcome(len(back), tuple(failures), facts | _of(yard))


def freeze(attempt: Attempt) -> Outcome:
    return run(_freeze(attempt))


def freeze_unseen(attempt: Attempt) -> Outcome:
    with children_without("no_frozen", attempt.folder):
        return run(_freeze(attempt))


async def _freeze(attempt: Attempt) -> Outcome:
    chance, failures, cycles = attempt.chance("freeze"), [], []
    moving = encode(attempt.folder / "moving.mp4")
    still = encode(attempt.folder / "still.mp4", moving=False)
    async with beside(moving) as (server, gate, yard):
        for number in range(attempt.n):
            cycle = await failing.freeze_picture(server, gate, yard, (still, moving), chance.uniform(0.5, 6))
            failures += [f"cycle {number}: {cycle.wrong}"] if cycle.wrong else []
            cycles.append(cycle)
            attempt.step(1)
        facts: dict[str, Fact] = {
            "slowest flag, s": slowest([cycle.flagged_s for cycle in cycles]),
            "slowest all-clear, s": slowest([cycle.cleared_s for cycle in cycles]),
        }
        return Outcome(attempt.n, tuple(failures), facts | _of(yard))


def damage(attempt: Attempt) -> Outcome:
    return run(_damage(attempt))


def damage_and_give_up(attempt: Attempt) -> Outcome:
    """A picture that cannot be decoded ends the stream, and the keeper takes the first failure for the last."""

    async def for_ever(self: CameraKeeper, *_: object) -> None:
        await self._stopping.wait()

    with patch.object(CameraKeeper, "_wait", for_ever), children_without("no_patience", attempt.folder):
        return run(_damage(attempt))


async def _damage(attempt: Attempt) -> Outcome:
    chance, failures, back, errors = attempt.chance("damage"), [], [], 0
    clip = encode(attempt.folder / "h264.mp4")
    async with beside(clip) as (server, gate, yard):
        for number in range(attempt.n):
            share = chance.choice((0.005, 0.02, 0.1, 0.5, 1.0))
            cycle = await failing.damage(server, gate, yard, share, chance.uniform(1, 6))
            failures += [f"cycle {number}, {share:.1%} damaged: {cycle.wrong}"] if cycle.wrong else []
            back.append(cycle.back_s)
            errors = max(errors, gate.status.decode_errors)
            attempt.step(1)
            if cycle.back_s == float("inf"):
                break
        facts: dict[str, Fact] = {
            "slowest return, s": slowest(back),
            "connections": gate.status.epoch,
            "most decoding errors of a connection": errors,
        }
        return Outcome(len(back), tuple(failures), facts | _of(yard))


def _trial(name: str, promise: str, does: str, sabotage: str, **more: Any) -> Trial:
    common = {"bar": "E1", "control_n": 1, "unit": "cycles", "slice": 1}
    return Trial(name=name, promise=promise, does=does, sabotage=sabotage, **common | more)


TRIALS: Final = (
    _trial(
        "camera-cable",
        "a pulled camera is seen within 5 s, gives pictures within 10 s of its return, disturbs no other",
        "the camera lives in a network namespace; its end of the cable goes down and up again",
        "a keeper that does not look for half a minute",
        full=100,
        run=pull_cables,
        control=pull_cables_unwatched,
        ci="tests/faults/test_cable.py::test_a_pulled_cable_is_seen_and_heals_and_the_other_camera_goes_on",
        needs=("root",),
        about="15 min",
    ),
    _trial(
        "camera-loss",
        "over a line that loses packets no old picture passes for live, pictures come within 10 s of the end of it, "
        "and no other camera loses one",
        "10 s of 1, 2, 5, 10 and 20 % of all packets lost each way, over TCP and over UDP (netfilter's statistic "
        "in the camera's network namespace; netem is not in this kernel)",
        "a keeper that does not look for half a minute, and a line that loses all",
        unit="periods",
        full=50,
        run=lose_packets,
        control=lose_everything_unwatched,
        ci="tests/faults/test_cable.py::test_a_pulled_cable_is_seen_and_heals_and_the_other_camera_goes_on",
        needs=("root",),
        about="20 min",
    ),
    _trial(
        "camera-half-open",
        "a camera that keeps its connection and says nothing is seen within 5 s, asked again within "
        f"{failing.ASKED_S:.0f} s, gives pictures within 10 s of that, disturbs no other",
        "the peer goes silent for good, without closing anything, in the stream and at each of ten steps of the "
        "next conversation; then it answers new connections",
        "a keeper that does not look for half a minute",
        full=50,
        run=fall_silent,
        control=fall_silent_unwatched,
        ci="tests/faults/test_cameras.py::test_a_camera_that_goes_silent_in_the_middle_of_an_answer",
        about="20 min",
    ),
    _trial(
        "camera-reboot",
        "a camera that returns with another resolution and codec gives pictures of the new size within 10 s",
        "the server ends, is gone for up to 4 s, sometimes says 404 at first, and returns as one of five cameras; "
        "or the size changes in the middle of the stream",
        "a keeper that takes the first failure for the last",
        full=50,
        run=reboot,
        control=reboot_and_ask_once,
        control_n=3,
        ci="tests/faults/test_cameras.py::test_a_camera_reboots_as_another_one",
        about="10 min",
    ),
    _trial(
        "camera-frozen",
        "a picture that never changes is flagged within 10 s, the flag goes within 10 s, and never comes on a "
        "moving picture",
        "the camera goes on sending, the same picture every time, and moves again",
        "something in the box makes each picture look like a new one",
        full=50,
        run=freeze,
        control=freeze_unseen,
        ci="tests/capture/test_keeper.py::test_frozen_picture_is_flagged",
        about="20 min",
    ),
    _trial(
        "camera-damaged",
        "wrong bytes in the stream are survived: pictures within 10 s of their end, and no other camera loses one",
        "half a percent to all of the packets have wrong bytes anywhere, headers too, for up to 6 s",
        "what cannot be decoded ends the process, and the keeper takes the first failure for the last",
        full=50,
        run=damage,
        control=damage_and_give_up,
        control_n=4,
        ci="tests/capture/test_keeper.py::test_hostile_packets_kill_nobody_for_long",
        about="10 min",
    ),
)
