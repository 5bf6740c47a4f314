"""What is left of recognition as the probe gets worse: by size, blur, compression and light.

The gallery stays as it is and the faces are found on the good picture: this is the loss of recognition alone. A face
that is not found any more is lost before; ``evaluate clip`` measures both together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.evaluation.intervals import Rate, person_rate, resolvable
from lfr_edge.evaluation.openset import FPIR_TARGETS, Operating, operating_points
from lfr_edge.vision.portraits import Degradation

if TYPE_CHECKING:
    from lfr_edge.evaluation.identities import IdentitiesRun


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which a probe gets worse."""

    name: str
    title: str
    unit: str
    usual: tuple[float, ...]  # from better to worse

    def variant(self, value: float) -> Degradation:
        match self.name:
            case "size":
                return Degradation(round(value))
            case "blur":
                return Degradation(jpeg_quality=None, blur=value)
            case "compression":
                return Degradation(jpeg_quality=round(value))
            case _:
                return Degradation(jpeg_quality=None, light=value)


KINDS: Final = (
    Kind("size", "Width of the face", "px, JPEG 85", (64, 48, 32, 24)),
    Kind("blur", "Blur", "% of the face's width (Gaussian)", (1, 2, 3, 4)),
    Kind("compression", "Compression", "JPEG quality", (50, 30, 15, 8)),
    Kind("light", "Light", "share of the light left", (0.5, 0.25, 0.1, 0.05)),
)


def variants_of(asked: Mapping[str, Sequence[float]]) -> list[Degradation]:
    """By the names of :data:`KINDS`."""
    return [kind.variant(value) for kind in KINDS for value in asked.get(kind.name, ())]


def series(run: IdentitiesRun, points: Sequence[Operating], *, seed: int) -> dict[str, Any]:
    """``by_face_px`` as it always was, and ``by_condition``: every kind of worsening."""
    by_size: list[dict[str, Any]] = []
    by_condition: list[dict[str, Any]] = []
    for number, variant in enumerate(run.variants, 1):
        kind, value = _named(variant)
        row = _row(run, number, points, seed)
        by_condition.append({"kind": kind, "value": value} | row)
        if variant.face_px is not None:
            by_size.append({"face_px": variant.face_px, "jpeg_quality": variant.jpeg_quality} | row)
    return {"by_face_px": by_size, "by_condition": by_condition}


def _named(variant: Degradation) -> tuple[str, float]:
    if variant.face_px is not None:
        return "size", variant.face_px
    if variant.blur:
        return "blur", variant.blur
    if variant.light != 1:
        return "light", variant.light
    return "compression", float(variant.jpeg_quality or 100)


def _row(run: IdentitiesRun, number: int, points: Sequence[Operating], seed: int) -> dict[str, Any]:
    searches = run.searches(run.scores(number))
    own = operating_points(searches, FPIR_TARGETS, seed=seed)
    native = {}
    for point in points:
        if point.threshold is None:
            continue
        n = len(searches.nonmated)
        why = resolvable(point.target_fpir, n)
        fpir = person_rate(searches.nonmated >= point.threshold, searches.nonmated_people)
        native[rate_key(point.target_fpir)] = {
            "tpir": person_rate(searches.hits >= point.threshold, searches.mated_people).to_json(),
            "fpir": (Rate(None, None, None, n, why) if why else fpir).to_json(),
        }
    return {
        "tpir_at_fpir": {rate_key(p.target_fpir): p.tpir.to_json() for p in own},
        "at_native_threshold": native,
    }


def rate_key(rate: float) -> str:
    """As JSON names a rate: "0.01"."""
    return f"{rate:.4f}".rstrip("0")
