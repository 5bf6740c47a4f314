"""How many people, for how sure an answer (normal approximation of two proportions; Fleiss, chapter 4)."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
POWER: Final = 0.8


def detectable(rate: float, n: int, others: int, level: float = 0.05, power: float = POWER) -> float | None:
    """The smallest factor by which a group of `n` must differ from `others` at `rate` for the difference to be seen.

    None where even every trial going wrong would not be seen.
    """
    if n < 1 or others < 1 or not 0 < rate < 1:
        return None
    low, high = 1.0, 1 / rate
    if not _seen(rate, rate * high, n, others, level, power):
        return None
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _seen(rate, rate * middle, n, others, level, power) else (middle, high)
    return high


def people_for(rate: float, half_width: float, confidence: float = 0.95) -> int:
    """How many people make a rate's interval no wider than ± `half_width` (Wilson's, solved for n)."""
    if not (0 < half_width < 0.5 and 0 <= rate <= 1):
        raise ValueError(f"rate {rate} ± {half_width}")
    z = _NORMAL.inv_cdf((1 + confidence) / 2)

    def width(n: int) -> float:
        return z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)

    n = 1
    while width(n) > half_width:
        n *= 2
    low = n // 2
    while n - low > 1:
        middle = (low + n) // 2
        low, n = (low, middle) if width(middle) <= half_width else (middle, n)
    return n


def _seen(rate: float, other: float, n: int, others: int, level: float, power: float) -> bool:
    pooled = (rate * others + other * n) / (n + others)
    alike = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / others))
    apart = math.sqrt(other * (1 - other) / n + rate * (1 - rate) / others)
    need = _NORMAL.inv_cdf(1 - level / 2) * alike + _NORMAL.inv_cdf(power) * apart
    return other - rate >= need
