"""Thresholds for list sizes and false positive rates, out of searches for strangers.

A list no longer than the people at hand is measured: they are dealt into lists of that size. A longer one follows
from the longest measured, FPIR(N) = 1 − (1 − FPIR(n))^(N/n); people differ in how many others they resemble, so
that the true rate is at most that (domain.md 7).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Final

import numpy as np

from lfr_edge.evaluation.faces import Float32Array, Templates
from lfr_edge.evaluation.identities import LIST_SIZES, IdentitiesRun
from lfr_edge.evaluation.labels import LabelError, mislabelled
from lfr_edge.evaluation.protocol import Sample
from lfr_edge.evaluation.tail import CannotTell, IntArray, Level, Tops, level, tail_of
from lfr_edge.matching.threshold import Calibration

TARGETS: Final = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
# Between 10,000 and 20,000 lie the lists that are used (domain.md 6).
LONG_SIZES: Final = tuple(sorted({*LIST_SIZES, 2_000, 5_000, 17_000, 20_000, 50_000}))
_MOST_LISTS: Final = 64  # of one size; more would be the same people again and again
_BLOCK: Final = 512
_CLOSEST: Final = 20


@dataclass(frozen=True, slots=True)
class Strangers:
    """Every search's score with every listed person. **Lifetime:** research material, as the templates it is of."""

    scores: Float32Array = field(
        repr=False
    )  # (m, people) -inf: the same person, or no template; 4 bytes a cell
    seekers: IntArray  # (m,) person searched for
    listed: IntArray  # (people,) person of each column, in the same numbering
    names: tuple[str, ...]  # of every person

    @property
    def people(self) -> int:
        """Different persons who were searched for."""
        return len(np.unique(self.seekers))

    def tops(self, size: int, *, seed: int = 0) -> Tops:
        """First candidates in lists of `size`: the listed dealt into as many lists as they fill."""
        order = np.random.default_rng(seed).permutation(len(self.listed))
        size = min(size, len(order))
        lists = min(_MOST_LISTS, len(order) // size)
        columns = order[: lists * size].reshape(lists, size)
        scores = np.empty((lists, len(self.seekers)))
        found = np.empty((lists, len(self.seekers)), np.intp)
        # A few searches at a time: a second copy of all scores would be gigabytes for 20,000 people.
        for start in range(0, len(self.seekers), _BLOCK):
            rows = slice(start, start + _BLOCK)
            part = self.scores[rows][:, columns]
            best = part.argmax(axis=2)
            scores[:, rows] = np.take_along_axis(part, best[..., None], axis=2)[..., 0].T
            found[:, rows] = self.listed[columns[np.arange(lists), best]].T
        images = np.bincount(self.seekers, minlength=len(self.names))
        return Tops(
            size,
            scores.ravel(),
            np.tile(1 / images[self.seekers], lists),
            np.tile(self.seekers, lists),
            found.ravel(),
            self.listed,
        )

    def closest(self) -> list[dict[str, Any]]:
        """The pairs of persons who resemble each other most: one person under two names is found here."""
        best: dict[tuple[int, int], float] = {}
        columns = self.scores.argmax(axis=1)
        tops = self.scores[np.arange(len(columns)), columns]
        for row in np.argsort(-tops, kind="stable")[: 8 * _CLOSEST]:
            a, b = int(self.seekers[row]), int(self.listed[columns[row]])
            best.setdefault((min(a, b), max(a, b)), float(tops[row]))
        return [
            {"score": round(score, 4), "identity": self.names[a], "resembles": self.names[b]}
            for (a, b), score in list(best.items())[:_CLOSEST]
            if math.isfinite(score)
        ]


@dataclass(frozen=True, slots=True)
class Refused:
    """A point for which the material cannot tell."""

    list_size: int
    target_fpir: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def strangers_of(run: IdentitiesRun, errors: Sequence[LabelError] = ()) -> Strangers:
    """A protocol's strangers against its gallery; mislabelled strangers are left out."""
    scores = run.scores()
    samples = run.protocol.of("nonmated")
    kept = ~mislabelled(run.protocol, tuple(errors))
    names = list(scores.people)
    numbers = {name: len(names) + i for i, name in enumerate(dict.fromkeys(s.identity for s in samples))}
    seekers = np.array([numbers[sample.identity] for sample in samples], np.intp)
    listed = np.arange(len(names), dtype=np.intp)
    return Strangers(scores.nonmated[kept], seekers[kept], listed, (*names, *numbers))


def everybody_against_everybody(
    templates: Templates, samples: Sequence[Sample], errors: Sequence[LabelError] = ()
) -> Strangers:
    """Each person is searched for, with every image, among all others, listed with their first usable one.

    The same person is never their own stranger, nor is a person whom `errors` names as the same.
    """
    numbers = {name: i for i, name in enumerate(dict.fromkeys(sample.identity for sample in samples))}
    who = np.array([numbers[sample.identity] for sample in samples], np.intp)
    rows = np.flatnonzero(templates.usable)
    listed, first = np.unique(who[rows], return_index=True)
    matrix = templates.matrix[0]
    gallery = matrix[rows[first]]
    scores = np.empty((len(samples), len(listed)), np.float32)
    for start in range(0, len(samples), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores[block] = matrix[block] @ gallery.T
    scores[~templates.usable] = -np.inf
    place = np.full(len(numbers), -1, np.intp)
    place[listed] = np.arange(len(listed))
    pairs = [
        (numbers[e.identity], numbers[e.same_as])
        for e in errors
        if e.identity in numbers and e.same_as in numbers
    ]
    for a, b in [(i, i) for i in range(len(numbers))] + pairs + [(b, a) for a, b in pairs]:
        if place[b] >= 0:
            scores[who == a, place[b]] = -np.inf
    return Strangers(scores, who, listed, tuple(numbers))


def calibrate(
    strangers: Strangers,
    model: Mapping[str, Any],
    *,
    measured: date,
    material: str,
    sizes: Sequence[int] = LONG_SIZES,
    targets: Sequence[float] = TARGETS,
    seed: int = 0,
) -> tuple[list[Calibration], list[Refused]]:
    """One for each list size and each rate that the strangers can tell, and why not for the others."""
    full = len(strangers.listed)
    searches = len(strangers.seekers)
    template = _template(strangers, model, measured, material)
    made: list[Calibration] = []
    refused: list[Refused] = []
    for size in sorted({*sizes, full}):
        tops = strangers.tops(min(size, full), seed=seed)
        tail = tail_of(tops, seed=seed)
        for target in targets:
            rate = -math.expm1(math.log1p(-target) * tops.list_size / size)
            found: Level | CannotTell = level(tops, tail, rate)
            if isinstance(found, CannotTell):
                refused.append(Refused(size, target, found.reason))
                continue
            made.append(
                replace(
                    template,
                    list_size=size,
                    target_fpir=target,
                    threshold=round(found.threshold, 5),
                    low=round(found.low, 5),
                    high=round(found.high, 5),
                    impostors=searches,
                    method=found.method,
                    reach=float(f"{found.reach:.3g}"),
                )
            )
    return _rising(made), refused


def _template(strangers: Strangers, model: Mapping[str, Any], measured: date, material: str) -> Calibration:
    return Calibration(
        fingerprint=str(model["fingerprint"]),
        dimension=int(model["dimension"]),
        provider=str(model["provider"]),
        precision=str(model["precision"]),
        list_size=1,
        target_fpir=0.5,
        threshold=0.0,
        low=0.0,
        high=0.0,
        impostors=1,
        people=strangers.people,
        measured=measured,
        material=material,
    )


def _rising(made: Sequence[Calibration]) -> list[Calibration]:
    """A longer list, or a rarer rate, never has the lower threshold: where chance says so, the higher holds."""
    out: list[Calibration] = []
    for one in made:
        below = [c for c in out if c.list_size <= one.list_size and c.target_fpir >= one.target_fpir]
        highest: dict[str, float] = {
            name: max([getattr(one, name)] + [getattr(c, name) for c in below])
            for name in ("threshold", "low", "high")
        }
        out.append(replace(one, **highest))  # type: ignore[arg-type]  # three floats
    return out
