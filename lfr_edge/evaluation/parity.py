"""One set of faces through two ways of running a network: does a threshold mean the same on both?

Another provider or precision moves every score a little. What matters is whether the rates at the reference's
threshold stay, so both are reported: how far scores moved, and what the threshold then gives.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.calibrate import Strangers
from lfr_edge.evaluation.faces import Templates
from lfr_edge.evaluation.intervals import RULE_OF_THREE, person_rate
from lfr_edge.evaluation.tail import CannotTell, level, tail_of

# fp16 on a GPU moves cosines by about 0.001 and int8 by about 0.01; between them lies what a threshold with an
# interval of ± 0.005 (2,000 strangers at 1 %) does not notice.
MOST_SHIFT: Final = 0.005
MOST_SCORE: Final = 0.02  # of the 99th percentile of first candidates' scores
LEAST_COSINE: Final = 0.98  # of the first percentile: the same face, the same network, twice
_RAREST: Final = 0.01  # the share of faces that the limits above look at


@dataclass(frozen=True, slots=True)
class Parity:
    """The candidate against the reference."""

    faces: int  # that gave a template on both
    people: int  # different ones among them
    lost: int  # that gave one on the reference only
    cosine_p1: float  # between the two templates of one face: first percentile
    cosine_p50: float
    score_p50: float  # |difference| of strangers' first candidates
    score_p99: float
    target_fpir: float
    threshold: float  # of the reference at that rate
    threshold_low: float  # its 95 % interval: how well these faces know a threshold at all
    threshold_high: float
    shift: float  # the candidate's own threshold, less the reference's
    fpir: float  # of the candidate at the reference's threshold
    fpir_low: float  # its 95 % interval, with whole persons as the unit
    fpir_high: float
    risen: int  # searches that pass the reference's threshold on the candidate only
    fallen: int  # on the reference only

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the two are not the same; empty where a threshold may be taken to mean the same."""
        found = []
        if self.cosine_p1 < LEAST_COSINE:
            found.append(f"one face in a hundred has a template less alike than {LEAST_COSINE}")
        if self.score_p99 > MOST_SCORE:
            found.append(f"one score in a hundred moved by more than {MOST_SCORE}")
        if abs(self.shift) > MOST_SHIFT:
            found.append(f"the threshold moved by {self.shift:+.4f}, more than {MOST_SHIFT}")
        if self.lost * 200 > self.faces:
            found.append(f"{self.lost} faces gave no template any more")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"problems": list(self.problems), "drifted": bool(self.problems)}


def compare(
    reference: tuple[Templates, Strangers], candidate: tuple[Templates, Strangers], target_fpir: float
) -> Parity:
    """Both over the same samples in the same order.

    Raises:
        EvaluationError: ``parity_dimension`` for two networks, ``rate_unresolved`` for too few faces.
    """
    (first, before), (second, after) = reference, candidate
    enough(int((first.usable & second.usable).sum()))
    if first.matrix.shape != second.matrix.shape:
        raise EvaluationError(
            "parity_dimension",
            f"templates of {first.matrix.shape[2]} and {second.matrix.shape[2]} numbers: two different networks",
            hint="compare the same networks in two precisions or on two providers; calibrate others anew",
        )
    both = first.usable & second.usable
    cosine = (first.matrix[0, both] * second.matrix[0, both]).sum(axis=1)
    old, new = (_tops(part.scores) for part in (before, after))
    found = [
        level(tops, tail_of(tops), target_fpir) for tops in (s.tops(len(s.listed)) for s in (before, after))
    ]
    mine, other = found
    if isinstance(mine, CannotTell) or isinstance(other, CannotTell):
        raise EvaluationError(
            "rate_unresolved",
            f"these faces cannot show a rate of {target_fpir:g}",
            hint="give more faces, or a higher --fpir",
        )
    same = np.isfinite(old) & np.isfinite(new)
    old, new, who = old[same], new[same], before.seekers[same]
    moved = np.abs(old - new)
    above, now = old >= mine.threshold, new >= mine.threshold
    rate = person_rate(now, who)
    return Parity(
        faces=int(both.sum()),
        people=len(np.unique(who)),
        lost=int((first.usable & ~second.usable).sum()),
        cosine_p1=round(float(np.percentile(cosine, 1)), 5),
        cosine_p50=round(float(np.median(cosine)), 5),
        score_p50=round(float(np.median(moved)), 5),
        score_p99=round(float(np.percentile(moved, 99)), 5),
        target_fpir=target_fpir,
        threshold=round(mine.threshold, 5),
        threshold_low=round(mine.low, 5),
        threshold_high=round(mine.high, 5),
        shift=round(other.threshold - mine.threshold, 5),
        fpir=float(now.mean()),
        fpir_low=rate.low or 0.0,
        fpir_high=1.0 if rate.high is None else rate.high,
        risen=int((now & ~above).sum()),
        fallen=int((above & ~now).sum()),
    )


def enough(faces: int) -> None:
    """One face in a hundred is asked about, which fewer than three hundred cannot show.

    Raises:
        EvaluationError: ``rate_unresolved``.
    """
    least = round(RULE_OF_THREE / _RAREST)
    if faces < least:
        raise EvaluationError(
            "rate_unresolved",
            f"{faces} faces cannot show what happens to one in a hundred: at least {least} are needed (rule of 3)",
            hint="give more faces",
        )


def _tops(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(scores.max(axis=1))
