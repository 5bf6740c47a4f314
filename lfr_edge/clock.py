"""Time as a dependency: every room that measures or stamps takes a :class:`Clock`.

Deadlines, ages and retention timers use the monotonic clock only, so a jump of the wall clock (GPS fix, NTP
step, a hand on the keyboard) moves no deadline. The wall clock is for people and for the record.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Protocol


class Clock(Protocol):
    """Source of time. **Thread rule:** implementations are safe to call from any thread."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back. Comparable between processes of one boot."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump."""


class SystemClock:
    """The kernel's clocks (CLOCK_MONOTONIC is shared by all processes of one boot)."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


def utc_text(wall_ns: int) -> str:
    """``2026-11-22T05:11:07.123Z``: milliseconds, always UTC."""
    moment = datetime.fromtimestamp(wall_ns // 1_000_000 / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{wall_ns // 1_000_000 % 1000:03d}Z"


def utc_day(wall_ns: int) -> date:
    """The day that it is then, in UTC."""
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, tz=UTC).date()
