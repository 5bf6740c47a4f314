"""A kill at every step of an approval: what was interrupted is a no or is finished once, and the verifier agrees."""

from __future__ import annotations

from contextlib import suppress

import pytest

from lfr_edge.alerts.record import Actor
from lfr_edge.deployment.control import proposal_store, trust
from lfr_edge.deployment.control.approvals import ControlError
from lfr_edge.deployment.control.trust import TrustStore
from tests.deployment.test_approvals_machine import Verifier
from tests.deployment.two_persons import CHANGE, Scene
from tests.fakes.authority import KEY, public_bytes

STEPS = (
    6  # two writes and a record for the approval and its proposal, a write for the use; more change nothing
)


class Kill(BaseException):
    pass


class Killer:
    """Dies at the nth durable step, before it or after it."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left, self.after, self.seen = at, after, 0

    def around(self, step):
        def run(*arguments, **named):
            self.seen += 1
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Kill
            done = step(*arguments, **named)
            if self.left == 0:
                raise Kill
            return done

        return run


@pytest.fixture(autouse=True)
def no_platter(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)


def whole_life(scene: Scene) -> None:
    """Propose, approve, use, and the entry of the effect."""
    proposal = scene.approvals.propose(scene.kind, {"n": 2}, scene.actor("okafor"), ("Do.",))
    scene.approvals.approve(proposal.id, proposal.sha256, scene.actor("lang"), scene.clock.mono)
    effect(scene)


def effect(scene: Scene) -> None:
    used = scene.approvals.use(scene.kind, {"n": 2})
    scene.recorder.record("threshold.changed", actor=Actor("system", "system"), ref="", data=used, why="")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, STEPS + 2))
def test_a_kill_at_any_step(tmp_path, monkeypatch, step, after):
    scene = Scene(tmp_path, "threshold.change")
    scene.recorder = recorder = Verifier(scene.clock)
    scene.start()
    killer = Killer(step, after=after)
    monkeypatch.setattr(proposal_store, "write_new", killer.around(proposal_store.write_new))
    monkeypatch.setattr(recorder, "record", killer.around(recorder.record))
    with suppress(Kill):
        whole_life(scene)
    scene.start()  # the next process
    uses = len(recorder.duty.report())
    for _ in range(2):
        with suppress(ControlError):
            effect(scene)
            uses += 1
    assert uses <= 1, "an approval worked twice"
    assert all(change.ok for change in recorder.duty.report())
    assert not list(recorder.duty.reservations())
    # And nothing is stuck: the honest way works again with a fresh proposal.
    for proposal in scene.approvals.all():
        if proposal.state in {"proposed", "approved"} and proposal.change == {"n": 2}:
            scene.approvals.refuse(proposal.id, scene.actor("okafor"), "interrupted")
    whole_life(scene)
    assert recorder.duty.report()[-1].ok


def test_the_steps_are_all_of_them(tmp_path, monkeypatch):
    scene = Scene(tmp_path, "threshold.change")
    scene.recorder = Verifier(scene.clock)
    scene.start()
    killer = Killer(10**6, after=False)
    monkeypatch.setattr(proposal_store, "write_new", killer.around(proposal_store.write_new))
    monkeypatch.setattr(scene.recorder, "record", killer.around(scene.recorder.record))
    whole_life(scene)
    assert killer.seen == STEPS + 1
    assert CHANGE


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_while_a_key_is_enrolled(tmp_path, monkeypatch, step, after):
    """Used, recorded, written: a key without its entry never counts."""
    scene = Scene(tmp_path / "approvals", "trust.enrol")
    store = TrustStore(tmp_path / "trust.json")
    change = store.enrolment("authority", "Supt A. Example", public_bytes(KEY))
    proposal = scene.approvals.propose("trust.enrol", change, scene.actor("okafor"), store.summary(change))
    scene.approvals.approve(proposal.id, proposal.sha256, scene.actor("lang"), scene.clock.mono)
    killer = Killer(step, after=after)
    monkeypatch.setattr(proposal_store, "write_new", killer.around(proposal_store.write_new))
    monkeypatch.setattr(trust, "write_new", killer.around(trust.write_new))
    monkeypatch.setattr(scene.recorder, "record", killer.around(scene.recorder.record))
    with suppress(Kill):
        store.apply(change, scene.approvals, scene.actor("lang"))
    believed = bool(store.keys("authority"))
    recorded = "trust.changed" in scene.recorder.verbs()
    assert recorded or not believed
    with suppress(ControlError):
        store.apply(change, scene.approvals, scene.actor("lang"))
        assert (step, after) == (1, False), "only an approval that was not used yet works after the kill"
    assert scene.recorder.verbs().count("trust.changed") <= 1
