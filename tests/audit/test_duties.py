"""What a log says about those who kept it."""

from __future__ import annotations

import pytest

from lfr_edge.audit.duties import Duties
from lfr_edge.audit.entry import MONO_WRAP, Entry
from lfr_edge.audit.event import Actor, Event

ONE = Actor("one", "deployment_officer")
TWO = Actor("two", "authorising_officer")
MINUTE_US = 60_000_000


class Story:
    """Entries one after the other, a millisecond apart unless told."""

    def __init__(self) -> None:
        self.duties = Duties()
        self.seq = 0
        self.wall_us = 1_795_000_000_000_000
        self.mono_ns = 10**9

    def add(self, event: Event, *, wall_us: int = 1000, mono_us: int | None = None, boot: str = "b") -> Story:
        self.wall_us += wall_us
        self.mono_ns = (self.mono_ns + (wall_us if mono_us is None else mono_us) * 1000) % MONO_WRAP
        self.duties.feed(Entry("o", self.seq, boot, self.wall_us, self.mono_ns, "ntp", event))
        self.seq += 1
        return self

    def codes(self, *, closed: bool = True) -> list[str]:
        found = list(self.duties.reservations(closed=closed))
        assert all(isinstance(item.message, str) and len(item.message) > 10 for item in found), found
        return [item.code for item in found]


def alert(verb: str, ref: str = "a") -> Event:
    return Event(verb, ref=ref)  # type: ignore[arg-type]


def test_nothing_to_say_about_nothing() -> None:
    story = Story()
    assert story.codes() == []
    assert story.duties.clock.report().boots == 0
    assert story.duties.report().alerts_raised == 0


def test_alerts_are_decided_suppressed_or_named() -> None:
    story = Story()
    for ref in "abcde":
        story.add(alert("alert.raised", ref))
    story.add(alert("alert.decided", "a")).add(alert("alert.suppressed", "b")).add(
        alert("alert.expired", "c")
    )
    story.add(alert("alert.decided", "e"))
    report = story.duties.report()
    assert (report.alerts_raised, report.alerts_decided, report.alerts_suppressed) == (5, 2, 1)
    assert report.undecided == ("c", "d")
    assert report.alerts_raised == report.alerts_decided + report.alerts_suppressed + len(report.undecided)
    findings = list(story.duties.reservations(closed=True))
    assert [(item.code, item.seq) for item in findings] == [("alert_undecided", 2), ("alert_undecided", 3)]
    assert "c" in findings[0].message


def test_alerts_out_of_order() -> None:
    story = Story().add(alert("alert.decided")).add(alert("alert.raised")).add(alert("alert.raised"))
    story.add(alert("alert.decided")).add(alert("alert.decided")).add(alert("alert.suppressed"))
    assert story.codes() == [
        "alert_unknown",
        "alert_raised_twice",
        "alert_settled_twice",
        "alert_settled_twice",
    ]


def counted(processed: object, erased: object, retained: object) -> Event:
    return Event("ledger.counted", data={"processed": processed, "erased": erased, "retained": retained})


def test_the_ledger_adds_up_over_runs() -> None:
    story = Story().add(Event("recogniser.started")).add(counted(10, 9, 1)).add(counted(20, 18, 2))
    story.add(Event("recogniser.started")).add(counted(5, 5, 0))
    report = story.duties.report()
    assert (report.processed, report.erased, report.retained) == (25, 23, 2)
    assert story.codes() == []


@pytest.mark.parametrize(
    "event",
    [
        counted(10, 9, 0),
        counted(10, 8, 1),
        counted(10, -1, 11),
        counted(True, 1, 0),
        counted("10", 9, 1),
        Event("ledger.counted", data={"processed": 0, "erased": 0}),
        Event("ledger.counted"),
    ],
)
def test_a_ledger_that_does_not_add_up(event: Event) -> None:
    assert Story().add(event).codes() == ["ledger_inexact"]


def test_a_ledger_s_numbers_are_told() -> None:
    (finding,) = Story().add(counted(10, 7, 2)).duties.reservations(closed=True)
    assert finding.message == "10 processed is not 7 erased + 2 retained"
    assert finding.seq == 0


def test_a_ledger_that_goes_back() -> None:
    story = Story().add(counted(10, 9, 1)).add(counted(9, 9, 0))
    assert story.codes() == ["ledger_went_back"]
    assert Story().add(counted(10, 9, 1)).add(counted(10, 8, 2)).codes() == ["ledger_went_back"]
    assert Story().add(counted(10, 9, 1)).add(counted(10, 10, 0)).codes() == []
    assert Story().add(counted(10, 9, 1)).add(counted(10, 9, 1)).codes() == []


