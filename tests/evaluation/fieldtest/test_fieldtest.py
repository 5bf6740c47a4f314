"""A field test from the plan to the deletion, with people whose truth is known."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.cli.main import main
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.fieldtest.analysis import Walked, analyse
from lfr_edge.evaluation.fieldtest.deletion import delete_everybody
from lfr_edge.evaluation.fieldtest.people import Participant, read_participants
from lfr_edge.evaluation.fieldtest.plan import load_plan, make_plan, save_plan
from lfr_edge.evaluation.fieldtest.sheets import draw, sheet

DAY = date(2026, 11, 22)


def plan_of(**changes):
    asked = {"expected": 0.8, "half_width": 0.1, "passages": 6, "decoys": 4, "seed": 1}
    return make_plan("spring", ("north", "south"), {"side": ("a", "b")}, **(asked | changes))


def person(n: int, role: str = "listed", side: str = "a") -> Participant:
    return Participant(f"{role[0]}{n}", role, "form", date(2030, 1, 1), {"side": side})


def test_the_plan_needs_more_people_for_a_closer_answer():
    found = plan_of()
    assert found.participants > 40, "62 independent passages at each camera; 3 of one person are worth 1.7"
    assert plan_of(half_width=0.05).participants > 3 * found.participants
    assert plan_of(passages=2).participants > found.participants


@pytest.mark.parametrize("change", [{"half_width": 0.0}, {"expected": 1.0}, {"passages": 1}, {"decoys": -1}])
def test_a_plan_that_cannot_be(change):
    with pytest.raises(EvaluationError) as caught:
        plan_of(**change)
    assert caught.value.code == "fieldtest_plan_invalid"


def test_a_plan_is_kept(tmp_path):
    save_plan(tmp_path / "t", plan_of())
    assert load_plan(tmp_path / "t") == plan_of()
    with pytest.raises(EvaluationError) as caught:
        load_plan(tmp_path)
    assert caught.value.code == "fieldtest_plan_missing"
    (tmp_path / "plan.json").write_text('{"format": 1}')
    with pytest.raises(EvaluationError) as caught:
        load_plan(tmp_path)
    assert caught.value.code == "fieldtest_plan_invalid"


def test_everybody_walks_every_camera_equally_in_an_order_nobody_chose():
    plan, people = plan_of(), [person(n) for n in range(8)] + [person(n, "decoy") for n in range(2)]
    walks = draw(plan, people)
    assert [walk.passage for walk in walks] == list(range(1, 61))
    assert set(Counter((w.participant, w.camera) for w in walks).values()) == {3}
    rounds = [[w.participant for w in walks[at : at + 10]] for at in range(0, 60, 10)]
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 4
    assert draw(plan, people) == walks, "the seed is in the plan"
    paper = sheet(plan, walks)
    assert paper.count("<section>") == 11
    assert "decoy" not in paper, "whoever watches does not know who is listed"


def test_the_analysis_finds_the_truth():
    """Camera south recognises fewer than north, group b fewer than a; each rate lies in its interval."""
    plan = plan_of(passages=8)
    people = [person(n, side="ab"[n % 2]) for n in range(160)] + [person(n, "decoy") for n in range(30)]
    generator = np.random.default_rng(2)
    truth = {("a", "north"): 0.95, ("a", "south"): 0.75, ("b", "north"): 0.7, ("b", "south"): 0.5}
    walked = []
    for walk in draw(plan, people):
        one = next(p for p in people if p.code == walk.participant)
        rate = truth[one.groups["side"], walk.camera] if one.role == "listed" else 0.02
        walked.append(Walked(walk.participant, walk.camera, bool(generator.random() < rate)))
    found = analyse(plan, people, walked)
    assert found["participants"] == 160
    assert found["trr"]["low"] < 0.725 < found["trr"]["high"]
    assert found["by_camera"]["north"]["low"] < 0.825 < found["by_camera"]["north"]["high"]
    assert found["by_camera"]["south"]["low"] < 0.625 < found["by_camera"]["south"]["high"]
    assert found["cameras_differ"] is not None
    assert found["by_group"]["side"]["verdict"] == "differs"
    assert found["by_group"]["side"]["worst_to_best"]["worst"] == "b"
    assert found["decoys"]["people"] == 30
    assert found["decoys"]["false_alerts"]["value"] < 0.06
    assert "l1" not in json.dumps(found), "nobody is named in the result"


def participants(folder: Path, people: int = 24, **changes: str) -> None:
    with (folder / "participants.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["code", "role", "consent_reference", "consent_until", "side"])
        for n in range(people):
            row = {"code": f"B{n:02d}", "role": "decoy" if n >= people - 2 else "listed", "consent": f"form {n}",
                   "until": "2999-01-01", "side": "ab"[n % 2]} | (changes if n == 3 else {})  # fmt: skip
            writer.writerow(row.values())


@pytest.fixture
def folder(tmp_path, capsys) -> Path:
    place = tmp_path / "spring"
    asked = ["fieldtest", "plan", str(place), "--camera", "north", "south", "--group", "side=a,b"]
    assert main([*asked, "--passages", "4", "--half-width", "0.2"]) == 0
    out = capsys.readouterr().out
    assert "on the blue list, evenly over side (a, b)\n10 decoys, 4 passages each\n" in out
    participants(place)
    return place


def test_what_is_one_is_said_of_one(tmp_path, capsys):
    asked = ["fieldtest", "plan", str(tmp_path / "t"), "--camera", "north", "--passages", "1"]
    assert main([*asked, "--decoys", "1", "--group", "side=a,b", "age=young,old"]) == 0
    out = capsys.readouterr().out
    assert "evenly over side (a, b) and over age (young, old)\n1 decoy, 1 passage each\n" in out


def fill_in(folder: Path) -> None:
    with (folder / "passages.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for n, row in enumerate(rows[:-5]):
        row["walked_at"] = "10:00"
        if row["role"] == "listed" and n % 5:
            row["alert_at"] = "10:00:02"
    with (folder / "passages.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_from_the_plan_to_the_deletion(folder, capsys):
    name = str(folder)
    assert main(["fieldtest", "sheets", name]) == 0
    assert "96 passages of 22 listed people and 2 decoys" in capsys.readouterr().out
    assert main(["fieldtest", "sheets", name]) == 1
    assert "fieldtest_sheets_drawn" in capsys.readouterr().err
    assert main(["fieldtest", "analyse", name]) == 1
    assert "nobody has walked yet" in capsys.readouterr().err
    fill_in(folder)
    assert main(["fieldtest", "analyse", name]) == 0
    assert "TRR" in capsys.readouterr().out
    page = (folder / "result.html").read_text()
    assert "True Recognition Rate" in page
    assert "B0" not in page
    assert main(["fieldtest", "delete", name, "--participant", "B05"]) == 0
    assert "B05" not in capsys.readouterr().out
    assert main(["fieldtest", "delete", name, "--participant", "B05"]) == 1
    assert "fieldtest_participant_unknown" in capsys.readouterr().err
    assert all("B05" not in path.read_text() for path in folder.iterdir())
    assert not (folder / "sheets.html").exists()
    assert main(["fieldtest", "analyse", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["participants"] == 21
    assert main(["fieldtest", "delete", name, "--everybody"]) == 0
    capsys.readouterr()
    assert {path.name for path in folder.iterdir()} == {
        "plan.json",
        "result.json",
        "result.html",
        "deleted.json",
    }
    assert len(json.loads((folder / "deleted.json").read_text())) == 2
    with pytest.raises(EvaluationError) as caught:
        delete_everybody(folder, datetime.now(UTC))
    assert caught.value.code == "fieldtest_nothing_to_delete"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"until": "2020-01-01"}, "fieldtest_consent_missing"),
        ({"consent": ""}, "fieldtest_consent_missing"),
        ({"until": "soon"}, "fieldtest_participants_invalid"),
        ({"role": "guest"}, "fieldtest_participants_invalid"),
        ({"side": "c"}, "fieldtest_participants_invalid"),
        ({"code": "B00"}, "fieldtest_participants_invalid"),
    ],
)
def test_nobody_takes_part_without_a_consent_that_holds(folder, changes, code):
    participants(folder, **changes)
    with pytest.raises(EvaluationError) as caught:
        read_participants(folder / "participants.csv", load_plan(folder), DAY)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "line",
    [
        "1,nobody,listed,north,10:00,,",
        "1,B00,listed,north,,10:00,",
        "1,B00,listed,north,10:00,-,",
        "1,B00,listed,north,10:00,no,",
        "1,B00,listed,north,yes,,",
        "1,B00,listed,east,10:00,,",
        "1,B00,listed,north,10:00,,\n1,B01,listed,north,10:01,,",
    ],
)
def test_a_table_that_was_filled_in_wrongly(folder, line, capsys):
    (folder / "passages.csv").write_text(
        "passage,participant,role,camera,walked_at,alert_at,remark\n" + line + "\n"
    )
    assert main(["fieldtest", "analyse", str(folder)]) == 1
    assert "fieldtest_passages_invalid" in capsys.readouterr().err


def test_sheets_are_printed_again_for_those_who_stay(folder, capsys):
    name = str(folder)
    assert main(["fieldtest", "sheets", name]) == 0
    before = (folder / "passages.csv").read_text()
    assert main(["fieldtest", "delete", name, "--participant", "B05"]) == 0
    assert not (folder / "sheets.html").exists()
    assert main(["fieldtest", "sheets", name]) == 0
    assert "printed again" in capsys.readouterr().out
    after = (folder / "passages.csv").read_text()
    assert after.splitlines() == [line for line in before.splitlines() if ",B05," not in line], (
        "nothing is drawn anew"
    )
    page = (folder / "sheets.html").read_text()
    assert "B05" not in page
    assert "B06" in page


def test_a_planned_group_is_never_too_small_to_be_told(tmp_path, capsys):
    asked = ["fieldtest", "plan", str(tmp_path / "t"), "--camera", "n", "--group", "age=a,b,c"]
    assert main([*asked, "--half-width", "0.4", "--passages", "9"]) == 0
    assert load_plan(tmp_path / "t").participants == 60
    assert "60 people" in capsys.readouterr().out


def test_before_anything_was_drawn_and_after_it_was(folder, capsys):
    assert main(["fieldtest", "analyse", str(folder)]) == 1
    assert "[fieldtest_passages_missing]" in capsys.readouterr().err
    assert main(["fieldtest", "sheets", str(folder)]) == 0
    plan = (folder / "plan.json").read_text()
    assert main(["fieldtest", "plan", str(folder), "--camera", "other"]) == 1
    assert "[fieldtest_walked]" in capsys.readouterr().err
    assert (folder / "plan.json").read_text() == plan


def test_groups_that_name_nothing(tmp_path, capsys):
    assert main(["fieldtest", "plan", str(tmp_path), "--camera", "n", "--group", "side=a"]) == 1
    assert "fieldtest_plan_invalid" in capsys.readouterr().err
