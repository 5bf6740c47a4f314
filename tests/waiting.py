"""Waiting for what must come to pass, instead of for a time after which it mostly has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 30.0


async def until(condition: Callable[[], T], timeout_s: float = PATIENCE_S, what: str = "") -> T:
    """Wait until `condition()` is true; what it returned."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what or condition}"
        await asyncio.sleep(0.05)
    return found
