"""Several sealed processes as one: real children, two cameras, real networks; and what their counters add up to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.clock import SystemClock
from lfr_edge.errors import RecogniserError
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.explanation import explain
from lfr_edge.recogniser.team import RecogniserTeam, together
from lfr_edge.watchlist.container import SealedWatchlist
from tests.recogniser.conftest import picture
from tests.recogniser.street import Street, specification
from tests.waiting import until


def children(test):
    """Real processes with the registries' networks."""
    return pytest.mark.network(pytest.mark.timeout(120)(test))


class Desk:
    """Two cameras whose pictures the test draws, and a recogniser for each."""

    def __init__(self, pack: Pack, sealed: SealedWatchlist, store: ModelStore) -> None:
        self.streets = {name: Street(name) for name in ("left", "right")}
        self.sealed = sealed
        self.said: list[Message] = []
        self.spec = specification(
            pack, store, *(street.plan for street in self.streets.values()), recognisers=2
        )
        self.team = RecogniserTeam(SystemClock(), self.hear)

    async def hear(self, message: Message) -> None:
        self.said.append(message)

    async def start(self, key: bytes | None = None) -> dict[str, object]:
        return await self.team.start(
            self.spec, (self.sealed.template_part(), key or self.sealed.template_key())
        )

    def pids(self) -> list[int]:
        return [handle.pid for handle in self.team.members if handle.pid is not None]

    def alerts(self) -> list[str]:
        return [message.body["camera"] for message in self.said if message.kind == "alert"]

    def pulse(self) -> dict[str, object]:
        return next(message.body for message in reversed(self.said) if message.kind == "pulse")

    async def walk(self, portrait: np.ndarray, *cameras: str, seconds: float) -> None:
        """She walks past these cameras until each has raised an alert, or for so long."""
        for step in range(int(seconds / 0.1)):
            for camera in cameras:
                self.streets[camera].show(picture(portrait, (20 + 6 * step % 600, 100)))
            await asyncio.sleep(0.1)
            if set(cameras) <= set(self.alerts()):
                return


@pytest.fixture
async def desk(default_pack: Pack, model_store: ModelStore, sealed: SealedWatchlist) -> AsyncIterator[Desk]:
    desk = Desk(default_pack, sealed, model_store)
    yield desk
    await desk.team.kill()
    for pid in desk.pids():
        assert not Path(f"/proc/{pid}").exists(), "nobody outlives the team"
    for street in desk.streets.values():
        street.close()


@children
async def test_two_cameras_two_processes_one_account(desk: Desk, portrait: np.ndarray) -> None:
    ready = await desk.start()
    assert (ready["recognisers"], ready["persons"], ready["most_passages"]) == (2, 1, 2 * 192)
    left, right = desk.team.of("left"), desk.team.of("right")
    assert left.pid != right.pid
    for pid, camera, other in ((left.pid, "left", "right"), (right.pid, "right", "left")):
        inside = {fd.stat().st_ino for fd in Path(f"/proc/{pid}/fd").iterdir()}
        assert desk.streets[camera].inodes() <= inside, "the control: the look finds what is there"
        assert not desk.streets[other].inodes() & inside, "another one's camera is out of its reach"

    await desk.walk(portrait, "left", "right", seconds=30)
    assert set(desk.alerts()) == {"left", "right"}
    alert = next(message for message in desk.said if message.kind == "alert")

    for camera, street in desk.streets.items():
        waiting = asyncio.create_task(desk.team.of(camera).request("tile", {"camera": camera, "width": 320}))
        await asyncio.sleep(0.05)
        street.show(picture(portrait, (300, 100)))
        assert (await waiting).parts[0].startswith(b"\xff\xd8")
    assert (await explain(desk.team.idlest, alert.parts[0], alert.parts[0])).score_e4 == 10_000

    apart = [answer.body["ledger"] for answer in await desk.team.tell("read")]
    assert all(ledger["frames"] > 0 for ledger in apart), "each looked at its camera"
    ending = await desk.team.stop()
    assert ending.expected
    assert ending.wiped == 2, "the list's one row, in each"
    assert ending.ledger is not None
    assert ending.ledger["held"] == 0
    assert ending.ledger["probes"] == ending.ledger["erased"] + ending.ledger["retained"]
    assert ending.ledger["retained"] == len(desk.alerts())
    assert ending.ledger["frames"] >= sum(ledger["frames"] for ledger in apart)
    assert desk.pulse() == ending.counters, "the receipts were heard as a last pulse"


