from __future__ import annotations

import json

import pytest

from lfr_edge.alerts.alert import DeskPolicy
from lfr_edge.console.door.accounts import Role
from lfr_edge.errors import AuditError
from tests.fakes.box import ListRecorder, enrol, house, jpeg, raised

LOOK = {"answer": "same_person", "factors": {"subject": ["features_agree"]}, "note": "clear"}
SECRETS = ("score", "threshold", "0.62", "6217", "0.48", "W-0001", "runner_up", "margin", "after")


async def test_before_the_look_there_is_no_score_anywhere(box, sign_in):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    for url in ("/api/alerts", f"/api/alerts/{alert.id.token}", "/desk"):
        async with person.get(url) as answer:
            text = await answer.text()
            if url != "/desk":  # the page's own texts name the figures; its data may not
                assert not [s for s in SECRETS if s in text], url
            assert "W-0001" not in text
            assert "0.62" not in text
    async with person.post(
        f"/api/alerts/{alert.id.token}/looks", json=LOOK | {"version": alert.version}
    ) as answer:
        after = (await answer.json())["after"]
        assert (after["score"], after["threshold"], after["reference"]) == (0.6217, 0.4831, "W-0001")
        assert after["looks"][0]["account"] == "miller"
    async with person.get("/api/alerts") as answer:
        assert "0.6217" in await answer.text(), "control: after the look it is there"


async def test_the_second_person_sees_nothing_of_the_first(tmp_path, sign_in):
    async with house(tmp_path / "two", policy=DeskPolicy(looks=2), recorder=ListRecorder()) as box:
        from tests.console.conftest import Person

        people = []
        for name in ("miller", "reed"):
            enrol(box.accounts, name, Role.OPERATOR)
            people.append(Person(box))
            await people[-1].sign_in(name)
        miller, reed = people
        alert = await box.desk.raise_alert(raised())
        async with miller.post(
            f"/api/alerts/{alert.id.token}/looks", json=LOOK | {"version": alert.version}
        ) as answer:
            mine = await answer.json()
            assert mine["open"]
            assert not mine["yours"]
            assert mine["after"]["looks"][0]["answer"] == "same_person", "their own answer"
            assert not [s for s in SECRETS if s in json.dumps(mine["after"])], (
                "figures come with the decision"
            )
        async with reed.get(f"/api/alerts/{alert.id.token}") as answer:
            theirs = await answer.json()
            assert "after" not in theirs
            assert theirs["look"] == 2
            assert "miller" not in json.dumps(theirs)
            assert "same_person" not in json.dumps(theirs)
        body = LOOK | {"answer": "different_person", "version": theirs["version"]}
        async with reed.post(f"/api/alerts/{alert.id.token}/looks", json=body) as answer:
            after = (await answer.json())["after"]
            assert [look["account"] for look in after["looks"]] == ["miller", "reed"]
            assert after["score"] == 0.6217
        for person in people:
            await person.close()


async def test_the_later_of_two_gets_409_with_the_winner(box, sign_in):
    alert = await box.desk.raise_alert(raised())
    miller = await sign_in("miller", Role.OPERATOR)
    reed = await sign_in("reed", Role.OPERATOR)
    url = f"/api/alerts/{alert.id.token}/looks"
    async with miller.post(url, json=LOOK | {"version": alert.version}) as answer:
        assert answer.status == 200
    async with reed.post(url, json=LOOK | {"answer": "different_person", "version": alert.version}) as answer:
        assert answer.status == 409
        body = await answer.json()
        assert body["error"] == "alert_already_decided"
        assert body["winner"]["after"]["looks"][0]["account"] == "miller"
    outcome_url = f"/api/alerts/{alert.id.token}/outcome"
    decided = box.desk.get(alert.id.token)
    gone = {"outcome": "not_located", "identity": "not_established", "version": decided.version}
    async with miller.post(outcome_url, json=gone) as answer:
        assert (await answer.json())["after"]["outcome"] == "not_located"
    async with reed.post(outcome_url, json=gone | {"outcome": "arrest"}) as answer:
        assert answer.status == 409


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_invalid"),
        (b"{", 400, "body_invalid"),
        (b"[" * 3000, 400, "body_invalid"),
        (b"{}", 400, "body_invalid"),
        (json.dumps(LOOK | {"version": 2, "extra": 1}).encode(), 400, "body_invalid"),
        (json.dumps(LOOK | {"version": -1}).encode(), 400, "body_invalid"),
        (json.dumps(LOOK | {"version": 2, "answer": "yes"}).encode(), 400, "body_invalid"),
        (json.dumps(LOOK | {"version": 2, "factors": {}}).encode(), 400, "alert_reason_missing"),
        (
            json.dumps(LOOK | {"version": 2, "factors": {"subject": ["x"]}}).encode(),
            400,
            "alert_unknown_factor",
        ),
        (json.dumps(LOOK | {"version": 2, "note": "x" * 600}).encode(), 400, "alert_note_too_long"),
        (json.dumps(LOOK | {"version": 9}).encode(), 409, "alert_changed"),
    ],
)
async def test_bad_bodies_change_nothing(box, sign_in, body, status, code):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    headers = {"Content-Type": "application/json"}
    async with person.post(f"/api/alerts/{alert.id.token}/looks", data=body, headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json())["error"] == code
    assert box.desk.get(alert.id.token) == alert


