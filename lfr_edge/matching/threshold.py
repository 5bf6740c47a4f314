"""A threshold belongs to one model, one way of running it, and a list size.

Raw cosines of two networks have nothing to do with each other, and a longer list needs a higher threshold for the
same rate of false alerts: FPIR(N) ≈ 1 − (1 − FMR)^N (domain.md 7). So a threshold travels with what it was
measured on, and is refused anywhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final, Literal

from lfr_edge.errors import MatchingError
from lfr_edge.sentences import say

FORMAT: Final = 1
MOST_REACH: Final = (
    10.0  # a rate this many times rarer than the rule of 3 asks of the sample; then: cannot tell
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """One measured operating point. Raises ValueError for values that cannot be."""

    fingerprint: str  # of the model pack
    dimension: int
    provider: str  # "cpu", "cuda", "tensorrt"
    precision: str  # "fp32", "fp16", "int8"
    list_size: int  # people; valid for this many or fewer
    target_fpir: float  # share of passages of people not listed that may raise an alert
    threshold: float  # cosine
    low: float  # 95 % interval of the threshold
    high: float
    impostors: int  # searches of people not listed that it rests on
    people: int  # different people among them
    measured: date
    material: str = ""  # what it was measured on
    method: Literal["counted", "tail"] = "counted"  # "tail": from the fitted tail of the highest scores
    reach: float = 1.0  # times rarer than the rule of 3 asks of the sample; at most 1 lies within it

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.threshold, self.low, self.high, self.target_fpir)))
        counts = (self.dimension, self.list_size, self.impostors, self.people)
        if not finite or not -1 <= self.low <= self.threshold <= self.high <= 1:
            raise ValueError("threshold: -1 ≤ low ≤ threshold ≤ high ≤ 1 does not hold")
        if not 0 < self.target_fpir < 1 or not all(type(n) is int and n > 0 for n in counts):
            raise ValueError("target_fpir lies between 0 and 1, counts are whole numbers from 1")
        if self.method not in {"counted", "tail"} or not 0 < self.reach <= MOST_REACH:
            raise ValueError(f"method is counted or tail, reach lies above 0 and is at most {MOST_REACH:g}")

    @property
    def one_in(self) -> int:
        """One false alert in so many passages of people who are not listed."""
        return math.floor(1 / self.target_fpir + 1e-9)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"measured": self.measured.isoformat()}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Calibration:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        return Calibration(**{**raw, "measured": date.fromisoformat(raw["measured"])})


def save_calibrations(path: Path, calibrations: Iterable[Calibration]) -> None:
    body = {"format": FORMAT, "calibrations": [calibration.to_json() for calibration in calibrations]}
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def load_calibrations(path: Path) -> tuple[Calibration, ...]:
    """Raises MatchingError ``calibration_missing`` or ``calibration_invalid``."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ValueError("another format")
        return tuple(Calibration.from_json(item) for item in raw["calibrations"])
    except OSError as error:
        raise MatchingError(
            "calibration_missing",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="measure one: lfr-edge calibrate faces DIR --out FILE",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise MatchingError(
            "calibration_invalid",
            say("{path} is not a calibration: {error}", path=path, error=error),
            hint="measure it again: lfr-edge calibrate faces DIR --out FILE",
        ) from None


def calibrations_of(named: Path | None) -> tuple[Calibration, ...]:
    """Those of the file that was named, or the ones that came with this program. Raises MatchingError."""
    with as_file(files("lfr_edge.matching") / "calibrations.json") as shipped:
        return load_calibrations(named or shipped)


def choose(
    calibrations: Sequence[Calibration],
    *,
    fingerprint: str,
    provider: str,
    precision: str,
    list_size: int,
    target_fpir: float,
) -> Calibration:
    """The calibration for this list: the smallest measured size that is not smaller than the list.

    A larger measured size is the cautious side: its threshold is higher than needed, never lower.

    Raises:
        MatchingError: ``threshold_model_mismatch``, ``threshold_runtime_mismatch``, ``threshold_rate_unknown`` or
            ``threshold_list_too_large``.
    """
    fitting = [c for c in calibrations if c.fingerprint == fingerprint]
    if not fitting:
        raise MatchingError(
            "threshold_model_mismatch",
            "no threshold was calibrated for this model pack",
            hint="calibrate it: lfr-edge calibrate faces DIR --out FILE; or set matching.threshold",
        )
    fitting = [c for c in fitting if (c.provider, c.precision) == (provider, precision)]
    if not fitting:
        raise MatchingError(
            "threshold_runtime_mismatch",
            say(
                "no threshold was calibrated for this pack on {provider} in {precision}",
                provider=provider,
                precision=precision,
            ),
            hint="calibrate again on this machine: numbers move with provider and precision",
        )
    fitting = [c for c in fitting if math.isclose(c.target_fpir, target_fpir)]
    if not fitting:
        raise MatchingError(
            "threshold_rate_unknown",
            say(
                "no threshold was calibrated for a false positive rate of {target_fpir:g}",
                target_fpir=target_fpir,
            ),
            hint="the sample may have been too small for that rate: calibrate on more people",
        )
    fitting = [c for c in fitting if c.list_size >= list_size]
    if not fitting:
        raise MatchingError(
            "threshold_list_too_large",
            say("the list has {list_size} people, more than any calibration covers", list_size=list_size),
            hint="calibrate with a gallery at least as large as the list, or shorten the list",
        )
    return min(fitting, key=lambda c: (c.list_size, -c.threshold))