@children
async def test_what_one_is_told_all_are_told(desk: Desk, portrait: np.ndarray) -> None:
    await desk.start()
    await desk.team.tell("pause")
    assert [answer.body["paused"] for answer in await desk.team.tell("read")] == [True, True]
    await desk.team.tell("resume")
    answers = await desk.team.tell("withdraw", {"reference": "SOUGHT-1"})
    assert [answer.body["found"] for answer in answers] == [True, True]
    await desk.walk(portrait, "left", "right", seconds=2)
    assert all(answer.body["ledger"]["frames"] for answer in await desk.team.tell("read"))
    assert desk.alerts() == []


@children
async def test_one_dies_and_the_others_still_give_their_account(desk: Desk, portrait: np.ndarray) -> None:
    await desk.start()
    await desk.walk(portrait, "left", "right", seconds=30)
    await until(lambda: desk.pulse()["ledger"]["held"] == 0, 10, "nobody is before a camera any more")
    before = desk.pulse()["ledger"]
    dead = desk.team.of("left")
    assert dead.pid is not None
    os.kill(dead.pid, signal.SIGSEGV)
    ending = await asyncio.wait_for(desk.team.ended(), 5)
    assert (ending.expected, ending.code) == (False, "recogniser_died")
    assert ending.message.endswith("killed by signal 11 (it looked at left)")
    with pytest.raises(RecogniserError) as caught:
        await desk.team.tell("read")
    assert caught.value.code == "recogniser_gone"
    counted = (await desk.team.of("right").request("read")).body["ledger"]["frames"]
    desk.streets["right"].show(picture(portrait, (300, 100)))
    async with asyncio.timeout(10):
        while (await desk.team.of("right").request("read")).body["ledger"]["frames"] == counted:
            await asyncio.sleep(0.05)  # the other one goes on
    ending = await desk.team.stop()
    assert (ending.expected, ending.code) == (False, "recogniser_died")
    assert (ending.wiped, ending.counters) == (None, None), "no receipt of all"
    after = desk.pulse()["ledger"]
    assert after["frames"] > before["frames"], "and what it counted since is told"
    assert after["held"] == 0
    assert after["probes"] == after["erased"] + after["retained"] >= before["probes"]


@children
async def test_nobody_is_left_where_one_cannot_start(desk: Desk) -> None:
    with pytest.raises(RecogniserError) as caught:
        await desk.start(key=bytes(32))
    assert caught.value.code == "watchlist_altered"


@children
async def test_recognisers_that_disagree_about_an_addition_begin_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.start()
    right = desk.team.of("right")
    told = type(right).request

    async def deaf(handle, kind, *args, **kwargs):
        """One of them is told of an addition that nobody can open."""
        if handle is right and kind == "add":
            kwargs["parts"] = (b"", bytes(32))
        return await told(handle, kind, *args, **kwargs)

    addition = desk.sealed.template_part(), desk.sealed.template_key()
    first = await desk.team.add((b"", bytes(32)))
    assert first.body["code"], "the control: refused by both is an answer, and nobody ends"
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(desk.team.ended(), 0.3)
        raise AssertionError("somebody ended")
    await desk.team.tell("withdraw", {"reference": "SOUGHT-1"})
    monkeypatch.setattr(type(right), "request", deaf)
    with pytest.raises(RecogniserError) as caught:
        await desk.team.add(addition)
    assert caught.value.code == "recogniser_disagrees"
    await asyncio.wait_for(desk.team.ended(), 5)


def counters(camera: str, frames: int, **more: object) -> dict[str, object]:
    body = {
        "ledger": {"frames": frames, "probes": 2 * frames},
        "suppressed": 1, "passed_over": 2, "put_off": 3, "paused": False,
        "cameras": {camera: {"dropped": frames}},
        "stages_ms": {"detect": [1.0, 5.0, 9.0]},
    }  # fmt: skip
    return body | more


def test_counters_add_up_and_the_slowest_is_told() -> None:
    told = together([
        counters("left", 3, paused=True),
        counters("right", 4, stages_ms={"detect": [2.0, 4.0, 8.0], "embed": [1.0, 1.0, 1.0]}),
    ])  # fmt: skip
    assert told == {
        "ledger": {"frames": 7, "probes": 14},
        "suppressed": 2, "passed_over": 4, "put_off": 6, "paused": False,
        "cameras": {"left": {"dropped": 3}, "right": {"dropped": 4}},
        "stages_ms": {"detect": [2.0, 5.0, 9.0], "embed": [1.0, 1.0, 1.0]},
    }  # fmt: skip


def test_one_alone_is_told_as_it_is() -> None:
    alone = counters("left", 3)
    assert together([alone]) is alone
