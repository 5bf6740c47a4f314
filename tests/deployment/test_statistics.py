"""Figures from real logs: the published rows exactly, every alert in one place, and silence never a zero."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.duties import Duties
from lfr_edge.audit.entry import Entry
from lfr_edge.audit.event import SYSTEM, Event
from lfr_edge.deployment.alert_cases import AlertCounts, Ending, Finding
from lfr_edge.deployment.intervals import Share, beta_cdf, clopper_pearson, wilson
from lfr_edge.deployment.period import FACES, Period
from lfr_edge.deployment.reading import Elapsed
from lfr_edge.deployment.report import ie, met
from lfr_edge.deployment.sightings import Faces, Histogram, latency_bin, score_bin
from lfr_edge.deployment.statistics import Statistics, fold, summed
from lfr_edge.deployment.verified import _log, read_verified
from lfr_edge.errors import AuditError

# domain.md 5: date, place, minutes, list, threshold, alerts, true conf., true unconf., false conf., false unconf.,
# arrest, other, none, faces, rate
MET_ROWS = [
    ("2025-01-08", "08/01/25", "East Ham", 287, 15095, 6400, "0.64", 10, 10, 0, 0, 0, 4, 3, 3, 9780, "0.000 %"),
    ("2025-01-22", "22/01/25", "Walthamstow", 262, 14919, 6400, "0.64", 13, 12, 0, 1, 0, 6, 1, 5, 12120, "0.008 %"),
    ("2025-03-22", "22/03/25", "Stratford", 255, 15858, 6400, "0.64", 12, 11, 0, 1, 0, 9, 0, 2, 32835, "0.003 %"),
]  # fmt: skip


def tell_met_row(van: Any, row: tuple[Any, ...]) -> Any:
    iso, _, place, minutes, people, e4, _, alerts, tc, _, fc, _, arrest, other, none, faces, _ = row
    told = van.deployment(f"{iso}-1", iso)
    told.open(place, people, e4, location=place, use_case="crime hotspot")
    endings = ["arrest"] * arrest + ["other_disposal"] * other + ["no_action"] * none
    assert alerts == tc + fc
    started = van.clock.mono
    for ending in endings:
        told.alert("same_person", outcome=ending, identity="same_person")
    for _ in range(fc):
        told.alert("same_person", outcome="no_action", identity="different_person")
    told.count(faces - faces // 2)
    told.count(faces // 2)
    told.wait(minutes - (van.clock.mono - started) / 60e9)
    return told.close(people + 5)


@pytest.mark.parametrize("row", MET_ROWS, ids=[row[2] for row in MET_ROWS])
def test_the_published_met_rows_come_out_exactly(van: Any, row: tuple[Any, ...]) -> None:
    folder = tell_met_row(van, row)
    (log,) = read_verified(folder)
    made = met.row(Period.of([log.statistics]))
    _, date, place, minutes, people, _, setting, *counts, faces, rate = row
    wanted = [place, date, str(minutes), "crime hotspot", str(people), setting, *map(str, counts[:5]), rate]
    wanted += [*map(str, counts[5:]), str(faces)]
    assert [made[column] for column in met.COLUMNS] == wanted
    assert sum(int(made[column]) for column in met.FINDING_COLUMNS) == counts[0]
    assert sum(int(made[column]) for column in met.ENDING_COLUMNS) == counts[0]


def test_many_deployments_add_up_to_one_line(van: Any) -> None:
    for row in MET_ROWS:
        tell_met_row(van, row)
    logs = read_verified(van.audit)
    made = met.row(Period.of([log.statistics for log in logs]))
    assert made["Total Alerts"] == "35"
    assert made["Faces seen (estimate)"] == str(9780 + 12120 + 32835)
    assert made["Duration"] == str(287 + 262 + 255)
    assert made["Date"] == "08/01/25 to 22/03/25"
    assert [log.statistics.place for log in logs] == ["East Ham", "Walthamstow", "Stratford"]
    assert ie.row(Period.of([log.statistics for log in logs]))["Incorrect alerts"] == "2"


def test_immigration_enforcement_columns(van: Any) -> None:
    told = van.deployment()
    told.open(deployment_type="port of entry")
    told.alert("same_person", outcome="arrest", identity="same_person")
    told.alert("same_person", outcome="no_action", identity="different_person")
    told.alert("different_person", result="not_referred")
    told.alert("same_person", "different_person", result="not_referred")
    told.alert()
    told.count(1000)
    told.close()
    (log,) = read_verified(told.folder)
    made = ie.row(Period.of([log.statistics]))
    assert list(made) == [*ie.COLUMNS, *ie.ADDED]
    assert sum(int(made[column]) for column in ie.FINDING_COLUMNS) == int(made["Total alerts"]) == 5
    assert made["Deployment type"] == "port of entry"
    assert (made["Positive interventions"], made["Incorrect interventions"]) == ("1", "1")
    assert (made["Incorrect alert rate"], made["Arrests or disposals"]) == ("0.200 %", "1")
    assert made["Number of cameras"] == "1"


def test_an_outcome_alone_confirms_nothing(van: Any) -> None:
    """A person who was stopped wrongly ends in "no action", too."""
    told = van.deployment()
    told.open()
    told.alert("same_person", outcome="no_action")
    told.alert("same_person", outcome="arrest", identity="not_established")
    told.close()
    (log,) = read_verified(told.folder)
    assert {case.finding for case in log.statistics.cases} == {Finding.TRUE_UNCONFIRMED}


def test_what_is_not_in_the_log_is_not_zero(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.close()
    (log,) = read_verified(told.folder)
    one = log.statistics
    period = Period.of([one])
    assert one.faces == Faces(None, None, None, None)
    assert one.energy_j is None
    assert one.processed is None
    assert met.row(period)["Faces seen (estimate)"] == "not recorded"
    assert met.row(period)["False Alert Rate"] == "not recorded"
    assert all(period.per_face(0, definition) is None for definition in FACES)
    assert period.per_alert(0).value is None


def test_a_sum_over_deployments_of_which_one_is_silent_is_no_denominator() -> None:
    total = summed([5, None, 7])
    assert (total.value, total.recorded, total.of, total.whole) == (12, 2, 3, None)
    assert summed([5, 7]).whole == 12


def test_the_ledger_counts_faces_across_recognisers(van: Any) -> None:
    told = van.deployment()
    told.open()
    for faces in (100, 250):
        told.say(
            "ledger.counted", frames=9, faces=faces, probes=faces // 5, processed=50, erased=50, retained=0
        )
    told.say("recogniser.stopped", why="recogniser_hung")
    told.wait(2)
    told.say("recogniser.started", providers=["CPUExecutionProvider"])
    told.say("ledger.counted", frames=9, faces=40, probes=8, processed=8, erased=7, retained=1)
    told.close()
    (log,) = read_verified(told.folder)
    one = log.statistics
    assert one.faces == Faces(290, None, 58, None)
    assert (one.processed, one.erased, one.retained) == (58, 57, 1)
    assert one.processed == log.report.duties.processed
    assert one.down_ms == 120_000


def test_minutes_blind_from_the_cameras_own_events(van: Any) -> None:
    told = van.deployment()
    told.say(
        "deployment.opened", site="A", purpose="operational", cameras=["gate", "never"], alert_images_h=24
    )
    told.say("recogniser.started")
    told.wait(1)
    told.say("camera.connected", camera="gate", epoch=1)
    told.wait(10)
    told.say("camera.lost", camera="gate", epoch=1)
    told.wait(3)
    told.say("camera.connected", camera="gate", epoch=2)
    told.wait(6)
    told.say("recognition.paused", actor=SYSTEM)
    told.wait(5)
    told.close()
    (log,) = read_verified(told.folder)
    gate, never = log.statistics.cameras
    assert (gate.blind_ms, gate.lost) == (4 * 60_000, 1)
    assert never.blind_ms == log.statistics.duration_ms == 25 * 60_000
    assert log.statistics.paused_ms == 5 * 60_000
    assert log.statistics.blind_ms == 29 * 60_000


def test_a_restart_without_goodbye_counts_as_down(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.wait(30)
    told.count(50)
    told.wait(7)  # the desk is dead
    told.say("watchlist.destroyed", ref="aa" * 10, templates=15100, where="lost with the process")
    told.say("model.loaded", ref="7d" * 32, pack="default")
    told.say("recogniser.started")
    told.close(0)
    (log,) = read_verified(told.folder)
    assert log.statistics.down_ms == 7 * 60_000


def test_a_jump_of_the_wall_clock_changes_no_duration(van: Any) -> None:
    told = van.deployment()
    told.open()
    van.clock.wall += 3 * 3600 * 10**9
    told.wait(20)
    told.close()
    (log,) = read_verified(told.folder)
    assert log.statistics.minutes == 20


def test_drills_are_no_alerts_and_no_alert_hides_as_a_drill(van: Any) -> None:
    told = van.deployment()
    told.open()
    for number, (truth, result) in enumerate(
        [("same_person", "referred"), ("different_person", "referred"), ("different_person", "")]
    ):
        ref = f"d{number:031x}"
        told.say("drill.raised", ref=ref, truth=truth)
        told.say("drill.answered", ref=ref, look=1, answer="same_person", took_ms=3000)
        more = {"result": result, "right": True} if result else {}  # its own word is not believed
        told.say("drill.answered", ref=ref, look=2, answer="cannot_judge", took_ms=2000, **more)
    told.say("drill.answered", ref="e" * 32, look=1, answer="same_person", result="referred", right=True)
    ref = told.alert("same_person")
    told.say("drill.raised", ref=ref, truth="same_person")
    told.close()
    (log,) = read_verified(told.folder)
    assert [drill.right for drill in log.statistics.drills] == [True, False, None]
    assert {drill.answers for drill in log.statistics.drills} == {("same_person", "cannot_judge")}
    assert {drill.took_ms for drill in log.statistics.drills} == {5000}
    assert log.statistics.alerts.total == 1


def test_thresholds_retention_list_and_latency(van: Any) -> None:
    told = van.deployment()
    told.open(people=10)
    told.say("threshold.changed", threshold_e4=6000, change="c1")
    told.say("retention.changed", alert_images_h=1)
    told.say("watchlist.withdrawn", ref="bb" * 10, templates=2)
    early, late, held = (told.alert("same_person") for _ in range(3))
    told.say("alert.held", ref=held)
    told.wait(50)
    told.say("alert.erased", ref=early, key_destroyed=True)
    told.wait(60)
    for ref in (late, held):
        told.say("alert.erased", ref=ref, key_destroyed=True)
    told.count(10, latency_ms={"250": 3, "1000": 1}, score_e4={"1000": 7}, energy_j=3600)
    told.count(10, latency_ms={"inf": 1, "bad": 5, "300": -4}, energy_j=1)
    told.close(13)
    (log,) = read_verified(told.folder)
    one = log.statistics
    assert [step.threshold_e4 for step in one.thresholds] == [6400, 6000]
    assert one.lowest_threshold_e4 == 6000
    assert (one.watchlist.entries, one.watchlist.withdrawn) == (10, 1)
    assert one.watchlist.templates_in == one.watchlist.templates_out == 15
    assert (one.custody.pictures_erased, one.custody.erased_late, one.custody.held) == (3, 1, 1)
    assert one.latency == Histogram(((250, 3), (1000, 1), (None, 1)))
    assert [one.latency.at_most(share) for share in (0.5, 0.8, 0.95)] == [250, 1000, None]
    assert one.energy_j == 3601
    assert one.counted_ms == 120_000
    assert one.faces.opportunities == 20


def test_an_altered_log_gives_no_figure(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.alert("same_person")
    folder = told.close()
    raw = bytearray((folder / "entries.lfr").read_bytes())
    raw[raw.index(b"same_person")] ^= 1
    (folder / "entries.lfr").write_bytes(raw)
    for path in (folder, van.audit):
        with pytest.raises(AuditError) as refusal:
            read_verified(path)
        assert refusal.value.code == "audit_report_refused"
        assert "lfr-edge audit verify" in refusal.value.hint


def test_a_missing_deployment_is_noticed_and_refused(van: Any) -> None:
    for name, day in (("2025-01-08-1", "2025-01-08"), ("2025-01-09-1", "2025-01-09")):
        told = van.deployment(name, day)
        told.open()
        told.close()
    (van.audit / "2025-01-08-1").rename(van.root / "hidden")
    with pytest.raises(AuditError, match="is not here"):
        read_verified(van.audit)


def test_a_running_log_counts_what_is_signed(van: Any) -> None:
    told = van.deployment()
    told.open()
    told.alert("same_person")
    told.log.checkpoint()
    told.say("alert.raised", ref="ff" * 16, camera="gate")
    (log,) = read_verified(told.folder)
    assert log.statistics.alerts.total == 1
    assert not log.statistics.closed


def test_an_empty_folder_and_the_device_log_are_no_deployment(van: Any, tmp_path: Any) -> None:
    van.deployment()
    for path in (tmp_path / "nothing", van.audit / "device"):
        with pytest.raises(AuditError) as refusal:
            read_verified(path)
        assert refusal.value.code == "audit_report_empty"


# --- random logs ------------------------------------------------------------------------------------------------

VERBS = ("alert.raised", "alert.looked", "alert.decided", "alert.suppressed", "alert.expired", "alert.outcome",
         "alert.engaged", "drill.raised", "alert.erased", "recogniser.started", "ledger.counted",
         "statistics.counted", "camera.lost", "camera.connected", "threshold.changed")  # fmt: skip
WORDS = st.sampled_from(
    ["same_person", "different_person", "cannot_judge", "referred", "not_referred", "arrest", "no_action",
     "not_located", "other_disposal", "nonsense", ""]
)  # fmt: skip
VALUES = st.one_of(st.integers(-5, 50), WORDS, st.booleans(), st.lists(st.integers(0, 3), max_size=2))
KEYS = ("result", "outcome", "identity", "answer", "truth", "took_ms", "score_e4", "camera", "threshold_e4",
        "processed", "erased", "retained", "faces", "cameras", "latency_ms")  # fmt: skip
EVENTS = st.builds(
    lambda ev, ref, data: Event(ev, SYSTEM, ref, data),
    st.sampled_from(VERBS),
    st.sampled_from(["a", "b", "c", "d"]),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6),
)


def folded(events: list[Event]) -> tuple[Statistics, Duties]:
    entries = [
        Entry("van/d", seq, "boot", 1_000_000 * seq, 10**9 * seq, "ntp", event)
        for seq, event in enumerate([Event("log.opened"), *events])
    ]
    duties = Duties()
    for entry in entries:
        duties.feed(entry)
    return fold(entries), duties


@given(st.lists(EVENTS, max_size=60))
def test_findings_and_endings_add_up_to_the_alerts_whatever_the_log_holds(events: list[Event]) -> None:
    one, duties = folded(events)
    alerts, made = one.alerts, met.row(Period.of([one]))
    assert alerts.total == duties.report().alerts_raised == len(one.cases)
    assert sum(alerts.where({finding}) for finding in Finding) == alerts.total
    assert sum(alerts.where(endings={ending}) for ending in Ending) == alerts.total
    assert sum(int(made[column]) for column in met.FINDING_COLUMNS) == alerts.total
    assert sum(int(made[column]) for column in met.ENDING_COLUMNS) == alerts.total
    other = ie.row(Period.of([one]))
    assert sum(int(other[column]) for column in ie.FINDING_COLUMNS) == alerts.total


@given(st.lists(EVENTS, max_size=30), st.lists(EVENTS, max_size=30))
def test_two_deployments_are_the_sum_of_each(first: list[Event], second: list[Event]) -> None:
    one, two = folded(first)[0], folded(second)[0]
    both = Period.of([one, two])
    assert both.alerts == AlertCounts.of((*one.cases, *two.cases))
    assert both.latency == one.latency + two.latency
    assert both.duration_ms == one.duration_ms + two.duration_ms


# --- intervals --------------------------------------------------------------------------------------------------


def test_the_field_figure_of_the_met_at_064() -> None:
    """domain.md 7: 7 false in 2,424,559 faces, 95 % between 1 in 168,000 and 1 in 861,000."""
    low, high = clopper_pearson(7, 2_424_559)
    assert (round(1 / high, -3), round(1 / low, -3)) == (168_000, 861_000)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_against_the_plain_sum(case: tuple[int, int]) -> None:
    events, trials = case
    low, high = clopper_pearson(events, trials)
    assert low <= events / trials <= high
    below = sum(math.comb(trials, k) * high**k * (1 - high) ** (trials - k) for k in range(events + 1))
    above = sum(math.comb(trials, k) * low**k * (1 - low) ** (trials - k) for k in range(events, trials + 1))
    assert high == 1 or below == pytest.approx(0.025, rel=1e-6)
    assert low == 0 or above == pytest.approx(0.025, rel=1e-6)
    w_low, w_high = wilson(events, trials)
    assert 0 <= w_low <= events / trials <= w_high <= 1


def test_ends_and_refusals_of_intervals() -> None:
    assert clopper_pearson(0, 10)[0] == 0
    assert clopper_pearson(10, 10)[1] == 1
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
    assert wilson(5, 10) == pytest.approx((0.236593, 0.763407), abs=1e-6)
    assert (beta_cdf(0, 2, 3), beta_cdf(1, 2, 3)) == (0, 1)
    assert (Share(0, 0).value, Share(0, 0).interval, Share(0, 0).wilson) == (None, None, None)
    assert Share(1, 2).wilson == wilson(1, 2)
    for wrong in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError):
            clopper_pearson(*wrong)
    with pytest.raises(ValueError):
        Share(2, 1)


def test_bins_of_the_emitter() -> None:
    assert [latency_bin(ms) for ms in (0, 50, 50.1, 5000, 5001)] == ["50", "50", "100", "5000", "inf"]
    assert [score_bin(score) for score in (0, 199, 200, -1)] == ["0", "0", "200", "-200"]
    with pytest.raises(ValueError):
        Period.of([folded([])[0]]).faces("people")


def test_entries_that_are_not_those_of_the_signed_head_are_refused(van: Any) -> None:
    """What was read has to be what was signed, whatever the verifier saw a moment later."""
    logs = []
    for name in ("2025-01-08-1", "2025-01-08-2"):
        told = van.deployment(name)
        told.open()
        told.log.checkpoint()
        logs += read_verified(told.folder)
    first, second = logs
    with pytest.raises(AuditError, match="changed while it was read"):
        _log(replace(first.view, checkpoints=second.view.checkpoints), first.report)


def test_a_log_without_a_signed_head_gives_no_figure(van: Any) -> None:
    told = van.deployment()
    told.open()
    (log,) = read_verified(told.folder)
    with pytest.raises(AuditError, match="signed head covers"):
        _log(replace(log.view, checkpoints=()), log.report)


def test_time_of_two_boots_is_the_wall_clock_and_never_runs_back() -> None:
    elapsed = Elapsed()
    moments = [
        ("a", 0, 5 * 10**9),
        ("a", 7, 6 * 10**9),
        ("b", 60_000_007, 10**9),
        ("b", 1, 3 * 10**9),
        ("c", 0, 0),
    ]
    made = [
        elapsed.feed(Entry("van/d", seq, boot, wall, mono, "ntp", Event("log.opened")))
        for seq, (boot, wall, mono) in enumerate(moments)
    ]
    assert made == [0, 1000, 61_000, 63_000, 63_000]