def templates(verb: str, count: int) -> Event:
    return Event(verb, data={"templates": count})  # type: ignore[arg-type]


def test_every_template_has_a_way_out() -> None:
    story = Story().add(templates("watchlist.activated", 5))
    assert story.duties.report().templates_in == 5
    assert "templates_unaccounted" not in story.codes(closed=False)
    assert "templates_unaccounted" in story.codes(closed=True)
    story.add(templates("watchlist.withdrawn", 1)).add(templates("watchlist.destroyed", 4))
    assert story.duties.report().templates_out == 5
    assert "templates_unaccounted" not in story.codes(closed=True)
    story.add(templates("watchlist.destroyed", 1))
    assert "templates_unaccounted" in story.codes(closed=False)


DIGEST = "ab" * 32


def proposal(by: Actor = ONE, digest: str = DIGEST, change: str = "c1") -> Event:
    return Event("control.proposed", by, change, {"sha256": digest})


def approval(by: Actor = TWO, digest: str = DIGEST, change: str = "c1") -> Event:
    return Event("control.approved", by, change, {"sha256": digest})


def use(digest: str = DIGEST, change: str = "c1") -> Event:
    return Event("threshold.changed", ONE, data={"change": change, "sha256": digest})


def test_two_persons() -> None:
    story = Story().add(proposal()).add(approval(), wall_us=15 * MINUTE_US).add(use())
    (change,) = story.duties.control.report()
    assert (change.seq, change.ev, change.change, change.proposer, change.approver, change.ok) == (
        2, "threshold.changed", "c1", "one", "two", True,
    )  # fmt: skip
    assert story.codes() == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([use()], ["control_missing"]),
        ([Event("threshold.changed", ONE)], ["control_missing"]),
        ([proposal(), use()], ["control_missing"]),
        ([approval(), use()], ["control_approval_void", "control_missing"]),
        ([proposal(), approval(by=ONE), use()], ["control_approval_void", "control_missing"]),
        ([proposal(), approval(digest="cd"), use()], ["control_approval_void", "control_missing"]),
        (
            [proposal(digest=""), approval(digest=""), use(digest="")],
            ["control_approval_void", "control_missing"],
        ),
        ([proposal(), approval(change="c2"), use()], ["control_approval_void", "control_missing"]),
        ([proposal(), approval(), use(digest="cd")], ["control_missing"]),
        ([proposal(), approval(), use(), use()], ["control_missing"]),
        ([proposal(), Event("control.refused", TWO, "c1"), approval()], ["control_approval_void"]),
        ([Event("control.refused", TWO, "c1")], []),
    ],
)
def test_ways_around_two_persons(events: list[Event], expected: list[str]) -> None:
    story = Story()
    for event in events:
        story.add(event)
    assert story.codes() == expected


def test_an_approval_has_fifteen_minutes() -> None:
    late = Story().add(proposal()).add(approval(), wall_us=15 * MINUTE_US + 1)
    assert late.codes() == ["control_approval_void"]
    at_once = Story().add(proposal()).add(approval(), wall_us=0)
    assert at_once.codes() == []
    early = Story().add(proposal()).add(approval(), wall_us=-1, mono_us=1)
    assert early.codes() == ["control_approval_void"]


def test_jumps_of_the_wall_clock_are_listed_not_punished() -> None:
    lost = Event("camera.lost")
    story = (
        Story().add(lost).add(lost, wall_us=2_001_000, mono_us=1000).add(lost, wall_us=-5_000_000, mono_us=0)
    )
    story.add(lost, wall_us=2_000_000, mono_us=0).add(lost, wall_us=3600 * 10**6).add(
        lost, boot="c", wall_us=-(10**9)
    )
    report = story.duties.clock.report()
    assert report.jumps == ((2, -5000),)
    assert report.boots == 2
    assert report.sources == ("ntp",)
    assert story.codes() == []
    assert report.first_us == 1_795_000_000_001_000
    further = Story().add(lost).add(lost, wall_us=2_001_001, mono_us=1000)
    assert further.duties.clock.report().jumps == ((1, 2000),)


def test_the_monotonic_clock_may_wrap_but_not_go_back() -> None:
    lost = Event("camera.lost")
    story = Story()
    story.mono_ns = MONO_WRAP - 500_000
    story.add(lost, wall_us=0).add(lost)
    assert story.mono_ns < 10**9
    assert story.codes() == []
    assert story.duties.clock.report().jumps == ()
    assert Story().add(lost).add(lost, mono_us=-1).codes() == ["clock_went_back"]


def test_a_flood_is_counted_in_full_and_named_in_part() -> None:
    story = Story()
    for number in range(80):
        story.add(alert("alert.raised", str(number)))
    assert len(story.codes()) == 50
    assert len(story.duties.report().undecided) == 80


