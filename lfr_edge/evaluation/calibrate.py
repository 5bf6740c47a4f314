"""Thresholds for list sizes and false positive rates, out of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import numpy as np

from lfr_edge.evaluation.identities import LIST_SIZES, IdentitiesRun, nonmated_tops
from lfr_edge.evaluation.intervals import CONFIDENCE, RULE_OF_THREE
from lfr_edge.evaluation.openset import threshold_at
from lfr_edge.matching.threshold import Calibration

TARGETS: Final = (0.1, 0.03, 0.01, 0.003, 0.001)
_RESAMPLES: Final = 200


def calibrations(
    run: IdentitiesRun,
    model: Mapping[str, Any],
    *,
    measured: date,
    material: str,
    seed: int = 0,
) -> list[Calibration]:
    """One for each list size up to the gallery's and each rate that the strangers can show (rule of 3).

    A list shorter than the gallery is drawn many times, so that the threshold holds for the average list of that
    size, not for one lucky draw. Intervals resample strangers as whole persons.
    """
    scores = run.scores()
    searches = run.searches(scores)
    people = np.unique(searches.nonmated_people)
    n = len(searches.nonmated)
    generator = np.random.default_rng(seed)
    full = len(scores.people)
    made = []
    for size in [size for size in LIST_SIZES if size < full] + [full]:
        tops = nonmated_tops(scores, size, seed=seed)
        draws = generator.multinomial(len(people), np.full(len(people), 1 / len(people)), _RESAMPLES)
        for target in TARGETS:
            if n * target < RULE_OF_THREE:
                continue
            threshold = threshold_at(tops.ravel(), target)
            again = [_resampled(tops, draw[searches.nonmated_people], target) for draw in draws]
            low, high = np.quantile(again, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            made.append(
                Calibration(
                    fingerprint=str(model["fingerprint"]),
                    dimension=int(model["dimension"]),
                    provider=str(model["provider"]),
                    precision=str(model["precision"]),
                    list_size=size,
                    target_fpir=target,
                    threshold=round(threshold, 5),
                    low=round(min(float(low), threshold), 5),
                    high=round(max(float(high), threshold), 5),
                    impostors=n,
                    people=len(people),
                    measured=measured,
                    material=material,
                )
            )
    return made


def _resampled(
    tops: np.ndarray[Any, np.dtype[np.float64]], times: np.ndarray[Any, Any], target: float
) -> float:
    """The threshold where each stranger counts as often as drawn."""
    order = np.argsort(-tops.ravel(), kind="stable")
    weights = np.cumsum(np.tile(times, len(tops))[order])
    first = int(np.searchsorted(weights, target * weights[-1], side="right"))
    return float(tops.ravel()[order[min(first, len(order) - 1)]])
