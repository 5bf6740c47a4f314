"""Rates with their uncertainty. A figure without an interval is not printed.

Intervals of a binomial rate are Clopper and Pearson's (exact, never too short); where the same person was seen
several times trials are not independent, and whole persons are resampled instead (openset.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
RULE_OF_THREE: Final = 3  # no event in n trials bounds the rate at 3/n with 95 % confidence


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % interval, or the reason why there is none."""

    value: float | None
    low: float | None
    high: float | None
    n: int  # trials
    note: str = ""  # why there is no value, or what limits it

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high, "n": self.n}
        return body | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return f"cannot tell ({self.note})"
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f}–{100 * self.high:.1f})"


def binomial_rate(events: int, n: int, confidence: float = CONFIDENCE) -> Rate:
    """Events in n independent trials."""
    if n == 0:
        return Rate(None, None, None, 0, "no trial was made")
    low, high = clopper_pearson(events, n, confidence)
    return Rate(events / n, low, high, n)


def person_rate(events: NDArray[np.bool_], people: NDArray[np.intp]) -> Rate:
    """Events in trials of which several may be of one person: Wilson's interval at the effective number of trials.

    How alike the trials of one person are is measured (the design effect of whole persons as clusters), and never
    taken for less than independent.
    """
    n = len(events)
    if n == 0:
        return Rate(None, None, None, 0, "no trial was made")
    value = float(events.mean())
    clusters, variance = _between(events - value, people)
    spread = value * (1 - value)
    # Where nobody differs from anybody there are as many trials as persons.
    effect = max(1.0, variance / (n * spread)) if spread > 0 and clusters > 1 else n / clusters
    low, high = wilson(value, n / effect)
    return Rate(value, low, high, n)


def share_rate(shares: NDArray[np.float64], people: NDArray[np.intp]) -> Rate:
    """The mean of shares in [0, 1], of which several may be of one person: as :func:`person_rate`.

    Cannot tell where fewer than three people have any (rule of 3).
    """
    n = len(shares)
    if n == 0:
        return Rate(None, None, None, 0, "no trial was made")
    reached = len(np.unique(people[shares > 0]))
    if reached < RULE_OF_THREE:
        return Rate(None, None, None, n, f"only {reached} people ever reached it (rule of 3)")
    value = float(shares.mean())
    clusters, total = _between(shares - value, people)
    variance = total / n**2
    low, high = wilson(value, value * (1 - value) / variance if variance > 0 else float(clusters))
    return Rate(value, low, high, n)


def _between(differences: NDArray[np.floating], people: NDArray[np.intp]) -> tuple[int, float]:
    """How many persons, and the variance of the sum of `differences` from the mean if persons were drawn anew."""
    _, who = np.unique(people, return_inverse=True)
    sums = np.bincount(who, differences)
    clusters = len(sums)
    return clusters, float((sums**2).sum()) * clusters / (clusters - 1) if clusters > 1 else 0.0


def wilson(rate: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a rate in `n` trials, which need not be a whole number."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    return low, 1.0 if rate == 1 else min(1.0, centre + half)


def clopper_pearson(events: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval: all rates under which so few, or so many, events are not surprising."""
    if not 0 <= events <= n or n < 1:
        raise ValueError(f"{events} events in {n} trials")
    tail = (1 - confidence) / 2
    low = 0.0 if events == 0 else _solve(lambda p: 1 - binomial_cdf(events - 1, n, p) - tail)
    high = 1.0 if events == n else _solve(lambda p: tail - binomial_cdf(events, n, p))
    return low, high


def binomial_cdf(events: int, n: int, p: float) -> float:
    """The probability of at most `events` events in n trials at rate p, summed from the larger terms."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(events >= n)
    logs = [_log_term(k, n, p) for k in range(events + 1)]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(value - top) for value in logs))


def resolvable(rate: float, n: int) -> str:
    """Empty where n trials can show `rate`; else why not."""
    if n * rate < 1:
        need = math.ceil(RULE_OF_THREE / rate)
        searches = "1 search" if n == 1 else f"{n} searches"
        return f"{searches} cannot show a rate of {rate:g}: at least {need} are needed (rule of 3)"
    return ""


def caution(rate: float, n: int) -> str:
    """What to say beside a figure that exists but rests on fewer events than the rule of 3 asks for."""
    if 1 <= n * rate < RULE_OF_THREE:
        return f"rests on {int(n * rate)} permitted false alert(s) in {n} searches; one mislabelled person moves it"
    return ""


def _log_term(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)


def _solve(rises: Callable[[float], float]) -> float:
    """The root in [0, 1] of a rising function, to 1e-12."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) > 0 else (middle, high)
    return (low + high) / 2
