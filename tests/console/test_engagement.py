"""The street's routes and the supervisor's: who sees what, and when."""

from __future__ import annotations

import asyncio
import json

import pytest

from lfr_edge.alerts.alert import Drill
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.audit.event import Actor
from lfr_edge.console.door.accounts import Role
from lfr_edge.recogniser.explanation import GRID
from tests.fakes.box import raised

MILLER, REED = Actor("miller", "operator", "s1"), Actor("reed", "operator", "s2")
SAME, DIFFERENT = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON
WHY = Factors.of(["features_agree"])
ARREST = {"outcome": "arrest", "identity": "same_person"}


async def referred(box, number: int = 1):
    alert = await box.desk.raise_alert(raised(number))
    return await box.desk.decide(alert.id.token, MILLER, SAME, WHY, "scar on the left", alert.version)


async def test_the_street_sees_referrals_and_nothing_before(box, sign_in):
    officer = await sign_in("baker", Role.ENGAGEMENT_OFFICER)
    waiting = await box.desk.raise_alert(raised(1))
    drill = await box.desk.raise_drill(raised(2), Drill(SAME, "case-1"))
    await box.desk.decide(drill.id.token, MILLER, SAME, WHY, "", drill.version)
    declined = await box.desk.raise_alert(raised(3))
    await box.desk.decide(declined.id.token, MILLER, DIFFERENT, WHY, "", declined.version)
    async with officer.get("/api/referrals") as answer:
        assert (await answer.json())["referrals"] == []
    for alert in (waiting, drill, declined):
        async with officer.get(f"/alerts/{alert.id.token}/probe.jpg") as answer:
            assert answer.status == 404
    known = await referred(box, 4)
    async with officer.get("/api/referrals") as answer:
        (view,) = (await answer.json())["referrals"]
    assert view["looks"] == [
        {
            "answer": "same_person",
            "factors": {"subject": ["features_agree"], "system": [], "environment": []},
            "note": "scar on the left",
        }
    ]
    assert view["reference"] == "W-0004"
    assert "miller" not in json.dumps(view), "the look counts, not whose it was"
    assert "score" not in json.dumps(view)
    assert "0.62" not in json.dumps(view)
    async with officer.get(f"/alerts/{known.id.token}/probe.jpg") as answer:
        assert answer.status == 200


async def test_two_officers_one_referral_and_a_receipt(box, sign_in):
    baker = await sign_in("baker", Role.ENGAGEMENT_OFFICER)
    singh = await sign_in("singh", Role.ENGAGEMENT_OFFICER)
    alert = await referred(box)
    url = f"/api/alerts/{alert.id.token}"
    async with baker.post(f"{url}/receipt", json={}) as answer:
        assert (answer.status, (await answer.json())["error"]) == (409, "alert_not_engaged")
    async with baker.post(f"{url}/engagement", json={"version": alert.version}) as answer:
        taken = await answer.json()
        assert (taken["state"], taken["engaged_by"]) == ("engaged", "baker")
    async with singh.post(f"{url}/engagement", json={"version": alert.version}) as answer:
        body = await answer.json()
        assert (answer.status, body["error"]) == (409, "alert_already_taken")
        assert body["winner"]["engaged_by"] == "baker"
    for wrong in (
        {"outcome": "arrest", "version": taken["version"]},
        ARREST | {"identity": "twin", "version": taken["version"]},
        {"outcome": "not_located", "identity": "same_person", "version": taken["version"]},
    ):
        async with baker.post(f"{url}/outcome", json=wrong) as answer:
            assert answer.status == 400
    async with baker.post(f"{url}/outcome", json=ARREST | {"version": taken["version"]}) as answer:
        closed = await answer.json()
        assert (closed["outcome"], closed["identity"]) == ("arrest", "same_person")
    async with singh.post(f"{url}/outcome", json=ARREST | {"version": taken["version"]}) as answer:
        assert answer.status == 409
    async with baker.post(f"{url}/receipt", json={}) as answer:
        assert (await answer.json())["receipt"] == closed["receipt"], "the same code, however often one asks"
    assert box.recorder.verbs("receipt") == ["receipt.issued"]


async def test_the_operator_sees_what_came_of_it(box, sign_in):
    miller = await sign_in("miller", Role.OPERATOR)
    alert = await referred(box)
    alert = await box.desk.engage(alert.id.token, Actor("baker", "engagement_officer", "s9"), alert.version)
    async with miller.get(f"/api/alerts/{alert.id.token}") as answer:
        after = (await answer.json())["after"]
        assert (after["state"], after["engaged_by"], after["outcome"]) == ("engaged", "baker", None)


async def test_the_streets_channel_carries_referrals_only(box, sign_in):
    officer = await sign_in("baker", Role.ENGAGEMENT_OFFICER)
    async with officer.ws_connect("/live") as socket:
        first = await asyncio.wait_for(socket.receive_json(), 20)
        assert first["referrals"] == []
        assert box.desk.turns.present == frozenset(), "the street is given no turn at the desk"
        await box.desk.raise_alert(raised(1))
        alert = await referred(box, 2)
        heard = []
        while not heard or heard[-1]["kind"] != "decided":
            message = await asyncio.wait_for(socket.receive_json(), 20)
            if message["t"] == "alert":
                heard.append(message)
        assert {m["alert"]["token"] for m in heard} == {alert.id.token}
        assert "score" not in json.dumps(heard)
        await socket.send_json({"painted": alert.id.token, "wall_ms": 1})
        await box.desk.engage(alert.id.token, Actor("baker", "engagement_officer", "s9"), alert.version)
        message = await asyncio.wait_for(socket.receive_json(), 20)
        while message["t"] != "alert":
            message = await asyncio.wait_for(socket.receive_json(), 20)
        assert message["kind"] == "engaged"
        assert box.system.painted_at == [], "latency is measured at the operators' screens"


