"""The rarest high scores of strangers: what they show, and how far beyond them one may look.

A false alert is a first candidate's score above the threshold, so what matters is the tail of first candidates'
scores. Above a high enough start, excesses follow a generalised Pareto distribution (Pickands 1975; Coles, *An
Introduction to Statistical Modeling of Extreme Values*, 4.2): its two parameters and the share of searches above
the start give the threshold of a rate, with a profile likelihood interval, also for rates somewhat rarer than the
sample shows. How much rarer is bounded: beyond ``MOST_REACH`` times the rule of 3 the answer is "cannot tell".

Scores that share a person are not independent (some people resemble many): the likelihood is divided by the design
effect, which counts such pairs of excesses (Aronow, Samii and Assenova 2015, dyadic clusters).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lfr_edge.evaluation.intervals import RULE_OF_THREE
from lfr_edge.evaluation.pareto import goodness, profile
from lfr_edge.matching.threshold import MOST_REACH

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_SHARE: Final = 0.05  # of all searches are in the tail
_MOST_SHARE: Final = 0.1  # further down lies the body of the distribution, whose shape is another
_LEAST: Final = 50  # excesses: fewer cannot show the tail's shape
_MOST: Final = 200  # more would reach into the body of the distribution
_LEAST_FIT: Final = 0.005  # probability under a good fit below which the fit is refused
_HALF_WIDTH: Final = 1.9207  # of the log likelihood: 95 % of chi-squared with one degree of freedom, halved
# Small tails look lighter than they are (the shape's estimate is biased downwards), so that only the upper bound
# is too low: in simulation 95 % are held with this much more, divided by the independent excesses (test_tail.py).
_SMALL: Final = 30.0
_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Tops:
    """First candidates of searches for strangers in lists of one size. Row i of the arrays is one search."""

    list_size: int
    scores: FloatArray  # (m,) -inf where the probe gave no template
    weights: FloatArray  # (m,) a person's searches in one list weigh 1 together
    seekers: IntArray  # (m,) who was searched for
    found: IntArray  # (m,) whom the score is with, in the same numbering of persons
    listed: IntArray  # (people,) everybody on a list, once


@dataclass(frozen=True, slots=True)
class Level:
    """The threshold of a rate."""

    threshold: float
    low: float  # 95 % interval
    high: float
    method: Literal["counted", "tail"]
    reach: float  # how many times rarer than the rule of 3 asks for; at most 1 lies within the sample


@dataclass(frozen=True, slots=True)
class CannotTell:
    """Why there is no threshold."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tail:
    """Tops above a start, ready to be asked."""

    start: float
    excesses: FloatArray = field(repr=False)  # (k,) above 0
    weights: FloatArray = field(repr=False)  # (k,)
    searches: float  # sum of all weights
    effect: float  # design effect: how many times larger the variance is than of independent searches
    fit: float  # probability that a Pareto tail fits no better than this one does

    @property
    def share(self) -> float:
        """Of searches above the start."""
        return float(self.weights.sum()) / self.searches


def tail_of(tops: Tops, *, seed: int = 0) -> Tail | CannotTell:
    """The tail that the scores show."""
    order = np.argsort(-tops.scores, kind="stable")
    total = float(tops.weights.sum())
    above = np.cumsum(tops.weights[order])
    wanted = min(max(_SHARE * total, _LEAST), _MOST)
    # Excesses that share persons are worth fewer: as many more are needed.
    effect = design_effect(tops, np.asarray(order[: int(np.searchsorted(above, wanted))], np.intp))
    wanted = max(wanted, _LEAST * effect)
    k = int(np.searchsorted(above, wanted))
    if wanted > _MOST_SHARE * total or not np.isfinite(tops.scores[order[min(k, len(order) - 1)]]):
        return CannotTell(
            f"{total / effect:.0f} independent searches are too few:"
            f" the tail needs {_LEAST} of them in the highest {_MOST_SHARE:.0%}"
        )
    rows, start = order[:k], float(tops.scores[order[k]])
    excesses = np.maximum(tops.scores[rows] - start, 1e-9)
    single = _one_of_each_pair(tops, rows)
    fit = goodness(excesses[single], seed=seed)
    return Tail(start, excesses, tops.weights[rows], total, design_effect(tops, rows), fit)


def level(tops: Tops, tail: Tail | CannotTell, rate: float) -> Level | CannotTell:
    """The threshold that a share `rate` of searches reaches."""
    effect = tail.effect if isinstance(tail, Tail) else design_effect(tops, _above(tops, rate))
    total = float(tops.weights.sum())
    if isinstance(tail, CannotTell) or rate >= tail.share:
        return _counted(tops, rate, total)
    reach = RULE_OF_THREE * effect / (total * rate)
    if reach > MOST_REACH:
        return CannotTell(
            f"{reach:.0f} times rarer than {total / effect:.0f} independent searches show;"
            f" the tail is followed {MOST_REACH:.0f} times at most"
        )
    if tail.fit < _LEAST_FIT:
        return CannotTell(
            "the highest scores follow no single tail: look at the closest pairs for one person under two names"
        )
    threshold, low, high = _interval(tail, rate)
    if threshold > 1:
        return CannotTell("the fitted tail passes a cosine of 1")
    return Level(threshold, max(low, -1.0), min(high, 1.0), "tail", reach)


