"""A threshold hangs on the pack's own precision, wherever it is asked for; what was measured for another is refused."""

from __future__ import annotations

import argparse
import ast
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import lfr_edge
from lfr_edge.cli.evaluate import open_pack
from lfr_edge.cli.main import main
from lfr_edge.console.accuracy import Measured
from lfr_edge.errors import MatchingError
from lfr_edge.matching.threshold import Calibration, save_calibrations
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.service.threshold import standing_of, threshold_for
from lfr_edge.settings import MatchingSettings, ModelSettings, Settings

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def half(default_pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The default pack in half precision, made by the command that an engineer uses."""
    store = ModelStore(tmp_path_factory.mktemp("precision") / "store")
    shutil.copytree(default_pack.path, store.root / "default")
    command = ["models", "half", "default", "--name", "default-fp16", "--store", str(store.root), "--json"]
    assert main(command) == 0
    return store.load("default-fp16")


def measured_for(pack: Pack, precision: str) -> Calibration:
    return Calibration(
        pack.fingerprint, 704, "cpu", precision, 1000, 0.01, 0.5, 0.49, 0.51, 2001, 2001, date(2026, 11, 22)
    )


def settings_of(pack: Pack, folder: Path, *known: Calibration) -> Settings:
    save_calibrations(folder / "calibrations.json", known)
    return Settings(
        data=folder / "data",
        audit=folder / "audit",
        models=ModelSettings(pack=pack.name, store=pack.path.parent),
        matching=MatchingSettings(calibration=folder / "calibrations.json"),
    )


def test_another_precision_needs_another_calibration(half: Pack, default_pack: Pack, tmp_path: Path):
    """One of the whole-precision pack, and one that says fp32 of the half-precision pack's own networks."""
    assert (half.precision, default_pack.precision) == ("fp16", "fp32")
    settings = settings_of(half, tmp_path, measured_for(default_pack, "fp32"))
    with pytest.raises(MatchingError) as caught:
        threshold_for(settings, half, 500)
    assert caught.value.code == "threshold_model_mismatch"
    assert "lfr-edge calibrate faces" in caught.value.hint
    mislabelled = measured_for(half, "fp32")
    settings = settings_of(half, tmp_path, mislabelled)
    with pytest.raises(MatchingError, match="on cpu in fp16") as caught:
        threshold_for(settings, half, 500)
    assert caught.value.code == "threshold_runtime_mismatch"
    assert "calibrate again" in caught.value.hint
    assert standing_of(settings, half, 0.6, 500).one_in is None
    settings = settings_of(half, tmp_path, replace(mislabelled, precision="fp16"))
    assert threshold_for(settings, half, 500) == 0.5
    assert standing_of(settings, half, 0.6, 500).one_in == 100


def test_the_page_and_the_results_say_the_packs_precision(half: Pack, default_pack: Pack, tmp_path: Path):
    settings = settings_of(half, tmp_path, measured_for(half, "fp32"), measured_for(half, "fp16"))
    measured = Measured(settings)
    assert [one.precision for one in measured.calibrations()] == ["fp16"]
    assert measured.standing(0.6, 500).one_in == 100
    for pack in (half, default_pack):
        asked = argparse.Namespace(store=pack.path.parent, pack=pack.name, threads=1)
        _, _, model = open_pack(asked)
        assert (model["precision"], model["fingerprint"]) == (pack.precision, pack.fingerprint)


def test_a_recogniser_that_fell_back_is_judged_by_the_cpus_calibrations(default_pack: Pack, tmp_path: Path):
    """The card's threshold stands, because people approved it; what it means on the CPU is not the card's figure."""
    on_card = replace(measured_for(default_pack, "fp32"), provider="cuda")
    on_cpu = replace(on_card, provider="cpu", threshold=0.6, high=0.61)
    settings = settings_of(default_pack, tmp_path, on_card, on_cpu)
    models = settings.models.model_copy(update={"providers": ("cuda",), "allow_cpu": True})
    settings = settings.model_copy(update={"models": models})
    assert (threshold := threshold_for(settings, default_pack, 500)) == 0.5
    assert standing_of(settings, default_pack, threshold, 500).one_in == 100
    assert standing_of(settings, default_pack, threshold, 500, on_cpu=True).one_in is None
    assert standing_of(settings, default_pack, 0.6, 500, on_cpu=True).rests_on == on_cpu


def test_nobody_writes_a_precision_by_hand():
    """Beside the models room, which reads and writes manifests, the word may stand in comments and help alone."""
    room = Path(lfr_edge.__file__).parent
    written = [
        path.relative_to(room).as_posix()
        for path in room.rglob("*.py")
        if '"fp32"' in (text := path.read_text(encoding="utf-8"))
        and any(isinstance(n, ast.Constant) and n.value == "fp32" for n in ast.walk(ast.parse(text)))
    ]
    assert written == ["models/manifest.py"]
