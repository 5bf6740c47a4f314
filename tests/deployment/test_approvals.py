"""Two persons: the honest way works, every way round it is refused, and a sabotaged check is noticed."""

from __future__ import annotations

import contextlib
import threading

import pytest

from lfr_edge.alerts.record import LogRecorder
from lfr_edge.audit.event import SYSTEM, Event
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.verify import verify
from lfr_edge.deployment.control import approvals as room
from lfr_edge.deployment.control import proposal as words
from lfr_edge.deployment.control import proposal_store
from lfr_edge.deployment.control.approvals import Approvals, ControlError
from lfr_edge.deployment.control.proposal import RULES, Rule
from lfr_edge.deployment.control.proposal_store import ProposalStore
from lfr_edge.errors import AuditError
from tests.deployment.two_persons import ATTACKS, CHANGE, EVERY_ROLE, KINDS, Scene

VARIANTS = [(name, kind) for name in ATTACKS for kind in KINDS]
EFFECTS = {
    "watchlist.activate": "watchlist.activated",
    "watchlist.add": "watchlist.added",
    "threshold.change": "threshold.changed",
    "model.change": "model.changed",
    "retention.change": "retention.changed",
    "trust.enrol": "trust.changed",
    "evidence.export": "evidence.exported",
    "break_glass": "access.break_glass",
}


@pytest.fixture(autouse=True)
def no_platter(monkeypatch):
    """These tests cut no power: fsync's price is not theirs."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_honest_way(tmp_path, kind):
    scene = Scene(tmp_path, kind)
    assert [p.id for p in scene.approvals.waiting()] == [scene.proposal.id]
    assert scene.approvals.why_not(scene.proposal, scene.actor("lang")) == ""
    approved = scene.approve(age_s=60)
    assert (approved.state, approved.approver) == ("approved", "lang")
    scene.start()  # a crash in between loses nothing
    assert scene.use() == {"change": scene.proposal.id, "sha256": scene.proposal.sha256}
    assert scene.recorder.verbs() == ["control.proposed", "control.approved"]
    verb, account, ref, data, _ = scene.recorder.events[0]
    assert (verb, account, ref) == ("control.proposed", "okafor", scene.proposal.id)
    assert data == {"kind": kind, "sha256": scene.proposal.sha256, "summary": ["Do exactly this."]}


def test_there_are_enough_variants():
    assert len(VARIANTS) >= 200


@pytest.mark.parametrize("name", ATTACKS)
def test_no_way_round(tmp_path, name):
    """Each attack on each kind of change: none is accepted."""
    accepted = []
    for number, kind in enumerate(KINDS):
        if ATTACKS[name](Scene(tmp_path / str(number), kind)):
            accepted.append(kind)
    assert accepted == []


@contextlib.contextmanager
def unlocked(self):
    """Sabotage: no lock, and everybody has read before anybody writes."""
    found = self.read()
    if threading.current_thread() is not threading.main_thread():  # which is alone here
        GATE.wait(20)
    yield found


def one_writer(self, proposals):
    """The file itself stays whole, so that only the missing lock is tried."""
    with PEN:
        WRITE(self, proposals)


def forgetful(self):
    return tuple(room.replace(p, state={"refused": "approved"}.get(p.state, p.state)) for p in READ(self))


GATE, PEN = threading.Barrier(3), threading.Lock()  # the three of two_uses_at_the_same_time
ANYBODY = {kind: Rule(frozenset(EVERY_ROLE), frozenset(EVERY_ROLE)) for kind in KINDS}
SABOTAGES = {
    "anybody approves one's own": ([(room, "_person", lambda _: object())], "the_proposer_approves_in_another_role"),
    "roles are not looked at": (
        [(Approvals, "_require_role", lambda *_: None)], "the_approver_lost_the_role_but_not_the_session"),
    "every role may": ([(room, "RULES", ANYBODY)], "a_role_that_may_not"),
    "the proposer is not looked at again": (
        [(Approvals, "_require_proposer", lambda *_: None)], "the_proposer_was_disabled_before_the_approval"),
    "nobody is looked at before the use": (
        [(Approvals, "_require_standing", lambda *_: None)], "the_approver_lost_the_role_before_the_use"),
    "an old sign-in will do": ([(room, "FRESH_S", 10**9)], "a_password_of_this_morning"),
    "the digest shown does not matter": (
        [(room.secrets, "compare_digest", lambda *_: True)], "a_digest_of_something_else"),
    "the digest is always the same": (
        [(room, "digest", lambda *_: "0" * 64), (proposal_store, "digest", lambda *_: "0" * 64)], "a_change_that_grew"),
    "a stored change is not checked": (
        [(proposal_store, "digest", lambda *_: SHOWN)], "a_change_edited_on_the_disk"),
    "no time limit": ([(room, "LIFE_S", 10**9)], "a_use_a_quarter_of_an_hour_late"),
    "no limit by the monotonic clock": (
        [(Approvals, "left_s", lambda self, p: 890 - (self.clock.wall_ns() - p.proposed.wall_ns) / 1e9)],
        "late_with_the_wall_clock_set_back"),
    "a reboot does not matter": ([(Approvals, "left_s", lambda *_: 1.0)], "a_use_after_a_reboot"),
    "uses are not written down": (
        [(ProposalStore, "write", lambda self, p: "used" in {x.state for x in p} or WRITE(self, p))], "the_second_use"),
    "a refusal is forgotten": (
        [(ProposalStore, "read", forgetful)],
        "the_use_of_what_was_refused_after_its_approval"),
    "no lock": (
        [(ProposalStore, "locked", unlocked), (ProposalStore, "write", one_writer)], "two_uses_at_the_same_time"),
}  # fmt: skip
SHOWN = words.digest("watchlist.activate", CHANGE)
WRITE, READ = ProposalStore.write, ProposalStore.read


@pytest.mark.parametrize("what", SABOTAGES)
def test_the_control_a_sabotaged_check_lets_its_attack_through(tmp_path, monkeypatch, what):
    patches, name = SABOTAGES[what]
    # Where a proposer may become an approver, no other check stands behind this one.
    kind = "trust.enrol" if what.startswith("anybody") else "watchlist.activate"
    early = Scene(tmp_path / "early", kind)
    for target, attribute, value in patches:
        monkeypatch.setattr(target, attribute, value)
    scene = early if what == "no lock" else Scene(tmp_path, kind)
    if what == "a stored change is not checked":
        monkeypatch.setattr(room, "digest", lambda *_: SHOWN)
    assert ATTACKS[name](scene), "the harness would not have seen that this check is gone"


def test_a_log_of_two_persons_satisfies_the_verifier(tmp_path):
    """Every kind, on the real log: the auditor's own check says that control fits; a change alone does not."""
    folder, scene = tmp_path / "log", Scene(tmp_path / "scene", "trust.enrol")
    with log_of(tmp_path, scene.clock) as log:
        scene.recorder = LogRecorder(log)
        scene.start()
        for kind in EFFECTS:
            scene.kind = kind
            scene.roles["okafor"] = sorted(RULES[kind].propose)[-1]
            scene.proposal = scene.approvals.propose(kind, CHANGE, scene.actor("okafor"), ("Do this.",))
            scene.clock.pass_s(880)
            scene.approve()
            scene.clock.pass_s(880)
            used = scene.use()
            log.append(Event(EFFECTS[kind], SYSTEM, "", {**used, "templates": 0}))
        scene.proposal = scene.approvals.propose(
            "break_glass", {"x": 1}, scene.actor("okafor"), ("Do this.",)
        )
        scene.approvals.refuse(scene.proposal.id, scene.actor("lang"), "no")
    report = verify(folder).logs[0]
    assert len(report.control) == len(EFFECTS)
    for change in report.control:
        assert (change.ok, change.proposer, change.approver) == (True, "okafor", "lang"), change
    assert not [r for r in report.reservations if r.code.startswith("control_")]


