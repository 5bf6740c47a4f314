"""What a sealed list says of itself as a whole: where it came from, and who on it looks like whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from lfr_edge.models.licence import Purpose


@dataclass(frozen=True, slots=True)
class Scale:
    """The cosines at which two entries are worth a word, and where they come from."""

    look_alike: float | None = None  # at this deployment's threshold one person's face alerts for the other
    same_person: float | None = None  # the strictest threshold that was calibrated
    same_person_fmr: float | None = None  # of two different people reaching it, per comparison
    source: str = "no calibration for this model pack: cannot tell"

    def to_json(self) -> dict[str, Any]:
        return {
            "look_alike": self.look_alike,
            "same_person": self.same_person,
            "same_person_fmr": self.same_person_fmr,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class About:
    """Sealed with the entries; nothing of it is in the readable header.

    `look_alikes` of a reference: (reference, cosine of the two nearest images), nearest first, at most ten.
    """

    purpose: Purpose = "evaluation"
    issuer: str = ""  # the name enrolled with the key that signed; empty where nobody signed
    issuer_key: str = ""  # its key id
    bundle_sha256: str = ""
    compiled_at: datetime | None = None  # UTC, by the issuer
    scale: Scale = field(default_factory=Scale)
    look_alikes: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "purpose": self.purpose,
            "issuer": self.issuer,
            "issuer_key": self.issuer_key,
            "bundle_sha256": self.bundle_sha256,
            "compiled_at": self.compiled_at and self.compiled_at.isoformat(),
            "scale": self.scale.to_json(),
            "look_alikes": {
                reference: [[other, score] for other, score in near]
                for reference, near in self.look_alikes.items()
            },
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> About:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        if raw["purpose"] not in {"operational", "evaluation"}:
            raise ValueError("purpose")
        compiled = raw["compiled_at"]
        return About(
            purpose=cast(Purpose, raw["purpose"]),
            issuer=str(raw["issuer"]),
            issuer_key=str(raw["issuer_key"]),
            bundle_sha256=str(raw["bundle_sha256"]),
            compiled_at=None if compiled is None else datetime.fromisoformat(compiled),
            scale=Scale(**raw["scale"]),
            look_alikes={
                str(reference): tuple((str(other), float(score)) for other, score in near)
                for reference, near in raw["look_alikes"].items()
            },
        )
