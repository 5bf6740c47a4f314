"""``lfr-edge retention`` on a box that is not in service, and beside one that is."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.view import LogView
from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock
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


def test_beside_a_running_service_status_works_and_the_rest_does_not(
    config: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    box = BoxRecord.open(settings, SystemClock())
    try:
        assert run("status", "--config", str(config)) == 0
        assert run("sweep", "--config", str(config)) == 1
        assert run("was-listed", "W-1", "--why", "SAR 1", "--config", str(config)) == 1
        assert "retention_in_service" in capsys.readouterr().err
    finally:
        box.close()


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
