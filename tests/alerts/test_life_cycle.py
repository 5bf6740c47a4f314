"""The whole life of alerts and drills, in any order that hypothesis can think of, against a plain model.

The model knows the rules as sentences, not as the code's table: who may look, what the looks lead to, who has a
referral, what closes it. A restart in the middle must change nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from lfr_edge.alerts.alert import DeskPolicy, Drill
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.event import Actor
from lfr_edge.errors import AlertError
from tests.alerts.conftest import Bench
from tests.fakes.box import raised

SAME, DIFFERENT, UNSURE = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON, Answer.CANNOT_JUDGE
WHY = Factors.of(["features_agree"])
PEOPLE = [Actor(name, "operator", "s") for name in ("miller", "reed", "okafor", "baker")]
POLICY = DeskPolicy(looks_by_category=(("two", 2),), disagreement="third_look", max_open=4, expire_s=600)
EXPIRES_S = 600


@dataclass
class Told:
    """What the model believes of one alert."""

    two: bool
    truth: Answer | None
    state: str = "offered"
    waited_s: float = 0.0
    looks: list[tuple[str, Answer]] = field(default_factory=list)
    taken_by: str | None = None
    outcome: Outcome | None = None
    receipt: str | None = None

    @property
    def waits(self) -> bool:
        return self.state in {"offered", "second_look", "third_look"}

    def looked(self, who: str, answer: Answer) -> None:
        self.looks.append((who, answer))
        same = [a for _, a in self.looks].count(SAME)
        needed = 2 if self.two else 1
        if len(self.looks) < needed:
            self.state = "second_look"
        elif len(self.looks) == 2 and same == 1:
            self.state = "third_look"
        else:
            refer = same > len(self.looks) / 2
            self.state = ("referred" if refer else "not_referred") if self.truth is None else "revealed"
        self.waited_s = 0.0


class Life(RuleBasedStateMachine):
    alerts = Bundle("alerts")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.bench = Bench(self.folder)
        self.known: dict[str, Told] = {}
        self._open()

    def _open(self) -> None:
        self.opened = self.bench.open(POLICY)
        self.desk = self.loop.run_until_complete(self.opened.__aenter__())

    def do(self, work):
        return self.loop.run_until_complete(work)

    def refused(self, work, *codes: str) -> None:
        with pytest.raises(AlertError) as caught:
            self.do(work)
        assert caught.value.code in codes

    def open_ones(self) -> int:
        return sum(told.waits for told in self.known.values())

    def drained(self) -> None:
        """As the desk drains, held-back alerts come up, oldest first."""
        for told in self.known.values():
            if told.state == "suppressed" and self.open_ones() < POLICY.max_open:
                told.state, told.waited_s = "offered", 0.0

    @rule(target=alerts, two=st.booleans(), truth=st.sampled_from([None, None, SAME, DIFFERENT]))
    def raise_one(self, two, truth):
        handed = raised(len(self.known) + 1, category="two" if two else "one")
        full = self.open_ones() >= POLICY.max_open
        if truth is None:
            alert = self.do(self.desk.raise_alert(handed))
        else:
            alert = self.do(self.desk.raise_drill(handed, Drill(truth, "case-1")))
        self.known[alert.id.token] = Told(two, truth, "suppressed" if full and truth is None else "offered")
        return alert.id.token

    @rule(token=alerts, who=st.sampled_from(PEOPLE), answer=st.sampled_from(Answer), stale=st.booleans())
    def look(self, token, who, answer, stale):
        told, alert = self.known[token], self.desk.get(token)
        version = alert.version - 1 if stale else alert.version
        work = self.desk.decide(token, who, answer, WHY, "", version)
        if not told.waits:
            self.refused(work, "alert_already_decided")
        elif who.account in [name for name, _ in told.looks]:
            self.refused(work, "alert_second_look_by_same_person")
        elif stale:
            self.refused(work, "alert_changed")
        else:
            self.do(work)
            told.looked(who.account, answer)
            self.drained()

    @rule(token=alerts, who=st.sampled_from(PEOPLE))
    def take(self, token, who):
        told = self.known[token]
        work = self.desk.engage(token, who, self.desk.get(token).version)
        if told.state == "referred":
            self.do(work)
            told.state, told.taken_by = "engaged", who.account
        else:
            self.refused(work, "alert_wrong_state", "alert_already_taken", "alert_already_decided")

    @rule(
        token=alerts,
        who=st.sampled_from(PEOPLE),
        outcome=st.sampled_from(Outcome),
        identity=st.sampled_from(Identity),
    )
    def close(self, token, who, outcome, identity):
        told = self.known[token]
        work = self.desk.record_outcome(token, who, outcome, identity, self.desk.get(token).version)
        if told.state not in {"referred", "engaged"}:
            self.refused(work, "alert_wrong_state", "alert_already_decided")
        elif outcome is not Outcome.NOT_LOCATED and told.state == "referred":
            self.refused(work, "alert_not_engaged")
        elif outcome is Outcome.NOT_LOCATED and identity is not Identity.NOT_ESTABLISHED:
            self.refused(work, "alert_identity_impossible")
        else:
            closed = self.do(work)
            told.state, told.outcome = "closed", outcome
            if outcome is not Outcome.NOT_LOCATED:
                assert closed.receipt is not None
                assert told.receipt in {None, closed.receipt.code}
                told.receipt = closed.receipt.code

    @rule(token=alerts)
    def receipt(self, token):
        told = self.known[token]
        work = self.desk.issue_receipt(token, PEOPLE[0])
        if told.taken_by is None or told.outcome is Outcome.NOT_LOCATED:
            self.refused(work, "alert_not_engaged")
        else:
            code = self.do(work).receipt.code
            assert told.receipt in {None, code}
            told.receipt = code

    @rule(seconds=st.sampled_from([1, 16, 31, 300, 601]))
    def wait(self, seconds):
        self.bench.clock.pass_s(seconds)
        for told in self.known.values():
            told.waited_s += seconds
            if told.waited_s >= EXPIRES_S and (told.waits or told.state == "suppressed"):
                told.state = "expired_unreviewed"
        self.do(self.desk.tick())
        self.drained()

    @rule()
    def restart(self):
        self.do(self.opened.__aexit__(None, None, None))
        self._open()
        self.do(self.desk.tick())
        self.drained()

    @invariant()
    def the_desk_is_where_the_model_says(self):
        for token, told in self.known.items():
            alert = self.desk.get(token)
            assert str(alert.state) == told.state, alert.id.number
            assert [(look.account, look.answer) for look in alert.looks] == told.looks
            assert (alert.engagement and alert.engagement.account) == told.taken_by
            assert alert.outcome == told.outcome
            assert (alert.receipt and alert.receipt.code) == told.receipt

    @invariant()
    def nothing_is_dropped_silently(self):
        counts = self.desk.counts()
        real = [told for told in self.known.values() if told.truth is None]
        assert counts.raised == len(real) == counts.offered + counts.suppressed
        assert counts.undecided == sum(told.waits or told.state == "suppressed" for told in real)

    @invariant()
    def the_record_settles_each_alert_once_and_no_drill(self):
        events = self.bench.recorder.events
        for token, told in self.known.items():
            verbs = [event[0] for event in events if event[2] == token]
            if told.truth is not None:
                assert not [v for v in verbs if v.startswith(("alert.", "receipt."))]
                done = [e for e in events if e[2] == token and e[0] == "drill.answered" and "result" in e[3]]
                assert len(done) == (told.state in {"revealed", "expired_unreviewed"})
                continue
            assert verbs.count("alert.raised") == 1
            decided = told.state in {"referred", "engaged", "closed", "not_referred"}
            assert verbs.count("alert.decided") == decided
            assert verbs.count("alert.engaged") == (told.taken_by is not None)
            assert verbs.count("alert.outcome") == (told.state == "closed")
            assert verbs.count("receipt.issued") == (told.receipt is not None)
            ended = verbs.count("alert.expired") + verbs.count("alert.suppressed")
            assert ended == (told.state == "expired_unreviewed")

    @invariant()
    def the_street_sees_referrals_only(self):
        street = {alert.id.token for alert in self.desk.book.on_the_street(1000)}
        assert street == {
            t for t, told in self.known.items() if told.state in {"referred", "engaged", "closed"}
        }

    def teardown(self) -> None:
        self.do(self.opened.__aexit__(None, None, None))
        self.loop.close()
        shutil.rmtree(self.folder)


Life.TestCase.settings = settings(
    max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLife = Life.TestCase
