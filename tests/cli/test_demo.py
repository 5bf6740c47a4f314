"""``lfr-edge demo`` from end to end as a process, and the control that it can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lfr_edge.audit.verify import verify
from lfr_edge.cli.main import main

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
DEMO = [sys.executable, "-m", "lfr_edge.cli.main", "demo", "--headless"]


@pytest.fixture(scope="module", autouse=True)
def _networks(default_pack: object) -> None:
    """Skips loudly where neither cache nor registries have the networks."""


def test_the_main_job(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = [*DEMO, "--seconds", "12", "--json", "--keep", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert {
        "frames", "faces_detected", "probes", "erased", "retained", "alerts", "undecided", "latency_ms",
        "audit", "models",
    } <= set(report)  # fmt: skip
    assert set(report["latency_ms"]) == {"p50", "p95", "p99"}
    assert set(report["audit"]) >= {"entries", "verdict"}
    assert report["passed"] is True
    assert all(report["checks"].values())
    assert report["audit"]["verdict"] == "intact"
    assert report["probes"] == report["erased"] + report["retained"]
    assert report["alerts"] == report["retained"] >= 1
    assert report["latency_ms"]["p50"] > 0
    assert {model["task"] for model in report["models"]} == {"detector", "embedder"}
    # What was kept verifies on its own, and holds no picture or template in clear.
    assert verify(kept / "audit").intact
    assert oct(kept.stat().st_mode & 0o777) == "0o700"
    for path in (kept / "data").rglob("*"):
        if path.is_file():
            assert b"\xff\xd8\xff" not in path.read_bytes(), f"a JPEG in {path}"


def test_it_fails_when_nobody_is_looked_for() -> None:
    """The control: the entry is withdrawn, so no alert comes, and the run says so with its exit status."""
    command = [*DEMO, "--seconds", "9", "--json", "--control"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["checks"] == {
        "sought_person_raised_an_alert": False,
        "nobody_else_did": True,
        "ledger_exact": True,
        "log_verifies": True,
        "nothing_failed": True,
    }
    assert report["alerts"] == 0
    assert report["erased"] == report["probes"] > 0


def test_a_folder_that_exists_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--headless", "--keep", str(tmp_path)]) == 2
    assert "[demo_folder_exists]" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--headless", "--keep", str(tmp_path / "file" / "new")]) == 2
    assert "[demo_folder]" in capsys.readouterr().err
