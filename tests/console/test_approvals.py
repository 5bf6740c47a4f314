"""The second person over HTTP: what is shown, who may, how fresh, and that every try to get round it is refused."""

from __future__ import annotations

import pytest

from lfr_edge.console.door.access import load_rules
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.console.texts import Texts
from lfr_edge.deployment.authority.signing import key_id, make_key, public_bytes, public_path
from lfr_edge.deployment.control.proposal import RULES
from lfr_edge.errors import WatchlistError
from tests.fakes.box import PASSWORD

CHANGE = {"sha256": "ab" * 32, "entries": 12}
SUMMARY = ("Activate the list of 12 entries.", "Compiled 2026-11-22 at 08:10 UTC.")


@pytest.fixture
async def people(sign_in):
    okafor = await sign_in("okafor", Role.DEPLOYMENT_OFFICER)
    lang = await sign_in("lang", Role.AUTHORISING_OFFICER)
    return okafor, lang


async def propose(box, people, kind="watchlist.activate", change=CHANGE):
    from lfr_edge.alerts.record import Actor

    return box.approvals.propose(kind, change, Actor("okafor", "deployment_officer"), SUMMARY)


async def listed(person):
    async with person.get("/api/approvals") as answer:
        assert answer.status == 200
        return await answer.json()


async def approve(person, proposal, sha256=None):
    body = {"sha256": sha256 or proposal.sha256}
    async with person.post(f"/api/approvals/{proposal.id}/approve", json=body) as answer:
        return answer.status, await answer.json()


async def test_the_second_person_approves(box, people):
    okafor, lang = people
    proposal = await propose(box, people)
    mine, theirs = (await listed(okafor))["open"][0], (await listed(lang))["open"][0]
    assert mine["summary"] == list(SUMMARY)
    assert mine["sha256"] == proposal.sha256
    assert 0 < mine["left_s"] <= 15 * 60
    assert (mine["mine"], mine["why_not"], mine["may_refuse"]) == (True, "control_same_person", True)
    assert (theirs["mine"], theirs["why_not"], theirs["may_refuse"]) == (False, "", True)
    assert "change" not in mine, "the page shows words and digest, never the change"
    status, body = await approve(lang, proposal)
    assert (status, body["state"], body["carried_out"]) == (200, "approved", False)
    assert box.approvals.use("watchlist.activate", CHANGE)["change"] == proposal.id
    assert (await listed(lang))["settled"][0]["state"] == "used"
    assert box.recorder.verbs("control.") == ["control.proposed", "control.approved"]


async def test_who_may_not(box, people, sign_in):
    proposal = await propose(box, people)
    for name, role in (
        ("okafor", None),
        ("miller", Role.OPERATOR),
        ("reed", Role.AUDITOR),
        ("byte", Role.ENGINEER),
    ):
        person = people[0] if role is None else await sign_in(name, role)
        status, body = await approve(person, proposal)
        assert (status, body["error"]) == (403, "access_role_refused"), name
    assert box.approvals.get(proposal.id).state == "proposed"


async def test_an_old_sign_in_is_asked_again(box, people):
    _, lang = people
    proposal = await propose(box, people)
    session = next(s for s in box.sessions._open.values() if s.account == "lang")
    session.authenticated_ns -= 61 * 10**9
    status, body = await approve(lang, proposal)
    assert (status, body["error"]) == (403, "access_not_fresh")
    async with lang.post("/api/authenticate", json={"password": "not this one"}) as answer:
        assert answer.status == 403
    assert (await approve(lang, proposal))[0] == 403
    async with lang.post("/api/authenticate", json={"password": PASSWORD}) as answer:
        assert answer.status == 200
    assert (await approve(lang, proposal))[0] == 200


async def test_tries_are_on_the_record(box, people):
    _, lang = people
    proposal = await propose(box, people)
    status, body = await approve(lang, proposal, "0" * 64)
    assert (status, body["error"]) == (409, "control_altered")
    assert box.recorder.events[-1][0] == "access.refused"
    assert box.recorder.events[-1][3]["code"] == "control_altered"
    assert (await approve(lang, proposal))[0] == 200
    status, body = await approve(lang, proposal)
    assert (status, body["error"]) == (409, "control_not_open")


async def test_a_proposer_turned_approver_is_still_the_same_person(box, people, sign_in):
    """The account changed its role in between: one person under two roles."""
    from dataclasses import replace

    proposal = await propose(box, people)
    box.accounts._amend("okafor", lambda a: replace(a, role=Role.AUTHORISING_OFFICER))
    again = await sign_in("okafor", Role.AUTHORISING_OFFICER)
    status, body = await approve(again, proposal)
    assert (status, body["error"]) == (403, "control_same_person")


async def test_a_disabled_proposer_takes_the_proposal_along(box, people):
    proposal = await propose(box, people)
    box.accounts.set_disabled("okafor", disabled=True)
    status, body = await approve(people[1], proposal)
    assert (status, body["error"]) == (403, "control_role_changed")


