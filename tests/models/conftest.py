"""A pack of two tiny networks: enough for the store, which never runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.models.convert.graph import GraphBuilder
from lfr_edge.models.families import ARCFACE_512, YUNET
from lfr_edge.models.manifest import Licence, PackManifest
from lfr_edge.models.store import ModelStore, Pack

Use = str
MakePack = Callable[..., tuple[PackManifest, dict[str, bytes]]]


def tiny_network(seed: int) -> bytes:
    graph = GraphBuilder("tiny")
    weight = graph.weight(np.random.default_rng(seed).standard_normal((1, 3, 1, 1)).astype(np.float32))
    graph.add("Conv", "input", weight, output="embedding", kernel_shape=(1, 1))
    return graph.finish([("input", ("batch", 3, 4, 4))], [("embedding", ("batch", 1, 4, 4))])


def tiny_pack(name: str = "tiny", use: str = "yes", seed: int = 0) -> tuple[PackManifest, dict[str, bytes]]:
    licence = Licence(name="Test-1.0", operational_use=use)
    contents = {"eye.onnx": tiny_network(seed), "mind.onnx": tiny_network(seed + 1)}
    about = {"licence": licence, "source": "test", "training_data": "none"}
    manifest = PackManifest(
        name=name,
        version="1",
        description="two tiny networks",
        networks=(
            YUNET.describe(contents["eye.onnx"], id="eye", **about),
            ARCFACE_512.describe(contents["mind.onnx"], id="mind", **about),
        ),
    )
    assert all(hashlib.sha256(contents[n.file]).hexdigest() == n.sha256 for n in manifest.networks)
    return manifest, contents


@pytest.fixture
def make_pack() -> MakePack:
    return tiny_pack


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


@pytest.fixture
def tiny(store: ModelStore) -> Pack:
    return store.install(*tiny_pack())
