"""Results that are kept: one JSON line each, in a file for the day and the trial. A line is never taken back."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).resolve().parent / "results"


def keep(result: dict[str, Any], folder: Path = RESULTS) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{result['ran'][:10]}-{result['trial']}.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result, separators=(",", ":")) + "\n")
    return path


def may_keep(folder: Path = RESULTS) -> None:
    """Asked before a run, so that no hour is lost.

    Raises:
        OSError: no result could be kept there.
    """
    folder.mkdir(exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "it may not be written to", str(folder))


def kept(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Every kept result, oldest first."""
    lines = (line for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines())
    return sorted((json.loads(line) for line in lines if line), key=lambda result: result["ran"])
