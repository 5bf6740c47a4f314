from __future__ import annotations

import asyncio

import aiohttp
import pytest

from lfr_edge.console import app as console_app
from lfr_edge.console.door.accounts import Role
from lfr_edge.errors import AuditError
from tests.fakes.box import PASSWORD, ListRecorder, enrol, house, raised


def session_cookie(answer: aiohttp.ClientResponse) -> str:
    return next(value for value in answer.headers.getall("Set-Cookie") if value.startswith("lfr-session="))


async def test_setup_by_code_then_sign_out_and_in(box, sign_in):
    code = box.accounts.first_code()
    person = await sign_in()
    form = {"code": code, "name": "miller", "role": "operator", "password": PASSWORD, "again": PASSWORD}
    async with person.post("/setup", data=form | {"again": "different words"}) as answer:
        assert answer.status == 400
        assert "differ" in await answer.text()
    async with person.post("/setup", data=form, allow_redirects=False) as answer:
        assert answer.status == 303
        assert "HttpOnly" in session_cookie(answer)
        assert "SameSite=Strict" in session_cookie(answer)
    async with person.get("/") as answer:
        assert answer.url.path == "/desk"
        assert "miller" in await answer.text()
    async with person.post("/sign-out", allow_redirects=False) as answer:
        assert answer.status == 303
    async with person.get("/api/status") as answer:
        assert answer.status == 401
    assert await person.sign_in("miller") == 303
    assert box.recorder.verbs("access") == [
        "access.account_changed", "access.signed_in", "access.signed_out", "access.signed_in",
    ]  # fmt: skip


