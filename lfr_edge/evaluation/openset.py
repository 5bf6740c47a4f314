"""Open-set identification, one search at a time: what the scores say (ISO/IEC 19795-1 terms).

Pure arithmetic over scores; no image and no network. A mated search succeeds where the right person is first and
reaches the threshold; a non-mated search is a false positive where anybody reaches it. A probe that gave no
template is a miss, or no alarm: the person in the street does not care why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.evaluation.intervals import CONFIDENCE, Rate, caution, resolvable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

FPIR_TARGETS: Final = (0.1, 0.01, 0.001, 0.0001)
RESAMPLES: Final = 1000


@dataclass(frozen=True, slots=True)
class Searches:
    """Top-1 outcomes. Row i of each pair of arrays is one search; -inf where the probe gave no template."""

    mated: FloatArray  # (m,) score of the first candidate
    correct: NDArray[np.bool_]  # (m,) whether that is the right person
    mated_people: IntArray  # (m,) who was searched for; the unit that is resampled
    nonmated: FloatArray  # (k,) score of the first candidate, a stranger by definition
    nonmated_people: IntArray  # (k,)

    @property
    def hits(self) -> FloatArray:
        """(m,) the score up to which each mated search succeeds; -inf where somebody else is first."""
        return np.where(self.correct, self.mated, -np.inf)


@dataclass(frozen=True, slots=True)
class Operating:
    """One operating point."""

    target_fpir: float
    threshold: float | None
    threshold_low: float | None
    threshold_high: float | None
    tpir: Rate


def threshold_at(scores: FloatArray, fpir: float) -> float:
    """The lowest threshold at which at most a share `fpir` of non-mated searches gives an alert."""
    allowed = int(np.floor(fpir * len(scores) + 1e-9))
    ranked = np.sort(scores)[::-1]
    if allowed >= len(ranked):
        return float("-inf")
    return float(np.nextafter(np.float32(ranked[allowed]), np.float32(np.inf)))


def operating_points(
    searches: Searches, targets: Sequence[float] = FPIR_TARGETS, *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Operating, ...]:
    """TPIR and threshold at each target FPIR, with intervals by resampling persons.

    Both sides are resampled, so the interval holds the threshold's own uncertainty, too.
    """
    generator = np.random.default_rng(seed)
    mated = _Resampled.of(searches.hits, searches.mated_people, generator, resamples)
    nonmated = _Resampled.of(searches.nonmated, searches.nonmated_people, generator, resamples)
    return tuple(_point(searches, mated, nonmated, target) for target in targets)


def rank_one(searches: Searches) -> float | None:
    """Share of mated searches whose first candidate is right, whatever the score."""
    return float(np.isfinite(searches.hits).mean()) if len(searches.mated) else None


def det_curve(searches: Searches, points: int = 60) -> list[dict[str, float]]:
    """Threshold, FPIR and FNIR along the curve, from every false alert to none."""
    finite = np.concatenate([searches.mated, searches.nonmated])
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return []
    grid = np.linspace(finite.min(), np.nextafter(finite.max(), np.inf), points)
    return [
        {
            "threshold": float(t),
            "fpir": float((searches.nonmated >= t).mean()) if len(searches.nonmated) else 0.0,
            "fnir": float((searches.hits < t).mean()) if len(searches.mated) else 0.0,
        }
        for t in grid
    ]


@dataclass(frozen=True, slots=True)
class _Resampled:
    """Scores from high to low, and for each resample how often each was drawn, summed from the top."""

    scores: FloatArray  # (n,) descending
    cumulated: FloatArray  # (resamples, n)

    @staticmethod
    def of(
        scores: FloatArray, people: IntArray, generator: np.random.Generator, resamples: int
    ) -> _Resampled:
        names, who = np.unique(people, return_inverse=True)
        draws = generator.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), resamples)
        order = np.argsort(-scores, kind="stable")
        return _Resampled(scores[order], np.cumsum(draws[:, who[order]], axis=1, dtype=np.float64))

    def thresholds(self, fpir: float) -> FloatArray:
        """(resamples,) the threshold at a rate, in each resample."""
        permitted = fpir * self.cumulated[:, -1:]
        first = (self.cumulated <= permitted + 1e-9).sum(axis=1)  # searches that may give an alert
        return np.asarray(np.append(self.scores, -np.inf)[first])

    def rates(self, thresholds: FloatArray) -> FloatArray:
        """(resamples,) the share of searches above each resample's own threshold."""
        above = np.searchsorted(-self.scores, -thresholds, side="left")
        reached = np.concatenate([np.zeros((len(self.cumulated), 1)), self.cumulated], axis=1)
        return np.asarray(reached[np.arange(len(above)), above] / self.cumulated[:, -1])


def _point(searches: Searches, mated: _Resampled, nonmated: _Resampled, target: float) -> Operating:
    n = len(searches.mated)
    why = resolvable(target, len(searches.nonmated)) or ("" if n else "no mated search was made")
    if why:
        return Operating(target, None, None, None, Rate(None, None, None, n, why))
    threshold = threshold_at(searches.nonmated, target)
    tail = 100 * (1 - CONFIDENCE) / 2
    thresholds = nonmated.thresholds(target)
    low, high = np.percentile(mated.rates(thresholds), [tail, 100 - tail])
    value = float((searches.hits >= threshold).mean())
    # Where nobody was missed (or found) no resample can differ: the exact bound over persons speaks instead.
    people = len(np.unique(searches.mated_people))
    if value == 1:
        low = min(low, (1 - CONFIDENCE) ** (1 / people))
    if value == 0:
        high = max(high, 1 - (1 - CONFIDENCE) ** (1 / people))
    note = caution(target, len(searches.nonmated))
    rate = Rate(value, min(float(low), value), max(float(high), value), n, note)
    bottom, top = np.percentile(thresholds, [tail, 100 - tail], method="nearest")
    return Operating(target, threshold, min(float(bottom), threshold), max(float(top), threshold), rate)
