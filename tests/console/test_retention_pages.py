"""Holds by two signed-in people, signed codes, and what a stranger may read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lfr_edge.console.door.accounts import Role
from tests.console.conftest import Person
from tests.fakes.box import ListRecorder, enrol, house
from tests.fakes.closed_box import NAME, ClosedBox, closed_box


@pytest.fixture
def behind(tmp_path: Path):
    made = closed_box(tmp_path / "box")
    yield made
    made.close()


@pytest.fixture
async def box(tmp_path: Path, behind: ClosedBox):
    async with house(tmp_path / "console", recorder=ListRecorder(), more=behind.ports) as running:
        yield running


def asked(behind: ClosedBox, **changes: object) -> dict[str, object]:
    return {
        "deployment": NAME,
        "alert": behind.tokens[0],
        "ground": "complaint",
        "reason": "IX/12/26",
        "days": 30,
    } | changes


async def test_a_hold_from_asking_to_release(box, behind: ClosedBox, sign_in) -> None:
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    boss = await sign_in("singh", Role.AUTHORISING_OFFICER)
    async with officer.post("/api/holds", json=asked(behind)) as answer:
        assert answer.status == 201
        proposal = await answer.json()
    yes = f"/api/holds/{proposal['id']}/approve"
    async with officer.post(yes, json={"sha256": proposal["sha256"]}) as answer:
        assert answer.status == 403, "whoever asks does not approve"
    async with boss.get("/holds") as answer:
        page = await answer.text()
        assert "IX/12/26" in page
        assert proposal["sha256"] in page
    async with boss.post(yes, json={"sha256": "0" * 64}) as answer:
        assert (await answer.json())["error"] == "control_altered"
    async with boss.post(yes, json={"sha256": proposal["sha256"]}) as answer:
        held = await answer.json()
        assert answer.status == 200
        assert (held["requester"], held["authoriser"]) == ("okafor", "singh")
    async with boss.post(yes, json={"sha256": proposal["sha256"]}) as answer:
        assert answer.status in {400, 409}, "once"
    async with officer.get("/holds") as answer:
        assert "complaint: IX/12/26" in await answer.text()
    free = f"/api/holds/{NAME}/{behind.tokens[0]}/release"
    async with officer.post(free, json={"why": "case closed"}) as answer:
        assert answer.status == 200
    async with officer.post(free, json={"why": "case closed"}) as answer:
        assert answer.status == 409


async def test_a_refused_hold_holds_nothing(box, behind: ClosedBox, sign_in) -> None:
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    boss = await sign_in("singh", Role.AUTHORISING_OFFICER)
    async with officer.post("/api/holds", json=asked(behind)) as answer:
        name = (await answer.json())["id"]
    async with boss.post(f"/api/holds/{name}/refuse", json={"why": "no case"}) as answer:
        assert answer.status == 200
    assert behind.holds is not None
    assert all(one.alert.hold is None for one in behind.holds.kept())


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"days": 500}, "hold_invalid", "a hold lasts 1 to 92 days"),
        ({"days": 0}, "body_invalid", "wrong: days (at least 1)"),
        ({"days": "soon"}, "body_invalid", "wrong: days"),
        ({"reason": "x"}, "body_invalid", "wrong: reason (at least 3 characters)"),
        (
            {"reason": "x" * 400, "days": 0},
            "body_invalid",
            "reason (at most 300 characters), days (at least 1)",
        ),
    ],
)
async def test_a_refused_hold_says_what_may_be_asked(
    box, behind: ClosedBox, sign_in, changes, code, words
) -> None:
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with officer.post("/api/holds", json=asked(behind, **changes)) as answer:
        told = await answer.json()
    assert told["error"] == code
    assert words in told["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"alert": "0" * 32},
        {"alert": "../x"},
        {"ground": "curiosity"},
        {"reason": "x"},
        {"days": 93},
        {"days": 0},
    ],
)
async def test_a_hold_that_cannot_be(box, behind: ClosedBox, sign_in, changes) -> None:
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with officer.post("/api/holds", json=asked(behind, **changes)) as answer:
        assert answer.status in {400, 404, 409}


async def test_the_sheet_is_printed_signed_and_confirmed(box, behind: ClosedBox, sign_in) -> None:
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    confirm = f"/api/anchors/{NAME}/confirm"
    async with officer.post(confirm, json={"code": "ABCD EFGH"}) as answer:
        assert (await answer.json())["error"] == "anchor_not_printed"
    async with officer.post(f"/anchors/{NAME}/sheet") as answer:
        assert answer.content_type == "application/pdf"
        assert (await answer.read()).startswith(b"%PDF")
    anchor = behind.ports(box.accounts)["anchors"].get(NAME)
    async with officer.get("/anchors") as answer:
        page = await answer.text()
        assert anchor.code not in page, "it is read from the paper"
        assert anchor.asked not in page.replace(" ", "")
    async with officer.post(confirm, json={"code": "ABCD EFGH"}) as answer:
        assert (await answer.json())["error"] == "anchor_code_wrong"
    async with officer.post(confirm, json={"code": anchor.asked}) as answer:
        assert (await answer.json())["code"] == anchor.code
    async with officer.get("/anchors") as answer:
        page = await answer.text()
        assert anchor.code in page
        assert "<svg" in page
        assert "style=" not in page.split("<main")[1], "CSP"
    async with officer.post("/anchors/2020-01-01-1/sheet") as answer:
        assert answer.status == 404


async def test_a_stranger_reads_the_notice_and_nothing_about_a_person(box, behind: ClosedBox) -> None:
    stranger = Person(box)
    async with stranger.get("/notice") as answer:
        assert answer.status == 200
        assert "not in use here" in await answer.text()
    async with stranger.get("/notice/poster-a4.pdf") as answer:
        assert answer.status == 404
    behind.announce()
    async with stranger.get("/notice") as answer:
        page = await answer.text()
        for said in (
            "Market Square, Exampleton",
            "10:00 to 16:00 GMT",
            "Wanted by the courts",
            "24 hours",
            "101, or",
        ):
            assert said in page
        for private in ("A. Example", "B. Example", behind.tokens[0], "okafor"):
            assert private not in page
    for size in ("a4", "a2"):
        async with stranger.get(f"/notice/poster-{size}.pdf") as answer:
            assert (await answer.read()).startswith(b"%PDF")
    async with stranger.get("/notice/poster-a0.pdf") as answer:
        assert answer.status == 404
    await stranger.close()


async def test_a_console_without_a_box_behind_it_shows_empty_pages(tmp_path: Path) -> None:
    async with house(tmp_path / "bare", recorder=ListRecorder()) as bare:
        enrol(bare.accounts, "okafor", Role.DEPLOYMENT_OFFICER)
        person = Person(bare)
        await person.sign_in("okafor")
        for path in ("/holds", "/anchors", "/notice"):
            async with person.get(path) as answer:
                assert answer.status == 200
        async with person.post("/api/anchors/x/confirm", json={"code": "A"}) as answer:
            assert answer.status == 404
        body = {"deployment": "x", "alert": "0" * 32, "ground": "evidence", "reason": "abc", "days": 1}
        async with person.post("/api/holds", json=body) as answer:
            assert answer.status == 404
            assert json.loads(await answer.text())["error"] == "hold_unknown"
        await person.close()
