"""``lfr-edge models`` as a person uses it."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from lfr_edge.cli import models
from lfr_edge.errors import ConfigError, ModelError, VisionError
from lfr_edge.models.recipes import RECIPES
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.vision.twins.proof import Proof


@pytest.fixture
def lfr(store: ModelStore):
    """Run one ``models`` action on the test's store."""
    parser = argparse.ArgumentParser()
    models.register(parser.add_subparsers(required=True))

    def run(*words: str) -> int:
        args = parser.parse_args(["models", *words, "--store", str(store.root)])
        return args.run(args)

    return run


@pytest.mark.parametrize(
    "action", ["", "pull", "import", "list", "show", "verify", "remove", "half", "build-engines"]
)
def test_help_has_an_example(action: str, capsys: pytest.CaptureFixture[str]):
    parser = argparse.ArgumentParser()
    models.register(parser.add_subparsers())
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["models", *([action] if action else []), "--help"])
    assert stop.value.code == 0
    assert f"  lfr-edge models {action}" in capsys.readouterr().out


def test_an_empty_store_says_what_to_do(lfr, capsys):
    assert lfr("list") == 0
    assert "models pull default" in capsys.readouterr().out
    assert lfr("verify") == 0
    assert lfr("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_list_show_verify_remove(lfr, tiny: Pack, capsys):
    assert lfr("list") == 0
    assert "tiny" in (out := capsys.readouterr().out)
    assert tiny.fingerprint[:12] in out
    assert lfr("show", "tiny") == 0
    shown = capsys.readouterr().out
    for part in (tiny.fingerprint, "Test-1.0; operational use permitted", "any multiple of 32 px", "112x112"):
        assert part in shown
    assert lfr("show", "tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["name"] == "tiny"
    assert lfr("verify", "tiny") == 0
    assert lfr("remove", "tiny", "--json") == 0
    capsys.readouterr()
    with pytest.raises(ModelError) as caught:
        lfr("show", "tiny")
    assert caught.value.code == "model_pack_missing"


def test_an_altered_pack_is_not_hidden(lfr, store: ModelStore, tiny: Pack, make_pack, capsys):
    store.install(*make_pack("second"))
    (tiny.path / "eye.onnx").write_bytes(b"x")
    assert lfr("list") == 0
    assert "model_altered" in capsys.readouterr().out
    assert lfr("verify") == 1
    out = capsys.readouterr().out
    assert "tiny: NOT VERIFIED" in out
    assert "second: verified" in out
    (tiny.path / "pack.json").write_text("{")
    assert lfr("verify", "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert {r["name"]: r["ok"] for r in result} == {"second": True, "tiny": False}
    assert lfr("verify") == 1
    assert "model_manifest_invalid" in capsys.readouterr().out
    with pytest.raises(ModelError):
        lfr("verify", "tiny")


def test_import(lfr, store: ModelStore, tmp_path: Path, make_pack, capsys):
    manifest, contents = make_pack()
    (tmp_path / "v").mkdir()
    (tmp_path / "v/pack.json").write_text(manifest.model_dump_json())
    for file, data in {**contents, "extra.onnx": b"x"}.items():
        (tmp_path / "v" / file).write_bytes(data)
    assert lfr("import", str(tmp_path / "v"), "--name", "vendor") == 0
    assert "left out (no detector, no embedder): extra.onnx" in capsys.readouterr().out
    assert store.names() == ("vendor",)


@pytest.mark.network
def test_import_with_terms_and_a_borrowed_detector(
    lfr, store: ModelStore, default_pack: Pack, tmp_path: Path, capsys
):
    shutil.copytree(default_pack.path, store.root / "default")
    (mind,) = [n for n in default_pack.manifest.embedders if n.dimension == 512]
    words = [
        "--name",
        "mine",
        "--detector-from",
        "default",
        "--licence",
        "Contract 7",
        "--operational-use",
        "yes",
    ]
    assert lfr("import", str(default_pack.path / mind.file), *words, "--json") == 0
    networks = json.loads(capsys.readouterr().out)["manifest"]["networks"]
    assert [n["licence"]["name"] for n in networks] == ["MIT", "Contract 7"]


@pytest.mark.network
def test_pull(lfr, store: ModelStore, capsys):
    assert lfr("pull", "fast", "--json") == 0
    manifest = json.loads(capsys.readouterr().out)["manifest"]
    assert [n["sha256"] for n in manifest["networks"]] == [
        s.converted_sha256 for s in RECIPES["fast"].sources
    ]
    assert store.verify("fast").ok


def test_pull_of_an_unknown_recipe(lfr):
    with pytest.raises(ModelError) as caught:
        lfr("pull", "best")
    assert caught.value.code == "model_recipe_unknown"
    assert "default, fast, thorough, centerface" in caught.value.hint


def test_an_import_says_how_the_twins_compared(lfr, tmp_path: Path, make_pack, capsys):
    """These two networks are no detector and no embedder: the plain path is all there is, and it says so."""
    manifest, contents = make_pack()
    (tmp_path / "pack.json").write_text(manifest.model_dump_json())
    for file, data in contents.items():
        (tmp_path / file).write_bytes(data)
    assert lfr("import", str(tmp_path), "--name", "vendor", "--json") == 0
    twins = json.loads(capsys.readouterr().out)["twins"]
    assert twins == {"pixels": "model_twin_unsupported", "frames": "model_twin_unsupported"}


@pytest.mark.network
def test_half_and_engines(lfr, store: ModelStore, default_pack: Pack, tmp_path: Path, capsys):
    shutil.copytree(default_pack.path, store.root / "default")
    assert lfr("half", "--name", "default-fp16", "--json") == 0
    drift = json.loads(capsys.readouterr().out)["drift"]
    assert drift["faces"] >= 10
    assert 0.995 < drift["cosine"] < 1
    half = store.load("default-fp16")
    assert half.manifest.precision == "fp16"
    assert half.fingerprint != default_pack.fingerprint
    assert lfr("build-engines", "default-fp16", "--side", "320", "--json") == 0
    built = json.loads(capsys.readouterr().out)
    assert built["key"]["device"]["provider"] == "cpu"
    assert built["proof"]["missed"] == 0
    config = tmp_path / "lfr.toml"
    config.write_text(f'[models]\nstore = "{store.root}"\ngraph = "pixels"\n')
    assert lfr("build-engines", "--config", str(config)) == 0
    assert "boxes within 0.00 px" in capsys.readouterr().out
    config.write_text("")
    with pytest.raises(ConfigError) as caught:
        lfr("build-engines", "--config", str(config))
    assert caught.value.code == "config_no_engines"


@pytest.mark.network
def test_half_that_drifts_is_not_installed(lfr, store: ModelStore, default_pack: Pack, monkeypatch):
    shutil.copytree(default_pack.path, store.root / "default")
    monkeypatch.setattr("lfr_edge.vision.twins.proof.compare", lambda *_: Proof(7, 0, 0.1, 0.99))
    with pytest.raises(VisionError) as caught:
        lfr("half", "--name", "loud")
    assert caught.value.code == "vision_half_drifts"
    assert store.names() == ("default",)