async def test_form_bodies_are_refused(box, sign_in):
    person = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with person.post("/api/pause", data={"why": "because"}) as answer:
        assert answer.status == 400


async def test_pictures_are_recorded_not_cached_and_gone_when_erased(box, sign_in):
    alert = await box.desk.raise_alert(raised())
    person = await sign_in("miller", Role.OPERATOR)
    async with person.get(f"/alerts/{alert.id.token}/candidate.jpg") as answer:
        assert await answer.read() == raised().candidate_jpeg
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"] == "no-store"
    assert ("evidence.viewed", "miller") in [event[:2] for event in box.recorder.events]
    async with person.get(f"/alerts/{alert.id.token}/both.jpg") as answer:
        assert answer.status == 404
    box.recorder.fail_on["evidence.viewed"] = AuditError("audit_log_failed", "the disk is gone")
    async with person.get(f"/alerts/{alert.id.token}/probe.jpg") as answer:
        assert answer.status == 503
    await box.desk._whole(box.desk._erase(alert.id.token))
    async with person.get(f"/alerts/{alert.id.token}/probe.jpg") as answer:
        assert answer.status == 410


async def test_tiles_are_only_made_for_people_who_look(box, sign_in):
    import numpy as np

    person = await sign_in("miller", Role.OPERATOR)
    assert box.system.asked_tiles == []
    async with person.get("/tiles/north.jpg") as answer:
        assert answer.status == 204
    box.system.tile_jpeg = jpeg(np.zeros((90, 160, 3)))
    async with person.get("/tiles/north.jpg?at=1") as answer:
        assert answer.status == 200
    async with person.get("/tiles/elsewhere.jpg") as answer:
        assert answer.status == 404
    assert box.system.asked_tiles == ["north", "north"]


async def test_pause_and_resume_need_a_reason_and_are_recorded(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    async with person.post("/api/pause", json={"why": ""}) as answer:
        assert answer.status == 400
    async with person.post("/api/pause", json={"why": "ambulance in the zone"}) as answer:
        assert (await answer.json())["paused"]
    async with person.post("/api/resume", json={"why": "zone clear"}) as answer:
        assert not (await answer.json())["paused"]
    assert box.recorder.verbs("recognition") == ["recognition.paused", "recognition.resumed"]


async def test_pages_render_for_those_who_may(box, sign_in):
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    for url, word in (
        ("/system", "yunet"),
        ("/watchlist", "W-0003"),
        ("/audit", "van-3"),
        ("/accounts", "okafor"),
    ):
        async with officer.get(url) as answer:
            assert answer.status == 200
            assert word in await answer.text()
    assert box.recorder.verbs("watchlist") == ["watchlist.viewed"]
    async with officer.get("/") as answer:
        assert answer.url.path == "/deployment"
    async with officer.get("/desk", headers={"Accept": "text/html"}) as answer:
        assert answer.status == 403
        assert "role" in await answer.text()


async def test_a_withdrawn_entry_is_shown_so(box, sign_in):
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with officer.post(
        "/api/watchlist/W-0003/withdraw", json={"why": "arrested this morning"}
    ) as answer:
        assert answer.status == 200
    async with officer.post("/api/watchlist/W-9999/withdraw", json={"why": "no such entry"}) as answer:
        assert answer.status == 404
    async with officer.get("/watchlist") as answer:
        assert "withdrawn" in await answer.text()


async def test_accounts_are_kept_by_the_deployment_officer(box, sign_in):
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with officer.post("/api/accounts", json={"name": "reed", "role": "auditor"}) as answer:
        assert answer.status == 201
        code = (await answer.json())["code"]
    assert box.accounts.redeem(code, "reed", None, "three other words").role is Role.AUDITOR
    async with officer.post("/api/accounts", json={"name": "reed", "role": "auditor"}) as answer:
        assert answer.status == 409
    for url, status in (("reed/disable", 200), ("reed/enable", 200), ("reed/reset", 200), ("reed/promote", 404),
                        ("ghost/disable", 404), ("okafor/disable", 400)):  # fmt: skip
        async with officer.post(f"/api/accounts/{url}", json={}) as answer:
            assert answer.status == status, url
    assert len(box.recorder.verbs("access.account_changed")) >= 4


async def test_nobody_makes_their_own_second_person(box, sign_in):
    """Two-person control would be one person's, if who proposes could hand themselves an approver's code."""
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    await sign_in("lang", Role.AUTHORISING_OFFICER)
    before = box.accounts.get("lang")
    body = {"name": "straw", "role": "authorising_officer"}
    async with officer.post("/api/accounts", json=body) as answer:
        assert (answer.status, (await answer.json())["error"]) == (403, "access_approver_protected")
    assert box.accounts.get("straw") is None
    for change in ("reset", "enable"):
        async with officer.post(f"/api/accounts/lang/{change}", json={}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (403, "access_approver_protected")
    assert box.accounts.get("lang") == before
    async with officer.post("/api/accounts/lang/disable", json={}) as answer:
        assert answer.status == 200, "a compromised account can always be stopped"
    async with officer.get("/accounts") as answer:
        assert 'value="authorising_officer"' not in await answer.text()
