"""``lfr-edge retention`` on a box that is not in service, and beside one that is."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.view import LogView
from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
from lfr_edge.deployment.keeping.holder import holder_of
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.session import BoxRecord, DeploymentSession
from lfr_edge.settings import Settings, load_settings

PICTURES = AlertPictures(b"probe", b"candidate")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lfr.toml"
    path.write_text('site = "Van 3"\n[models]\npurpose = "evaluation"\n')
    return path


@pytest.fixture
def settings(config: Path) -> Settings:
    return load_settings(config)


class Later(SystemClock):
    """So many hours ago."""

    def __init__(self, hours_ago: float) -> None:
        self._ago_ns = round(hours_ago * 3600 * 10**9)

    def wall_ns(self) -> int:
        return super().wall_ns() - self._ago_ns


def deployment(settings: Settings, hours_ago: float, *, hold_days: int = 0) -> tuple[str, str]:
    """One closed deployment with one alert, raised so many hours ago; its name and the alert's token."""
    clock, token = Later(hours_ago), secrets.token_hex(16)
    box = BoxRecord.open(settings, clock)
    session = DeploymentSession.begin(settings, clock, box)
    session.record("deployment.opened", data={"alert_images_h": 24})
    material = AlertMaterial(session.folder / "material", secrets.token_bytes(32))
    commitment = material.keep(token, PICTURES)
    session.record("alert.raised", ref=token, data={"number": 1, "commitment": commitment})
    if hold_days:
        until = clock.wall_ns() // 10**9 + hold_days * 86_400
        session.record("alert.held", ref=token, data={"number": 1, "expires_s": until}, why="evidence: 12/26")
    data = {
        "what": "sealed_list",
        "items": 1,
        "bytes": 9,
        "how": "overwritten",
        "checked": "absent",
        "ok": True,
    }
    session.record("material.erased", ref="aa" * 10, data=data)
    session.close()
    box.close()
    return session.deployment.id, token


def run(*words: str) -> int:
    return main(["retention", *words])


