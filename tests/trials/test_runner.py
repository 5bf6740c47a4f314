"""The runner: what it says of a trial that holds, breaks, sees nothing, or cannot be tried."""

from __future__ import annotations

import errno
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.trials import cli, results, running
from tests.trials.catalogue import TRIALS
from tests.trials.page import FOUND, PAGE, added_up, explanations, page, telling
from tests.trials.trial import Attempt, NotHereError, Outcome, Trial

HOLDS = Trial(
    name="sample",
    bar="A0",
    promise="dice show six sides",
    does="throws them",
    sabotage="dice with seven",
    unit="throws",
    slice=5,
    full=50,
    run=lambda attempt: _throw(attempt, 6),
    control=lambda attempt: _throw(attempt, 7),
    control_n=100,
    ci="tests/trials/test_runner.py::test_a_trial_that_holds",
)


def _throw(attempt: Attempt, sides: int) -> Outcome:
    chance, failures = attempt.chance(), []
    for number in range(attempt.n):
        side = chance.randint(1, sides)
        failures += [f"throw {number}: {side}"] if side > 6 else []
        attempt.step(1)
    return Outcome(attempt.n, tuple(failures), {"sides": sides})


def test_a_trial_that_holds() -> None:
    steps: list[int] = []
    result = running.carry_out(HOLDS, 60, 7, steps.append)
    assert (result["verdict"], result["tried"], result["seed"], sum(steps)) == ("held", 60, 7, 60)
    assert result["bound_95"] == 3 / 60
    assert result["control"]["failures"] > 0
    assert result["facts"] == {"sides": 6}
    assert json.loads(json.dumps(result)) == result


def test_a_trial_that_breaks_says_where_and_again_with_the_same_seed() -> None:
    broken = replace(HOLDS, run=HOLDS.control)
    first, second = (running.carry_out(broken, 100, 3) for _ in range(2))
    assert first["verdict"] == "broken"
    assert first["bound_95"] is None
    assert first["failures"] > 0
    assert first["failed"] == second["failed"]
    assert first["failed"] != running.carry_out(broken, 100, 4)["failed"]


def test_an_assertion_is_a_failure() -> None:
    def asserts(attempt: Attempt) -> Outcome:
        raise AssertionError("entry 5 is another one")

    result = running.carry_out(replace(HOLDS, run=asserts), 10, 1)
    assert (result["verdict"], result["failed"]) == ("broken", ["entry 5 is another one"])


def test_an_assertion_without_words_says_where_it_stands() -> None:
    def asserts(attempt: Attempt) -> Outcome:
        # pytest puts words into the assertions of a test; the runner's process does not.
        raise AssertionError

    (failed,) = running.carry_out(replace(HOLDS, run=asserts), 10, 1)["failed"]
    assert re.fullmatch(r"test_runner\.py:\d+: raise AssertionError", failed)


def test_a_control_that_does_not_fail_is_no_success() -> None:
    assert running.carry_out(replace(HOLDS, control=HOLDS.run), 10, 1)["verdict"] == "blind"
    nothing = replace(HOLDS, run=lambda attempt: Outcome(0))
    assert running.carry_out(nothing, 10, 1)["verdict"] == "blind", "nor is what tried nothing"


def test_what_is_missing_is_said_and_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(running._HERE, "strace", lambda: False)
    with pytest.raises(NotHereError, match="sample needs strace"):
        running.carry_out(replace(HOLDS, needs=("strace",)), 1, 1)


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "TRIALS", (HOLDS, replace(HOLDS, name="gone", needs=("strace",))))
    monkeypatch.setitem(running._HERE, "strace", lambda: False)
    assert cli.main(["list", "--json"]) == 0
    assert [row["missing_here"] for row in json.loads(capsys.readouterr().out)] == [[], ["strace"]]
    assert cli.main(["list"]) == 0
    assert cli.main(["run", "sample", "--slice", "--seed", "5"]) == cli.HELD
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["tried"] == 5
    assert "seed 5" in err
    assert "again: trials run sample --n 5 --seed 5" in err
    assert cli.main(["run", "gone"]) == cli.NOT_HERE
    assert "NOT TRIED" in capsys.readouterr().err
    assert cli.main(["run", "nonesuch"]) == 2
    gone = replace(HOLDS, name="gone", needs=("strace",))
    monkeypatch.setattr(cli, "TRIALS", (replace(HOLDS, run=HOLDS.control), gone))
    assert cli.main(["run", "all", "--n", "50"]) == cli.BROKEN, "what was not tried hides nothing"
    monkeypatch.setattr(cli, "TRIALS", (HOLDS, gone))
    assert cli.main(["run", "all", "--n", "50"]) == cli.NOT_HERE