def test_the_verifier_sees_a_change_by_one_person(tmp_path):
    scene = Scene(tmp_path / "scene", "threshold.change")
    with log_of(tmp_path, scene.clock) as log:
        scene.recorder = LogRecorder(log)
        scene.start()
        scene.proposal = scene.approvals.propose(
            "threshold.change", {"to": 1}, scene.actor("okafor"), ("Do.",)
        )
        data = {"change": scene.proposal.id, "sha256": scene.proposal.sha256}
        log.append(Event("threshold.changed", SYSTEM, "", data))
    report = verify(tmp_path / "log").logs[0]
    assert [change.ok for change in report.control] == [False]
    assert "control_missing" in {r.code for r in report.reservations}


@contextlib.contextmanager
def log_of(folder, clock):
    store = FileKeyStore(folder / "keys")
    origin = "van-3.force.example/2026-11-22-1"
    device = device_keys(store, "van-3.force.example/device", clock)
    log = AuditLog.create(folder / "log", origin, deployment_keys(store, device, origin, clock), clock)
    yield log
    log.close(SYSTEM)


def code_of(call) -> str:
    with pytest.raises(ControlError) as caught:
        call()
    return caught.value.code


def test_what_cannot_be_proposed(tmp_path):
    scene = Scene(tmp_path, "watchlist.activate")
    propose, okafor = scene.approvals.propose, scene.actor("okafor")
    assert code_of(lambda: propose("watchlist.forget", {}, okafor, ("x",))) == "control_kind_unknown"
    assert code_of(lambda: scene.approvals.use("watchlist.forget", {})) == "control_kind_unknown"
    for change in ({"x": float("nan")}, {"x": object()}, {"x": "y" * 70_000}, {1: 2}, {"x": 2**60}, 7):
        assert (
            code_of(lambda c=change: propose("watchlist.add", c, okafor, ("x",))) == "control_change_invalid"
        )
    for summary in ((), ("",), ("x" * 501,), ("a\u202eb",), ("a\nb",), ("x",) * 21):
        assert code_of(lambda s=summary: propose("watchlist.add", {}, okafor, s)) == "control_summary_invalid"
    assert (
        code_of(lambda: propose("watchlist.add", {}, scene.actor("miller"), ("x",))) == "control_role_refused"
    )
    assert (
        code_of(lambda: propose("watchlist.add", {}, scene.actor("lang"), ("x",))) == "control_role_refused"
    )
    stale = scene.actor("miller", "deployment_officer")
    assert code_of(lambda: propose("watchlist.add", {}, stale, ("x",))) == "control_role_changed"
    assert code_of(lambda: propose(scene.kind, CHANGE, okafor, ("x",))) == "control_already_open"


