"""Processes of the trial build: see tests/faults/sabotage/sitecustomize.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
