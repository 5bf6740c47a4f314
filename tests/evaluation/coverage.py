"""How often do 95 % intervals hold a known truth? Every design of docs/accuracy.md, from seeds that chose nothing.

    python -m tests.evaluation.coverage                        every design, 1,000 runs each
    python -m tests.evaluation.coverage --only rate ratio      designs whose name begins so
    python -m tests.evaluation.coverage --runs 100 --seed 7

Prints one line for each design and exits with 1 where one lies outside 93 to 97 %. "Cannot tell" is no interval: such
runs are counted apart. With 1,000 runs the share itself is known to ± 1.4 points.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Final

import numpy as np

from lfr_edge.evaluation.calibrate import Strangers
from lfr_edge.evaluation.groups import Trials, differential, score_shifts
from lfr_edge.evaluation.intervals import binomial_rate, person_rate
from lfr_edge.evaluation.openset import Searches, operating_points
from lfr_edge.evaluation.tail import CannotTell, Tops, level, tail_of

SEED: Final = 20261122
_NORMAL: Final = NormalDist(0.1, 0.1)
Held = Callable[[int], bool | None]
"""Did the interval of the run with this seed hold the truth? None: it could not tell."""


def trials(
    rates: Mapping[str, float],
    people: int,
    images: int = 1,
    seed: int = 0,
    rare: bool = False,
    alike: float = 4.0,
) -> Trials:
    """Some people are missed again and again: rates of persons vary about the group's (beta, of `alike` trials)."""
    generator = np.random.default_rng(seed)
    groups: list[str] = []
    events: list[bool] = []
    for name, rate in rates.items():
        for _ in range(people):
            varied = images > 1 and 0 < rate < 1
            own = generator.beta(alike * rate, alike * (1 - rate)) if varied else rate
            groups += [name] * images
            events += list(generator.random(images) < own)
    who = np.repeat(np.arange(people * len(rates)), images)
    return Trials(np.array(events, bool), who, tuple(groups), rare)


def rate(people: int, images: int, truth: float, alike: float = 4.0) -> Held:
    def held(seed: int) -> bool:
        found = trials({"a": truth}, people, images, seed, alike=alike)
        told = person_rate(found.events, found.people)
        return told.low is not None and told.high is not None and told.low <= truth <= told.high

    return held


def uneven(people: int, truth: float) -> Held:
    """One to ten pictures of a person, most have few."""

    def held(seed: int) -> bool:
        generator = np.random.default_rng(seed)
        counts = np.minimum(generator.geometric(0.4, people), 10)
        who = np.repeat(np.arange(people), counts)
        own = generator.beta(4 * truth, 4 * (1 - truth), people)
        told = person_rate(generator.random(len(who)) < own[who], who)
        return told.low is not None and told.high is not None and told.low <= truth <= told.high

    return held


def exact(n: int, truth: float) -> Held:
    """Clopper and Pearson's: never too short, so that it may hold more than it promises."""

    def held(seed: int) -> bool:
        told = binomial_rate(int(np.random.default_rng(seed).binomial(n, truth)), n)
        return told.low is not None and told.high is not None and told.low <= truth <= told.high

    return held


def ratio(low: float, high: float, people: int) -> Held:
    """Worst to best of two groups so far apart that chance never swaps them."""

    def held(seed: int) -> bool | None:
        found = differential(trials({"a": low, "b": high}, people, 2, seed), seed=seed).worst_to_best
        if found.low is None or found.high is None or found.worst != "b":
            return None
        return found.low <= high / low <= found.high

    return held


def shift(people: int, apart: float) -> Held:
    """Of a third of the people whose scores lie `apart` lower; three scores of everybody."""
    truth = -apart * 2 / 3

    def held(seed: int) -> bool:
        generator = np.random.default_rng(seed)
        who = np.repeat(np.arange(people), 3)
        groups = tuple("b" if one % 3 == 0 else "a" for one in who)
        own = generator.normal(0.5, 0.1, people)[who] - apart * (who % 3 == 0)
        found = score_shifts(own + generator.normal(0, 0.08, len(who)), who, groups, seed=seed)["b"]
        return found.low is not None and found.high is not None and found.low <= truth <= found.high

    return held


def tpir(people: int, each: int, strangers: int, fpir: float) -> Held:
    """Mated N(0.45, 0.1² between + 0.08² within), strangers N(0.2, 0.1²): the truth in closed form."""
    threshold = 0.2 + 0.1 * NormalDist().inv_cdf(1 - fpir)
    truth = 1 - NormalDist().cdf((threshold - 0.45) / math.hypot(0.1, 0.08))
    who = np.repeat(np.arange(people), each)

    def held(seed: int) -> bool | None:
        generator = np.random.default_rng(seed)
        mated = generator.normal(0.45, 0.1, people)[who] + generator.normal(0, 0.08, people * each)
        nonmated = generator.normal(0.2, 0.1, strangers)
        found = Searches(mated, np.ones(len(mated), bool), who, nonmated, np.arange(strangers))
        (point,) = operating_points(found, (fpir,), seed=seed, resamples=300)
        if point.tpir.low is None or point.tpir.high is None:
            return None
        return point.tpir.low <= truth <= point.tpir.high

    return held


