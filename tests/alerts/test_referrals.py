"""The street: one person takes a referral, one outcome closes it, and the receipt leads back to the record."""

from __future__ import annotations

import asyncio

import pytest

from lfr_edge.alerts.alert import Drill, State
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.refusals import AlreadyDecidedError, AlreadyTakenError
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.event import Actor
from lfr_edge.audit.receipt import code_digest, read_code
from lfr_edge.errors import AlertError, AuditError
from tests.alerts.conftest import MILLER, REED
from tests.fakes.box import raised

BAKER = Actor("baker", "engagement_officer", "s8")
SINGH = Actor("singh", "engagement_officer", "s9")
WHY = Factors.of(["features_agree"])
SAME, UNKNOWN = Identity.SAME_PERSON, Identity.NOT_ESTABLISHED


async def referred(desk, number: int = 1):
    alert = await desk.raise_alert(raised(number))
    return await desk.decide(alert.id.token, MILLER, Answer.SAME_PERSON, WHY, "", alert.version)


async def test_one_officer_takes_a_referral(bench):
    async with bench.open() as desk:
        alert = await referred(desk)
        taps = [desk.engage(alert.id.token, who, alert.version) for who in (BAKER, SINGH, BAKER)]
        results = await asyncio.gather(*taps, return_exceptions=True)
        (taken,) = [r for r in results if not isinstance(r, Exception)]
        assert taken.state is State.ENGAGED
        assert taken.engagement.account == "baker"
        assert all(isinstance(r, AlreadyTakenError) and "baker" in r.message for r in results[1:])
        assert bench.recorder.verbs("alert.engaged") == ["alert.engaged"]
        assert [e.kind for e in desk.since(0)][-1] == "engaged"


async def test_nothing_but_a_referral_can_be_taken(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        with pytest.raises(AlertError) as caught:
            await desk.engage(alert.id.token, BAKER, alert.version)
        assert caught.value.code == "alert_wrong_state"
        alert = await referred(desk, 2)
        with pytest.raises(AlertError) as caught:
            await desk.engage(alert.id.token, BAKER, alert.version - 1)
        assert caught.value.code == "alert_changed"


async def test_an_outcome_needs_an_engagement_unless_nobody_was_located(bench):
    async with bench.open() as desk:
        alert = await referred(desk)
        token = alert.id.token
        for outcome, identity, version, code in (
            (Outcome.ARREST, SAME, alert.version, "alert_not_engaged"),
            (Outcome.NOT_LOCATED, SAME, alert.version, "alert_identity_impossible"),
            (Outcome.NOT_LOCATED, UNKNOWN, 0, "alert_changed"),
        ):
            with pytest.raises(AlertError) as caught:
                await desk.record_outcome(token, MILLER, outcome, identity, version)
            assert caught.value.code == code
        closed = await desk.record_outcome(token, MILLER, Outcome.NOT_LOCATED, UNKNOWN, alert.version)
        assert (closed.state, closed.receipt) == (State.CLOSED, None), "nobody was stopped: no receipt"
        for again in (
            desk.record_outcome(token, REED, Outcome.NOT_LOCATED, UNKNOWN, closed.version),
            desk.engage(token, BAKER, closed.version),
        ):
            with pytest.raises(AlreadyDecidedError):
                await again
        with pytest.raises(AlertError) as caught:
            await desk.issue_receipt(token, BAKER)
        assert caught.value.code == "alert_not_engaged"
        assert desk.recent(5) == (closed,)


async def test_what_was_established_is_recorded_beside_what_came_of_it(bench):
    async with bench.open() as desk:
        alert = await referred(desk)
        with pytest.raises(AlertError) as caught:
            await desk.record_outcome("0" * 32, BAKER, Outcome.ARREST, SAME, 1)
        assert caught.value.code == "alert_unknown"
        alert = await desk.engage(alert.id.token, BAKER, alert.version)
        closed = await desk.record_outcome(
            alert.id.token, BAKER, Outcome.NO_ACTION, Identity.DIFFERENT_PERSON, alert.version
        )
        data = next(event[3] for event in bench.recorder.events if event[0] == "alert.outcome")
        assert data == {"number": 1, "outcome": "no_action", "identity": "different_person"}
        assert closed.identity is Identity.DIFFERENT_PERSON
        assert desk.counts().referred == desk.counts().decided == 1


async def test_a_person_who_was_stopped_gets_one_receipt(bench):
    async with bench.open() as desk:
        alert = await referred(desk)
        alert = await desk.engage(alert.id.token, BAKER, alert.version)
        given = await desk.issue_receipt(alert.id.token, BAKER)
        assert (await desk.issue_receipt(alert.id.token, SINGH)).receipt == given.receipt
        closed = await desk.record_outcome(
            alert.id.token, BAKER, Outcome.ARREST, SAME, desk.get(alert.id.token).version
        )
        assert closed.receipt == given.receipt
        (entry,) = [event for event in bench.recorder.events if event[0] == "receipt.issued"]
        assert entry[2] == alert.id.token
        assert entry[3]["code_sha256"] == code_digest(read_code(given.receipt.code.lower()))
        assert given.receipt.code not in str(bench.recorder.events)


async def test_closing_gives_the_receipt_that_nobody_asked_for(bench):
    async with bench.open() as desk:
        alert = await referred(desk)
        alert = await desk.engage(alert.id.token, BAKER, alert.version)
        bench.recorder.fail_on["receipt.issued"] = AuditError("audit_log_failed", "the disk is gone")
        with pytest.raises(AuditError):
            await desk.record_outcome(alert.id.token, BAKER, Outcome.ARREST, SAME, alert.version)
        assert desk.get(alert.id.token).receipt is None, "without a record there is no receipt"
        bench.recorder.fail_on.clear()
        assert (await desk.issue_receipt(alert.id.token, BAKER)).receipt is not None
    async with bench.open() as desk:
        restored = desk.get(alert.id.token)
        assert restored.receipt is not None
        assert restored.engagement.account == "baker"
        assert restored.identity is SAME


@pytest.mark.parametrize("answer", list(Answer))
async def test_a_drill_never_reaches_the_street(bench, answer):
    async with bench.open() as desk:
        drill = await desk.raise_drill(raised(), Drill(Answer.SAME_PERSON, "case-1"))
        ended = await desk.decide(drill.id.token, MILLER, answer, WHY, "", drill.version)
        assert ended.state is State.REVEALED
        assert ended.drill.right is (answer is Answer.SAME_PERSON)
        for act in (
            desk.engage(ended.id.token, BAKER, ended.version),
            desk.record_outcome(ended.id.token, BAKER, Outcome.NOT_LOCATED, UNKNOWN, ended.version),
            desk.issue_receipt(ended.id.token, BAKER),
        ):
            with pytest.raises(AlertError):
                await act
        assert desk.book.on_the_street(10) == ()
        assert not bench.recorder.verbs("alert")
