"""What several trials are built from."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")
REPOSITORY: Final = Path(__file__).resolve().parents[2]


def plain(fixture: Any) -> Callable[..., Any]:
    """The function behind a pytest fixture: trials and tests build their parts by the same code."""
    made: Callable[..., Any] = fixture.__wrapped__
    return made


class Folders:
    """Stands where a test has ``tmp_path_factory``."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, 0

    def mktemp(self, name: str) -> Path:
        self._made += 1
        path = self._folder / f"{name}-{self._made}"
        path.mkdir()
        return path


def go_verifier(folder: Path) -> Path:
    """The independent verifier, built from Debian's packages."""
    program = folder / "verifier-go"
    subprocess.run([REPOSITORY / "audit_logs" / "verifier-go" / "build.sh", program], check=True)
    return program


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
