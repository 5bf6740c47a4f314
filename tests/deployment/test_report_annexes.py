"""The annexes say what the configuration, the manifest and the calibrations say, and nothing by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lfr_edge.cli.main import main
from lfr_edge.deployment.report.annexes import apd_annex, dpia_annex, model_card
from lfr_edge.deployment.report.document import Document
from lfr_edge.deployment.report.html import page
from lfr_edge.matching.threshold import Calibration, calibrations_of
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.settings import load_settings

CONFIG = """
site = "Van <3>"
data = "secret-place/var"
[[cameras]]
id = "gate"
url = "rtsp://10.1.2.3/stream"
username = "viewer"
[[cameras]]
id = "clip"
url = "clips/a.mp4"
[models]
store = "{store}"
purpose = "{purpose}"
[retention]
alert_images_h = {hours}
[matching]
agreement = {agreement}
"""


def configured(folder: Path, store: ModelStore, **changes: Any) -> Path:
    values = {"purpose": "evaluation", "hours": 24, "agreement": 2, **changes}
    path = folder / "lfr.toml"
    path.write_text(CONFIG.format(store=store.root, **values), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def calibrations() -> tuple[Calibration, ...]:
    return calibrations_of(None)


def texts(document: Document) -> str:
    return page(document)


def test_the_model_card_follows_the_manifest_and_the_calibrations(
    tmp_path: Path, model_store: ModelStore, default_pack: Pack, calibrations: tuple[Calibration, ...]
) -> None:
    settings = load_settings(configured(tmp_path, model_store))
    text = texts(model_card(settings, default_pack, calibrations))
    for network in default_pack.manifest.networks:
        assert network.sha256 in text
        assert network.licence.name in text
    mine = [item for item in calibrations if item.fingerprint == default_pack.fingerprint]
    assert mine
    for item in mine:
        assert f"{item.threshold:.4f}" in text
    other = replace(mine[0], fingerprint="0" * 64, threshold=0.1, low=0.09, high=0.11)
    stranger = texts(model_card(settings, default_pack, [other]))
    assert "no calibration belongs to this pack" in stranger
    assert "0.1000" not in stranger


def test_a_changed_setting_changes_the_annexes(
    tmp_path: Path, model_store: ModelStore, default_pack: Pack
) -> None:
    before = load_settings(configured(tmp_path, model_store))
    after = load_settings(configured(tmp_path, model_store, hours=6, agreement=3))
    for made in (lambda settings: dpia_annex(settings, default_pack), apd_annex):
        assert "24 h" in texts(made(before))
        assert "6 h" in texts(made(after))
        assert "3 looks" in texts(made(after))
        assert texts(made(before)) == texts(made(before))


def test_no_address_account_or_path_leaves_the_box(
    tmp_path: Path, model_store: ModelStore, default_pack: Pack, calibrations: tuple[Calibration, ...]
) -> None:
    settings = load_settings(configured(tmp_path, model_store))
    documents = (
        model_card(settings, default_pack, calibrations),
        dpia_annex(settings, default_pack),
        apd_annex(settings),
    )
    for document in documents:
        text = texts(document)
        for secret in ("10.1.2.3", "viewer", "secret-place", str(model_store.root), "<3>"):
            assert secret not in text


def test_annexes_from_the_command_line(tmp_path: Path, model_store: ModelStore, capsys: Any) -> None:
    config = configured(tmp_path, model_store)
    for shown in ("html", "pdf"):
        out = tmp_path / shown
        assert main(["report", "annexes", "--config", str(config), "--out", str(out), "--format", shown]) == 0
        assert {path.name for path in out.iterdir()} == {
            f"{name}.{shown}" for name in ("model-card", "dpia-annex", "apd-annex")
        }
    assert "model-card" in capsys.readouterr().out
