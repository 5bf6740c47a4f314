"""The measurement, with the real pack: figures of this machine are not tested, only that they are figures."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest

from lfr_edge.cli.evaluate import open_pack
from lfr_edge.errors import ModelError, VisionError
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.settings import load_settings
from lfr_edge.setup.capacity import judge
from lfr_edge.setup.speed import measure
from lfr_edge.vision.twins.embedder import TwinEmbedder
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.stack import build_twins


@pytest.mark.network
def test_larger_pictures_cost_more(default_pack):
    told = []
    small, large = measure(default_pack, (320, 960), seconds=0, decoding=0.2, say=told.append)
    assert (small.side, large.side) == (320, 960)
    assert 0 < small.look.cpu_ms < large.look.cpu_ms
    assert small.embed == large.embed
    assert small.scrub.wall_ms > 0
    assert (small.decoding, small.decoding_measured) == (0.2, True)
    assert judge(small).cameras >= judge(large).cameras
    assert told[0] == "loading the networks"
    assert len(told) >= 4


def test_a_pack_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError):
        measure(ModelStore(tmp_path).load("default"), (640,), seconds=0)


@pytest.mark.network
def test_what_is_measured_is_what_the_service_runs(default_pack: Pack, tmp_path: Path):
    """A box whose networks take pixels: before they are built it would not start, so nothing is measured either."""
    store = tmp_path / "models"
    shutil.copytree(default_pack.path, store / "default")
    config = tmp_path / "lfr.toml"
    config.write_text(f'[models]\nstore = "{store}"\ngraph = "pixels"\nthreads = 1\n')
    models = load_settings(config).models
    acceleration = Acceleration.of(models, models.store)
    pack = ModelStore(store).load("default")
    asked = argparse.Namespace(config=config, store=Path("elsewhere"), pack="another", threads=2)
    with pytest.raises(VisionError) as caught:
        measure(pack, (320,), seconds=0, acceleration=acceleration)
    assert caught.value.code == "vision_engine_missing"
    assert "build-engines" in caught.value.hint
    build_twins(pack, acceleration, threads=1, sides=(320,))
    (speed,) = measure(pack, (320,), seconds=0, threads=1, acceleration=acceleration)
    assert speed.look.cpu_ms > 0
    opened, vision, model = open_pack(asked)
    assert isinstance(vision.embedder, TwinEmbedder)
    assert (opened.fingerprint, model["graph"], model["provider"]) == (pack.fingerprint, "pixels", "cpu")
