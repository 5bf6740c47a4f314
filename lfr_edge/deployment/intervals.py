"""A share never goes out without its 95 % interval: exact (Clopper and Pearson) and Wilson's, in plain Python.

The published one is Clopper and Pearson's: it is never too short, also for the two or three events that a
deployment has. Wilson's stands beside it for those who compare with other tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054  # the normal quantile of 0.975
_TINY: Final = 1e-300
_STEPS: Final = 100_000  # of the continued fraction; it needs about sqrt(max(a, b))
_HALVINGS: Final = 200  # a bisection of doubles ends before that


@dataclass(frozen=True, slots=True)
class Share:
    """`events` of `trials`, with the exact 95 % interval. Trials of 0 have no share and no interval."""

    events: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.trials:
            raise ValueError(f"{self.events} events in {self.trials} trials")

    @property
    def value(self) -> float | None:
        return self.events / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        return clopper_pearson(self.events, self.trials) if self.trials else None

    @property
    def wilson(self) -> tuple[float, float] | None:
        return wilson(self.events, self.trials) if self.trials else None


def clopper_pearson(events: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a binomial rate: each end is a quantile of a beta distribution.

    Raises:
        ValueError: no trials, or more events than trials.
    """
    _check(events, trials)
    tail = (1 - confidence) / 2
    low = 0.0 if events == 0 else _beta_quantile(tail, events, trials - events + 1)
    high = 1.0 if events == trials else _beta_quantile(1 - tail, events + 1, trials - events)
    return low, high


def wilson(events: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % score interval; shorter, and on average right. Raises ValueError as above."""
    _check(events, trials)
    share, z2 = events / trials, _Z * _Z
    middle = share + z2 / (2 * trials)
    reach = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    low = 0.0 if events == 0 else max(0.0, (middle - reach) / scale)
    high = 1.0 if events == trials else min(1.0, (middle + reach) / scale)
    return low, high


def _check(events: int, trials: int) -> None:
    if trials < 1 or not 0 <= events <= trials:
        raise ValueError(f"{events} events in {trials} trials")


def _beta_quantile(share: float, a: int, b: int) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if beta_cdf(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b ≥ 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The fraction converges fast on one side of the mean only; the other side is its mirror image.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x(a, b), by Lentz's method (DLMF 8.17.22)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def _away(value: float) -> float:
    """Not zero: Lentz's method divides by it."""
    return value if abs(value) > _TINY else _TINY
