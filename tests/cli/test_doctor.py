"""The doctor: one line for each prerequisite, and what to do about those that are missing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lfr_edge.cli import doctor
from lfr_edge.cli.doctor import examine
from lfr_edge.cli.main import main
from lfr_edge.models.store import ModelStore
from lfr_edge.setup import storage

ALWAYS = {
    "python",
    "onnx runtime",
    "processors",
    "memory",
    "swap",
    "locked memory",
    "confinement",
    "clock",
    "disk",
}


def test_this_machine_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor"])
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("[")]
    assert {line[9:29].strip() for line in lines} >= ALWAYS
    assert all(line[:8] in {"[  ok  ]", "[ warn ]", "[ FAIL ]"} for line in lines)
    for line, after in zip(lines, [*out.splitlines()[1:], ""], strict=False):
        if line.startswith("[ FAIL"):
            assert "→" in out, (line, after)
    assert out.splitlines()[-1].startswith("ready" if status == 0 else "not ready")


def test_this_machine_for_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (status == 0)
    assert {row["check"] for row in report["findings"]} >= ALWAYS
    for row in report["findings"]:
        assert row["state"] in {"ok", "warn", "fail"}
        assert row["text"]
        if row["state"] != "ok":
            assert row["do"]


def _state(check: str, config: Path | None = None) -> doctor.Finding:
    return next(finding for finding in examine(config) if finding.check == check)


def test_two_runtimes_in_one_environment_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the state that ends without CUDA (platform.md 1.2) is told before anything is started."""
    monkeypatch.setattr(doctor, "_installed", lambda _: True)
    found = _state("onnx runtime")
    assert found.state == "fail"
    assert "both" in found.text
    assert "scripts/setup" in found.do


def test_no_runtime_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda _: False)
    assert _state("onnx runtime").state == "fail"


def test_a_gpu_build_without_cuda_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name == "onnxruntime-gpu")
    monkeypatch.setattr(doctor.metadata, "version", lambda _: "1.0")
    monkeypatch.setattr(
        "lfr_edge.vision.sessions.available_providers", lambda: ("CPUExecutionProvider",), raising=True
    )
    assert _state("cuda").state == "fail"


def test_a_full_disk_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "not ready"


CONFIG = """
data = "data"
[models]
store = "{store}"
purpose = "{purpose}"
[watchlist]
path = "list.sealed"
[[cameras]]
id = "gate"
url = "rtsp://192.0.2.1/1"
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "config_missing"), ("cameras = [", "config_syntax"), ("colour = 1", "config_invalid")],
)
def test_a_configuration_that_cannot_be_read_fails(tmp_path: Path, text: str | None, code: str) -> None:
    config = tmp_path / "lfr.toml"
    if text is not None:
        config.write_text(text)
    found = _state(code, config)
    assert (found.state, bool(found.do)) == ("fail", True)


def test_a_missing_pack_fails(tmp_path: Path) -> None:
    config = tmp_path / "lfr.toml"
    config.write_text(CONFIG.format(store=tmp_path / "none", purpose="evaluation"))
    assert _state("model_pack_missing", config).state == "fail"


@pytest.mark.network
def test_a_configuration_is_followed_to_what_it_names(tmp_path: Path, model_store: ModelStore) -> None:
    config = tmp_path / "lfr.toml"
    config.write_text(CONFIG.format(store=model_store.root, purpose="evaluation"))
    found = {finding.check: finding for finding in examine(config)}
    assert found["networks"].state == found["licence"].state == found["configuration"].state == "ok"
    assert found["watchlist"].state == "warn", "between two deployments there is none, and the box is well"
    config.write_text(
        CONFIG.format(store=model_store.root, purpose="evaluation") + "[deployment]\nautostart = true\n"
    )
    assert _state("watchlist", config).state == "fail", "it would begin at once, without people"
    config.write_text(CONFIG.format(store=model_store.root, purpose="evaluation"))
    (tmp_path / "list.sealed").touch()
    assert _state("watchlist", config).state == "ok"
    config.write_text(CONFIG.format(store=model_store.root, purpose="operational"))
    assert _state("model_licence_reference_missing", config).state == "fail"


def _written(tmp_path: Path, *, purpose: str = "evaluation", more: str = "") -> Path:
    path = tmp_path / "lfr.toml"
    path.write_text(
        f'site = "v"\ndata = "{tmp_path}/data"\naudit = "{tmp_path}/audit"\n[models]\npurpose = "{purpose}"\n'
        f'licence_reference = "PO-1"\n{more}'
    )
    return path


def test_how_many_recognisers_look_and_whether_there_is_memory_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = "".join(f'[[cameras]]\nid = "c{at}"\nurl = "rtsp://192.0.2.1/{at}"\n' for at in range(3))
    one = _written(tmp_path, more=f"recognisers = 1\n{cameras}")
    monkeypatch.setattr(doctor, "_available_gib", lambda: 4.5)
    assert (_state("recognisers", one).state, _state("recognisers", one).text) == (
        "ok", "1 recogniser looks at 3 cameras",
    )  # fmt: skip
    several = _written(tmp_path, more=f"recognisers = 9\n{cameras}")
    found = _state("recognisers", several)
    assert (found.state, found.text) == ("warn", "3 recognisers look at 3 cameras")
    assert found.do.startswith("4.7 GiB are wanted for them and 4.5 available")
    monkeypatch.setattr(doctor, "_available_gib", lambda: 4.8)
    assert _state("recognisers", several).state == "ok"


def test_a_box_without_a_camera_is_said(tmp_path: Path) -> None:
    found = _state("configuration", _written(tmp_path))
    assert (found.state, found.do.split(":")[0]) == ("warn", "serve does not start without a camera")
    camera = '[[cameras]]\nid = "a"\nurl = "rtsp://192.0.2.1/1"\n'
    assert _state("configuration", _written(tmp_path, more=camera)).state == "ok"


def test_a_box_that_does_not_know_where_it_stands(tmp_path: Path) -> None:
    """Every authority for a place would be refused, on the day."""
    assert _state("position", _written(tmp_path, purpose="operational")).state == "warn"
    here = "[deployment]\nlatitude = 51.5\nlongitude = -0.1\n"
    for config in (_written(tmp_path, purpose="operational", more=here), _written(tmp_path)):
        assert "position" not in {finding.check for finding in examine(config)}


def test_a_certificate_that_serve_could_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LFR_EDGE_CA_PASSPHRASE", "three random words")
    assert main(["tls", "init", str(tmp_path / "ca"), "--dns", "van.example"]) == 0
    assert main(["tls", "issue", str(tmp_path / "ca"), str(tmp_path / "tls"), "--dns", "van.example"]) == 0

    def console(certificate: Path, key: Path) -> str:
        return f'[console]\nhost = "0.0.0.0"\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'

    good = tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem"
    assert _state("certificate", _written(tmp_path, more=console(*good))).state == "ok"
    for wrong in ((good[0], good[0]), (tmp_path / "absent.pem", good[1])):
        found = _state("certificate", _written(tmp_path, more=console(*wrong)))
        assert found.state == "fail"
        assert "the certificate cannot be used" in found.text
    sealed = Path("/run/credentials/lfr-edge.service/tls.key")
    found = _state("certificate", _written(tmp_path, more=console(good[0], sealed)))
    assert (found.state, found.text) == ("warn", f"{sealed} is there while the service runs")
