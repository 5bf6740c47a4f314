"""What can be said of false alerts at the threshold and list size that are in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lfr_edge.matching.threshold import Calibration


@dataclass(frozen=True, slots=True)
class Standing:
    """A threshold, and the calibration that covers it."""

    threshold: float
    list_size: int
    rests_on: Calibration | None  # None: nothing that was measured covers them
    near: bool = False  # the threshold lies within the measurement's own uncertainty

    @property
    def one_in(self) -> int | None:
        """At most one false alert in so many passages of people who are not listed; None: cannot tell."""
        return self.rests_on.one_in if self.rests_on else None


def standing(
    calibrations: Sequence[Calibration],
    *,
    fingerprint: str,
    provider: str,
    precision: str,
    threshold: float,
    list_size: int,
) -> Standing:
    """The smallest rate that was calibrated for a list at least this long and a threshold at most this high."""
    fitting = [
        one
        for one in calibrations
        if (one.fingerprint, one.provider, one.precision) == (fingerprint, provider, precision)
        and one.list_size >= list_size
        and one.threshold <= threshold + 1e-6
    ]
    best = min(fitting, key=lambda one: (one.target_fpir, one.list_size), default=None)
    return Standing(threshold, list_size, best, best is not None and threshold < best.high)