async def test_refusing_and_withdrawing(box, people):
    okafor, lang = people
    first, second = await propose(box, people), await propose(box, people, change={"n": 2})
    async with lang.post(f"/api/approvals/{first.id}/refuse", json={"why": "the wrong list"}) as answer:
        assert (await answer.json())["state"] == "refused"
    async with okafor.post(f"/api/approvals/{second.id}/refuse", json={"why": "mine, a slip"}) as answer:
        assert answer.status == 200
    assert [event[4] for event in box.recorder.events if event[0] == "control.refused"] == [
        "the wrong list",
        "mine, a slip",
    ]
    settled = (await listed(lang))["settled"]
    assert [view["why"] for view in settled] == ["mine, a slip", "the wrong list"]
    assert (await approve(lang, first))[0] == 409
    async with lang.post("/api/approvals/C-1/refuse", json={"why": "nothing"}) as answer:
        assert answer.status == 404


async def test_a_key_is_enrolled_by_two(box, people, tmp_path):
    okafor, lang = people
    key = make_key(tmp_path / "ao.key", None)
    pem = public_path(tmp_path / "ao.key").read_text()
    body = {"purpose": "authority", "name": "Supt A. Example", "public_key": pem}
    async with okafor.post("/api/trust", json=body) as answer:
        assert answer.status == 201
        view = await answer.json()
    assert view["summary"][0] == "Believe authorities for deployments that are signed by Supt A. Example."
    assert key_id(public_bytes(key)) in view["summary"][1]
    status, done = await approve(lang, box.approvals.get(view["id"]))
    assert (status, done["carried_out"]) == (200, True)
    async with lang.get("/api/trust") as answer:
        (enrolled,) = (await answer.json())["keys"]
    assert (enrolled["enrolled_by"], enrolled["approved_by"]) == ("okafor", "lang")
    assert box.recorder.events[-1][0] == "trust.changed"

    async with okafor.post("/api/trust", json=body) as answer:
        assert (answer.status, (await answer.json())["error"]) == (409, "trust_key_known")
    gone = {"purpose": "authority", "key_id": enrolled["key_id"]}
    async with okafor.post("/api/trust/removal", json=gone) as answer:
        view = await answer.json()
    assert (await approve(lang, box.approvals.get(view["id"])))[1]["carried_out"]
    async with lang.get("/api/trust") as answer:
        assert (await answer.json())["keys"] == []
    async with okafor.post("/api/trust/removal", json=gone) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("pem", ["no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
async def test_what_is_no_key(box, people, pem):
    body = {"purpose": "watchlist", "name": "x", "public_key": pem}
    async with people[0].post("/api/trust", json=body) as answer:
        assert answer.status in {400, 409}
        assert (await answer.json())["error"] == "authority_key_unreadable"


async def test_a_change_that_takes_effect_at_once(carry_out, box, people):
    """The service's hook runs after the approval; what fails there is told, and the approval stands."""
    _, lang = people
    seen = []

    async def done(proposal, actor):
        seen.append((proposal.kind, actor.account))
        return True

    async def failing(proposal, actor):
        raise WatchlistError("watchlist_gone", "the list is gone", hint="seal it again")

    carry_out(done)
    assert (await approve(lang, await propose(box, people, "threshold.change")))[1]["carried_out"] is True
    assert seen == [("threshold.change", "lang")]
    carry_out(failing)
    status, body = await approve(lang, await propose(box, people, "retention.change"))
    assert (status, body["carried_out"], body["problem"]) == (200, False, "the list is gone")


@pytest.fixture
def carry_out(monkeypatch):
    """Puts a hook where the service has its own."""
    hooks = []

    async def run(proposal, actor):
        return await hooks[-1](proposal, actor)

    real = ConsolePorts.__init__

    def with_hook(self, *arguments, **named):
        real(self, *arguments, **{**named, "carry_out": run})

    monkeypatch.setattr(ConsolePorts, "__init__", with_hook)
    return hooks.append


async def test_without_a_deployment_the_page_is_empty(box, people, monkeypatch):
    monkeypatch.setattr(ConsolePorts, "approvals", property(lambda self: no_deployment()))
    assert (await listed(people[1]))["closed"] == "deployment_not_started"
    async with people[1].get("/approvals") as answer:
        assert answer.status == 200
        assert "No deployment is open" in await answer.text()
    async with people[1].post("/api/approvals/C-1/approve", json={"sha256": "0" * 64}) as answer:
        assert answer.status == 409


def no_deployment():
    from lfr_edge.errors import DeploymentError

    raise DeploymentError("deployment_not_started", "no deployment is open")


async def test_ports_without_approvals_say_so(box):
    ports = ConsolePorts(
        lambda: box.desk, box.system, box.accounts, box.sessions, box.recorder, None, "Van 3", tls=True
    )
    from lfr_edge.errors import DeploymentError

    with pytest.raises(DeploymentError):
        _ = ports.approvals


def test_every_word_of_the_script_is_written():
    texts = Texts()
    for kind in RULES:
        assert texts(f"js.approvals.kind.{kind}")
    for state in ("expired", "approving", "used", "refused", "void"):
        assert texts(f"js.approvals.state.{state}")
    for code in ("same_person", "role_refused", "role_changed", "expired", "not_open"):
        assert texts(f"js.approvals.why_not.control_{code}")


def test_only_an_authorising_officer_approves():
    rule = load_rules()["POST /api/approvals/{id}/approve"]
    assert rule.roles == {Role.AUTHORISING_OFFICER}
    for kind in RULES.values():
        assert kind.approve == {"authorising_officer"}
        assert kind.propose <= {str(role) for role in load_rules()["GET /approvals"].roles}
