"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with faces, clips and networks for tests."""
    path = REPOSITORY.parent / "shared"
    if not (path / "models").is_dir():
        pytest.skip("NOT TESTED: ../shared (faces, clips, networks) is absent beside this checkout")
    return path
