"""Holds: by two persons, in whichever record is open, until a date or a release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lfr_edge.alerts.alert import DeskPolicy
from lfr_edge.audit.event import Actor
from lfr_edge.audit.verify import verify
from lfr_edge.deployment.control.approvals import ControlError
from lfr_edge.deployment.keeping.holds import HoldAsk, Holds
from lfr_edge.errors import AlertError, AuditError, DeploymentError
from tests.alerts.conftest import Bench as DeskBench
from tests.deployment.conftest import Van
from tests.deployment.test_sweeper import HOUR_S, NAME, Bench, Recorder
from tests.deployment.test_sweeper import bench as bench
from tests.fakes.box import raised

ASKER = Actor("okafor", "deployment_officer", "s1")
BOSS = Actor("singh", "authorising_officer", "s2")
ROLES = {"okafor": "deployment_officer", "singh": "authorising_officer", "both": "authorising_officer"}


def holds_of(bench: Bench, desk: Any = None, running: str = NAME) -> Holds:
    return Holds(
        bench.sweeper(),
        Recorder(bench.van),
        bench.van.clock,
        store=bench.settings.data / "hold-approvals.json",
        most_days=92,
        role_of=ROLES.get,
        desk_now=lambda: (running, desk) if desk is not None else None,
    )


def ask(token: str, **changes: Any) -> HoldAsk:
    asked = {"deployment": NAME, "token": token, "ground": "complaint", "reason": "IX/12/25", "days": 30}
    return HoldAsk(**(asked | changes))


async def place(holds: Holds, token: str, **changes: Any):
    proposal = holds.propose(ask(token, **changes), ASKER)
    now = holds._clock.monotonic_ns()
    return await holds.approve(proposal.id, proposal.sha256, BOSS, now)


async def test_a_hold_on_a_closed_deployment_by_two_persons_in_the_boxs_log(bench: Bench) -> None:
    story, (token, other) = bench.deployment()
    story.close()
    holds = holds_of(bench)
    bench.van.clock.advance(HOUR_S)
    kept = await place(holds, token)
    assert kept.alert.hold is not None
    assert (kept.alert.hold.requester, kept.alert.hold.authoriser) == ("okafor", "singh")
    assert kept.alert.hold.reason == "complaint: IX/12/25"
    (entry,) = bench.said("alert.held")
    assert entry.actor == BOSS
    assert entry.data["origin"] == story.log.origin
    proposed, approved = bench.said("control.")
    assert (proposed.ev, approved.ev) == ("control.proposed", "control.approved")
    assert entry.data["change"] == proposed.ref == approved.ref
    assert entry.data["sha256"] == approved.data["sha256"]
    bench.van.clock.advance(30 * HOUR_S)
    bench.sweep()
    assert bench.material.tokens() == {token}
    bench.van.clock.advance(30 * 24 * HOUR_S)
    bench.sweep()
    assert bench.material.tokens() == frozenset(), "an expired hold erases"
    assert {event.ref for event in bench.said("alert.erased")} == {token, other}
    assert verify(bench.settings.audit).intact


async def test_a_release_lets_retention_go_on(bench: Bench) -> None:
    story, (token, other) = bench.deployment()
    story.close()
    holds = holds_of(bench)
    await place(holds, token)
    bench.van.clock.advance(50 * HOUR_S)
    await holds.release(NAME, token, ASKER, "case closed")
    assert [event.why for event in bench.said("alert.released")] == ["case closed"]
    assert holds.kept()[0].alert.hold is None
    with pytest.raises(DeploymentError) as caught:
        await holds.release(NAME, token, ASKER, "again")
    assert caught.value.code == "hold_not_held"
    bench.sweep()
    assert bench.material.tokens() == frozenset()
    with pytest.raises(DeploymentError) as caught:
        holds.propose(ask(other), ASKER)
    assert caught.value.code == "hold_unknown"


async def test_nobody_holds_alone(bench: Bench) -> None:
    story, (token, _) = bench.deployment()
    story.close()
    holds = holds_of(bench)
    proposal = holds.propose(ask(token), ASKER)
    now = bench.van.clock.monotonic_ns()
    for person, code in (
        (ASKER, "control_same_person"),
        (Actor("miller", "operator"), "control_role_changed"),
    ):
        with pytest.raises(ControlError) as caught:
            await holds.approve(proposal.id, proposal.sha256, person, now)
        assert caught.value.code == code
    with pytest.raises(ControlError) as caught:
        await holds.approve(proposal.id, "0" * 64, BOSS, now)
    assert caught.value.code == "control_altered"
    with pytest.raises(ControlError) as caught:
        await holds.approve(proposal.id, proposal.sha256, BOSS, now - 61 * 10**9)
    assert caught.value.code == "control_stale_sign_in"
    assert holds.waiting() == (proposal,)
    holds.refuse(proposal.id, BOSS, "no case number")
    assert holds.waiting() == ()
    assert holds.kept()[0].alert.hold is None
    assert not bench.said("alert.held")


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""}, {"reason": "   "}, {"reason": "a\nb c"}, {"reason": "x" * 301}, {"ground": "curiosity"},
        {"days": 0}, {"days": 93}, {"days": -5},
    ],
)  # fmt: skip
def test_a_hold_needs_ground_reason_and_end(bench: Bench, changes: dict[str, Any]) -> None:
    story, (token, _) = bench.deployment()
    story.close()
    with pytest.raises(DeploymentError) as caught:
        holds_of(bench).propose(ask(token, **changes), ASKER)
    assert caught.value.code == "hold_invalid"
    holds_of(bench).propose(ask(token), ASKER)


async def test_pictures_that_went_meanwhile_are_not_held(bench: Bench) -> None:
    story, (token, _) = bench.deployment()
    story.close()
    holds = holds_of(bench)
    bench.van.clock.advance(23.95 * HOUR_S)
    proposal = holds.propose(ask(token), ASKER)
    bench.van.clock.advance(0.1 * HOUR_S)
    bench.sweep()
    with pytest.raises(DeploymentError) as caught:
        await holds.approve(proposal.id, proposal.sha256, BOSS, bench.van.clock.monotonic_ns())
    assert caught.value.code == "hold_unknown"
    assert not bench.said("alert.held")


async def test_a_record_that_refuses_holds_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    story, (token, _) = bench.deployment()
    story.close()
    holds = holds_of(bench)
    real = Recorder.record

    def refusing(self: Recorder, ev: Any, **more: Any) -> int:
        if ev == "alert.held":
            raise AuditError("audit_log_failed", "the log is dead")
        return real(self, ev, **more)

    monkeypatch.setattr(Recorder, "record", refusing)
    with pytest.raises(AuditError):
        await place(holds, token)
    assert holds.kept()[0].alert.hold is None


class _Both:
    """The desk's record is the deployment's log, as in life."""

    def __init__(self, story: Any) -> None:
        self.story = story

    def record(self, ev: Any, *, actor: Any, ref: str, data: Any, why: str) -> int:
        from lfr_edge.audit.event import SYSTEM, Event

        return self.story.log.append(Event(ev, actor or SYSTEM, ref, data, why)).seq


async def test_a_hold_on_the_running_deployment_goes_over_its_desk(van: Van, bench: Bench) -> None:
    story = van.deployment(NAME)
    story.open(people=5)
    table = DeskBench(bench.folder)
    table.recorder = _Both(story)  # type: ignore[assignment]
    table.clock.wall, table.clock.mono = van.clock.wall, van.clock.mono
    async with table.open(DeskPolicy(alert_images_h=24)) as desk:
        alert = await desk.raise_alert(raised(1))
        token = alert.id.token
        holds = holds_of(bench, desk)
        with pytest.raises(AlertError):
            await desk.release(token, BOSS, "not held")
        kept = await place(holds, token)
        assert kept.alert.hold is not None
        hold = desk.get(token).hold
        assert hold is not None
        assert hold.authoriser == "singh"
        assert not bench.said("alert.held"), "its own log is open"
        table.clock.pass_s(50 * HOUR_S)
        await desk.tick()
        assert not desk.get(token).pictures_erased
        await holds.release(NAME, token, ASKER, "case closed")
        await desk.tick()
        assert desk.get(token).pictures_erased
        with pytest.raises(AlertError) as caught:
            await desk.hold(token, BOSS, hold)
        assert caught.value.code == "alert_pictures_erased"
    assert holds.kept() == ()


async def test_a_lost_table_costs_no_hold(van: Van, bench: Bench) -> None:
    """The record brings the alert back, and its hold with it."""
    story = van.deployment(NAME)
    story.open(people=5)
    table = DeskBench(bench.folder)
    table.recorder = _Both(story)  # type: ignore[assignment]
    async with table.open(DeskPolicy()) as desk:
        token = (await desk.raise_alert(raised(1))).id.token
        await place(holds_of(bench, desk), token)
    for path in bench.folder.glob("alerts.sqlite*"):
        path.unlink()
    from lfr_edge.alerts.desk import AlertDesk
    from lfr_edge.alerts.material import AlertMaterial
    from lfr_edge.alerts.store import AlertStore
    from tests.fakes.box import KEY

    store = AlertStore(bench.folder / "alerts.sqlite")
    desk = AlertDesk(
        store, AlertMaterial(bench.folder / "material", KEY), table.recorder, table.clock, DeskPolicy()
    )
    await desk.start((entry for _, entry in story.log.entries()), {})
    try:
        hold = desk.get(token).hold
        assert hold is not None
        assert (hold.authoriser, hold.reason) == ("singh", "complaint: IX/12/25")
        table.clock.pass_s(50 * HOUR_S)
        await desk.tick()
        assert not desk.get(token).pictures_erased
    finally:
        await desk.stop()
        store.close()


def test_what_is_kept_is_listed_with_its_end(bench: Bench) -> None:
    story, tokens = bench.deployment()
    listed = holds_of(bench).kept()
    assert [one.alert.number for one in listed] == [1, 2]
    assert {one.alert.token for one in listed} == set(tokens)
    assert listed[0].due_wall_ns == listed[0].alert.raised_us * 1000 + 24 * HOUR_S * 10**9
    assert isinstance(bench.folder, Path)
    assert story.log.origin == listed[0].origin


async def test_an_interrupted_deployment_waits_for_its_desk(bench: Bench) -> None:
    """Its desk reads its own log only: a hold in the box's log would not keep it from erasing."""
    story, (token, _) = bench.deployment()
    story.say(
        "alert.held",
        ref=token,
        actor=BOSS,
        why="x",
        number=1,
        expires_s=bench.van.clock.wall_ns() // 10**9 + 10,
    )
    holds = holds_of(bench)
    for attempt in (lambda: holds.propose(ask(token), ASKER), None):
        with pytest.raises(DeploymentError) as caught:
            attempt() if attempt is not None else await holds.release(NAME, token, ASKER, "why")
        assert caught.value.code == "hold_interrupted"
    story.close()
    await holds.release(NAME, token, ASKER, "closed now")