@pytest.mark.parametrize("n", ["0", "-5", "many"])
def test_a_number_that_is_none_is_refused(n: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        cli.main(["run", "erased-items", "--n", n])
    assert refused.value.code == cli.WRONG
    out, err = capsys.readouterr()
    assert (out, "argument --n: it has to be a number from 1 on" in err) == ("", True)


def test_nothing_is_tried_where_nothing_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse() -> None:
        results.may_keep(tmp_path / "file")

    (tmp_path / "file").touch()
    monkeypatch.setattr(cli, "TRIALS", (HOLDS,))
    monkeypatch.setattr(cli, "may_keep", refuse)
    assert cli.main(["run", "sample", "--keep"]) == cli.WRONG
    out, err = capsys.readouterr()
    assert (out, "NOT KEPT" in err) == ("", True)

    def full(result: dict[str, Any]) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli, "may_keep", lambda: None)
    monkeypatch.setattr(cli, "keep", full)
    assert cli.main(["run", "sample", "--keep"]) == cli.WRONG
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "held", "it was said, and is not lost"
    assert "NOT KEPT" in err


def test_stopped_by_hand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(attempt: Attempt) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "TRIALS", (replace(HOLDS, run=stopped),))
    assert cli.main(["run", "sample"]) == cli.STOPPED
    out, err = capsys.readouterr()
    assert (out, "STOPPED" in err) == ("", True)


def test_results_are_added_and_never_replaced(tmp_path: Path) -> None:
    for seed in (1, 2):
        path = results.keep(running.carry_out(HOLDS, 5, seed), tmp_path)
    assert path.name.endswith("-sample.jsonl")
    assert {result["seed"] for result in results.kept(tmp_path)} == {1, 2}


def test_a_success_never_hides_a_failure_that_nobody_explained() -> None:
    def ran(verdict: str, tried: int, control: int = 1) -> dict[str, Any]:
        told = {"tried": 1, "failures": 1} if control else None
        return {"verdict": verdict, "tried": tried, "seed": tried, "control": told}

    big, small, broken = ran("held", 100), ran("held", 5), ran("broken", 50)
    assert telling([big, small]) == big
    assert telling([big, broken]) == broken
    assert telling([big, broken, small, big]) == broken, "it stays, whatever held since"
    assert telling([big, broken, small], {50}) == small, (
        "explained: what held since counts, and nothing from before"
    )
    assert telling([big, broken], {50}) == broken, "explained, and not run again"
    assert telling([broken, small, ran("broken", 60), big], {50}) == ran("broken", 60), (
        "another seed's cause is open"
    )
    assert telling([ran("blind", 100), small]) == small, "what shows nothing hides nothing"
    assert telling([small, ran("held", 900, control=0)]) == small, "a result counts with its control"
    assert telling([]) is None


def test_every_broken_run_is_told_and_explained_by_a_test() -> None:
    broken = {(run["trial"], run["seed"]) for run in results.kept() if run["verdict"] == "broken"}
    known = {(one["trial"], one["seed"]) for one in explanations()}
    assert known <= broken, "an explanation of what is not broken"
    for one in explanations():
        file, _, name = one["test"].partition("::")
        assert f"def {name}(" in (REPOSITORY / file).read_text(encoding="utf-8"), one
        assert one["fault"] in {"service", "trial", "machine"}
        assert re.fullmatch(r"[0-9a-f]{7}", one["commit"]), one["commit"]


