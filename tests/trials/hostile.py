"""A camera, or whoever controls one, that attacks the process which reads it (D, E1)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

from lfr_edge.capture.keeper import Backoff, CameraKeeper
from lfr_edge.confinement import survey
from lfr_edge.demo.rtsp_server import RtspServer
from tests.capture.conftest import encode
from tests.faults import failing, probing
from tests.faults.door import Door
from tests.faults.hostile import Hostile
from tests.faults.stations import Station, Untouched, neighbour, slowest, within
from tests.faults.taken_over import child, probes
from tests.trials.parts import run
from tests.trials.trial import Attempt, Fact, NotHereError, Outcome, Trial

_TALK: Final = 0.05  # share of the changes that are of answers and descriptions
_TALKERS: Final = 4  # processes that open on and on, at a time: many connections wait for what never comes
_CONNECTIONS: Final = 250  # of one of them, which is replaced then
_PATIENCE_S: Final = 60.0  # without a connection


@dataclass
class _Attack:
    """Both ways to be attacked: a stream to a keeper's child, conversations to a child that opens on and on."""

    attempt: Attempt
    streams: Hostile
    talks: Hostile
    ends: Counter[str] = field(default_factory=Counter)  # of the connections of the second kind
    died: int = 0
    told: int = 0

    @property
    def sent(self) -> int:
        return self.streams.total + self.talks.total

    def step(self) -> None:
        done = min(self.sent, self.attempt.n)
        self.attempt.step(done - self.told)
        self.told = done


def attack(attempt: Attempt, **other: float) -> Outcome:
    """`other`: settings of the other camera, where they are not the product's."""
    return run(_attack(attempt, _PATIENCE_S, **other))


def attack_what_gives_up(attempt: Attempt) -> Outcome:
    """The keeper takes the first failure for the last."""

    async def for_ever(self: CameraKeeper, *_: object) -> None:
        await self._stopping.wait()

    with patch.object(CameraKeeper, "_wait", for_ever):
        return run(_attack(attempt, 8.0))


async def _attack(attempt: Attempt, patience_s: float, **other: float) -> Outcome:
    clip = encode(attempt.folder / "h264.mp4")
    hevc = encode(attempt.folder / "hevc.mp4", codec="libx265")
    server = RtspServer()
    await server.start()
    server.add(failing.PATH, clip, realtime=False)
    server.add("/hevc", hevc, realtime=False)
    going = _Attack(
        attempt,
        Hostile(attempt.chance("streams"), answers=0.2),
        Hostile(attempt.chance("talks"), answers=1.0, packets=False),
    )
    try:
        async with neighbour(clip, **other) as yard, Door(server.port) as door, Door(server.port) as talk:
            door.treat, talk.treat = going.streams.connection, going.talks.connection
            at_once = Backoff(
                lambda low, high: 0.02
            )  # the product waits longer: nobody attacks faster than this
            async with Station(door.url(failing.PATH), "gate", at_once) as gate:
                before = Untouched.since(yard)
                failures = await _until_enough(going, gate, talk, patience_s)
                failures += [] if failures else await _recovers(going, gate, door)
                failures += [before.wrong] if before.wrong else []
                return Outcome(going.sent, tuple(failures), _facts(going, gate, yard))
    finally:
        await asyncio.sleep(0.05)  # the last who asked are let in, so that they can be sent away
        await server.stop()