def test_an_empty_box(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--config", str(config)) == 0
    assert "open deployment   none" in capsys.readouterr().out
    assert run("sweep", "--config", str(config)) == 0
    assert "0 erased" in capsys.readouterr().out


def test_what_is_over_shows_and_is_swept(
    config: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    name, token = deployment(settings, 30)
    assert run("status", "--config", str(config)) == 1
    assert "OVERDUE" in capsys.readouterr().out
    assert run("sweep", "--config", str(config)) == 0
    out = capsys.readouterr().out
    assert f"erased       alert_images 1  {name}" in out
    assert not (settings.data / "deployments" / name).exists()
    entries = [entry.event for _, entry in LogView.load(settings.audit / "device").entries()]
    assert [event.ref for event in entries if event.ev == "alert.erased"] == [token]
    assert run("status", "--config", str(config)) == 0
    assert "holds             none" in capsys.readouterr().out
    store = str(settings.data)
    log = str(settings.audit / "device")
    assert main(["audit", "erase-proof", log, "--ref", token, "--store", store]) == 0
    assert json.loads(capsys.readouterr().out)["gone"] is True


def test_holds_are_listed(config: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    name, token = deployment(settings, 30, hold_days=10)
    assert run("status", "--json", "--config", str(config)) == 0
    (alert,) = json.loads(capsys.readouterr().out)["alerts"]
    assert (alert["deployment"], alert["alert"], alert["overdue"]) == (name, token, False)
    assert alert["hold"]["reason"] == "evidence: 12/26"
    assert run("status", "--config", str(config)) == 0
    out = capsys.readouterr().out
    assert "evidence: 12/26" in out
    assert "1 on hold" in out
    assert run("sweep", "--config", str(config)) == 0
    assert "1 on hold" in capsys.readouterr().out


def test_what_cannot_be_erased_is_said(
    config: Path, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment(settings, 30)

    def refusing(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(AlertMaterial, "erase", refusing)
    assert run("sweep", "--config", str(config)) == 1
    assert "NOT ERASED   alert_images" in capsys.readouterr().out


_HOLDER = """
import sys
from pathlib import Path
from lfr_edge.clock import SystemClock
from lfr_edge.deployment.session import BoxRecord
from lfr_edge.settings import load_settings
box = BoxRecord.open(load_settings(Path(sys.argv[-1])), SystemClock())
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by(tmp_path: Path, config: Path, *words: str) -> Iterator[int]:
    """The box's log is held by a program of that name and those words; its process."""
    program = tmp_path / words[0]
    program.write_text(_HOLDER)
    child = subprocess.Popen(
        [sys.executable, str(program), *words[1:], "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        yield child.pid
    finally:
        child.communicate("", timeout=30)


def test_beside_a_running_service_status_works_and_the_rest_does_not(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held_by(tmp_path, config, "lfr-edge", "serve") as process:
        assert run("status", "--config", str(config)) == 0
        assert run("sweep", "--config", str(config)) == 1
        assert run("was-listed", "W-1", "--why", "SAR 1", "--config", str(config)) == 1
        said = capsys.readouterr().err
        assert said.count("retention_in_service") == 2
        assert f"the service runs (lfr-edge serve, process {process})" in said
    assert run("sweep", "--config", str(config)) == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("lfr-edge", "retention", "sweep"), "lfr-edge retention sweep (process {})"),
        (("lfr-edge", "audit", "verify-7"), "lfr-edge audit (process {})"),
    ],
)
def test_beside_another_command_that_one_is_named(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str
) -> None:
    with held_by(tmp_path, config, *words) as process:
        assert run("sweep", "--config", str(config)) == 1
        said = capsys.readouterr().err
    assert f"{named.format(process)} holds this box's log" in said
    assert "retention_log_in_use" in said
    assert "service" not in said
    assert str(config) not in said, "only what it is called, not its arguments"


def test_a_holder_that_the_kernel_does_not_name(
    config: Path, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = BoxRecord.open(settings, SystemClock())
    log = settings.audit / "device" / "entries.lfr"
    found = holder_of(log)
    assert found is not None, "positive control: this very process"
    assert found.process == os.getpid()
    try:
        monkeypatch.setattr("lfr_edge.deployment.keeping.holder._command", lambda process: "")
        assert run("sweep", "--config", str(config)) == 1
        assert "another process holds this box's log" in capsys.readouterr().err
    finally:
        box.close()
    assert holder_of(log) is None
    assert holder_of(log.parent / "nothing") is None


def test_was_listed_answers_and_is_on_the_record_first(
    config: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    register = Register(settings.data / "register", FileKeyStore(settings.data / "keys"), SystemClock())
    register.enter("2026-11-22-1", "van-3/2026-11-22-1", ["W-0412"])
    assert run("was-listed", "W-0412", "--why", "SAR 12/2026", "--config", str(config)) == 0
    assert "van-3/2026-11-22-1" in capsys.readouterr().out
    assert run("was-listed", "W-0413", "--why", "SAR 13/2026", "--config", str(config)) == 0
    assert "0 of 1 deployments" in capsys.readouterr().out
    entries = [entry.event for _, entry in LogView.load(settings.audit / "device").entries()]
    asked = [event for event in entries if event.ev == "watchlist.viewed"]
    assert [event.why for event in asked] == ["SAR 12/2026", "SAR 13/2026"]
    assert "W-0412" not in str(entries), "the record names it by its code"


@pytest.mark.parametrize("form", ["text", "json", "html", "pdf"])
def test_receipts_in_every_form(
    config: Path, settings: Settings, tmp_path: Path, form: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    name, _ = deployment(settings, 1)
    out = tmp_path / "receipts"
    assert run("receipts", name, "--format", form, "--out", str(out), "--config", str(config)) == 0
    assert out.read_bytes()
    capsysbinary.readouterr()
    assert run("receipts", name, "--format", form, "--config", str(config)) == 0
    assert capsysbinary.readouterr().out == out.read_bytes()


def test_a_deployment_that_has_not_ended_has_no_receipts(
    config: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty sheet that said "complete" would be read as: everything is gone."""
    session = DeploymentSession.begin(settings, SystemClock(), BoxRecord.open(settings, SystemClock()))
    session.record("deployment.opened", data={"alert_images_h": 24})
    name = session.deployment.id
    assert run("receipts", name, "--config", str(config)) == 1
    said = capsys.readouterr()
    assert "retention_not_ended" in said.err
    assert "complete" not in said.out
