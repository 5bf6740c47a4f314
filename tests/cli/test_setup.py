"""``lfr-edge setup`` as a command: a force's script, and a terminal that goes away."""

from __future__ import annotations

import io
import json

import pytest

from lfr_edge.cli.main import main
from lfr_edge.settings import load_settings
from lfr_edge.setup import storage
from lfr_edge.setup.finding import Finding

ANSWERS = """
format = "lfr-edge setup 1"
accounts = [{{ name = "miller", role = "deployment_officer" }}]
probe_s = {probe}
benchmark_s = {benchmark}
[configuration]
site = "Van 7"
data = "data"
audit = "audit"
[configuration.models]
store = "{store}"
purpose = "evaluation"
[[configuration.cameras]]
id = "left"
url = "{url}"
"""


def script(tmp_path, *, url="rtsp://127.0.0.1:1/x", probe=0, benchmark=0, store="models"):
    file = tmp_path / "answers.toml"
    file.write_text(ANSWERS.format(url=url, probe=probe, benchmark=benchmark, store=store))
    return ["setup", "--config", str(tmp_path / "lfr.toml"), "--answers", str(file)]


def test_a_script_sets_a_box_up(tmp_path, capsys):
    assert main([*script(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["codes"]) == ["miller"]
    assert report["benchmark"] is None
    assert report["cameras"] == []
    assert {check["check"] for check in report["checks"]} >= {"clock", "disk", "durability"}
    assert load_settings(tmp_path / "lfr.toml").site == "Van 7"
    assert main(["config", "check", str(tmp_path / "lfr.toml")]) == 0


def test_a_second_run_of_the_script_changes_nothing(tmp_path, capsys):
    command = [*script(tmp_path), "--json"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["device"], again["older"]) == (first["device"], None)
    with (tmp_path / "answers.toml").open("a") as file:
        file.write('[configuration.notice]\nforce = "Exampleshire"\n')
    assert main(command) == 2
    assert "setup_exists" in capsys.readouterr().err
    assert main([*command, "--replace"]) == 0


def test_a_camera_that_does_not_answer_is_told_and_the_box_is_written(tmp_path, capsys):
    assert main([*script(tmp_path, probe=1), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["cameras"][0]["error"].startswith("camera_")
    assert (tmp_path / "lfr.toml").exists()


def test_a_check_that_fails_is_the_exit_status(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(storage, "space", lambda _: Finding("disk", "fail", "full", "empty it"))
    assert main(script(tmp_path)) == 1
    text = capsys.readouterr().out
    assert "[ FAIL ] disk" in text
    assert "→ empty it" in text
    assert "One-time codes" in text


def test_without_networks_there_is_no_verdict(tmp_path, capsys):
    assert main(script(tmp_path, benchmark=1)) == 0
    assert "not measured" in capsys.readouterr().out


@pytest.mark.network
def test_the_verdict_is_told(tmp_path, capsys, model_store):
    assert main([*script(tmp_path, benchmark=0.1, store=model_store.root), "--json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["benchmark"]["verdicts"]
    assert [verdict["side"] for verdict in verdicts] == [640, 960, 1280]


def test_a_terminal_that_goes_away_keeps_the_answers(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("Van 7\n"))
    assert main(["setup", "--config", str(tmp_path / "lfr.toml")]) == 2
    assert "The answers are kept" in capsys.readouterr().err
    assert json.loads((tmp_path / ".lfr.toml.setup").read_text())["configuration"]["site"] == "Van 7"
    assert not (tmp_path / "lfr.toml").exists()


def test_who_does_not_want_it_replaced_is_asked_and_heard(tmp_path, capsys, monkeypatch):
    config = tmp_path / "lfr.toml"
    config.write_text('site = "Van 3"\ndata = "data"\naudit = "audit"\n')
    done = ["site", "people", "cameras", "console", "checks", "benchmark"]
    (tmp_path / ".lfr.toml.setup").write_text(
        json.dumps({"configuration": {"site": "Van 7", "data": "data", "audit": "audit"}, "done": done})
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["setup", "--config", str(config)]) == 130
    assert load_settings(config).site == "Van 3"
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["setup", "--config", str(config)]) == 0
    assert load_settings(config).site == "Van 7"
    assert load_settings(tmp_path / "lfr.toml.1").site == "Van 3"
    assert "the configuration before" in capsys.readouterr().out


def test_two_ways_at_once_are_refused(tmp_path, capsys):
    assert main([*script(tmp_path), "--page"]) == 2
    assert "setup_two_ways" in capsys.readouterr().err
