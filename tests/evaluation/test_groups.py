"""Errors by group: known truth is found, chance is not taken for a difference, and little data says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "watchlist"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pictures_for_tests import png
from portraitist import FakePortraitist

from lfr_edge.cli.main import main
from lfr_edge.evaluation.fairness import fairness
from lfr_edge.evaluation.groups import chance_within, differential, score_shifts
from lfr_edge.evaluation.identities import report, run_identities
from lfr_edge.evaluation.openset import operating_points
from lfr_edge.evaluation.page import page
from lfr_edge.evaluation.power import detectable, people_for
from lfr_edge.evaluation.protocol import Protocol, Sample
from tests.evaluation.coverage import rate, shift, trials

MODEL = {
    "fingerprint": "f",
    "dimension": 8,
    "provider": "cpu",
    "precision": "fp32",
    "pack": "p",
    "version": "1",
}


def test_intervals_hold_the_truth_where_people_were_seen_several_times():
    held, runs = rate(150, 4, 0.1), 150
    assert sum(held(seed) is True for seed in range(runs)) >= 0.89 * runs


def test_a_shift_holds_everybody_in_the_group_and_in_the_whole():
    """Both means of one drawing: of two they would be as sure as nobody is (100 of 100 held; about 95 should)."""
    held = shift(150, 0.05)
    answers = [held(seed) for seed in range(40)]
    assert 32 <= sum(answer is True for answer in answers) <= 39


def test_a_real_difference_is_found():
    found = differential(trials({"a": 0.08, "b": 0.08, "c": 0.3}, 250))
    assert found.verdict == "differs"
    assert found.chance < 0.01
    assert found.worst_to_best.worst == "c"
    assert found.worst_to_best.low < 0.3 / 0.08 < found.worst_to_best.high
    assert 1 < found.worst_to_mean.value < found.worst_to_best.value
    assert "would have been seen" in found.power


def test_chance_alone_seldom_makes_a_difference():
    found = [differential(trials({"a": 0.15, "b": 0.15}, 150, images=3, seed=seed)) for seed in range(20)]
    assert sum(one.verdict == "differs" for one in found) <= 5  # 5 % of 20 are 1; 6 or more: once in 3,000


def test_few_people_cannot_tell():
    few = differential(trials({"a": 0.1, "b": 0.3}, 12))
    assert few.verdict == "cannot tell"
    assert few.rates["a"].value is None
    assert "20 are needed" in few.rates["a"].note
    assert few.worst_to_best.value is None
    weak = differential(trials({"a": 0.02, "b": 0.02}, 40, seed=1))
    assert weak.verdict == "cannot tell", "no difference was seen, and none of twice the rate could have been"
    strong = differential(trials({"a": 0.2, "b": 0.2}, 800))
    assert strong.verdict == "no difference shown"


def test_rare_events_need_the_rule_of_three():
    found = differential(trials({"a": 0.01, "b": 0.01}, 150, seed=3, rare=True))
    assert all(rate.value is None for rate in found.rates.values())
    assert "rule of 3" in found.rates["a"].note
    assert found.verdict == "cannot tell"


def test_no_ratio_to_a_group_without_errors():
    found = differential(trials({"a": 0.0, "b": 0.2}, 100))
    assert found.worst_to_best.value is None
    assert "no error in the best group" in found.worst_to_best.note
    assert found.verdict == "differs"


def test_whoever_has_no_group_is_left_out():
    named = trials({"a": 0.2, "": 0.9, "b": 0.2}, 100)
    assert set(differential(named).rates) == {"a", "b"}


def test_a_shift_of_scores():
    generator = np.random.default_rng(0)
    scores = np.concatenate(
        [generator.normal(0.6, 0.1, 300), generator.normal(0.5, 0.1, 300), [-np.inf] * 10]
    )
    groups = ["a"] * 300 + ["b"] * 300 + ["a"] * 10
    found = score_shifts(scores, np.arange(610), groups)
    assert found["a"].low < 0.05 < found["a"].high
    assert found["b"].shift == pytest.approx(-found["a"].shift, abs=1e-6)
    assert found["a"].deviations == pytest.approx(0.45, abs=0.1)
    few = score_shifts(scores[:25], np.arange(25), ["a"] * 5 + ["b"] * 20)
    assert few["a"].shift is None


def test_power():
    assert detectable(0.1, 1000, 1000) < 1.5 < detectable(0.1, 50, 1000)
    assert detectable(0.6, 3, 3) is None
    assert detectable(0.0, 5, 5) is None
    assert people_for(0.5, 0.1) == pytest.approx(93, abs=2)
    assert people_for(0.9, 0.05) < people_for(0.5, 0.05)
    with pytest.raises(ValueError, match="±"):
        people_for(0.5, 0.0)


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_promised_power_is_there(rate):
    """What is called detectable is found in about 8 of 10 synthetic tests."""
    factor = detectable(rate, 300, 300)
    found = [
        differential(trials({"a": rate, "b": min(1, rate * factor)}, 300, seed=seed)).verdict == "differs"
        for seed in range(30)
    ]
    assert 17 <= sum(found) <= 30


@pytest.fixture
def grouped(tmp_path) -> tuple[Path, Protocol]:
    """60 listed people in two groups; every third picture of group south shows somebody else."""
    samples = []
    for n in range(60):
        group = {"side": "south" if n % 2 else "north", "age": ""}
        wrong = n % 2 and n % 3 == 0
        for role, seed in (("gallery", n), ("mated", 5000 + n if wrong else n)):
            samples.append(Sample(role, f"{role}{n}.png", f"P{n}", group))
            face = {"box": [20, 20, 80, 80], "seed": seed}
            (tmp_path / f"{role}{n}.png").write_bytes(png() + json.dumps([face]).encode())
    for n in range(400):
        samples.append(Sample("nonmated", f"s{n}.png", f"S{n}", {"side": "south" if n % 2 else "north"}))
        face = {"box": [20, 20, 80, 80], "seed": 9000 + n}
        (tmp_path / f"s{n}.png").write_bytes(png() + json.dumps([face]).encode())
    return tmp_path, Protocol(tuple(samples))


def test_the_report_of_a_run_has_a_chapter_for_each_column(grouped):
    folder, protocol = grouped
    run = run_identities(FakePortraitist(), folder, protocol)
    searches = run.searches(run.scores())
    found = fairness(run, searches, operating_points(searches))
    assert set(found) == {"side", "age"}
    side = found["side"]
    assert side["at"]["target_fpir"] == 0.01
    missed = side["false_negatives"]
    assert missed["rates"]["north"]["value"] == 0
    assert missed["rates"]["south"]["value"] == pytest.approx(1 / 3)
    assert missed["verdict"] == "differs"
    assert side["false_positives"]["verdict"] == "cannot tell"
    assert side["failure_to_enrol"]["rates"]["north"]["value"] == 0
    assert found["age"]["false_negatives"]["verdict"] == "cannot tell"
    assert found["age"]["unnamed"] == 520
    json.dumps(found, allow_nan=False)
    text = page(report(run, MODEL) | {"by_group": found})
    assert "By group: side" in text
    assert "<strong>Differs.</strong>" in text
    assert "nan" not in text
    assert "by_group" not in report(run, MODEL)


def test_a_protocol_without_groups_has_no_chapter(grouped):
    folder, protocol = grouped
    plain = Protocol(tuple(Sample(s.role, s.path, s.identity) for s in protocol.samples))
    run = run_identities(FakePortraitist(), folder, plain)
    searches = run.searches(run.scores())
    assert fairness(run, searches, operating_points(searches)) == {}


def test_outcomes_that_officers_recorded(tmp_path, capsys):
    rows = ["alert,identity,recorded group"]
    for n in range(120):
        false = n % 3 == 0 if n % 2 else n % 12 == 0
        identity = "not_established" if n >= 110 else "different_person" if false else "same_person"
        rows.append(f"a{n},{identity},{'one' if n % 2 else 'two'}")
    (tmp_path / "o.csv").write_text("\n".join(rows))
    assert main(["evaluate", "outcomes", str(tmp_path / "o.csv")]) == 0
    text = capsys.readouterr().out
    assert "120 alerts, 10 of them not established" in text
    assert "of 55 alerts are false" in text
    assert main(["evaluate", "outcomes", str(tmp_path / "o.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_group"]["recorded group"]["unnamed"] == 0
    written = tmp_path / "o.html"
    assert main(["evaluate", "outcomes", str(tmp_path / "o.csv"), "--html", str(written)]) == 0
    assert "By group: recorded group" in written.read_text()
    assert "ISO/IEC 19795-10" in written.read_text()


@pytest.mark.parametrize(
    "text",
    ["", "alert,identity\n", "alert,identity,g\na,maybe,x\n", "alert,identity,g\n",
     "alert,identity,g\na,same_person,x\na,same_person,x\n"],
)  # fmt: skip
def test_a_table_of_outcomes_that_cannot_be_used(tmp_path, text, capsys):
    (tmp_path / "o.csv").write_text(text)
    assert main(["evaluate", "outcomes", str(tmp_path / "o.csv")]) == 1
    assert "outcomes_invalid" in capsys.readouterr().err


def test_places_that_everybody_passes_are_compared_within_each_person():
    """Alike places look alike, also where people differ much; a place that misses half is told."""
    generator = np.random.default_rng(4)
    people = np.repeat(np.arange(45), 4)
    places = np.tile(["north", "north", "south", "south"], 45)
    ease = np.repeat(generator.choice([0.2, 0.95], 45), 4)
    chances = []
    for seed in range(25):
        events = np.random.default_rng(seed).random(180) < ease
        chances.append(chance_within(events, people, places))
    assert np.mean(np.array(chances) < 0.05) < 0.17
    assert 0.3 < np.mean(chances) < 0.75
    worse = np.random.default_rng(0).random(180) < np.where(places == "south", ease / 2, ease)
    assert chance_within(worse, people, places) < 0.01
