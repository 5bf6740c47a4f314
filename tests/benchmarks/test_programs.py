"""Every benchmark still runs and says what others rely on. Nothing here looks at how long anything took."""

from __future__ import annotations

import importlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

ALWAYS = {
    "benchmark",
    "measured",
    "commit",
    "hardware",
    "versions",
    "threads",
    "precision",
    "shapes",
    "took_s",
}
PROGRAMS = (
    "accuracy",
    "floor",
    "stages",
    "pipeline",
    "peers",
    "index",
    "startup",
    "soak",
    "energy",
    "painted",
    "audit",
    "loop",
)


def run(name: str, *arguments: str) -> dict[str, Any]:
    """The one line that the program prints, as a user would call it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", "--quick", "--json", *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, "one JSON line and nothing else"
    return json.loads(lines[0])


def check(line: Mapping[str, Any], *keys: str) -> None:
    """Fails for a line that lacks a key that is always there, or one of `keys`, or whose number is no number."""
    missing = (ALWAYS | set(keys)) - set(line)
    assert not missing, f"missing: {missing}"
    assert line["hardware"]["cpu"]
    assert line["hardware"]["load_after"] >= 0
    assert line["versions"]["numpy"]
    assert not _bad_numbers(line), _bad_numbers(line)


def _bad_numbers(value: object, path: str = "") -> list[str]:
    if isinstance(value, float) and not math.isfinite(value):
        return [path]
    if isinstance(value, Mapping):
        return [bad for key, item in value.items() for bad in _bad_numbers(item, f"{path}/{key}")]
    if isinstance(value, list):
        return [bad for number, item in enumerate(value) for bad in _bad_numbers(item, f"{path}/{number}")]
    return []


def test_the_check_notices_a_broken_line() -> None:
    good: dict[str, Any] = dict.fromkeys(ALWAYS, "x") | {
        "hardware": {"cpu": "a", "load_after": 0.1}, "versions": {"numpy": "2"}, "efficiency": 0.5
    }  # fmt: skip
    check(good, "efficiency")
    with pytest.raises(AssertionError, match="missing"):
        check(good, "drops")
    with pytest.raises(AssertionError, match="efficiency"):
        check(good | {"efficiency": float("nan")})


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_explains_itself_and_refuses_nonsense(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as end:
        module.main(["--help"])
    assert end.value.code == 0
    assert "--quick" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        module.main(["--no-such-option"])
    assert end.value.code == 2


def test_every_program_is_here_and_in_the_readme() -> None:
    folder = REPOSITORY / "benchmarks"
    assert {path.stem for path in folder.glob("[a-z]*.py")} >= set(PROGRAMS)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"{name}.py" in text for name in PROGRAMS)


def test_floor(default_pack: object) -> None:
    line = run("floor")
    check(line, "networks", "best")
    assert {row["network"] for row in line["networks"]} > set(line["best"])
    assert all(row["cpu_ms"]["median"] > 0 for row in line["networks"])


def test_index_answers_as_numpy_does() -> None:
    line = run("index", "--sizes", "300", "2000", "--dimension", "64")
    check(line, "sizes")
    for row in line["sizes"]:
        assert row["agrees_with_numpy"]
        assert row["withdrawn_gone_with_next_probe"]
        assert row["added_found_with_next_probe"]
        assert set(row["search"]) == {"1", "8", "32"}


def test_the_loop_alone(capsys: pytest.CaptureFixture[str]) -> None:
    program = importlib.import_module("benchmarks.loop")
    assert program.main(["--quick", "--json", "--listed", "50", "--cameras", "2"]) == 0
    line = json.loads(capsys.readouterr().out)
    check(line, "loop")
    for row in line["loop"]:
        assert row["cameras_carried"] > 0
        assert row["templates_a_frame"] > 0.5, "people come and are looked at"
        assert row["passed_over"] == 0
        assert sum(row["stage_shares"].values()) == pytest.approx(1, abs=0.01)


def test_the_record_is_verified_and_proved(tmp_path: Path) -> None:
    line = run("audit", "--entries", "2000", "--folder", str(tmp_path))
    check(line, "append", "verify_cpu_s", "proof_cpu_ms")
    assert line["entries"] == 2000
    assert line["proof_hashes"] <= 11
    assert [row["callers"] for row in line["append"]] == [1, 4, 16]


def test_energy_measures_or_says_why_not(default_pack: object) -> None:
    line = run("energy", "--frames", "25")
    check(line, "counters", "absent", "mj_per_1000_faces")
    assert line["counters"] or line["absent"]


def test_pipeline_as_fast_as_possible(default_pack: object) -> None:
    line = run("pipeline", "--only", "fast", "--frames", "25")
    check(line, "efficiency", "latency_ms", "drops", "fast")
    fast = line["fast"]
    assert 0 < line["efficiency"] == fast["efficiency"]
    assert sum(fast["stage_shares"].values()) == pytest.approx(1, abs=0.01)
    assert fast["frames"] >= 25
    assert line["drops"] is None, "nothing ran live"


@pytest.mark.slow
def test_pipeline_live(default_pack: object) -> None:
    line = run("pipeline", "--only", "live", "--seconds", "4", "--cameras", "2", "--side", "640")
    check(line, "efficiency", "latency_ms", "drops", "live")
    assert set(line["latency_ms"]) == {"p50", "p95", "p99"}
    (live,) = line["live"]
    assert live["cameras"] == 2
    assert live["looked_at_fps_per_camera"] > 0
    assert {"desk", "recogniser", "capture"} <= set(live["cpu_cores"])


@pytest.mark.slow
def test_stages(default_pack: object) -> None:
    line = run("stages")
    check(line, "stages", "efficiency", "non_network_share")
    assert {"video_decode", "letterbox", "detector_network", "align", "track", "nms"} <= set(line["stages"])


@pytest.mark.slow
def test_peers_names_who_was_skipped(default_pack: object, shared: Path) -> None:
    wanted = ("opencv", "insightface", "uniface", "insightface_default")
    line = run("peers", "--peers", *wanted, "--rounds", "1", "--frames", "2")
    check(line, "ratios", "skipped", "systems")
    assert set(line["ratios"]) | set(line["skipped"]) == set(wanted)
    assert all(line["skipped"].values()), "each with its reason"
    assert all(ratio > 0 for ratio in line["ratios"].values())
    if "insightface" in line["ratios"]:  # all five networks run, and give no figure in a slice
        assert line["systems"]["insightface_default"]["faces_embedded_per_frame"] > 0
        assert "insightface_default" in line["skipped"]


@pytest.mark.slow
def test_accuracy_of_ours_and_of_the_peers(default_pack: object, shared: Path) -> None:
    line = run("accuracy", "--share", "0.004", "--packs", "default", "no-such-pack")
    check(line, "systems", "skipped", "n", "seed")
    assert set(line["systems"]) | set(line["skipped"]) == {
        "ours_default", "ours_no-such-pack", "insightface_640", "face_recognition"
    }  # fmt: skip
    assert "ours_no-such-pack" in line["skipped"]
    ours = line["systems"]["ours_default"]
    assert ours["no_face_found"] == 0
    assert ours["tpir_at_fpir"]["0.01"]["value"] is None, "so few searches cannot tell"


@pytest.mark.slow
def test_startup(default_pack: object) -> None:
    line = run("startup")
    check(line, "import_ms", "open_networks_ms", "service_ms")


@pytest.mark.slow
def test_soak(default_pack: object) -> None:
    line = run("soak", "--minutes", "0.1", "--side", "640")
    check(line, "processes", "ledger", "recogniser_restarts")
    ledger = line["ledger"]
    assert ledger["processed"] == ledger["erased"] + ledger["retained"]
    assert line["recogniser_restarts"] == 0
    assert line["processes"]["recogniser"]["processes"] == 1, "one camera, one recogniser"


@pytest.mark.browser
def test_painted() -> None:
    if not shutil.which("chromium"):
        pytest.skip("NOT TESTED: no Chromium on this machine")
    line = run("painted")
    check(line, "alerts", "painted_ms", "offered_ms", "silent", "within_bar")
    assert line["silent"] == 0, "every page says that it painted"
    assert line["painted_ms"]["p50"] >= line["offered_ms"]["p50"] / 2
