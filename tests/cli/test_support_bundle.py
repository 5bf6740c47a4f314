"""A support bundle is useful, and holds nothing that was planted to be found."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from lfr_edge.audit.event import Actor, Event
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.cli import support_bundle
from lfr_edge.cli.main import main
from lfr_edge.clock import SystemClock

# Each stands where such a thing really stands.
PLANTED = (
    "hunter2-camera-password", "10.99.88.77", "opensesame-token", "W-0412-secret-reference", "constable.miller",
    "Van behind the bakery", "51.4816", "key-bytes-here", "stick/officer.key",
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "camera.password").write_text(PLANTED[0])
    (tmp_path / "token").write_text(PLANTED[2])
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "officer.key").write_text(PLANTED[7])
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "accounts.json").write_text(json.dumps({"name": PLANTED[4]}))
    clock = SystemClock()
    store = FileKeyStore(tmp_path / "keys")
    device = device_keys(store, "van/device", clock)
    keys = deployment_keys(store, device, "van/2026-11-22-1", clock)
    log = AuditLog.create(tmp_path / "audit" / "2026-11-22-1", "van/2026-11-22-1", keys, clock)
    log.append(Event("watchlist.viewed", Actor(PLANTED[4], "operator"), PLANTED[3], {}, PLANTED[3]))
    log.suspend()
    path = tmp_path / "lfr.toml"
    path.write_text(
        f"""\
site = "{PLANTED[5]}"
data = "var"
audit = "audit"
[[cameras]]
id = "left"
url = "rtsp://{PLANTED[1]}/stream1"
username = "{PLANTED[4]}"
password_file = "camera.password"
[watchlist]
key_file = "{PLANTED[8]}"
[deployment]
latitude = {PLANTED[6]}
longitude = -3.18
"""
    )
    return path


def test_it_helps_and_tells_nothing_about_anybody(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "support.zip"
    assert main(["support-bundle", str(out), "--config", str(config)]) == 0
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(files) == {
        "README.txt", "versions.json", "doctor.json", "configuration.json", "record.json", "service.txt",
    }  # fmt: skip
    for name, text in files.items():
        for secret in PLANTED:
            assert secret not in text, f"{secret} in {name}"
    for secret in PLANTED[4:7]:  # the control: the same search finds them where they are
        assert secret in config.read_text()
    (record,) = json.loads(files["record.json"])
    assert record["entries"]["watchlist.viewed"] == 1
    assert json.loads(files["configuration.json"])["cameras"][0]["url"] == "rtsp://(left out)"
    assert "numpy" in json.loads(files["versions.json"])["packages"]
    assert json.loads(files["doctor.json"])


def test_a_configuration_that_does_not_load_comes_along_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lfr.toml"
    path.write_text('[matching]\nthreshold = "high"\n')
    out = tmp_path / "support.zip"
    assert main(["support-bundle", str(out), "--config", str(path)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("configuration.json")) == {
            "matching": {"threshold": "(not what belongs here: left out)"}
        }
        assert json.loads(archive.read("record.json")) == {"error": "config_invalid"}


def test_it_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "support.zip"
    out.write_text("mine")
    assert main(["support-bundle", str(out)]) == 2
    assert "support_exists" in capsys.readouterr().err
    assert out.read_text() == "mine"


_SLIPS = """
pasword = "hunter2"
site = "hunter2"
[hunter2_is_no_secret_here]
token = "hunter2"
more = [{ deep = "hunter2" }]
[console]
port = "hunter2"
tls_key = "hunter2"
[models]
purpose = "hunter2"
providers = ["cpu", "hunter2"]
[[cameras]]
id = "HUNTER2 hunter2"
url = "hunter2:x"
ca_file = "hunter2"
transport = "udp"
detector_side = 640
[[integrations.systems]]
id = "monitor"
token_file = "hunter2"
events = ["status"]
[integrations]
allowed_hosts = ["hunter2.example"]
"""


def test_what_a_slip_of_the_keyboard_put_anywhere_is_left_out(tmp_path: Path) -> None:
    config = tmp_path / "lfr.toml"
    config.write_text(_SLIPS)
    told = support_bundle._configuration(config)
    assert "hunter2" not in told.replace("hunter2_is_no_secret_here", "").lower()
    shown = json.loads(told)
    assert shown["cameras"][0] | {"id": ""} == {
        "id": "", "url": "file://(left out)", "ca_file": "(left out)", "transport": "udp", "detector_side": 640,
    }  # fmt: skip
    assert shown["models"]["providers"][0] == "cpu"
    assert shown["integrations"]["systems"][0]["events"] == ["status"]
