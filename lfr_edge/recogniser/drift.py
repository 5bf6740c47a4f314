"""Has what a camera sees moved away from what the threshold was calibrated on? Aggregate bins only.

Three histograms of passages: best quality, best detector score, and the last score of passages that raised no alert.
Nothing in them is about a single person. Their distance from a baseline is the population stability index (PSI),
the symmetric sum of Kullback–Leibler divergences over bins, with the customary limits of credit scoring (Siddiqi
2006): 0.1 deserves a look, 0.25 means that the input is another.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

MEASURES: Final = ("quality", "detector", "strangers")
WARN: Final = 0.1
STOP: Final = 0.25
BASELINE: Final = 1000  # passages: the first ones of a deployment, where no baseline was brought
WINDOW: Final = 500  # passages that are compared with it
BLOCK: Final = 50  # passages by which the window moves
_LEAST_SHARE: Final = 0.1  # of the baseline in a bin; thinner ones join their neighbour

Measure = Literal["quality", "detector", "strangers"]
Level = Literal["steady", "warn", "stop"]
Histograms = Mapping[str, Mapping[str, int]]


def psi(baseline: Mapping[int, int], seen: Mapping[int, int]) -> float:
    """How far `seen` lies from `baseline`, less what two samples of one distribution differ by on average."""
    edges = _merged(baseline)
    first, second = (_counts(values, edges) for values in (baseline, seen))
    m, n, bins = sum(first), sum(second), len(first)
    if not m or not n or bins < 2:
        return 0.0
    total = 0.0
    for a, b in zip(first, second, strict=True):
        # Half a passage in every bin: an empty one is no proof that nothing falls there.
        p, q = (a + 0.5) / (m + 0.5 * bins), (b + 0.5) / (n + 0.5 * bins)
        total += (q - p) * math.log(q / p)
    return max(0.0, total - (bins - 1) * (1 / m + 1 / n))


def level_of(value: float) -> Level:
    return "stop" if value >= STOP else "warn" if value >= WARN else "steady"


@dataclass(frozen=True, slots=True)
class Drift:
    """One camera now. `values` is empty while the baseline or the first window is still being gathered."""

    passages: int  # since the start
    values: Mapping[str, float] = field(default_factory=dict)
    own: bool = False  # the baseline is the deployment's own beginning

    @property
    def level(self) -> Level:
        return level_of(max(self.values.values(), default=0.0))

    @property
    def worst(self) -> str:
        """The measure that moved most."""
        return max(self.values, key=lambda name: self.values[name], default="")


class DriftWatch:
    """One camera's window against its baseline. **Thread rule:** one thread.

    Args:
        baseline: histograms by measure; those of the first :data:`BASELINE` passages where none are given.
    """

    def __init__(self, baseline: Histograms | None = None) -> None:
        self._own = baseline is None
        self._baseline = {name: Counter(_numbered(bins)) for name, bins in (baseline or {}).items()}
        self._before: dict[str, Counter[int]] = {name: Counter() for name in MEASURES}
        self._blocks: deque[dict[str, Counter[int]]] = deque(maxlen=WINDOW // BLOCK)
        self._passages = 0
        self._now = Drift(0, own=self._own)

    @property
    def now(self) -> Drift:
        return self._now

    def update(self, seen: Histograms) -> Drift:
        """Cumulative histograms of one recogniser. Fewer passages than before mean that it was restarted."""
        counts = {name: Counter(_numbered(seen.get(name, {}))) for name in MEASURES}
        if counts["quality"].total() < self._before["quality"].total():
            self._before = {name: Counter() for name in MEASURES}
        fresh = counts["quality"].total() - self._before["quality"].total()
        if fresh < BLOCK:
            return self._now
        block = {name: counts[name] - self._before[name] for name in MEASURES}
        self._before = counts
        self._passages += fresh
        if self._own and self._gathered() < BASELINE:
            for name in MEASURES:
                self._baseline.setdefault(name, Counter()).update(block[name])
            self._now = Drift(self._passages, own=True)
            return self._now
        self._blocks.append(block)
        if len(self._blocks) == self._blocks.maxlen:
            values = {
                name: psi(self._baseline[name], sum((one[name] for one in self._blocks), Counter()))
                for name in MEASURES
                if self._baseline.get(name)
            }
            self._now = Drift(self._passages, values, self._own)
        else:
            self._now = Drift(self._passages, own=self._own)
        return self._now

    def _gathered(self) -> int:
        return self._baseline.get("quality", Counter()).total()


def _numbered(bins: Mapping[Any, int]) -> dict[int, int]:
    return {int(edge): int(count) for edge, count in bins.items()}


def _merged(baseline: Mapping[int, int]) -> list[int]:
    """Upper bounds of bins that each hold a fair share of the baseline; the last one is open."""
    total, gathered = sum(baseline.values()), 0
    edges: list[int] = []
    for edge in sorted(baseline):
        gathered += baseline[edge]
        if gathered >= _LEAST_SHARE * total:
            edges.append(edge)
            gathered = 0
    return edges[:-1]


def _counts(values: Mapping[int, int], edges: list[int]) -> list[int]:
    out = [0] * (len(edges) + 1)
    for edge, count in values.items():
        out[next((i for i, bound in enumerate(edges) if edge <= bound), len(edges))] += count
    return out