def test_the_word_of_a_disabled_account_blocks_nobody(tmp_path):
    scene = Scene(tmp_path, "watchlist.activate")
    scene.roles |= {"jones": "deployment_officer", "okafor": None}
    assert scene.approvals.waiting() == (), "nobody can approve it"
    again = scene.approvals.propose(scene.kind, CHANGE, scene.actor("jones"), ("Do exactly this.",))
    scene.approvals.approve(again.id, again.sha256, scene.actor("lang"), scene.clock.monotonic_ns())
    scene.roles["lang"] = None
    assert (
        scene.approvals.propose(scene.kind, CHANGE, scene.actor("jones"), ("Do exactly this.",)).id
        != again.id
    )


def test_an_approval_that_could_not_take_effect_is_a_no(tmp_path):
    scene = Scene(tmp_path, "watchlist.activate")
    scene.approve(age_s=60)
    scene.approvals.drop(scene.proposal.id, "authority_list_size: too many")
    dropped = scene.approvals.get(scene.proposal.id)
    assert (dropped.state, dropped.why) == ("refused", "authority_list_size: too many")
    assert code_of(scene.use) == "control_refused"
    verb, account, ref, _, why = scene.recorder.events[-1]
    assert (verb, account, ref, why) == ("control.refused", "system", scene.proposal.id, dropped.why)
    again = scene.approvals.propose(scene.kind, CHANGE, scene.actor("okafor"), ("Do exactly this.",))
    scene.approvals.drop(again.id, "nobody has approved it yet")
    assert scene.approvals.get(again.id).state == "proposed", "only an approval can fail to take effect"


def test_what_is_not_on_the_record_does_not_exist(tmp_path):
    scene = Scene(tmp_path, "watchlist.activate")
    scene.recorder.fail_on["control.proposed"] = AuditError("audit_write_failed", "the disk is full")
    with pytest.raises(AuditError):
        scene.approvals.propose("watchlist.add", {}, scene.actor("okafor"), ("x",))
    assert len(scene.approvals.all()) == 1


def test_there_is_an_end_to_open_proposals(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "OPEN_MAX", 3)
    scene = Scene(tmp_path, "watchlist.activate")
    propose = lambda n: scene.approvals.propose("watchlist.add", {"n": n}, scene.actor("okafor"), ("x",))  # noqa: E731
    propose(1), propose(2)
    assert code_of(lambda: propose(3)) == "control_too_many"
    scene.clock.pass_s(15 * 60)
    propose(3)
    assert len(scene.approvals.waiting()) == 1


def test_the_oldest_settled_proposals_are_forgotten_and_none_that_is_open(tmp_path, monkeypatch):
    monkeypatch.setattr(proposal_store, "KEPT", 2)
    scene = Scene(tmp_path, "watchlist.activate")
    for n in range(5):
        p = scene.approvals.propose("watchlist.add", {"n": n}, scene.actor("okafor"), ("x",))
        scene.approvals.refuse(p.id, scene.actor("okafor"), "mine, not needed")
    kept = scene.approvals.all()
    assert [p.change.get("n") for p in kept] == [None, 3, 4]
    assert kept[0].id == scene.proposal.id


def test_who_may_refuse(tmp_path):
    scene = Scene(tmp_path, "watchlist.activate")
    refuse = lambda who: scene.approvals.refuse(scene.proposal.id, scene.actor(who), "no")  # noqa: E731
    assert code_of(lambda: refuse("miller")) == "control_role_refused"
    assert refuse("okafor").state == "refused"
    assert code_of(lambda: refuse("lang")) == "control_not_open"
    assert scene.recorder.events[-1][0] == "control.refused"
    assert scene.recorder.events[-1][4] == "no"
    assert code_of(scene.use) == "control_refused"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"format":"lfr-edge approvals 1","proposals":[{}]}', b"\xff"]
)
def test_a_damaged_store_is_a_no(tmp_path, data):
    scene = Scene(tmp_path, "watchlist.activate")
    (tmp_path / "approvals.json").write_bytes(data)
    assert code_of(scene.approve) == "control_store_damaged"
    assert code_of(scene.use) == "control_store_damaged"


def test_why_not_names_the_reason(tmp_path):
    scene = Scene(tmp_path, "watchlist.activate")
    why = scene.approvals.why_not
    assert why(scene.proposal, scene.actor("okafor")) == "control_same_person"
    assert why(scene.proposal, scene.actor("miller")) == "control_role_refused"
    scene.clock.pass_s(15 * 60)
    assert why(scene.proposal, scene.actor("lang")) == "control_expired"
    assert code_of(scene.use) == "control_not_approved"
