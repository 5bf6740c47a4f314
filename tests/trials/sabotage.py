"""Processes of the trial build: see tests/faults/sabotage/sitecustomize.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from tests.trials.parts import REPOSITORY

FOLDER: Final = REPOSITORY / "tests" / "faults" / "sabotage"


@contextmanager
def sabotaged(guard: str) -> Iterator[None]:
    """Every Python process started meanwhile lacks `guard`."""
    path = os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH", ""))))
    with patch.dict(os.environ, {"TRIAL_SABOTAGE": guard, "PYTHONPATH": path}):
        yield


@contextmanager
def children_without(guard: str, folder: Path) -> Iterator[None]:
    """As :func:`sabotaged`, for processes that are started with hardly any environment, as capture children are."""
    build = folder / "trial-build"
    build.mkdir()
    lines = ("import os, runpy", f"os.environ['TRIAL_SABOTAGE'] = {guard!r}")
    text = "\n".join((*lines, f"runpy.run_path({str(FOLDER / 'sitecustomize.py')!r})\n"))
    (build / "sitecustomize.py").write_text(text, encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(build), os.environ.get("PYTHONPATH", ""))))
    with patch.dict(os.environ, {"PYTHONPATH": path}):
        yield
