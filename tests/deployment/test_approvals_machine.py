"""Approvals under any sequence of what people, clocks and power can do, against a plain model."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lfr_edge.alerts.record import Actor
from lfr_edge.audit.duties import ControlDuty
from lfr_edge.audit.entry import Entry
from lfr_edge.audit.event import Event
from lfr_edge.deployment.control import approvals as room
from lfr_edge.deployment.control.approvals import FRESH_S, LIFE_S, Approvals, ControlError
from lfr_edge.deployment.control.proposal import RULES
from tests.fakes.box import ManualClock

PEOPLE = ("okafor", "lang", "reed")
ROLES = ("deployment_officer", "authorising_officer", "operator", None)
SELDOM = st.integers(0, 7).map(lambda n: n == 0)
AGES_S = (1, 0, FRESH_S - 1, FRESH_S, FRESH_S + 1, 3600, -1)
ACCEPTED = {"approve": 0, "use": 0}  # that the machine reached, in all its runs
NATURAL = {"okafor": "deployment_officer", "lang": "authorising_officer", "reed": "authorising_officer"}
KINDS = ("watchlist.activate", "trust.enrol")
EFFECT = {"watchlist.activate": "watchlist.activated", "trust.enrol": "trust.changed"}
SECOND = 10**9


@dataclass
class Expected:
    """What the model knows of a proposal."""

    kind: str
    n: int
    proposer: str
    since_mono: int
    since_wall: int
    state: str = "proposed"
    approver: str = ""


class Verifier:
    """A recorder that shows each entry to the auditor's own duty, at the time of the scene."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.duty, self.seq = clock, ControlDuty(), 0

    def record(self, ev, *, actor, ref, data, why):
        event = Event(ev, actor, ref, data, why)
        self.duty.feed(Entry("o", self.seq, "b", self.clock.wall // 1000, self.clock.mono, "rtc", event))
        self.seq += 1
        return self.seq


class TwoPersons(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.clock = ManualClock()
        self.recorder = Verifier(self.clock)
        self.roles = dict(NATURAL)
        self.boot = 0
        self.model: dict[str, Expected] = {}
        self.start()

    def teardown(self):
        shutil.rmtree(self.folder)

    def start(self):
        self.approvals = Approvals(
            self.recorder,
            self.clock,
            self.folder / "approvals.json",
            self.roles.get,
            boot=f"boot-{self.boot}",
        )

    def actor(self, who):
        return Actor(who, self.roles[who] or "deployment_officer")

    def alive(self, p):
        ages = self.clock.mono - p.since_mono, self.clock.wall - p.since_wall
        return p.state in {"proposed", "approved"} and all(0 <= age < LIFE_S * SECOND for age in ages)

    def stands(self, p):
        """Whether those who spoke for it still have the roles in which they did."""
        return self.roles[p.proposer] in RULES[p.kind].propose and (
            p.state != "approved" or self.roles[p.approver] in RULES[p.kind].approve
        )

    def attempt(self, call):
        try:
            return call()
        except ControlError:
            return None

    @rule(who=st.sampled_from((*PEOPLE, "okafor")), kind=st.sampled_from(KINDS), n=st.integers(0, 2))
    def propose(self, who, kind, n):
        twin = any(
            self.alive(p) and self.stands(p) and (p.kind, p.n) == (kind, n) for p in self.model.values()
        )
        may = self.roles[who] in RULES[kind].propose and not twin
        made = self.attempt(lambda: self.approvals.propose(kind, {"n": n}, self.actor(who), ("Do.",)))
        assert (made is not None) == may
        if made:
            self.model[made.id] = Expected(kind, n, who, self.clock.mono, self.clock.wall)

    @rule(who=st.sampled_from(PEOPLE), age_s=st.sampled_from(AGES_S), pick=st.integers(-4, -1), wrong=SELDOM)
    def approve(self, who, age_s, pick, wrong):
        if not self.model:
            return
        waiting = [name for name, p in self.model.items() if p.state == "proposed" and self.alive(p)]
        names = waiting or list(self.model)
        name = names[pick % len(names)]
        p = self.model[name]
        shown = "0" * 64 if wrong else self.approvals.get(name).sha256
        may = (
            not wrong
            and p.state == "proposed"
            and self.alive(p)
            and who != p.proposer
            and self.roles[who] in RULES[p.kind].approve
            and self.roles[p.proposer] in RULES[p.kind].propose
            and 0 <= age_s <= FRESH_S
        )
        when = self.clock.mono - age_s * SECOND
        done = self.attempt(lambda: self.approvals.approve(name, shown, self.actor(who), when))
        assert (done is not None) == may
        if done:
            ACCEPTED["approve"] += 1
            p.state, p.approver = "approved", who
            p.since_mono, p.since_wall = self.clock.mono, self.clock.wall

    @rule(who=st.sampled_from(PEOPLE), pick=st.integers(-4, -1), really=SELDOM)
    def refuse(self, who, pick, really):
        if not self.model or not really:
            return
        name = list(self.model)[pick % len(self.model)]
        p = self.model[name]
        may = p.state in {"proposed", "approved"} and (
            who == p.proposer or self.roles[who] in RULES[p.kind].approve
        )
        assert (self.attempt(lambda: self.approvals.refuse(name, self.actor(who), "no")) is not None) == may
        if may:
            p.state = "refused"

    @rule(kind=st.sampled_from(KINDS), n=st.integers(0, 2), aimed=st.booleans())
    def use(self, kind, n, aimed):
        approved = [p for p in self.model.values() if p.state == "approved"]
        if aimed and approved:
            kind, n = approved[-1].kind, approved[-1].n
        mine = [
            (name, p)
            for name, p in self.model.items()
            if (p.kind, p.n, p.state) == (kind, n, "approved") and self.alive(p) and self.stands(p)
        ]
        may = bool(mine)
        used = self.attempt(lambda: self.approvals.use(kind, {"n": n}))
        assert (used is not None) == may
        if used:
            assert used["change"] == mine[0][0]
            ACCEPTED["use"] += 1
            mine[0][1].state = "used"
            self.recorder.record(EFFECT[kind], actor=Actor("system", "system"), ref="", data=used, why="")

    @rule(who=st.sampled_from(PEOPLE), role=st.sampled_from(ROLES), really=SELDOM)
    def change_role(self, who, role, really):
        self.roles[who] = role if really else NATURAL[who]

    @rule(seconds=st.sampled_from([1, 1, 30, 61, 400, LIFE_S]))
    def pass_time(self, seconds):
        self.clock.pass_s(seconds)

    @rule(seconds=st.sampled_from([-600, -1, 600, 3600]), really=SELDOM)
    def set_the_clock(self, seconds, really):
        self.clock.wall += seconds * SECOND * really

    @rule()
    def restart(self):
        self.start()

    @rule(really=SELDOM)
    def reboot(self, really):
        if not really:
            return
        self.boot += 1
        for p in self.model.values():
            p.since_wall = -(10**30)  # nothing that was open survives
        self.start()

    @invariant()
    def the_auditor_agrees(self):
        """Whatever was accepted here is accepted by the verifier, change by change."""
        if hasattr(self, "recorder"):
            assert all(change.ok for change in self.recorder.duty.report())
            assert not list(self.recorder.duty.reservations())


@pytest.fixture(autouse=True)
def no_platter(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)


SETTINGS = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TestTwoPersons = TwoPersons.TestCase
TestTwoPersons.settings = SETTINGS


def test_the_machine_reaches_what_it_guards():
    before = dict(ACCEPTED)
    run_state_machine_as_test(TwoPersons, settings=settings(SETTINGS, derandomize=True, database=None))
    assert ACCEPTED["approve"] - before["approve"] >= 10
    assert ACCEPTED["use"] - before["use"] >= 3


def test_the_control_the_model_sees_a_check_that_is_gone(monkeypatch):
    monkeypatch.setattr(room, "FRESH_S", 10**9)
    quick = settings(
        SETTINGS, phases=[Phase.generate], database=None, derandomize=True, report_multiple_bugs=False
    )
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(TwoPersons, settings=quick)
