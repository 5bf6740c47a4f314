"""Passkeys without a browser: what is refused. The ceremony itself is tested in Chromium (tests/browser)."""

from __future__ import annotations

import json

import pytest
from webauthn.helpers import bytes_to_base64url

from lfr_edge.console.door.accounts import PASSKEYS_MAX, Accounts, Passkey, Role
from lfr_edge.console.door.passkeys import CHALLENGE_S, Challenges
from lfr_edge.errors import AccessError
from lfr_edge.settings import ConsoleSettings, Settings
from tests.console.conftest import Person
from tests.fakes.box import PASSWORD, ListRecorder, ManualClock, enrol, house


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def named(tmp_path, clock):
    settings = Settings(console=ConsoleSettings(dns_name="localhost"))
    async with house(tmp_path, recorder=ListRecorder(), settings=settings, clock=clock) as box:
        box.url = box.url.replace("127.0.0.1", "localhost")
        enrol(box.accounts, "miller", Role.OPERATOR)
        yield box


@pytest.fixture
async def miller(named):
    person = Person(named)
    assert await person.sign_in("miller") == 303
    yield person
    await person.close()


def credential(challenge: str, **changes) -> dict:
    said = {
        "type": "webauthn.get",
        "challenge": challenge,
        "origin": "http://localhost",
        "crossOrigin": False,
    }
    response = {"clientDataJSON": bytes_to_base64url(json.dumps(said).encode()), "signature": "AA",
                "authenticatorData": bytes_to_base64url(bytes(37))}  # fmt: skip
    return {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": response} | changes


async def post(person, path: str, body: dict) -> tuple[int, dict]:
    async with person.post(path, json=body) as answer:
        return answer.status, await answer.json()


def test_a_challenge_counts_once_for_its_purpose_and_not_for_long(clock):
    challenges = Challenges(clock)
    one = challenges.give("sign-in")
    assert not challenges.take(one, "register x")
    assert not challenges.take(one, "sign-in"), "a wrong try spends it"
    two = challenges.give("sign-in")
    assert challenges.take(two, "sign-in")
    assert not challenges.take(two, "sign-in")
    late = challenges.give("sign-in")
    clock.pass_s(CHALLENGE_S + 1)
    assert not challenges.take(late, "sign-in")


def test_challenges_do_not_pile_up(clock):
    challenges = Challenges(clock)
    first = challenges.give("sign-in")
    for _ in range(1000):
        challenges.give("sign-in")
    assert len(challenges._given) == 1000
    assert not challenges.take(first, "sign-in")


def test_passkeys_are_kept_counted_and_go_with_a_reset(tmp_path, clock):
    accounts = Accounts(tmp_path / "accounts.json", clock)
    enrol(accounts, "miller", Role.OPERATOR)
    enrol(accounts, "reed", Role.AUDITOR)
    accounts.add_passkey("miller", Passkey("k1", "cose", 7, "key ring", 1))
    with pytest.raises(AccessError) as caught:
        accounts.add_passkey("reed", Passkey("k1", "cose", 7, "same", 1))
    assert caught.value.code == "access_passkey_known"
    again = Accounts(tmp_path / "accounts.json", clock)
    account, passkey = again.by_passkey("k1")
    assert (account.name, passkey.name) == ("miller", "key ring")
    assert again.passkey("reed", "k1") is None
    again.passkey_used("miller", "k1", 8)
    again.passkey_used("miller", "k1", 0)
    assert again.passkey("miller", "k1").sign_count == 8
    for n in range(PASSKEYS_MAX - 1):
        accounts.add_passkey("miller", Passkey(f"more{n}", "cose", 0, "x", 1))
    with pytest.raises(AccessError) as caught:
        accounts.add_passkey("miller", Passkey("one too many", "cose", 0, "x", 1))
    assert caught.value.code == "access_passkeys_full"
    accounts.remove_passkey("miller", "more0")
    accounts.reset("miller")
    assert accounts.by_passkey("k1") is None


async def test_made_up_credentials_are_refused_and_recorded(named, miller):
    wrong = [
        credential("AAAA"),
        credential("AAAA", response={}),
        credential("AAAA", response={"clientDataJSON": 7}),
        credential("AAAA", response={"clientDataJSON": bytes_to_base64url(b"[" * 100_00)}),
    ]
    for body in wrong:
        assert (await post(miller, "/api/sign-in/passkey", {"credential": body}))[0] == 403
    status, options = await post(miller, "/api/sign-in/passkey/options", {})
    assert status == 200
    assert "allowCredentials" not in options or options["allowCredentials"] == [], "it tells no names"
    assert (await post(miller, "/api/sign-in/passkey", {"credential": credential(options["challenge"])}))[
        0
    ] == 403
    named.accounts.add_passkey("miller", Passkey("AAAA", "AAAA", 0, "broken key", 1))
    for path in ("/api/sign-in/passkey", "/api/authenticate/passkey"):
        _, options = await post(miller, f"{path}/options", {})
        assert (await post(miller, path, {"credential": credential(options["challenge"])}))[0] == 403
    assert named.recorder.verbs("access.refused")
    _, options = await post(miller, "/api/passkeys/options", {})
    body = {"credential": credential(options["challenge"]), "name": "x"}
    assert (await post(miller, "/api/passkeys", body))[0] == 401


async def test_a_passkey_is_added_only_after_a_fresh_proof(named, miller, clock):
    assert (await post(miller, "/api/passkeys/options", {}))[0] == 200
    clock.pass_s(61)
    status, answer = await post(miller, "/api/passkeys/options", {})
    assert (status, answer["error"]) == (403, "access_not_fresh")
    async with miller.get("/api/me") as me:
        assert (await me.json())["fresh_s"] == 0
    status, answer = await post(miller, "/api/authenticate", {"password": "not this one"})
    assert (status, answer["error"]) == (403, "access_proof_refused")
    assert (await post(miller, "/api/authenticate", {"password": PASSWORD}))[0] == 200
    async with miller.get("/api/me") as me:
        assert (await me.json())["fresh_s"] == 60
    assert (await post(miller, "/api/passkeys/options", {}))[0] == 200


async def test_removing_what_is_not_yours_finds_nothing(named, miller):
    enrol(named.accounts, "reed", Role.AUDITOR)
    named.accounts.add_passkey("reed", Passkey("BBBB", "AAAA", 0, "reed's", 1))
    assert (await post(miller, "/api/passkeys/BBBB/remove", {}))[0] == 404
    named.accounts.add_passkey("miller", Passkey("CCCC", "AAAA", 0, "mine", 1))
    assert (await post(miller, "/api/passkeys/CCCC/remove", {}))[0] == 200
    assert named.accounts.by_passkey("BBBB")


async def test_without_a_dns_name_there_are_no_passkeys(box, sign_in):
    person = await sign_in("miller", Role.OPERATOR)
    for path in ("/api/sign-in/passkey/options", "/api/passkeys/options"):
        status, answer = await post(person, path, {})
        assert (status, answer["error"]) == (409, "access_passkeys_unavailable")
    async with person.get("/me") as page:
        assert "no DNS name" in await page.text()


def test_a_dns_name_needs_tls():
    with pytest.raises(ValueError, match="TLS"):
        ConsoleSettings(dns_name="van-3.force.example")