def test_the_page_calls_a_trial_broken_until_the_cause_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trial = replace(HOLDS, name="service-memory", adds_up=True)
    for seed, code in ((1, HOLDS.control), (2, HOLDS.run), (3, HOLDS.run)):
        results.keep(running.carry_out(replace(trial, run=code), 60, seed), tmp_path)
    row = "| `service-memory` | A0 | dice show six sides |"
    monkeypatch.setattr("tests.trials.page.TRIALS", (trial,))
    monkeypatch.setattr("tests.trials.page.explanations", list)
    (line,) = (line for line in page(tmp_path).splitlines() if line.startswith(row))
    assert "**broken**" in line
    assert "seed 1: the cause is not known" in line
    assert "held" not in line
    known = {"trial": trial.name, "seed": 1, "fault": "trial", "what": "a loaded die", "commit": "e533b86"}
    monkeypatch.setattr("tests.trials.page.explanations", lambda: [known | {"test": "tests/x.py::test_y"}])
    (line,) = (line for line in page(tmp_path).splitlines() if line.startswith(row))
    assert "| held, " in line
    assert "since a [broken run]" in line
    assert "| 120 throws in 2 runs |" in line
    assert "a loaded die" in page(tmp_path)


def test_runs_of_other_seeds_add_up_and_the_same_seed_does_not() -> None:
    def ran(seed: int, tried: int, verdict: str = "held", control: int = 1) -> dict[str, Any]:
        told = {"tried": 1, "failures": 2} if control else None
        return {
            "verdict": verdict,
            "tried": tried,
            "seed": seed,
            "control": told,
            "bound_95": 3 / tried,
            "facts": {},
        }

    assert added_up([]) is None
    assert added_up([ran(1, 60)]) == ran(1, 60)
    total = added_up([ran(1, 60), ran(2, 90), ran(2, 90), ran(3, 50, control=0)])
    assert total is not None
    assert (total["tried"], total["runs"], total["bound_95"]) == (150, 2, 3 / 150)
    assert total["control"] == {"tried": 2, "failures": 4}
    broken = added_up([ran(1, 60), ran(2, 60), ran(3, 60, "broken"), ran(4, 60), ran(5, 60)])
    assert broken == ran(3, 60, "broken")
    since = added_up([ran(1, 60), ran(3, 60, "broken"), ran(4, 10), ran(5, 10)], {3})
    assert since is not None
    assert since["tried"] == 20


def test_what_was_not_in_time_stands_beside_the_word_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trial = replace(HOLDS, adds_up=True)
    for seed, met in ((1, "9 of 12 timed"), (2, "8 of 8 timed")):
        result = running.carry_out(trial, 60, seed)
        results.keep(result | {"facts": {"back within 2 s": met, "slowest": "2 to 3"}}, tmp_path)
    monkeypatch.setattr("tests.trials.page.TRIALS", (trial,))
    text = page(tmp_path)
    assert "; back within 2 s: 17 of 20 timed, the others on a busy machine | 120 throws in 2 runs |" in text
    assert "slowest" not in text.split("## How each")[0]


def test_every_trial_says_what_it_is() -> None:
    assert len({trial.name for trial in TRIALS}) == len(TRIALS)
    for trial in TRIALS:
        assert trial.slice <= trial.full
        assert trial.run is not trial.control
        file, _, name = trial.ci.partition("::")
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text, f"{trial.name}: {trial.ci} is not there"
        lines = text[: text.index(f"def {name}(")].rsplit("\n\n\n", 1)[-1]
        assert "@pytest.mark.trial" not in lines, f"{trial.name}: {trial.ci} does not run in CI"


def test_every_bug_that_was_found_has_its_test() -> None:
    for bug in tomllib.loads(FOUND.read_text(encoding="utf-8"))["bug"]:
        file, _, name = bug["test"].partition("::")
        assert f"def {name}" in (REPOSITORY / file).read_text(encoding="utf-8"), bug
        assert bug["trial"] in {trial.name for trial in TRIALS}


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `trials page` and commit docs/trials.md"


def test_the_product_does_not_know_its_trials() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["lfr_edge"]
    for path in (REPOSITORY / "lfr_edge").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "TRIAL_SABOTAGE" not in text, path
        assert "tests.trials" not in text, path
