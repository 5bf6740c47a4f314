"""How many false alerts a crowd will cost: from a calibration, or not at all.

A calibration says which share of passages of people not listed raised an alert at a threshold and a list size. Taken
back to one comparison, FMR = 1 − (1 − FPIR)^(1/N), it can be carried to another list size: FPIR(N) = 1 − (1 − FMR)^N
(domain.md 7). Between two calibrated thresholds the logarithm of the FMR is interpolated; outside them only a bound
is given. The sample was still pictures of one public collection: a street, another age or another group differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from lfr_edge.matching.threshold import Calibration
from lfr_edge.watchlist.about import Scale

Kind = Literal["estimate", "at_most", "at_least", "cannot_tell"]
_CANNOT: Final = "no calibration for this model pack on this hardware: cannot tell"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected false alerts of one deployment. Figures are None where `kind` is cannot_tell."""

    kind: Kind
    passages: float  # people not listed who pass
    fpir: float | None = None  # share of them that raises an alert
    alerts: float | None = None
    low: float | None = None  # alerts, from the 95 % interval of the calibrated threshold
    high: float | None = None
    extrapolated: bool = False  # to a longer list than any calibration covers
    basis: str = _CANNOT
    threshold: float | None = None  # cosine that the figures hold for

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "passages": self.passages,
            "fpir": self.fpir,
            "alerts": self.alerts,
            "low": self.low,
            "high": self.high,
            "extrapolated": self.extrapolated,
            "basis": self.basis,
            "threshold": self.threshold,
        }

    def __str__(self) -> str:
        """One sentence for a person."""
        if self.alerts is None:
            return f"Expected false alerts: cannot tell ({self.basis})"
        words = {"estimate": "about", "at_most": "at most", "at_least": "at least"}[self.kind]
        between = ""
        if self.low is not None and self.high is not None and self.kind == "estimate":
            between = f" ({_figure(self.low)} to {_figure(self.high)})"
        beyond = "; carried to a longer list than was measured" if self.extrapolated else ""
        crowd = f"{self.passages:,.0f}".replace(",", "\u202f")
        counted = f"{words} {_figure(self.alerts)}{between} in {crowd} passages"
        return f"Expected false alerts at threshold {self.threshold:.4g}: {counted} ({self.basis}{beyond})"


def forecast(
    calibrations: Sequence[Calibration],
    *,
    fingerprint: str,
    provider: str,
    precision: str,
    list_size: int,
    threshold: float,
    faces_per_hour: float,
    hours: float,
) -> Forecast:
    """False alerts to expect where `faces_per_hour` people pass for `hours`, nobody of them on the list."""
    passages = faces_per_hour * hours
    fitting = [
        c
        for c in calibrations
        if (c.fingerprint, c.provider, c.precision) == (fingerprint, provider, precision)
    ]
    if not fitting or list_size < 1:
        return Forecast("cannot_tell", passages)
    sizes = sorted({c.list_size for c in fitting}, key=lambda n: (abs(math.log(n / list_size)), -n))
    used = sorted((c for c in fitting if c.list_size == sizes[0]), key=lambda c: c.threshold)
    kind: Kind = "estimate"
    if threshold > used[-1].threshold:
        kind = "at_most"
    elif threshold < used[0].threshold:
        kind = "at_least"
    # Half the interval of the nearest calibrated threshold: the sample might have put it that much elsewhere.
    nearest = min(used, key=lambda c: abs(c.threshold - threshold))
    fpir = _fpir(used, threshold, list_size)
    high = _fpir(used, threshold - (nearest.high - nearest.threshold), list_size)
    low = _fpir(used, threshold + (nearest.threshold - nearest.low), list_size)
    extrapolated = list_size > max(c.list_size for c in fitting)
    basis = _source(nearest)
    return Forecast(
        kind, passages, fpir, fpir * passages, low * passages, high * passages, extrapolated, basis, threshold
    )


def scale_for(
    calibrations: Sequence[Calibration],
    *,
    fingerprint: str,
    provider: str,
    precision: str,
    list_size: int,
    target_fpir: float,
    threshold: float | None = None,
) -> Scale:
    """Where look-alikes and doubles begin on a list: at this deployment's threshold, and at the strictest measured.

    `threshold` is the configured one; without it the calibrated one for the list's size is taken, or for the
    longest list that was measured.
    """
    fitting = [
        c
        for c in calibrations
        if (c.fingerprint, c.provider, c.precision) == (fingerprint, provider, precision)
    ]
    if not fitting:
        return (
            Scale() if threshold is None else Scale(look_alike=threshold, source="the configured threshold")
        )
    # What a sample shows by itself: two pictures of one person need not reach a threshold far out in the tail.
    shown = [c for c in fitting if c.reach <= 1] or fitting
    strictest = max(shown, key=lambda c: c.threshold)
    at = threshold
    if at is None:
        near = [c for c in fitting if math.isclose(c.target_fpir, target_fpir)] or fitting
        long_enough = [c for c in near if c.list_size >= list_size]
        at = (
            min(long_enough, key=lambda c: c.list_size).threshold
            if long_enough
            else max(c.threshold for c in near)
        )
    source = "the configured threshold" if threshold is not None else f"calibrated for FPIR {target_fpir:g}"
    return Scale(at, max(at, strictest.threshold), match_rate(strictest), f"{source}; {_source(strictest)}")


def _source(calibration: Calibration) -> str:
    c = calibration
    return f"{c.material or 'calibrated'}, list of {c.list_size}, {c.people} people, {c.measured.isoformat()}"


def match_rate(calibration: Calibration) -> float:
    """False matches per comparison at a calibrated threshold."""
    return -math.expm1(math.log1p(-calibration.target_fpir) / calibration.list_size)


def _fpir(points: Sequence[Calibration], threshold: float, list_size: int) -> float:
    """At `threshold`, by interpolation between `points` (by rising threshold); beyond them that of the nearest."""
    rate = _rate(points, threshold)
    return -math.expm1(list_size * math.log1p(-rate))


def _rate(points: Sequence[Calibration], threshold: float) -> float:
    below = [c for c in points if c.threshold <= threshold]
    above = [c for c in points if c.threshold > threshold]
    if not below or not above:
        return match_rate(above[0] if above else below[-1])
    left, right = below[-1], above[0]
    most, least = match_rate(left), match_rate(right)
    share = (threshold - left.threshold) / (right.threshold - left.threshold)
    # Rounding must not carry it past either end: a higher threshold never costs more.
    return min(most, max(least, math.exp((1 - share) * math.log(most) + share * math.log(least))))


def _figure(value: float) -> str:
    if value >= 10:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2g}"
