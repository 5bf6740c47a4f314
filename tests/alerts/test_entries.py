"""The record is the truth: whatever SQLite lost or never heard, a start brings back."""

from __future__ import annotations

import random
import shutil
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from lfr_edge.alerts.alert import DeskPolicy, Drill, State
from lfr_edge.alerts.desk import AlertDesk, AlreadyDecidedError
from lfr_edge.alerts.entries import UNKNOWN_REFERENCE
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.record import LogRecorder
from lfr_edge.alerts.store import AlertStore
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.verify import verify
from lfr_edge.errors import AlertError, AuditError
from tests.alerts.conftest import MILLER, OKAFOR, REED
from tests.fakes.box import KEY, ManualClock, raised

POLICY = DeskPolicy(looks=2, disagreement="third_look", max_open=6)
WHY = Factors.of(["features_agree"], ["both_clear"], ["motion"])


SAME, DIFFERENT = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON
NOT_LOCATED, NOT_ESTABLISHED = Outcome.NOT_LOCATED, Identity.NOT_ESTABLISHED


class KilledError(Exception):
    pass


class Van:
    """A desk on a real log that can be killed between any two writes and started again."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.clock = ManualClock()
        store = FileKeyStore(folder / "keys")
        device = device_keys(store, "van.example/device", self.clock)
        keys = deployment_keys(store, device, "van.example/1", self.clock)
        self.log = AuditLog.create(folder / "log", "van.example/1", keys, self.clock)

    @asynccontextmanager
    async def desk(self):
        store = AlertStore(self.folder / "alerts.sqlite")
        material = AlertMaterial(self.folder / "material", KEY)
        desk = AlertDesk(store, material, LogRecorder(self.log), self.clock, POLICY)
        references = {material.reference_code(f"W-{n:04d}"): f"W-{n:04d}" for n in range(1, 60)}
        await desk.start((entry for _, entry in self.log.entries()), references)
        try:
            yield desk
        finally:
            await desk.stop()
            store.close()
            material.close()

    def lose_sqlite(self) -> None:
        for path in self.folder.glob("alerts.sqlite*"):
            path.unlink()


@pytest.fixture
def van(tmp_path):
    van = Van(tmp_path)
    yield van
    van.log.suspend()


def story(desk) -> dict:
    """What must survive, whatever happened to SQLite."""
    return {
        a.id.token: (
            a.id.number, a.state, a.outcome, a.identity, a.engagement and a.engagement.account,
            a.facts.reference, a.facts.score, a.facts.requested_response,
            a.pictures_erased, a.offered_wall_ns is not None,
            tuple((x.account, x.answer, x.factors, x.note, x.took_ms) for x in a.looks),
        )
        for a in desk.book if a.state is not State.SUPPRESSED and a.drill is None
    }  # fmt: skip


async def live_a_while(desk, clock, chance: random.Random, steps: int) -> None:
    for _ in range(steps):
        act = chance.choice(["raise", "look", "look", "look", "drill", "outcome", "wait"])
        if act == "raise":
            await desk.raise_alert(raised(chance.randrange(1, 50)))
        elif act == "drill":
            await desk.raise_drill(raised(900), Drill(chance.choice([SAME, DIFFERENT]), "case-1"))
        elif act == "look" and desk.open_alerts():
            alert = chance.choice(desk.open_alerts())
            actor = chance.choice([MILLER, REED, OKAFOR])
            if not alert.looked(actor.account):
                answer = chance.choice(list(Answer))
                await desk.decide(alert.id.token, actor, answer, WHY, "seen from the left", alert.version)
        elif act == "outcome":
            for alert in desk.recent(50):
                if alert.state is State.REFERRED:
                    token = alert.id.token
                    if chance.random() < 0.5:
                        await desk.record_outcome(token, MILLER, NOT_LOCATED, NOT_ESTABLISHED, alert.version)
                    else:
                        alert = await desk.engage(token, REED, alert.version)
                        if chance.random() < 0.7:
                            await desk.record_outcome(
                                token, REED, Outcome.ARREST, Identity.SAME_PERSON, alert.version
                            )
        elif act == "wait":
            clock.pass_s(chance.choice([1, 20, 200, 700]))
            await desk.tick()


@pytest.mark.parametrize("seed", range(4))
async def test_a_lost_or_old_database_is_rebuilt_from_the_record(van, tmp_path, seed):
    chance = random.Random(seed)
    async with van.desk() as desk:
        await live_a_while(desk, van.clock, chance, 25)
    shutil.copy(tmp_path / "alerts.sqlite", tmp_path / "old.sqlite")
    async with van.desk() as desk:
        await live_a_while(desk, van.clock, chance, 40)
        before = story(desk)
        assert len(before) > 3
    van.lose_sqlite()
    shutil.copy(tmp_path / "old.sqlite", tmp_path / "alerts.sqlite")
    async with van.desk() as desk:
        assert story(desk) | before == story(desk)
    van.lose_sqlite()
    async with van.desk() as desk:
        after = story(desk)
        # What SQLite alone knew of held-back alerts is offered again; everything the record knows is the same.
        assert {token: after[token] for token in before} == before
    report = verify(van.folder / "log")
    assert report.intact
    assert not [f for f in report.findings if "twice" in f.code]


async def test_a_drill_whose_answer_was_recorded_is_answered(van):
    async with van.desk() as desk:
        drill = await desk.raise_drill(raised(1), Drill(DIFFERENT, "case-1"))
        await desk.decide(drill.id.token, MILLER, SAME, WHY, "", drill.version)

        def killed(*_):
            raise KilledError

        desk._store._put = killed
        version = desk.get(drill.id.token).version
        with pytest.raises(KilledError):
            await desk.decide(drill.id.token, REED, SAME, WHY, "", version)
    async with van.desk() as desk:
        restored = desk.get(drill.id.token)
        assert restored.state is State.REVEALED
        assert restored.drill.right is False
        assert len(restored.looks) == 2
    van.lose_sqlite()
    async with van.desk() as desk:
        assert drill.id.token not in desk.book, "a drill that SQLite lost is no loss"
        assert desk._material.tokens() == frozenset()
    assert not [f for f in verify(van.folder / "log").findings if f.code.startswith("alert_")]


async def test_a_recorded_decision_counts_even_if_nobody_was_told(van):
    async with van.desk() as desk:
        alert = await desk.raise_alert(raised(1))
        await desk.decide(alert.id.token, MILLER, Answer.SAME_PERSON, WHY, "", alert.version)
        alert = desk.get(alert.id.token)

        def killed(*_):
            raise KilledError

        desk._store._put = killed
        with pytest.raises(KilledError):
            await desk.decide(alert.id.token, REED, Answer.SAME_PERSON, WHY, "", alert.version)
    async with van.desk() as desk:
        restored = desk.get(alert.id.token)
        assert restored.state is State.REFERRED
        assert [look.account for look in restored.looks] == ["miller", "reed"]
        with pytest.raises(AlreadyDecidedError):
            await desk.decide(alert.id.token, OKAFOR, Answer.DIFFERENT_PERSON, WHY, "", restored.version)
        assert desk.feed.since(desk.feed.cursor - 1)[0].kind == "restored"


@pytest.mark.parametrize(
    ("answers", "end"),
    [((SAME, SAME), State.REFERRED), ((DIFFERENT, DIFFERENT), State.NOT_REFERRED), ((SAME, DIFFERENT), None)],
)
async def test_a_kill_between_the_last_look_and_the_decision_asks_nobody_again(van, answers, end):
    async with van.desk() as desk:
        alert = await desk.raise_alert(raised(1))
        await desk.decide(alert.id.token, MILLER, answers[0], WHY, "", alert.version)
        real, version = desk._recorder.record, desk.get(alert.id.token).version

        def killed(ev, **fields):
            if ev == "alert.decided":
                raise KilledError
            return real(ev, **fields)

        def lost(*_):
            raise KilledError

        desk._recorder.record, desk._store._put = killed, lost
        with pytest.raises(KilledError):
            await desk.decide(alert.id.token, REED, answers[1], WHY, "", version)
    for _ in range(2):  # the second start finds nothing left to decide
        async with van.desk() as desk:
            assert desk.get(alert.id.token).state is (end or State.THIRD_LOOK)
            assert [look.account for look in desk.get(alert.id.token).looks] == ["miller", "reed"]
    decided = [entry.event for _, entry in van.log.entries() if entry.event.ev == "alert.decided"]
    assert [event.data["result"] for event in decided] == ([str(end)] if end else [])
    assert not [f for f in verify(van.folder / "log").findings if f.code.startswith("alert_")]


async def test_control_without_the_record_the_same_crash_decides_twice(van):
    """The guard is the record: a start that does not read it would let a second decision in."""
    async with van.desk() as desk:
        alert = await desk.raise_alert(raised(1))
        await desk.decide(alert.id.token, MILLER, Answer.SAME_PERSON, WHY, "", alert.version)
    store = AlertStore(van.folder / "alerts.sqlite")
    material = AlertMaterial(van.folder / "material", KEY)
    (kept,), _ = await store.load(1)
    await store.forget(kept.id.token)
    await store.put(replace(kept, looks=(), state=State.OFFERED, version=2), None)
    blind = AlertDesk(store, material, LogRecorder(van.log), van.clock, POLICY)
    await blind.start()
    again = await blind.decide(alert.id.token, MILLER, Answer.DIFFERENT_PERSON, WHY, "", 2)
    assert len(again.looks) == 1
    await blind.stop()
    store.close()


@pytest.mark.parametrize("when", ["before_record", "after_record"])
async def test_a_kill_around_the_record_loses_no_alert(van, when):
    async with van.desk() as desk:
        real = desk._recorder.record

        def killed(ev, **fields):
            if ev == ("alert.raised" if when == "before_record" else "alert.offered"):
                raise KilledError
            return real(ev, **fields)

        desk._recorder.record = killed
        with pytest.raises(KilledError):
            await desk.raise_alert(raised(3))
    async with van.desk() as desk:
        (alert,) = desk.open_alerts()
        assert alert.facts.reference == "W-0003"
        assert await desk.picture(alert.id.token, MILLER, "probe") == raised(3).probe_jpeg
    verbs = [entry.event.ev for _, entry in van.log.entries()]
    assert verbs.count("alert.raised") == 1
    assert verbs.count("alert.offered") == 1


async def test_a_refused_record_leaves_nothing_behind(van):
    async with van.desk() as desk:

        def refused(ev, **fields):
            raise AuditError("audit_disk_full", f"{ev} is refused")

        desk._recorder.record = refused
        with pytest.raises(AuditError):
            await desk.raise_alert(raised(3))
        assert desk._material.tokens() == frozenset()
    async with van.desk() as desk:
        assert list(desk.book) == []


async def test_a_reference_that_left_the_list_is_said_to_be_unknown(van):
    async with van.desk() as desk:
        alert = await desk.raise_alert(raised(77))
    van.lose_sqlite()
    async with van.desk() as desk:
        assert desk.get(alert.id.token).facts.reference == UNKNOWN_REFERENCE
        with pytest.raises(AlertError):
            desk.get("0" * 32)
