"""What the commands print about the samples, to the letter: people and programs read it, and it must not drift.

After a deliberate change: ``UPDATE_EXPECTED=1 pytest tests/audit/test_outputs.py``, then read the difference.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lfr_edge.audit.__main__ import main
from lfr_edge.audit.checkpoint import parse_checkpoints
from lfr_edge.audit.view import LogView

SAMPLES = Path(__file__).resolve().parents[2] / "audit_logs" / "samples"
EXPECTED = Path(__file__).resolve().parent / "expected"
KEYS = ["--key", "device.vkey", "--witness", "witness.vkey"]
LOG = "box/2026-11-22-1"
CASES = {
    "box": (0, ["verify", "box", *KEYS]),
    "box-json": (0, ["verify", "box", *KEYS, "--json"]),
    "log": (0, ["verify", LOG, *KEYS]),
    "log-alone": (2, ["verify", LOG]),
    "altered": (1, ["verify", "altered", *KEYS]),
    "altered-json": (1, ["verify", "altered", "--json"]),
    "torn": (2, ["verify", "torn"]),
    "nothing": (3, ["verify", "witness"]),
    "wrong-code": (1, ["verify", LOG, "--code", "AAAA " * 8]),
    "show": (0, ["show", LOG]),
    "show-some": (0, ["show", LOG, "--ev", "control."]),
    "show-one-json": (0, ["show", LOG, "--seq", "3", "--json"]),
    "prove": (0, ["verify", LOG, "--prove", "3"]),
    "code": (0, ["code", LOG]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sample", ["v1", "v1-people"])
def test_the_words(
    sample: str, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLES / sample)
    status, words = CASES[case]
    assert main(words) == status
    told(f"{sample}-{case}", capsys.readouterr().out)


@pytest.mark.parametrize("sample", ["v1", "v1-people"])
def test_the_words_about_one_item_and_one_proof(
    sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLES / sample)
    view = LogView.load(Path(LOG))
    erased = next(entry for _, entry in view.entries() if entry.event.ev == "alert.erased").event.ref
    assert main(["erase-proof", LOG, "--ref", erased]) == 0
    told(f"{sample}-erase-proof", capsys.readouterr().out)
    (tmp_path / f"{erased}.bin").write_bytes(b"")
    assert main(["erase-proof", LOG, "--ref", erased, "--store", str(tmp_path)]) == 2
    assert f'"{tmp_path}/{erased}.bin"' in capsys.readouterr().out
    main(["verify", LOG, "--prove", "3"])
    proof = tmp_path / "proof"
    proof.write_text(capsys.readouterr().out)
    keys = ["--cert", f"{LOG}/key.cert", "--key", "device.vkey"]
    assert main(["check-proof", str(proof), *keys]) == 0
    told(f"{sample}-check-proof", capsys.readouterr().out)
    assert main(["check-proof", str(proof), "--cert", "box/device/key.cert", "--key", "device.vkey"]) == 3
    told(f"{sample}-check-proof-foreign", capsys.readouterr().err)


@pytest.mark.parametrize("sample", ["v1", "v1-people"])
def test_the_words_about_an_older_head(
    sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLES / sample)
    old = parse_checkpoints(Path(LOG, "checkpoints").read_bytes()).whole[1]
    (tmp_path / "old").write_text(str(old))
    assert main(["verify", LOG, *KEYS, "--since", str(tmp_path / "old"), "--json"]) == 0
    told(f"{sample}-since-json", capsys.readouterr().out)
    assert main(["verify", "box", *KEYS, "--since", str(tmp_path / "old"), "--json"]) == 0
    told(f"{sample}-since-box-json", capsys.readouterr().out)
    code = "".join(Path(EXPECTED, f"{sample}-code.txt").read_text().splitlines()[-1].lower().split())
    assert main(["verify", LOG, "--code", code]) == 0
    told(f"{sample}-with-code", capsys.readouterr().out)
    shutil.copytree("box", tmp_path / "box")
    shutil.rmtree(tmp_path / LOG)
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "box"]) == 1
    told(f"{sample}-missing", capsys.readouterr().out)


def told(name: str, text: str) -> None:
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_EXPECTED"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