async def test_every_sign_in_has_a_new_id_and_ends_the_old_one(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    ids = []
    for _ in range(2):
        async with person.post(
            "/sign-in", data={"name": "miller", "password": PASSWORD}, allow_redirects=False
        ) as a:
            ids.append(session_cookie(a))
    assert ids[0] != ids[1]
    assert box.sessions.count() == 1


async def test_a_fixed_id_is_never_taken_over(box, sign_in):
    """Session fixation: an id that an attacker planted does not become a session."""
    person = await sign_in()
    enrol(box.accounts, "miller", Role.OPERATOR)
    person.cookie_jar.update_cookies({"lfr-session": "planted"}, response_url=person._base_url)
    assert await person.sign_in("miller") == 303
    assert box.sessions.find("planted") is None


async def test_wrong_passwords_are_recorded_without_what_was_typed(box, sign_in):
    enrol(box.accounts, "miller", Role.OPERATOR)
    person = await sign_in()
    assert await person.sign_in("miller", "wrong words here") == 401
    assert await person.sign_in("my-secret-password", "") == 401
    refused = [event for event in box.recorder.events if event[0] == "access.refused"]
    assert [event[2] for event in refused] == ["miller", "unknown"]
    assert "wrong words" not in str(box.recorder.events)
    assert "my-secret" not in str(box.recorder.events)


async def test_eleven_tries_a_minute_are_one_too_many(box, sign_in):
    enrol(box.accounts, "miller", Role.OPERATOR)
    person = await sign_in()
    answers = [await person.sign_in("miller", f"guess number {n}") for n in range(14)]
    assert answers == [401] * 10 + [429] * 4
    assert await person.sign_in("miller") == 429, "the right password does not help within that minute"


async def test_guessing_codes_is_limited_too(box, sign_in):
    box.accounts.first_code()
    person = await sign_in()
    form = {"name": "evil", "role": "operator", "password": PASSWORD, "again": PASSWORD}
    statuses = []
    for n in range(12):
        async with person.post("/setup", data=form | {"code": f"AAAA-AAAA-AAAA-{n:04d}"}) as answer:
            statuses.append(answer.status)
    assert statuses == [403] * 10 + [429] * 2


async def test_a_whole_shift_chooses_its_passwords_within_a_minute(box, sign_in):
    """Each good code, with the slips of the keyboard before it, stands in nobody's way; guesses do."""
    person = await sign_in()
    for number in range(15):
        code = box.accounts.add(f"officer{number}", Role.OPERATOR)
        form = {"code": code, "name": f"officer{number}", "password": PASSWORD, "again": PASSWORD}
        for slip, status in (
            ({"again": "another one"}, 400),
            ({"password": "x", "again": "x"}, 400),
            ({}, 303),
        ):
            async with person.post("/setup", data=form | slip, allow_redirects=False) as answer:
                assert answer.status == status, number
    for _ in range(12):
        assert await person.sign_in("officer3") == 303
    guess = {"code": "AAAA-AAAA-AAAA-0000", "name": "evil", "password": PASSWORD, "again": PASSWORD}
    statuses = []
    for _ in range(11):
        async with person.post("/setup", data=guess) as answer:
            statuses.append(answer.status)
    assert statuses == [403] * 10 + [429]


async def test_no_record_no_sign_in(box, sign_in):
    enrol(box.accounts, "miller", Role.OPERATOR)
    box.recorder.fail_on["access.signed_in"] = AuditError("audit_log_failed", "the disk is gone")
    person = await sign_in()
    assert await person.sign_in("miller") == 503
    async with person.get("/api/status") as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil",
        "/api/status",
        "",
        "desk",
        "/alerts/{token}/{which}.jpg",
    ],
)
async def test_a_sign_in_leads_nowhere_else(box, sign_in, path):
    enrol(box.accounts, "miller", Role.OPERATOR)
    person = await sign_in()
    for url, form in (
        ("/sign-in", {"name": "miller", "password": PASSWORD}),
        ("/language", {"language": "cy"}),
    ):
        async with person.post(url, data=form | {"next": path}, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/", url
        async with person.post(url, data=form | {"next": "/audit"}, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/audit"


async def test_a_page_without_a_session_leads_to_the_sign_in_and_back(box, sign_in):
    person = await sign_in()
    headers = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
    async with person.get("/audit", headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/sign-in?next=%2Faudit"
    async with person.get("/", headers=headers, allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/sign-in"
    async with person.get("/nowhere", headers=headers) as answer:
        assert answer.status == 404
        assert "<h1" in await answer.text()


async def test_signed_in_people_skip_the_sign_in(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    async with person.get("/sign-in", allow_redirects=False) as answer:
        assert answer.status == 303


@pytest.mark.parametrize("how", ["sign_out", "disable", "reset"])
async def test_sockets_die_with_the_session_within_a_second(box, sign_in, how, monkeypatch):
    sweeps: list[None] = []  # half a second apart: counted, as the time on a busy box is the box's
    sweep = box.sessions.sweep
    monkeypatch.setattr(box.sessions, "sweep", lambda: (sweeps.append(None), sweep()))
    person = await sign_in("miller", Role.OPERATOR)
    officer = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    async with person.ws_connect("/live") as socket:
        await socket.receive_json()
        if how == "sign_out":
            await person.post("/sign-out", allow_redirects=False)
        else:
            async with officer.post(f"/api/accounts/miller/{how}", json={}) as answer:
                assert answer.status == 200
        before = len(sweeps)
        await box.desk.raise_alert(raised())

        async def until_closed() -> int:
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                assert '"t":"alert"' not in message.data, "an alert after the session's end"
            return socket.close_code

        assert await asyncio.wait_for(until_closed(), 20) == 4001
        assert (len(sweeps) - before) * console_app._SWEEP_S <= 1.0
    assert box.desk.turns.present == frozenset()


async def test_over_tls_the_cookie_is_secure_and_pinned(tmp_path):
    """The headers alone; the TLS layer itself is aiohttp's."""
    async with (
        house(tmp_path, recorder=ListRecorder(), tls=True) as box,
        aiohttp.ClientSession(box.url) as browser,
    ):
        enrol(box.accounts, "miller", Role.OPERATOR)
        headers = {"Origin": box.url.replace("http:", "https:"), "Sec-Fetch-Site": "same-origin"}
        data = {"name": "miller", "password": PASSWORD}
        async with browser.post("/sign-in", data=data, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie = answer.headers["Set-Cookie"]
            assert cookie.startswith("__Host-lfr-session=")
            for attribute in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
                assert attribute in cookie
            assert "Domain" not in cookie
            assert answer.headers["Strict-Transport-Security"]
