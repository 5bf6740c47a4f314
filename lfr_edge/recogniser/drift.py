"""Has what a camera sees moved away from what the threshold was calibrated on? Aggregate bins only.

Three histograms of passages: best quality, best detector score, and the last score of passages that raised no alert.
Nothing in them is about a single person. Their distance from a baseline is the population stability index (PSI),
the symmetric sum of Kullback–Leibler divergences over bins, with the customary limits of credit scoring (Siddiqi
2006): 0.1 deserves a look, 0.25 means that the input is another.

Two samples of one street differ, too. Of m and n independent passages in B bins, PSI is (1/m + 1/n) times a chi-squared
variable of B − 1 degrees of freedom (Yurdakul and Naranjo 2020), and passages of a street are not independent: a bus
brings thirty people in one light. How many times less they are worth is read off the baseline's own blocks (Rao and
Scott's design effect), and a PSI that chance alone reaches is none.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Final, Literal

MEASURES: Final = ("quality", "detector", "strangers")
WARN: Final = 0.1
STOP: Final = 0.25
BASELINE: Final = 1000  # passages: the first ones of a deployment, where no baseline was brought
WINDOW: Final = 500  # passages that are compared with it
BLOCK: Final = 50  # passages by which the window moves
_LEAST_SHARE: Final = 0.1  # of the baseline in a bin; thinner ones join their neighbour
_LEAST_GROUPS: Final = 5  # of blocks: fewer show no variance between them
# One look in 10,000 passes it by chance: ten cameras with three measures take some 500 looks that share nothing a day.
_Z: Final = NormalDist().inv_cdf(1 - 1e-4)

Measure = Literal["quality", "detector", "strangers"]
Level = Literal["steady", "warn", "stop"]
Histograms = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What one camera usually sees.

    Args:
        effects: by measure, how many passages are worth one independent passage; at least 1. Where none is known, the
            window's own blocks tell it.
    """

    bins: Histograms
    effects: Mapping[str, float] = field(default_factory=dict)


def psi(baseline: Mapping[int, int], seen: Mapping[int, int], effect: float = 1.0) -> float:
    """How far `seen` lies from `baseline`, less what two samples of one street differ by on average."""
    return _distance(baseline, seen, effect)[0]


def moved(baseline: Mapping[int, int], seen: Mapping[int, int], effect: float = 1.0) -> float | None:
    """PSI where more than chance; 0 where chance explains it; None where chance could hide a change that must stop."""
    value, chance = _distance(baseline, seen, effect)
    if value >= chance:
        return value
    return 0.0 if chance <= STOP else None


def design_effect(blocks: Sequence[Mapping[int, int]]) -> float:
    """How much more the blocks of a street differ than draws of independent passages would; at least 1.

    Pearson's chi-squared between blocks over its degrees of freedom, at the longest likeness that the blocks can show:
    of single blocks, of twos, of fours …
    """
    edges = _merged(sum((Counter(block) for block in blocks), Counter()))
    counts = [_counts(block, edges) for block in blocks]
    worst = 1.0
    while len(counts) >= _LEAST_GROUPS and edges:
        worst = max(worst, _dispersion(counts))
        pairs = zip(counts[::2], counts[1::2], strict=False)
        counts = [[a + b for a, b in zip(one, other, strict=True)] for one, other in pairs]
    return worst


def level_of(value: float) -> Level:
    return "stop" if value >= STOP else "warn" if value >= WARN else "steady"


@dataclass(frozen=True, slots=True)
class Drift:
    """One camera now.

    `values` is empty while the baseline or the first window is still being gathered, and lacks a measure of which so
    many passages cannot tell yet.
    """

    passages: int  # since the start
    values: Mapping[str, float] = field(default_factory=dict)  # PSI by measure; 0 where chance explains it
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
        baseline: what the camera usually sees; the first :data:`BASELINE` passages where it is not given.
    """

    def __init__(self, baseline: Baseline | None = None) -> None:
        self._own = baseline is None
        brought = baseline.bins if baseline else {}
        self._baseline = {name: Counter(_numbered(bins)) for name, bins in brought.items()}
        self._effects = dict(baseline.effects) if baseline else {}
        self._beginning: list[dict[str, Counter[int]]] = []  # blocks of a baseline of its own
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
            self._begin(block)
            self._now = Drift(self._passages, own=True)
            return self._now
        self._blocks.append(block)
        full = len(self._blocks) == self._blocks.maxlen
        self._now = Drift(self._passages, self._values() if full else {}, self._own)
        return self._now

    def _begin(self, block: Mapping[str, Counter[int]]) -> None:
        self._beginning.append(dict(block))
        for name in MEASURES:
            self._baseline.setdefault(name, Counter()).update(block[name])
        if self._gathered() >= BASELINE:
            self._effects = {name: design_effect([one[name] for one in self._beginning]) for name in MEASURES}
            self._beginning = []

    def _values(self) -> dict[str, float]:
        """Of the measures about which so many passages can tell."""
        values = {}
        for name in MEASURES:
            if not self._baseline.get(name):
                continue
            blocks = [one[name] for one in self._blocks]
            effect = self._effects.get(name) or design_effect(blocks)
            value = moved(self._baseline[name], sum(blocks, Counter()), effect)
            if value is not None:
                values[name] = value
        return values

    def _gathered(self) -> int:
        return self._baseline.get("quality", Counter()).total()


def _distance(baseline: Mapping[int, int], seen: Mapping[int, int], effect: float) -> tuple[float, float]:
    """PSI less its mean under chance, and what chance alone passes once in 10,000 times, less the same mean."""
    edges = _merged(baseline)
    first, second = (_counts(values, edges) for values in (baseline, seen))
    m, n, bins = sum(first), sum(second), len(first)
    if not m or not n or bins < 2:
        return 0.0, 0.0
    total = 0.0
    for a, b in zip(first, second, strict=True):
        # Half a passage in every bin: an empty one is no proof that nothing falls there.
        p, q = (a + 0.5) / (m + 0.5 * bins), (b + 0.5) / (n + 0.5 * bins)
        total += (q - p) * math.log(q / p)
    unit, free = effect * (1 / m + 1 / n), bins - 1
    # Chi-squared's quantile by Wilson and Hilferty (1931): at this level at most 7 % too large.
    quantile = free * (1 - 2 / (9 * free) + _Z * math.sqrt(2 / (9 * free))) ** 3
    return max(0.0, total - free * unit), (quantile - free) * unit


def _dispersion(counts: Sequence[Sequence[int]]) -> float:
    """Pearson's chi-squared over its degrees of freedom of blocks (rows) with counts in bins; 1 when independent."""
    rows = [row for row in counts if sum(row)]
    total = sum(map(sum, rows))
    shares = [sum(row[at] for row in rows) / total if total else 0.0 for at in range(len(counts[0]))]
    free = (len(rows) - 1) * (sum(share > 0 for share in shares) - 1)
    if free < 1:
        return 1.0
    wanted = [(row[at], sum(row) * share) for row in rows for at, share in enumerate(shares) if share]
    return sum((seen - expected) ** 2 / expected for seen, expected in wanted) / free


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