async def _until_enough(going: _Attack, gate: Station, talk: Door, patience_s: float) -> list[str]:
    """Both at once, until enough was delivered; what was wrong."""
    talkers = min(_TALKERS, 1 + going.attempt.n // 1000)
    talks = asyncio.gather(*(_talk(going, talk, turn, talkers) for turn in range(talkers)))
    wanted = going.attempt.n - int(going.attempt.n * _TALK)
    heard, last = time.monotonic(), -1
    try:
        while going.streams.total < wanted:
            await asyncio.sleep(0.1)
            going.step()
            if gate.keeper._task is None or gate.keeper._task.done():
                return ["the keeper is gone"]
            if going.streams.total != last:
                heard, last = time.monotonic(), going.streams.total
            elif time.monotonic() - heard > patience_s:
                return [f"nobody took anything from the camera for {patience_s:.0f} s: {gate.status}"]
        await talks
    finally:
        talks.cancel()
        with suppress(asyncio.CancelledError):
            await talks
    going.step()
    return []


async def _talk(going: _Attack, talk: Door, turn: int, talkers: int) -> None:
    wanted = int(going.attempt.n * _TALK)
    while going.talks.total < wanted:
        latest: dict[str, int] = {}

        def told(message: dict[str, Any], latest: dict[str, int] = latest) -> None:
            latest.update(message.get("ends", {}))

        path = (failing.PATH, "/hevc")[turn % 2]
        connections = max(5, min(_CONNECTIONS, (wanted - going.talks.total) // talkers))
        status = await asyncio.to_thread(
            child, "tests.faults.opening", talk.url(path), epoch=connections, told=told
        )
        turn += 1
        going.died += status != 0
        going.ends.update(latest)


async def _recovers(going: _Attack, gate: Station, door: Door) -> list[str]:
    """The camera is honest again; what it left behind in the box may not keep its pictures away."""
    going.streams.honest = True
    door.hang_up()
    honest = time.monotonic()
    back = await within(lambda: gate.fresh_since(honest) and gate.status.fps > 0, 60)
    if back == float("inf"):
        return [f"an honest camera gives no pictures: {gate.status}"]
    return ["a forged header left the slot"] if gate.reader.forged else []


def _facts(going: _Attack, gate: Station, yard: Station) -> dict[str, Fact]:
    return {
        "packets": going.streams.sent["packets"] + going.talks.sent["packets"],
        "answers and descriptions": going.streams.sent["answers"] + going.talks.sent["answers"],
        "connections of the keeper": gate.status.epoch,
        "connections of the opener": sum(going.ends.values()) - going.ends["pictures"],
        "of them opened": going.ends["opened"],
        "children that died of it": sum(gate.deaths.values()) + going.died,
        "conversations ended": ", ".join(f"{name} {n}" for name, n in sorted(going.ends.items())),
        "slowest child to replace one, s": slowest(gate.replaced_s),
        "pictures of it all": gate.status.frames + going.ends["pictures"],
        "pictures of the other camera": yard.sequences.seen,
        "of them lost": yard.sequences.lost,
    }


# ── a child that was taken over ───────────────────────────────────────────────────────────────────────────────────


def break_out(attempt: Attempt) -> Outcome:
    return _probe(attempt, confined=True)


def break_out_of_nothing(attempt: Attempt) -> Outcome:
    return _probe(attempt, confined=False)


def _probe(attempt: Attempt, *, confined: bool) -> Outcome:
    lacking = survey().missing
    if lacking:
        raise NotHereError(f"this kernel lacks what doctor names: {'; '.join(lacking)}")
    tried, failures = 0, []
    refusals: Counter[str] = Counter()
    while tried < attempt.n:
        folder = attempt.folder / f"{tried}"
        folder.mkdir()
        ended = probes(folder, confined=confined)
        missing = set(probing.PROBES) - set(ended)
        failures += [f"it did {name}" for name, how in ended.items() if how not in {"EPERM", "EACCES"}]
        failures += [f"it never answered whether it may {name}" for name in missing]
        refusals.update(ended.values())
        tried += len(probing.PROBES)
        attempt.step(len(probing.PROBES))
    return Outcome(tried, tuple(failures), dict(refusals))


TRIALS: Final = (
    Trial(
        name="camera-hostile",
        bar="D",
        promise="a hostile camera ends at most the process that reads it: the service goes on, no other camera loses "
        "a picture, and once it is honest its pictures come",
        does="an honest camera's answers, descriptions and packets are changed on their way (RTSP, SDP, RTP, RTCP, "
        "H.264, H.265), to a keeper's child and to some that open thousands of connections, all confined as ever",
        sabotage="a keeper that takes the first failure for the last",
        unit="changed messages",
        slice=600,
        full=100_000,
        run=attack,
        control=attack_what_gives_up,
        control_n=50_000,
        ci="tests/faults/test_hostile.py::test_hostile_messages_end_nothing_but_their_reader",
        about="15 min",
    ),
    Trial(
        name="camera-confined",
        bar="D",
        promise="a capture child that was taken over reaches nothing: list, record, keys, the desk, the network, "
        "other programs",
        does="a child, started and confined as ever, tries from inside",
        sabotage="a child that is not confined",
        unit="attempts",
        slice=len(probing.PROBES),
        full=len(probing.PROBES) * 10,
        run=break_out,
        control=break_out_of_nothing,
        control_n=len(probing.PROBES),
        ci="tests/faults/test_hostile.py::test_a_child_that_was_taken_over_reaches_nothing",
        needs=("root",),
    ),
)