def drill(ref: str = "d", **data: object) -> Event:
    return Event("drill.answered", ref=ref, data=data)


def test_drills_are_answered_or_named_and_never_alerts() -> None:
    story = Story()
    for ref in "defg":
        story.add(Event("drill.raised", ref=ref, data={"truth": "same_person"}))
    story.add(drill("d", look=1)).add(drill("d", look=2, result="referred", right=True))
    story.add(drill("e", look=1, result="not_referred", right=False))
    story.add(drill("f", look=1)).add(drill("g", result="expired"))
    story.add(Event("alert.erased", ref="d"))
    report = story.duties.report()
    assert (report.drills_raised, report.drills_answered, report.drills_right) == (4, 2, 1)
    assert report.drills_unanswered == ("f", "g")
    assert report.drills_raised == report.drills_answered + len(report.drills_unanswered)
    assert (report.alerts_raised, report.alerts_decided) == (0, 0)
    assert story.codes() == []


def test_the_first_answer_to_a_drill_counts() -> None:
    story = Story().add(Event("drill.raised", ref="d"))
    story.add(drill(result="referred", right=False)).add(drill(result="referred", right=True))
    assert story.duties.report().drills_right == 0
    assert story.duties.report().drills_answered == 1


def test_no_alert_passes_as_a_drill() -> None:
    story = Story().add(Event("drill.raised", ref="d")).add(Event("drill.raised", ref="d"))
    story.add(drill("x", result="referred")).add(alert("alert.raised", "d"))
    assert story.codes() == ["alert_undecided", "drill_raised_twice", "drill_unknown", "drill_as_alert"]
    assert story.duties.report().drills_raised == 1


def authorised(ends_s: object) -> Event:
    return Event("deployment.authorised", data={"sha256": "ab" * 32, "operation": "OP-7", "ends_s": ends_s})


OPENED = Event("deployment.opened", data={"purpose": "operational"})
STARTED = Event("deployment.started", ONE)


def test_the_steps_of_an_authority() -> None:
    story = Story()
    end_s = story.wall_us // 1_000_000 + 600
    story.add(OPENED).add(authorised(end_s)).add(STARTED).add(Event("recogniser.started"))
    story.add(alert("alert.raised")).add(alert("alert.decided"))
    story.add(authorised(end_s + 3600)).add(Event("deployment.cancelled", TWO))
    steps = story.duties.mandate.report()
    assert [(step.seq, step.ev) for step in steps] == [
        (1, "deployment.authorised"),
        (2, "deployment.started"),
        (6, "deployment.authorised"),
        (7, "deployment.cancelled"),
    ]
    assert steps[0].operation == "OP-7"
    assert steps[0].sha256 == "ab" * 32
    assert [step.until_us for step in steps] == [
        end_s * 1_000_000,
        None,
        (end_s + 3600) * 1_000_000,
        story.wall_us,
    ]
    assert story.codes() == []


@pytest.mark.parametrize(
    "verb", ["alert.raised", "drill.raised", "recogniser.started", "recognition.resumed"]
)
def test_running_after_the_end_is_named_once(verb: str) -> None:
    story = Story()
    end_s = story.wall_us // 1_000_000 + 600
    story.add(OPENED).add(authorised(end_s)).add(STARTED)
    story.wall_us = (end_s + 60) * 1_000_000 - 1000
    story.add(Event(verb, ref="a"))  # type: ignore[arg-type]
    assert "authority_exceeded" not in story.codes()
    story.add(Event(verb, ref="b")).add(Event(verb, ref="c"))  # type: ignore[arg-type]
    assert story.codes().count("authority_exceeded") == 1
    finding = next(item for item in story.duties.reservations(closed=True) if "exceeded" in item.code)
    assert finding.seq == 4
    assert verb in finding.message


def test_running_after_a_cancellation() -> None:
    story = Story().add(OPENED).add(authorised("soon")).add(STARTED).add(Event("deployment.cancelled", TWO))
    story.add(Event("recogniser.started"), wall_us=2 * MINUTE_US)
    assert story.codes() == ["authority_exceeded"]


def test_an_operational_start_needs_an_authority_and_an_evaluation_none() -> None:
    assert Story().add(OPENED).add(STARTED).codes() == ["authority_missing"]
    assert Story().add(Event("deployment.opened", data={"purpose": "evaluation"})).add(STARTED).codes() == []


