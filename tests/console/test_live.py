from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.audit.event import Actor
from lfr_edge.console import live
from lfr_edge.console.door.accounts import Role
from tests.fakes.box import raised, van_status

REED = Actor("reed", "operator", "s")


async def take(socket, kind: str) -> dict:
    while True:
        message = await asyncio.wait_for(socket.receive_json(), 20)
        if message["t"] == kind:
            return message


async def test_alerts_arrive_and_are_blind(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    async with person.ws_connect("/live") as socket:
        assert (await take(socket, "desk"))["open"] == []
        status = await take(socket, "status")
        assert status["ledger"]["processed"] == 18_202
        alert = await box.desk.raise_alert(raised())
        message = await take(socket, "alert")
        assert message["kind"] == "offered"
        assert message["alert"]["token"] == alert.id.token
        assert message["alert"]["turn"] == "you"
        assert "after" not in message["alert"]
        assert "score" not in str(message)
        await socket.send_json({"painted": alert.id.token, "wall_ms": 1_795_000_000_000})
        await socket.send_json({"painted": "0" * 32, "wall_ms": 1})
        await socket.send_json({"here": 1})
        await take(socket, "status")
        assert [token for token, _, _ in box.system.painted_at] == [alert.id.token]


async def test_a_client_that_comes_back_misses_nothing(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    async with person.ws_connect("/live") as socket:
        cursor = (await take(socket, "desk"))["cursor"]
    alerts = [await box.desk.raise_alert(raised(n)) for n in range(1, 80)]
    decided = await box.desk.decide(
        alerts[0].id.token,
        REED,
        Answer.DIFFERENT_PERSON,
        Factors.of(["features_differ"]),
        "",
        alerts[0].version,
    )
    seen: dict[str, int] = {}
    async with person.ws_connect(f"/live?after={cursor}") as socket:
        while cursor < box.desk.feed.cursor:
            message = await take(socket, "alert")
            assert message["cursor"] > cursor
            cursor = message["cursor"]
            seen[message["alert"]["token"]] = message["alert"]["version"]
    assert seen[decided.id.token] == decided.version
    held_back = box.desk.counts().suppressed
    assert len(seen) == 79, f"{held_back} held back, also announced"


@pytest.mark.parametrize("after", ["999999", "-1", "x", "٣", "1" * 20])
async def test_a_strange_cursor_gets_the_whole_picture(box, sign_in, after):
    await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    async with person.ws_connect(f"/live?after={after}") as socket:
        assert len((await take(socket, "desk"))["open"]) == 1


@pytest.mark.parametrize("said", ["{", "[]", "[" * 4000, "x" * 5000])
async def test_nonsense_ends_the_channel_and_nothing_else(box, sign_in, said):
    person = await sign_in("miller", Role.OPERATOR)
    async with person.ws_connect("/live") as socket:
        await take(socket, "desk")
        await socket.send_str(said)
        while (await asyncio.wait_for(socket.receive(), 20)).type is aiohttp.WSMsgType.TEXT:
            pass
    async with person.ws_connect("/live") as socket:
        await take(socket, "desk")


async def test_a_slow_client_is_cut_and_others_see_on(box, sign_in, monkeypatch):
    monkeypatch.setattr(live, "SEND_TIMEOUT_S", 1.0)
    monkeypatch.setattr(live, "STATUS_S", 0.01)
    now = van_status()  # large messages fill the kernel's buffers soon
    box.system.now = replace(now, cameras=(replace(now.cameras[0], note="x" * 400_000),))
    slow = await sign_in("miller", Role.OPERATOR)
    quick = await sign_in("reed", Role.OPERATOR)
    stuck = await slow.ws_connect("/live")
    await take(stuck, "desk")
    assert box.desk.turns.present == {"miller"}
    stuck._response.connection.transport.pause_reading()
    async with quick.ws_connect("/live") as socket:
        await take(socket, "desk")
        async with asyncio.timeout(30):  # until the client that does not read is cut; this one reads
            while box.desk.turns.present != {"reed"}:
                await take(socket, "status")
    stuck._response.connection.transport.abort()


async def test_watching_does_not_count_as_presence(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    (session,) = box.sessions._open.values()
    used = session.used_ns
    async with person.ws_connect("/live") as socket:
        await take(socket, "status")
        async with person.get("/tiles/north.jpg"), person.get("/api/status"):
            pass
        assert session.used_ns == used
        await socket.send_json({"here": 1})
        await take(socket, "status")
        await take(socket, "status")
        assert session.used_ns > used
