"""How old is it, honestly: two clocks, and what the record already says."""

from __future__ import annotations

from typing import Final

from lfr_edge.alerts.retention import LONGEST_H
from lfr_edge.clock import Clock
from lfr_edge.deployment.keeping.remains import AlertRemains, HoldOn

HOUR_NS: Final = 3_600_000_000_000


class Ageing:
    """Now, so that a wall clock set back keeps nothing longer. **Thread rule:** one caller at a time.

    `steady_ns`: the wall clock, but never behind what has passed on the monotonic one since this process began.
    `latest_ns`: the furthest that either clock or the record has been, monotonic time added. Pictures age by the
    latter, which can only shorten their time; holds and the register, on which somebody relies, by the former.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Wall minus monotonic: constant while nobody touches the wall clock.
        self._start_ns = self._furthest_ns = clock.wall_ns() - clock.monotonic_ns()

    def recorded(self, wall_us: int) -> None:
        """The record says that it was `wall_us` once."""
        self._furthest_ns = max(self._furthest_ns, wall_us * 1000 - self._clock.monotonic_ns())

    def steady_ns(self) -> int:
        return max(self._clock.wall_ns(), self._start_ns + self._clock.monotonic_ns())

    def latest_ns(self) -> int:
        mono = self._clock.monotonic_ns()
        self._furthest_ns = max(self._furthest_ns, self._clock.wall_ns() - mono)
        return mono + self._furthest_ns

    def behind_s(self) -> int:
        """How far the wall clock is behind the record or itself; 0 where it is not."""
        return (self.latest_ns() - self._clock.wall_ns()) // 10**9


def holds(hold: HoldOn | None, steady_ns: int) -> bool:
    return hold is not None and not hold.over(steady_ns)


def due_ns(alert: AlertRemains, kept_h: float) -> int:
    """When the alert's pictures must go, by the wall clock, a hold that is in force counted in."""
    due = alert.raised_us * 1000 + round(min(kept_h, LONGEST_H) * HOUR_NS)
    return max(due, alert.hold.expires_s * 10**9) if alert.hold is not None else due


def pictures_over(alert: AlertRemains, steady_ns: int, latest_ns: int, kept_h: float) -> bool:
    """The rule of :func:`lfr_edge.alerts.retention.pictures_due`, for what the record tells of an alert."""
    if holds(alert.hold, steady_ns):
        return False
    return latest_ns - alert.raised_us * 1000 >= min(kept_h, LONGEST_H) * HOUR_NS
