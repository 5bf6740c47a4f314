from __future__ import annotations

import asyncio
import sqlite3

import pytest

from lfr_edge.alerts import desk as desk_room
from lfr_edge.alerts.alert import DeskPolicy, Hold, State
from lfr_edge.alerts.desk import AlreadyDecidedError
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.errors import AlertError, AuditError
from tests.alerts.conftest import MILLER, OKAFOR, REED
from tests.fakes.box import raised
from tests.waiting import until

SAME, DIFFERENT, UNSURE = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON, Answer.CANNOT_JUDGE
WHY = Factors.of(["features_agree"], ["both_clear"])


async def decide(desk, alert, actor=MILLER, answer=SAME, version=None):
    return await desk.decide(
        alert.id.token, actor, answer, WHY, "clear", alert.version if version is None else version
    )


async def test_an_alert_is_recorded_before_it_is_offered(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        assert bench.recorder.verbs() == ["alert.raised", "alert.offered"]
        assert alert.state is State.OFFERED
        assert [e.kind for e in desk.since(0)] == ["offered"]
        data = bench.recorder.events[0][3]
        assert data["score_e4"] == 6217
        assert "W-0001" not in str(bench.recorder.events)
        assert all(isinstance(v, int | str) for v in data.values())


async def test_without_a_record_nobody_sees_the_alert(bench):
    """Positive control of the order: the log refuses, so no page may ever hear of it."""
    bench.recorder.fail_on["alert.raised"] = AuditError("audit_log_failed", "the disk is gone")
    async with bench.open() as desk:
        with pytest.raises(AuditError):
            await desk.raise_alert(raised())
        assert desk.open_alerts() == ()
        assert desk.since(0) == ()


async def test_without_a_record_a_decision_does_not_stand(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        bench.recorder.fail_on["alert.looked"] = AuditError("audit_log_failed", "the disk is gone")
        with pytest.raises(AuditError):
            await decide(desk, alert)
        assert desk.get(alert.id.token) == alert
        bench.recorder.fail_on.clear()
        assert (await decide(desk, alert)).state is State.REFERRED


async def test_two_operators_and_double_clicks_make_one_decision(bench):
    async with bench.open() as desk:
        alerts = await asyncio.gather(*(desk.raise_alert(raised(n)) for n in range(1, 31)))
        clicks = [
            decide(desk, alert, actor, answer)
            for alert in alerts
            for actor, answer in ((MILLER, SAME), (REED, DIFFERENT), (MILLER, SAME), (OKAFOR, UNSURE))
        ]
        results = await asyncio.gather(*clicks, return_exceptions=True)
        winners = [r for r in results if not isinstance(r, Exception)]
        losers = [r for r in results if isinstance(r, Exception)]
        assert len(winners) == 30
        assert all(isinstance(r, AlreadyDecidedError) and r.winner.looks for r in losers)
        assert bench.recorder.verbs("alert.decided") == ["alert.decided"] * 30
        assert desk.counts().decided == 30
        assert len({a.id.number for a in alerts}) == 30


async def test_an_answer_needs_a_reason(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        with pytest.raises(AlertError) as caught:
            await desk.decide(alert.id.token, MILLER, SAME, Factors(), "", alert.version)
        assert caught.value.code == "alert_reason_missing"


async def test_a_stale_version_is_refused(bench):
    async with bench.open(DeskPolicy(looks=2)) as desk:
        alert = await desk.raise_alert(raised())
        await decide(desk, alert)
        with pytest.raises(AlertError) as caught:
            await decide(desk, alert, REED)
        assert caught.value.code == "alert_changed"


@pytest.mark.parametrize(
    ("answers", "disagreement", "end"),
    [
        ((SAME, SAME), "not_referred", State.REFERRED),
        ((DIFFERENT, DIFFERENT), "third_look", State.NOT_REFERRED),
        ((SAME, UNSURE), "not_referred", State.NOT_REFERRED),
        ((SAME, DIFFERENT, SAME), "third_look", State.REFERRED),
        ((SAME, DIFFERENT, UNSURE), "third_look", State.NOT_REFERRED),
    ],
)
async def test_looks_lead_where_the_policy_says(bench, answers, disagreement, end):
    async with bench.open(DeskPolicy(looks=2, disagreement=disagreement)) as desk:
        alert = await desk.raise_alert(raised())
        for actor, answer in zip((MILLER, REED, OKAFOR), answers, strict=False):
            alert = await decide(desk, alert, actor, answer)
        assert alert.state is end
        assert len(alert.looks) == len(answers)


async def test_nobody_looks_twice(bench):
    async with bench.open(DeskPolicy(looks=2)) as desk:
        alert = await decide(desk, await desk.raise_alert(raised()))
        with pytest.raises(AlertError) as caught:
            await decide(desk, alert)
        assert caught.value.code == "alert_second_look_by_same_person"


async def test_turns_pass_at_15_s_escalate_at_30_s_and_expire(bench):
    async with bench.open() as desk:
        desk.turns.arrive("miller")
        desk.turns.arrive("reed")
        alert = await desk.raise_alert(raised())
        first = alert.assigned_to
        bench.clock.pass_s(14)
        await desk.tick()
        assert desk.get(alert.id.token).assigned_to == first
        bench.clock.pass_s(2)
        await desk.tick()
        second = desk.get(alert.id.token)
        assert second.assigned_to in {"miller", "reed"} - {first}
        bench.clock.pass_s(15)
        await desk.tick()
        third = desk.get(alert.id.token)
        assert third.escalated
        assert third.assigned_to is None
        assert third.version == alert.version, "an answer under way must still count"
        await desk.tick()
        assert [e.kind for e in desk.since(0)] == ["offered", "assigned", "escalated"]
        bench.clock.pass_s(600)
        await desk.tick()
        ended = desk.get(alert.id.token)
        assert ended.state is State.EXPIRED_UNREVIEWED
        assert desk.counts().expired == 1
        with pytest.raises(AlreadyDecidedError, match="the clock"):
            await decide(desk, alert)


async def test_a_lone_operator_keeps_the_turn(bench):
    async with bench.open() as desk:
        desk.turns.arrive("miller")
        desk.turns.arrive("miller")
        desk.turns.leave("miller")
        alert = await desk.raise_alert(raised())
        bench.clock.pass_s(16)
        await desk.tick()
        assert desk.get(alert.id.token).assigned_to == "miller"
        assert [e.kind for e in desk.since(0)] == ["offered"]
        desk.turns.leave("miller")
        assert desk.turns.present == frozenset()


async def test_a_flood_is_held_back_counted_and_offered_as_the_desk_drains(bench):
    async with bench.open(DeskPolicy(max_open=5)) as desk:
        await asyncio.gather(*(desk.raise_alert(raised(n)) for n in range(1, 21)))
        counts = desk.counts()
        assert (counts.raised, counts.offered, counts.suppressed) == (20, 5, 15)
        shown = 0
        while desk.open_alerts():
            await decide(desk, desk.open_alerts()[0], answer=DIFFERENT)
            counts = desk.counts()
            assert counts.raised == counts.offered + counts.suppressed
            shown += 1
        assert shown == 20
        assert desk.counts().suppressed == 0


async def test_held_back_alerts_expire_loudly(bench):
    async with bench.open(DeskPolicy(max_open=1)) as desk:
        await desk.raise_alert(raised(1))
        await desk.raise_alert(raised(2))
        bench.clock.pass_s(601)
        await desk.tick()
        assert desk.counts().expired == 2
        assert desk.counts().suppressed == 1
        assert bench.recorder.verbs("alert.suppressed") == ["alert.suppressed"]


async def test_a_view_of_a_picture_is_recorded_first(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        assert await desk.picture(alert.id.token, MILLER, "probe") == raised().probe_jpeg
        assert await desk.picture(alert.id.token, MILLER, "candidate") == raised().candidate_jpeg
        assert bench.recorder.verbs("evidence") == ["evidence.viewed"] * 2
        bench.recorder.fail_on["evidence.viewed"] = AuditError("audit_log_failed", "the disk is gone")
        with pytest.raises(AuditError):
            await desk.picture(alert.id.token, MILLER, "probe")
        with pytest.raises(AlertError) as caught:
            await desk.picture("0" * 32, MILLER, "probe")
        assert caught.value.code == "alert_unknown"


async def test_pictures_go_when_their_time_is_over_unless_held(bench):
    async with bench.open() as desk:
        kept = await desk.raise_alert(raised(1))
        gone = await desk.raise_alert(raised(2))
        hold = Hold("complaint 14/26", "okafor", bench.clock.wall + 48 * 3600 * 10**9)
        await desk.hold(kept.id.token, OKAFOR, hold)
        bench.clock.pass_s(23.9 * 3600)
        await desk.tick()
        assert not desk.get(gone.id.token).pictures_erased
        bench.clock.pass_s(0.2 * 3600)
        bench.clock.wall -= 20 * 3600 * 10**9  # a clock set back keeps nothing longer
        await desk.tick()
        assert desk.get(gone.id.token).pictures_erased
        assert not desk.get(kept.id.token).pictures_erased
        with pytest.raises(AlertError) as caught:
            await desk.picture(gone.id.token, MILLER, "probe")
        assert caught.value.code == "alert_pictures_erased"
        bench.clock.pass_s(48 * 3600)
        await desk.tick()
        assert desk.get(kept.id.token).pictures_erased
        assert bench.recorder.verbs("alert.erased") == ["alert.erased"] * 2


async def test_a_restart_loses_nothing_and_cursors_go_on(bench):
    async with bench.open(DeskPolicy(looks=2)) as desk:
        first = await decide(desk, await desk.raise_alert(raised(1)))
        second = await desk.raise_alert(raised(2))
        cursor = desk.feed.cursor
    async with bench.open(DeskPolicy(looks=2)) as desk:
        assert desk.get(first.id.token) == first
        assert desk.get(second.id.token) == second
        assert desk.feed.cursor == cursor
        third = await desk.raise_alert(raised(3))
        assert third.id.number == 3
        assert [e.token for e in desk.since(cursor)] == [third.id.token]
        assert (await decide(desk, first, REED)).state is State.REFERRED


async def test_a_crash_between_record_and_offer_is_healed(bench):
    bench.recorder.fail_on["alert.offered"] = AuditError("audit_log_failed", "killed here")
    async with bench.open() as desk:
        with pytest.raises(AuditError):
            await desk.raise_alert(raised())
    bench.recorder.fail_on.clear()
    stray = bench.folder / "material" / f"{'ab' * 16}.sealed"
    stray.write_bytes(b"left by a crash before the record")
    async with bench.open() as desk:
        (alert,) = desk.open_alerts()
        assert alert.state is State.OFFERED
        assert not stray.exists()
        assert "alert.erased" in bench.recorder.verbs()


async def test_when_sqlite_fails_the_recorded_decision_still_stands(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())

        def broken(*_):
            raise sqlite3.OperationalError("disk I/O error")

        desk._store._put = broken
        with pytest.raises(AlertError) as caught:
            await decide(desk, alert)
        assert caught.value.code == "alert_store_failed"
        del desk._store._put
        with pytest.raises(AlreadyDecidedError):
            await decide(desk, alert, REED, DIFFERENT)


async def test_a_browser_that_goes_away_leaves_a_whole_decision(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        task = asyncio.ensure_future(decide(desk, alert))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: desk.counts().decided)
        assert bench.recorder.verbs("alert.decided") == ["alert.decided"]
        assert [e.kind for e in desk.since(0)][-1:] in (["decided"], ["offered"])


async def test_a_deadline_that_fails_once_is_kept_at_the_next_tick(bench, monkeypatch):
    """The ticker does not die of one refusal: what is due stays due, and is done when the disk is there again."""
    monkeypatch.setattr(desk_room, "_TICK_S", 0.01)
    bench.recorder.fail_on["alert.expired"] = AuditError("audit_disk_full", "no room")
    async with bench.open(DeskPolicy()) as desk:
        alert = await desk.raise_alert(raised())
        record, tries = bench.recorder.record, []

        def recorded(ev, **fields):
            if ev == "alert.expired" and ev in bench.recorder.fail_on:
                tries.append(ev)
            return record(ev, **fields)

        monkeypatch.setattr(bench.recorder, "record", recorded)
        bench.clock.pass_s(7200)
        while not tries:
            await asyncio.sleep(0.01)
        assert desk.get(alert.id.token).undecided
        del bench.recorder.fail_on["alert.expired"]
        while desk.get(alert.id.token).undecided:
            await asyncio.sleep(0.01)
        assert desk.get(alert.id.token).state is State.EXPIRED_UNREVIEWED
