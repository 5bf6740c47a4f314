"""Does it work as well for everybody? Error rates by group, as the protocol gives them, never inferred.

Terms of ISO/IEC 19795-10. *Differential performance*: score distributions differ between demographic groups,
whatever the threshold. *Differential outcome*: error rates differ at the threshold in force, which is one for all.
A group belongs to the person who was searched for. A person counts once, however many images there are of them:
whole persons are resampled, and whole persons change places in the test that no group differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.evaluation.intervals import CONFIDENCE, RULE_OF_THREE, Rate, person_rate
from lfr_edge.evaluation.power import detectable

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]

LEAST_PEOPLE: Final = 20  # in a group: with fewer the interval of a rate of 10 % is wider than 30 points
_RESAMPLES: Final = 1000
_LEVEL: Final = 0.05


@dataclass(frozen=True, slots=True)
class Trials:
    """One kind of trial: does the event happen? Row i of the arrays is one trial."""

    events: BoolArray  # (n,) a miss, a false alert, a failure
    people: IntArray  # (n,)
    groups: tuple[str, ...]  # (n,) "" where the protocol does not say
    rare: bool = False  # a false alert: too rare to tell unless the rule of 3 is met

    def of(self, group: str) -> BoolArray:
        return np.array([name == group for name in self.groups], np.bool_)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The group with most errors against another measure, with its 95 % interval."""

    worst: str
    against: str  # the best group, or "mean"
    value: float | None
    low: float | None
    high: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Differential:
    """One error rate over all groups."""

    rates: Mapping[str, Rate]
    worst_to_best: Ratio
    worst_to_mean: Ratio
    chance: float | None  # probability of so large a difference if the groups were alike (permutation test)
    verdict: str  # "differs", "no difference shown" or "cannot tell"
    power: str  # what could have been seen

    def to_json(self) -> dict[str, Any]:
        return {
            "rates": {name: rate.to_json() for name, rate in self.rates.items()},
            "worst_to_best": asdict(self.worst_to_best),
            "worst_to_mean": asdict(self.worst_to_mean),
            "chance": self.chance,
            "verdict": self.verdict,
            "power": self.power,
        }


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a group's mean score lies from everybody's."""

    mean: float | None
    shift: float | None  # cosine
    low: float | None
    high: float | None
    deviations: float | None  # the shift in standard deviations of everybody's scores
    people: int
    note: str = field(default="")


def differential(trials: Trials, *, seed: int = 0) -> Differential:
    """Rates of every named group, their ratios, and whether they differ by more than chance."""
    names = tuple(sorted(set(trials.groups) - {""}))
    members = {name: trials.of(name) for name in names}
    rates = {name: _rate(trials, members[name]) for name in names}
    told = [name for name in names if rates[name].value is not None]
    if len(told) < 2:
        nothing = Ratio("", "", None, None, None, "fewer than two groups can be told")
        return Differential(rates, nothing, nothing, None, "cannot tell", _power(trials, members, names))
    draws = _draws(trials, members, told, seed)
    worst = max(told, key=lambda name: rates[name].value or 0.0)
    best = min(told, key=lambda name: rates[name].value or 0.0)
    mean = np.mean([draws[name] for name in told], axis=0)
    overall = float(np.mean([rates[name].value for name in told]))
    chance = _chance(trials, members, told, seed)
    return Differential(
        rates,
        _ratio(worst, best, rates[worst].value, rates[best].value, draws[worst], draws[best]),
        _ratio(worst, "mean", rates[worst].value, overall, draws[worst], mean),
        chance,
        _verdict(trials, members, told, chance),
        _power(trials, members, told),
    )


def score_shifts(
    scores: FloatArray, people: IntArray, groups: Sequence[str], *, seed: int = 0
) -> dict[str, Shift]:
    """Differential performance: each group's mean score against everybody's. Scores of -inf are left out."""
    kept = np.isfinite(scores) & np.array([name != "" for name in groups], np.bool_)
    shifts: dict[str, Shift] = {}
    spread = float(scores[kept].std()) if kept.any() else 0.0
    generator = np.random.default_rng(seed)
    for name in sorted(set(groups) - {""}):
        mine = kept & np.array([group == name for group in groups], np.bool_)
        count = len(np.unique(people[mine]))
        if count < LEAST_PEOPLE or spread == 0:
            note = f"{count} people; {LEAST_PEOPLE} are needed"
            shifts[name] = Shift(None, None, None, None, None, count, note)
            continue
        mean, everybody = float(scores[mine].mean()), float(scores[kept].mean())
        # Everybody holds the group: both means of one drawing of persons, or their likeness would be lost.
        resampled = np.subtract(*_means(scores, people, (mine, kept), generator))
        low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        shift = mean - everybody
        shifts[name] = Shift(mean, shift, float(low), float(high), shift / spread, count)
    return shifts


def chance_within(events: BoolArray, people: IntArray, places: Sequence[str], *, seed: int = 0) -> float:
    """Probability of so large a difference between places that everybody passes, if the places were alike.

    Each person's own passages change places among themselves: who is hard to recognise is so everywhere.
    """
    names, label = np.unique(np.array(places), return_inverse=True)
    order = np.argsort(people, kind="stable")
    held, mine, who = events[order].astype(np.float64), label[order], people[order]
    counts = np.maximum(np.bincount(mine, minlength=len(names)), 1)

    def spread(labels: IntArray) -> float:
        rates = np.bincount(labels, held, len(names)) / counts
        return float(rates.max() - rates.min())

    generator = np.random.default_rng(seed)
    found = spread(mine)
    shuffled = (mine[np.lexsort((generator.random(len(who)), who))] for _ in range(_RESAMPLES - 1))
    return (1 + sum(spread(labels) >= found - 1e-12 for labels in shuffled)) / _RESAMPLES


def _rate(trials: Trials, mine: BoolArray) -> Rate:
    people = len(np.unique(trials.people[mine]))
    n = int(mine.sum())
    if people < LEAST_PEOPLE:
        return Rate(None, None, None, n, f"{people} people; {LEAST_PEOPLE} are needed")
    if trials.rare:
        expected = float(trials.events.mean()) * n
        if expected < RULE_OF_THREE:
            return Rate(None, None, None, n, f"{n} searches cannot show this rate (rule of 3)")
    return person_rate(trials.events[mine], trials.people[mine])


def _draws(
    trials: Trials, members: Mapping[str, BoolArray], told: Sequence[str], seed: int
) -> dict[str, FloatArray]:
    generator = np.random.default_rng(seed)
    events = trials.events.astype(np.float64)
    return {name: _means(events, trials.people, [members[name]], generator)[0] for name in told}


def _means(
    values: FloatArray, people: IntArray, members: Sequence[BoolArray], generator: np.random.Generator
) -> list[FloatArray]:
    """(resamples,) means over each of `members`, the last of which holds the others: its persons are drawn with
    replacement, and are the same for all.
    """
    everybody = members[-1]
    names, who = np.unique(people[everybody], return_inverse=True)
    draws = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    means = []
    for mine in members:
        held = mine[everybody]
        sums = np.bincount(who, np.where(held, values[everybody], 0.0))
        counts = draws @ np.bincount(who, held.astype(np.float64))
        means.append(np.asarray((draws @ sums) / np.maximum(counts, 1.0)))
    return means


def _ratio(
    worst: str, against: str, top: float | None, bottom: float | None, above: FloatArray, below: FloatArray
) -> Ratio:
    if top is None or not bottom:
        return Ratio(worst, against, None, None, None, "no error in the best group: no ratio can be given")
    ratios = above / np.where(below > 0, below, np.nan)
    if np.isnan(ratios).mean() > (1 - CONFIDENCE) / 2:
        return Ratio(worst, against, None, None, None, "too few errors in the best group for a ratio")
    low, high = np.nanquantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Ratio(worst, against, top / bottom, float(low), float(high))


def _chance(trials: Trials, members: Mapping[str, BoolArray], told: Sequence[str], seed: int) -> float:
    """Whole persons change groups; how often is the largest difference then as large as it was?"""
    kept = np.logical_or.reduce([members[name] for name in told])
    people, who = np.unique(trials.people[kept], return_inverse=True)
    label = np.zeros(len(kept), np.intp)
    for number, name in enumerate(told):
        label[members[name]] = number
    first = np.zeros(len(people), np.intp)
    first[who] = label[kept]
    errors = np.bincount(who, trials.events[kept].astype(np.float64))
    counts = np.bincount(who).astype(np.float64)

    def spread(labels: IntArray) -> float:
        rates = np.bincount(labels, errors, len(told)) / np.maximum(np.bincount(labels, counts, len(told)), 1)
        return float(rates.max() - rates.min())

    generator = np.random.default_rng(seed)
    found = spread(first)
    again = sum(spread(generator.permutation(first)) >= found - 1e-12 for _ in range(_RESAMPLES - 1))
    return (1 + again) / _RESAMPLES


def _verdict(trials: Trials, members: Mapping[str, BoolArray], told: Sequence[str], chance: float) -> str:
    if chance < _LEVEL:
        return "differs"
    factor = _detectable(trials, members, told)
    return "no difference shown" if factor is not None and factor <= 2 else "cannot tell"


def _power(trials: Trials, members: Mapping[str, BoolArray], told: Sequence[str]) -> str:
    factor = _detectable(trials, members, told)
    if factor is None:
        return "no difference of any size could have been seen"
    return f"a rate {factor:.1f} times everybody's in the smallest group would have been seen in 8 of 10 such tests"


def _detectable(trials: Trials, members: Mapping[str, BoolArray], told: Sequence[str]) -> float | None:
    if len(told) < 2:
        return None
    sizes = [len(np.unique(trials.people[members[name]])) for name in told]
    smallest = min(sizes)
    everybody = float(trials.events[np.logical_or.reduce([members[name] for name in told])].mean())
    # Among several groups the largest difference is looked for: the level is shared out between the pairs.
    pairs = math.comb(len(told), 2)
    return detectable(everybody, smallest, sum(sizes) - smallest, _LEVEL / pairs)