async def test_before_the_look_a_drill_is_an_alert_in_every_byte(box, sign_in):
    """Everything an operator can ask for, with a drill and with an alert: the same keys, the same counts."""
    miller = await sign_in("miller", Role.OPERATOR)

    async def all_of_it(token: str) -> list:
        seen = []
        for url in ("/api/alerts", f"/api/alerts/{token}", "/api/status", "/desk", "/system"):
            async with miller.get(url) as answer:
                text = await answer.text()
                assert "drill" not in text.lower() or "/api" not in url, url  # a page's own texts name it
                seen.append(json.loads(text) if url.startswith("/api") else text)
        async with miller.get(f"/alerts/{token}/probe.jpg") as answer:
            seen.append(sorted(answer.headers))
        async with miller.get(f"/api/alerts/{token}/explanation") as answer:
            seen.append((answer.status, await answer.json()))
        return seen

    alert = await box.desk.raise_alert(raised(1))
    (as_alert, one, status, *rest) = await all_of_it(alert.id.token)
    await box.desk.decide(alert.id.token, MILLER, DIFFERENT, WHY, "", alert.version)
    before = box.desk.counts()
    drill = await box.desk.raise_drill(raised(1, reference=""), Drill(SAME, "case-1"))
    (as_drill, other, status_then, *rest_then) = await all_of_it(drill.id.token)
    assert sorted(one) == sorted(other)
    differ = {key for key in one if one[key] != other[key]}
    assert differ <= {"token", "number", "waiting_ms", "version"}
    assert sorted(as_alert["open"][0]) == sorted(as_drill["open"][0])
    assert status_then["desk"]["raised"] == before.raised + 1
    assert status["desk"]["undecided"] == status_then["desk"]["undecided"] == 1
    assert rest[2] == rest_then[2], "the pictures' headers"
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with officer.get("/api/status") as answer:
        assert (await answer.json())["desk"]["raised"] == before.raised, (
            "for who decides nothing it never counts"
        )
    body = {"answer": "same_person", "factors": {"subject": ["features_agree"]}, "version": drill.version}
    async with miller.post(f"/api/alerts/{drill.id.token}/looks", json=body) as answer:
        after = (await answer.json())["after"]
        assert after["drill"] == {"truth": "same_person", "right": True}
        assert "score" not in after
    async with miller.get("/api/status") as answer:
        assert (await answer.json())["desk"]["raised"] == before.raised


async def test_a_drill_measures_no_latency(box, sign_in):
    miller = await sign_in("miller", Role.OPERATOR)
    drill = await box.desk.raise_drill(raised(1), Drill(SAME, "case-1"))
    async with miller.ws_connect("/live") as socket:
        await socket.send_json({"painted": drill.id.token, "wall_ms": 1})
        for _ in range(3):
            await asyncio.wait_for(socket.receive_json(), 20)
    assert box.system.painted_at == []


async def test_an_explanation_comes_after_the_decision_and_is_recorded(box, sign_in):
    miller = await sign_in("miller", Role.OPERATOR)
    alert = await box.desk.raise_alert(raised(1))
    url = f"/api/alerts/{alert.id.token}/explanation"
    async with miller.get(url) as answer:
        assert (answer.status, (await answer.json())["error"]) == (409, "alert_look_first")
    await box.desk.decide(alert.id.token, MILLER, DIFFERENT, WHY, "", alert.version)
    async with miller.get(url) as answer:
        body = await answer.json()
        assert answer.status == 200
        assert body["score"] == 0.61
        assert len(body["cells"]) == GRID
        assert max(max(row) for row in body["cells"]) == 0.05
    viewed = [event for event in box.recorder.events if event[0] == "evidence.viewed"]
    assert viewed[-1][3]["which"] == "explanation"
    assert box.system.explained == [(raised(1).probe_jpeg, raised(1).candidate_jpeg)]


async def test_the_supervisor_sees_how_each_person_decides(box, sign_in):
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with officer.get("/supervision") as answer:
        assert "Nobody has decided" in await answer.text()
    await referred(box, 1)
    for number, truth in enumerate((SAME, DIFFERENT, SAME, DIFFERENT)):
        drill = await box.desk.raise_drill(raised(10 + number), Drill(truth, f"case-{number}"))
        await box.desk.decide(drill.id.token, MILLER, truth, WHY, "", drill.version)
    async with officer.get("/api/supervision") as answer:
        (person,) = (await answer.json())["operators"]
    assert (person["looks"], person["drills"], person["decision_ms"]) == (1, 4, None)
    assert person["hits"]["value"] == 1.0
    assert person["hits"]["interval"][0] == pytest.approx(0.158, abs=0.001), "2 of 2, Clopper and Pearson"
    assert person["sensitivity"]["low"] < person["sensitivity"]["d_prime"] < person["sensitivity"]["high"]
    async with officer.get("/supervision") as answer:
        text = await answer.text()
        assert "miller" in text
        assert "(2/2; 16–100)" in text