LOST = Event("camera.lost")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([alert("alert.decided")], [("alert_unknown", 1)]),
        ([alert("alert.raised"), alert("alert.raised")], [("alert_raised_twice", 2), ("alert_undecided", 2)]),
        (
            [alert("alert.raised"), alert("alert.suppressed"), alert("alert.decided")],
            [("alert_settled_twice", 3)],
        ),
        ([Event("drill.raised", ref="d"), Event("drill.raised", ref="d")], [("drill_raised_twice", 2)]),
        ([drill()], [("drill_unknown", 1)]),
        ([Event("drill.raised", ref="d"), alert("alert.looked", "d")], [("drill_as_alert", 2)]),
        ([counted(2, 1, 0)], [("ledger_inexact", 1)]),
        ([counted(2, 1, 1), counted(1, 1, 0)], [("ledger_went_back", 2)]),
        ([approval()], [("control_approval_void", 1)]),
        ([use()], [("control_missing", 1)]),
        ([OPENED, STARTED], [("authority_missing", 2)]),
    ],
)
def test_each_reservation_names_its_entry(events: list[Event], expected: list[tuple[str, int]]) -> None:
    """An auditor goes from the list to the entry: a reservation without its number is of no use to them."""
    story = Story().add(LOST)
    for event in events:
        story.add(event)
    assert [(item.code, item.seq) for item in story.duties.reservations(closed=True)] == expected


def test_a_clock_that_went_back_names_its_entry() -> None:
    (finding,) = Story().add(LOST).add(LOST).add(LOST, mono_us=-1).duties.reservations(closed=True)
    assert (finding.code, finding.seq) == ("clock_went_back", 2)


def test_a_change_by_nobody_is_listed_with_empty_names() -> None:
    (change,) = Story().add(Event("threshold.changed", ONE)).duties.control.report()
    assert (change.change, change.proposer, change.approver, change.ok) == ("", "", "", False)


@pytest.mark.parametrize("count", [None, -3, True, "5", 2.0])
def test_only_a_whole_number_of_templates_counts(count: object) -> None:
    story = Story().add(Event("watchlist.activated", data={"templates": count}))
    story.add(Event("watchlist.withdrawn", data={"templates": count}))
    assert (story.duties.report().templates_in, story.duties.report().templates_out) == (0, 0)


def test_each_change_of_the_lists_counts_its_templates() -> None:
    story = Story().add(templates("watchlist.activated", 1)).add(templates("watchlist.added", 1))
    story.add(templates("watchlist.added", 1)).add(templates("watchlist.withdrawn", 1))
    story.add(templates("watchlist.withdrawn", 1)).add(templates("watchlist.destroyed", 1))
    report = story.duties.report()
    assert (report.templates_in, report.templates_out) == (3, 3)


def test_a_flood_of_any_kind_is_named_in_part() -> None:
    story = Story().add(LOST)
    for number in range(60):
        ref = str(number)
        story.add(alert("alert.decided", ref)).add(drill(ref, result="referred")).add(counted(1, 0, 0))
        story.add(use(change=ref)).add(LOST, mono_us=-1)
    codes = story.codes()
    assert {code: codes.count(code) for code in codes} == {
        "clock_went_back": 50,
        "alert_unknown": 50,
        "drill_unknown": 50,
        "ledger_inexact": 50,
        "control_missing": 50,
    }
    story = Story().add(LOST)
    for _ in range(60):
        story.add(LOST, wall_us=10_000_000, mono_us=1000)
    assert len(story.duties.clock.report().jumps) == 50


def test_every_source_of_time_and_every_start_counts_once() -> None:
    story = Story()
    for boot in "aab":
        story.add(LOST, boot=boot)
    assert story.duties.clock.report().boots == 2
    assert story.duties.clock.report().sources == ("ntp",)
    assert story.duties.clock.report().last_us == story.wall_us


def test_a_step_says_what_its_paper_says_and_no_more() -> None:
    story = Story().add(LOST).add(OPENED).add(STARTED)
    (step,) = story.duties.mandate.report()
    assert (step.seq, step.at_us, step.sha256, step.operation) == (2, story.wall_us, "", "")


def test_grace_ends_after_a_minute_to_the_microsecond() -> None:
    story = Story()
    end_s = story.wall_us // 1_000_000 + 600
    story.add(OPENED).add(authorised(end_s)).add(STARTED)
    story.wall_us = (end_s + 60) * 1_000_000
    assert story.add(Event("recogniser.started"), wall_us=0).codes() == []
    assert story.add(Event("recogniser.started"), wall_us=1).codes() == ["authority_exceeded"]


def test_only_what_runs_recognition_needs_the_authority_to_last() -> None:
    story = Story()
    story.add(OPENED).add(authorised(story.wall_us // 1_000_000)).add(STARTED)
    story.add(LOST, wall_us=5 * MINUTE_US).add(Event("deployment.ended", ONE))
    assert story.codes() == []
