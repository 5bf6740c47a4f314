"""The chapter on groups of a finished run: one threshold for all, errors by the groups that the protocol names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.evaluation.groups import Trials, differential, score_shifts
from lfr_edge.evaluation.identities import IdentitiesRun
from lfr_edge.evaluation.openset import Operating, Searches
from lfr_edge.evaluation.protocol import Sample

_WANTED: Final = 0.01  # the rate that thresholds are calibrated to unless somebody says otherwise


def fairness(
    run: IdentitiesRun, searches: Searches, points: Sequence[Operating], *, seed: int = 0
) -> dict[str, Any]:
    """By group column of the protocol; empty where it has none."""
    columns = sorted({name for sample in run.protocol.samples for name in sample.groups})
    at = _operating(points)
    return {name: _column(run, searches, at, name, seed) for name in columns}


def _operating(points: Sequence[Operating]) -> Operating | None:
    told = [point for point in points if point.threshold is not None]
    told.sort(key=lambda point: (point.target_fpir != _WANTED, point.target_fpir))
    return told[0] if told else None


def _column(
    run: IdentitiesRun, searches: Searches, at: Operating | None, column: str, seed: int
) -> dict[str, Any]:
    gallery, mated, nonmated = (run.protocol.of(role) for role in ("gallery", "mated", "nonmated"))
    body: dict[str, Any] = {
        "unnamed": sum(not sample.groups.get(column) for sample in run.protocol.samples),
        "failure_to_enrol": differential(_trials(gallery, ~run.gallery.usable, column), seed=seed).to_json(),
        "failure_to_acquire": differential(
            _trials((*mated, *nonmated), np.concatenate([~run.mated.usable, ~run.nonmated.usable]), column),
            seed=seed,
        ).to_json(),
        "differential_performance": {
            "mated": _shifts(searches.hits, mated, column, seed),
            "nonmated": _shifts(searches.nonmated, nonmated, column, seed),
        },
    }
    if at is None or at.threshold is None:
        return body | {"at": None}
    missed = _trials(mated, ~(searches.hits >= at.threshold), column)
    raised = _trials(nonmated, searches.nonmated >= at.threshold, column, rare=True)
    return body | {
        "at": {"target_fpir": at.target_fpir, "threshold": at.threshold},
        "false_negatives": differential(missed, seed=seed).to_json(),
        "false_positives": differential(raised, seed=seed).to_json(),
    }


def _trials(
    samples: Sequence[Sample], events: NDArray[np.bool_], column: str, *, rare: bool = False
) -> Trials:
    numbers: dict[str, int] = {}
    people = np.array([numbers.setdefault(sample.identity, len(numbers)) for sample in samples], np.intp)
    return Trials(events, people, tuple(sample.groups.get(column, "") for sample in samples), rare)


def _shifts(scores: NDArray[np.float64], samples: Sequence[Sample], column: str, seed: int) -> dict[str, Any]:
    trials = _trials(samples, np.zeros(len(samples), np.bool_), column)
    found = score_shifts(scores, trials.people, trials.groups, seed=seed)
    return {name: asdict(shift) for name, shift in found.items()}