def design_effect(tops: Tops, rows: IntArray) -> float:
    """Variance of the weighted count of `rows`, over what it would be if all were independent; at least 1."""
    weights, seekers, found = tops.weights[rows], tops.seekers[rows], tops.found[rows]
    count = float(weights.sum())
    if count <= 0:
        return 1.0
    size = int(max(tops.seekers.max(), tops.listed.max())) + 1
    touched = np.bincount(seekers, weights, size) + np.bincount(found, weights, size)
    searched = np.bincount(tops.seekers, minlength=size) > 0
    # If nobody differed, everybody would take an equal part on either side.
    expected = searched * (count / searched.sum())
    expected[tops.listed] += count / len(tops.listed)
    pairs: dict[tuple[int, int], float] = {}
    for weight, a, b in zip(weights, seekers, found, strict=True):
        key = (int(min(a, b)), int(max(a, b)))
        pairs[key] = pairs.get(key, 0.0) + float(weight)
    both = sum(value * value for value in pairs.values())
    variance = float(((touched - expected) ** 2).sum()) - both
    return max(1.0, variance / count)


def _above(tops: Tops, rate: float) -> IntArray:
    order = np.argsort(-tops.scores, kind="stable")
    reached = np.cumsum(tops.weights[order]) <= rate * tops.weights.sum() + 1e-9
    return np.asarray(order[reached], np.intp)


def _counted(tops: Tops, rate: float, total: float) -> Level | CannotTell:
    """By counting; the interval moves the count by its own uncertainty."""
    rows = _above(tops, rate)
    effect = design_effect(tops, rows)
    reach = RULE_OF_THREE * effect / (total * rate)
    if reach > 1:
        return CannotTell(
            f"{total / effect:.0f} independent searches cannot show a rate of {rate:.2g} (rule of 3)"
        )
    spread = _Z * math.sqrt(rate * (1 - rate) * effect / total)
    at = [_quantile(tops, max(0.0, min(1.0, share))) for share in (rate, rate + spread, rate - spread)]
    if not all(map(math.isfinite, at)):
        return CannotTell("more probes gave no template than the rate allows for")
    return Level(at[0], min(at[1], at[0]), max(at[2], at[0]), "counted", reach)


def _quantile(tops: Tops, rate: float) -> float:
    """The lowest score above which at most a share `rate` lies."""
    order = np.argsort(-tops.scores, kind="stable")
    above = np.cumsum(tops.weights[order])
    first = int(np.searchsorted(above, rate * above[-1] + 1e-9, side="right"))
    score = tops.scores[order[min(first, len(order) - 1)]]
    if not np.isfinite(score):
        return float(score)
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))


def _one_of_each_pair(tops: Tops, rows: IntArray) -> IntArray:
    """Positions in `rows` of the highest score of each pair of persons."""
    best: dict[tuple[int, int], int] = {}
    for at, row in enumerate(rows):  # from high to low
        a, b = int(tops.seekers[row]), int(tops.found[row])
        best.setdefault((min(a, b), max(a, b)), at)
    return np.array(sorted(best.values()), np.intp)


def _interval(tail: Tail, rate: float) -> tuple[float, float, float]:
    """Threshold with its profile likelihood interval."""

    def height(threshold: float) -> float:
        at = profile(tail.excesses, tail.weights, tail.searches, threshold - tail.start, rate, tail.effect)
        return at / tail.effect

    span = float(tail.excesses.max())
    grid = tail.start + span * np.geomspace(0.02, 4.0, 40)
    best = int(np.argmax([height(x) for x in grid]))
    peak = _summit(height, float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)]))
    floor = height(peak) - _HALF_WIDTH
    low = _crossing(height, floor, tail.start + 1e-6 * span, peak)
    floor = height(peak) - _HALF_WIDTH * (1 + _SMALL * tail.effect / float(tail.weights.sum()))
    far = peak + span
    while height(far) > floor and far - peak < 64 * span:
        far = peak + 2 * (far - peak)
    return peak, low, _crossing(height, floor, far, peak)


def _summit(height: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(14):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if height(left) < height(right):
            low = left
        else:
            high = right
    return (low + high) / 2


def _crossing(height: Callable[[float], float], floor: float, outside: float, inside: float) -> float:
    for _ in range(16):
        middle = (outside + inside) / 2
        if height(middle) > floor:
            inside = middle
        else:
            outside = middle
    return (outside + inside) / 2
