"""Refused acts are on the record, and cannot fill it."""

from __future__ import annotations

import aiohttp
import pytest

from lfr_edge.console import app as console_app
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.door.refusals import ALL_A_MINUTE, EACH_A_MINUTE, Refusals
from lfr_edge.errors import AuditError
from tests.fakes.box import ListRecorder, ManualClock, enrol, house
from tests.waiting import until


def refused(box) -> list[tuple]:
    return [event for event in box.recorder.events if event[0] == "access.refused"]


async def test_a_role_refused_names_person_route_and_address(box, sign_in):
    person = await sign_in("byte", Role.ENGINEER)
    async with person.get("/api/alerts") as answer:
        assert answer.status == 403
    (event,) = refused(box)
    assert event[1] == event[2] == "byte"
    assert event[3] == {"code": "access_role_refused", "route": "GET /api/alerts", "from": "127.0.0.1"}


async def test_other_sites_and_names_are_recorded_without_what_they_sent(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        async with person.post("/api/pause", json={}, headers=headers) as answer:
            assert answer.status == 403
    async with person.get("/nothing-here", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    assert [event[3]["code"] for event in refused(box)] == [
        "access_cross_site", "access_host_refused", "access_host_refused",
    ]  # fmt: skip
    assert refused(box)[-1][3]["route"] == "GET unknown"
    assert "evil" not in str(refused(box))


async def test_being_signed_out_is_no_attempt(box, sign_in):
    person = await sign_in()
    async with person.get("/api/status") as answer:
        assert answer.status == 401
    assert refused(box) == []


async def test_too_many_tries_are_recorded(box, sign_in):
    person = await sign_in()
    for n in range(12):
        await person.sign_in("ghost", f"guess number {n}")
    codes = [event[3]["code"] for event in refused(box)]
    assert codes == ["access_refused"] * 10 + ["access_too_many_tries"] * 2


async def test_a_refusal_stays_one_when_the_record_fails(box, sign_in):
    person = await sign_in("byte", Role.ENGINEER)
    box.recorder.fail_on["access.refused"] = AuditError("audit_log_failed", "the disk is gone")
    async with person.get("/desk") as answer:
        assert answer.status == 403


async def test_a_flood_is_counted_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(console_app, "_SWEEP_S", 0.02)
    clock = ManualClock()
    async with (
        house(tmp_path, recorder=ListRecorder(), clock=clock) as box,
        aiohttp.ClientSession(box.url) as stranger,
    ):
        for _ in range(50):
            async with stranger.post("/sign-in", headers={"Origin": "https://evil.example"}) as answer:
                assert answer.status == 403
        assert len(refused(box)) == EACH_A_MINUTE
        clock.pass_s(61)
        await until(lambda: len(refused(box)) > EACH_A_MINUTE)
        assert refused(box)[-1][2:4] == ("several", {"left_out": 40})


@pytest.mark.parametrize("names", [1, 1000])
def test_entries_and_left_out_are_all_refusals(names):
    clock = ManualClock()
    refusals = Refusals(clock)
    recorded = 0
    for n in range(5000):
        recorded += refusals.admit(f"code-{n % names}")
        clock.pass_s(0.01)
    assert recorded <= ALL_A_MINUTE
    assert recorded + refusals.left_out == 5000
    assert not refusals.quiet
    clock.pass_s(60)
    assert refusals.quiet


async def test_sessions_that_time_ends_are_on_record(tmp_path, monkeypatch):
    monkeypatch.setattr(console_app, "_SWEEP_S", 0.02)
    clock = ManualClock()
    async with house(tmp_path, recorder=ListRecorder(), clock=clock, idle_s=600) as box:
        enrol(box.accounts, "miller", Role.OPERATOR)
        box.sessions.open(box.accounts.get("miller"))
        clock.pass_s(601)
        await until(lambda: box.recorder.verbs("access.signed_out"))
        (out,) = [event for event in box.recorder.events if event[0] == "access.signed_out"]
        assert out[1:4] == ("miller", "miller", {"by": "idle"})