def best_of(generator: np.random.Generator, n: int, size: int) -> np.ndarray:
    """First candidates of `n` searches in lists of `size` normal scores."""
    return np.array([_NORMAL.inv_cdf(u ** (1 / size)) for u in generator.random(n)])


def threshold(searches: int, target: float) -> Held:
    """Of searches that share nobody, in lists of 1,000."""
    truth = _NORMAL.inv_cdf((1 - target) ** (1 / 1000))

    def held(seed: int) -> bool | None:
        n = searches
        scores = best_of(np.random.default_rng(seed), n, 1000)
        tops = Tops(1000, scores, np.ones(n), np.arange(n), n + np.arange(n), n + np.arange(n))
        found = level(tops, tail_of(tops), target)
        return None if isinstance(found, CannotTell) else found.low <= truth <= found.high

    return held


def crowd(generator: np.random.Generator, people: int, dimension: int) -> Strangers:
    """Random unit vectors, everybody against everybody: each pair is met twice, with one score."""
    vectors = generator.standard_normal((people, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = (vectors @ vectors.T).astype(np.float32)
    np.fill_diagonal(scores, -np.inf)
    who = np.arange(people)
    return Strangers(scores, who, who, tuple(map(str, who)))


def cap_quantile(share: float, dimension: int) -> float:
    """The cosine that a share of random directions exceeds: the area of a cap of the sphere."""
    cosine = np.linspace(-1, 1, 400_001)
    density = (1 - cosine**2) ** ((dimension - 3) / 2)
    beyond = np.cumsum(density[::-1])[::-1] / density.sum()
    return float(cosine[np.searchsorted(-beyond, -share)])


def carried(people: int, dimension: int, size: int, target: float) -> Held:
    """Everybody against everybody, carried to a list of `size`."""
    truth = cap_quantile(1 - (1 - target) ** (1 / size), dimension)

    def held(seed: int) -> bool | None:
        tops = crowd(np.random.default_rng(seed), people, dimension).tops(people)
        found = level(tops, tail_of(tops), 1 - (1 - target) ** (people / size))
        return None if isinstance(found, CannotTell) else found.low <= truth <= found.high

    return held


DESIGNS: Final[dict[str, Held]] = {
    "rate: 150 people, 4 pictures each, 10 %": rate(150, 4, 0.1),
    "rate: 45 people, 6 passages each, 80 % (a field test)": rate(45, 6, 0.8),
    "rate: 300 people, 1 picture each, 5 %": rate(300, 1, 0.05),
    "rate: 60 people, 8 pictures each, 20 %": rate(60, 8, 0.2),
    "rate: 150 people, 3 pictures each, 50 %": rate(150, 3, 0.5),
    "rate: 100 people, 4 pictures each who resemble each other much, 30 %": rate(100, 4, 0.3, alike=0.5),
    "rate: 400 people, 1 to 10 pictures each, 10 %": uneven(400, 0.1),
    "ratio: 10 and 30 %, 250 people a group, 2 pictures each": ratio(0.1, 0.3, 250),
    "shift: of 100 people's mean score among 300, 3 scores each": shift(300, 0.05),
    "TPIR: 150 people, 3 searches each, 600 strangers, FPIR 5 %": tpir(150, 3, 600, 0.05),
    "TPIR: 600 people, 1 search each, 2,000 strangers, FPIR 1 %": tpir(600, 1, 2000, 0.01),
    "threshold: 1,600 searches, 2 % (in the tail)": threshold(1600, 0.02),
    "threshold: 1,600 searches, 0.1 % (at the sample's edge)": threshold(1600, 0.001),
    "threshold: 1,600 searches, 0.03 % (six times beyond)": threshold(1600, 0.0003),
    "carried: 1,200 people to a list of 5,000, 1 %, 32 dimensions": carried(1200, 32, 5000, 0.01),
    "carried: 1,600 people to a list of 10,000, 1 %, 64 dimensions": carried(1600, 64, 10_000, 0.01),
}


def measure(held: Held, runs: int, seed: int) -> tuple[int, int]:
    """(runs whose interval held the truth, runs that told one)."""
    told = [answer for run in range(runs) if (answer := held(seed + run)) is not None]
    return sum(told), len(told)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    outside = 0
    for name, held in DESIGNS.items():
        if not name.startswith(tuple(args.only)):
            continue
        began = time.process_time()
        good, told = measure(held, args.runs, args.seed)
        share = good / max(1, told)
        inside = 0.93 <= share <= 0.97
        outside += not inside
        words = f"{share:6.1%} of {told} ({args.runs - told} cannot tell), {time.process_time() - began:.0f} CPU s"
        print(f"{name}: {words}{'' if inside else '   OUTSIDE 93 to 97 %'}", flush=True)
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
