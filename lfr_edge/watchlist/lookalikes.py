"""Who on a list looks like whom: every pair of people, compared exactly, in bounded memory.

At and above the deployment's own threshold a passer-by who is one person raises an alert for the other, so that is
where a look-alike begins. What is likely one person twice begins at the strictest threshold that was calibrated.
Neither says that two people are kin, or the same: it says that a person has to look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.watchlist.about import Scale
from lfr_edge.watchlist.pages import Float32Array

MOST_NEAR: Final = (
    10  # look-alikes that are kept of one person: more, and the list is the problem, not the person
)
# 512 × 4,096 scores are 8 MiB; larger blocks gained nothing on two cores.
_ROWS: Final = 512
_COLUMNS: Final = 4096


@dataclass(frozen=True, slots=True)
class Pair:
    first: str  # the one that stands earlier on the list
    second: str
    score: float  # cosine of their two nearest images

    def to_json(self) -> dict[str, Any]:
        return {"first": self.first, "second": self.second, "score": round(self.score, 4)}


@dataclass(frozen=True, slots=True)
class Resemblance:
    """What the comparison of everybody with everybody found.

    A person with more than :data:`MOST_NEAR` look-alikes keeps the nearest; `pairs` still counts all of them.
    """

    near: dict[str, tuple[tuple[str, float], ...]]  # reference → (reference, cosine), nearest first
    same: tuple[Pair, ...]  # likely one person twice, highest score first; each pair once
    pairs: int  # pairs of people at or above `scale.look_alike`
    compared: int  # pairs of people compared
    scale: Scale

    @property
    def expected_by_chance(self) -> float | None:
        """Pairs of different people that would reach `scale.same_person`, if the list were people of the sample."""
        rate = self.scale.same_person_fmr
        return None if rate is None else self.compared * rate

    def to_json(self) -> dict[str, Any]:
        return {
            "scale": self.scale.to_json(),
            "compared_pairs": self.compared,
            "look_alike_pairs": self.pairs,
            "people_with_look_alikes": len(self.near),
            "likely_the_same_person": [pair.to_json() for pair in self.same],
            "expected_by_chance": self.expected_by_chance,
        }


def resemblances(
    references: Sequence[str],
    owners: NDArray[np.intp],
    matrices: Sequence[Float32Array],
    scale: Scale,
) -> Resemblance:
    """Compare everybody with everybody.

    `owners` (rows,) is the position in `references` of the person of each row of the stacked `matrices`. Memory:
    one block of scores, and the look-alikes that are kept. **Lifetime:** blocks of templates are overwritten.
    """
    people = len(references)
    compared = people * (people - 1) // 2
    if scale.look_alike is None or people < 2:
        return Resemblance({}, (), 0, compared, scale)
    kept: list[list[tuple[float, int]]] = [[] for _ in references]
    pairs = 0
    for person, others, scores in _near_of_each(owners, matrices, scale.look_alike):
        pairs += int((others > person).sum())
        kept[person] = list(zip(scores[:MOST_NEAR].tolist(), others[:MOST_NEAR].tolist(), strict=True))
    near = {
        references[person]: tuple((references[other], round(score, 4)) for score, other in found)
        for person, found in enumerate(kept)
        if found
    }
    return Resemblance(near, _same(references, kept, scale.same_person), pairs, compared, scale)


def _same(
    references: Sequence[str], kept: Sequence[Sequence[tuple[float, int]]], at: float | None
) -> tuple[Pair, ...]:
    if at is None:
        return ()
    found = {
        (min(person, other), max(person, other)): score
        for person, near in enumerate(kept)
        for score, other in near
        if score >= at
    }
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Pair(references[a], references[b], score) for (a, b), score in ordered)


def _near_of_each(
    owners: NDArray[np.intp], matrices: Sequence[Float32Array], least: float
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.float32]]]:
    """(person, other people at or above `least`, their scores), nearest first, person by person.

    Rows of one person stand together, so a block of whole people is finished once it met every column.
    """
    starts = np.searchsorted(owners, np.arange(len(matrices) + 1))
    first = 0
    while first < len(matrices):
        last = first + 1
        while last < len(matrices) and starts[last + 1] - starts[first] <= _ROWS:
            last += 1
        block = np.vstack(matrices[first:last])
        best = np.full((last - first, len(matrices)), -np.inf, np.float32)
        row_owner = owners[starts[first] : starts[last]] - first
        for start, columns in _columns(matrices, starts):
            scores = block @ columns.T
            column_owner = owners[start : start + len(columns)]
            _keep_best(best, scores, row_owner, column_owner)
            columns[:] = 0
        block[:] = 0
        best[np.arange(last - first), np.arange(first, last)] = -np.inf  # nobody resembles themselves
        for offset, row in enumerate(best):
            others = np.flatnonzero(row >= least)
            if len(others):
                order = np.lexsort((others, -row[others]))
                yield first + offset, others[order], row[others][order]
        first = last


def _columns(
    matrices: Sequence[Float32Array], starts: NDArray[np.intp]
) -> Iterator[tuple[int, Float32Array]]:
    """(first row, templates) of whole people, a block at a time."""
    first = 0
    while first < len(matrices):
        last = first + 1
        while last < len(matrices) and starts[last + 1] - starts[first] <= _COLUMNS:
            last += 1
        yield int(starts[first]), np.vstack(matrices[first:last])
        first = last


def _keep_best(
    best: NDArray[np.float32],
    scores: NDArray[np.float32],
    row_owner: NDArray[np.intp],
    column_owner: NDArray[np.intp],
) -> None:
    """Of several images of two people the nearest two count."""
    if len(np.unique(row_owner)) == len(row_owner) and len(np.unique(column_owner)) == len(column_owner):
        best[:, column_owner] = scores
        return
    heads = np.flatnonzero(np.r_[True, np.diff(column_owner) > 0])
    by_column = np.maximum.reduceat(scores, heads, axis=1)
    tops = np.flatnonzero(np.r_[True, np.diff(row_owner) > 0])
    best[:, column_owner[heads]] = np.maximum.reduceat(by_column, tops, axis=0)
