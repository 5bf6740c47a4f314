"""The elements of a picture's quality → pass, warn or refuse, each with its reason in plain words.

Every limit was measured: pictures of 150 people of the public test faces were made worse step by step, and the cosine
to an untouched picture of the same person was compared (docs/explanation/watchlist-quality.md has the table).
A warning stands where the median cosine fell by about 5 %, a refusal where it fell by half or where faces were no
longer found. Two limits are stricter, because a person has to compare the picture, too: eye distance and pose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lfr_edge.sentences import say
from lfr_edge.vision.picture_quality import NOT_MEASURED, PictureQuality


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    REFUSE = "refuse"

    @property
    def severity(self) -> int:
        return tuple(Verdict).index(self)


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a value is worth a word, and where it refuses the picture."""

    element: str
    warn: float
    refuse: float | None  # None: this alone never refuses a picture
    say: Callable[[float, float], str]  # (value, the limit that was crossed) → the reason
    least: bool = False  # the limits are least values; otherwise most
    size: bool = False  # judge the value without its sign

    def judge(self, value: float) -> tuple[Verdict, str]:
        measured = abs(value) if self.size else value
        for verdict, limit in ((Verdict.REFUSE, self.refuse), (Verdict.WARN, self.warn)):
            if limit is not None and (measured < limit if self.least else measured > limit):
                return verdict, self.say(value, limit)
        return Verdict.PASS, ""


@dataclass(frozen=True, slots=True)
class ElementVerdict:
    element: str
    value: float
    unit: str
    verdict: Verdict
    reason: str
    same: bool  # whether the value is ISO/IEC 29794-5's own measure

    def to_json(self) -> dict[str, Any]:
        return {
            "element": self.element,
            "value": round(self.value, 3),
            "unit": self.unit,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "iso_29794_5_measure": self.same,
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> ElementVerdict:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        return ElementVerdict(
            raw["element"],
            raw["value"],
            raw["unit"],
            Verdict(raw["verdict"]),
            raw["reason"],
            raw["iso_29794_5_measure"],
        )


def _side(value: float) -> str:
    return say("left") if value < 0 else say("right")


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _yaw(value: float, at: float) -> str:
    return say(
        "head turned {degrees:.0f}° to the picture's {side}: at most {at:.0f}°",
        degrees=abs(value),
        side=_side(value),
        at=at,
    )


def _pitch(value: float, at: float) -> str:
    return say(
        "head tilted {degrees:.0f}° {way}: at most {at:.0f}°",
        degrees=abs(value),
        way=say("down") if value > 0 else say("up"),
        at=at,
    )


def _roll(value: float, at: float) -> str:
    return say(
        "head leaning {degrees:.0f}° to the picture's {side}: at most {at:.0f}°",
        degrees=abs(value),
        side=_side(value),
        at=at,
    )


def _eyes(value: float, at: float, refuse: float) -> str:
    return say(
        "eyes {value:.0f} px apart: at least {at:.0f} {needed}",
        value=value,
        at=at,
        needed=say("needed") if at == refuse else say("recommended"),
    )


# The likelihoods that 1 % of 2,107 free faces exceed, and one that none of them reached (benchmarks/occlusion.py).
_EYES_MAYBE, _MOUTH_MAYBE, _FACE_MAYBE, _SURELY = 0.16, 0.5, 0.4, 0.999


def _eyes_hidden(value: float, at: float) -> str:
    if at == _SURELY:
        return say("the eyes are hidden: dark glasses, hair or a hand")
    return say("the eyes may be hidden: dark glasses, hair, a hand or the shadow of a hat")


def _mouth_hidden(value: float, at: float) -> str:
    if at == _SURELY:
        return say("the mouth is hidden: a mask, a scarf or a hand")
    return say("the mouth may be hidden: a mask, a scarf, a hand or a microphone")


def _face_hidden(value: float, at: float) -> str:
    if at == _SURELY:
        return say("much of the face is hidden: cloth, hair, a hand, or something in front of it")
    return say("much of the face may be hidden: cloth, hair, a hat, a hand, or something in front of it")


LIMITS: Final = (
    Limit("EyesVisible", _EYES_MAYBE, _SURELY, _eyes_hidden),
    Limit("MouthOcclusionPrevention", _MOUTH_MAYBE, _SURELY, _mouth_hidden),
    Limit("FaceOcclusionPrevention", _FACE_MAYBE, _SURELY, _face_hidden),
    Limit("HeadPoseYaw", 35, 60, _yaw, size=True),
    Limit("HeadPosePitch", 20, 45, _pitch, size=True),
    Limit("HeadPoseRoll", 30, None, _roll, size=True),  # undone by the alignment
    Limit(
        "UnderExposurePrevention",
        0.25,
        0.95,
        lambda v, _: say("too dark: {percent} of the face is black", percent=_percent(v)),
    ),
    Limit(
        "OverExposurePrevention",
        0.25,
        0.85,
        lambda v, _: say("too bright: {percent} of the face is white", percent=_percent(v)),
    ),
    Limit(
        "DynamicRange",
        5.4,
        4.3,
        lambda v, at: say(
            "too little contrast: {value:.1f} bits of light and dark, at least {at:g}", value=v, at=at
        ),
        least=True,
    ),
    # Costs the networks 1.4 % at worst; but a person who compares sees half a face.
    Limit("IlluminationUniformity", 0.08, None, lambda v, _: say("lit from one side"), least=True),
    Limit(
        "Sharpness",
        0.12,
        0.06,
        lambda v, at: say("blurred: sharpness {value:.2f}, at least {at:.2f}", value=v, at=at),
        least=True,
    ),
    Limit(
        "CompressionArtifacts",
        1.9,
        4.5,
        lambda v, _: say("compressed too hard: edges of the blocks stand out {value:.1f} times", value=v),
    ),
)


def judge_elements(
    quality: PictureQuality, *, warn_eye_px: float, refuse_eye_px: float
) -> Iterator[ElementVerdict]:
    """Every element that was measured, in the order of the standard's concerns: subject, light, camera."""
    limits = {limit.element: limit for limit in LIMITS}
    eyes = Limit(
        "InterEyeDistance",
        warn_eye_px,
        refuse_eye_px,
        lambda v, at: _eyes(v, at, refuse_eye_px),
        least=True,
    )
    for name, element in quality.elements.items():
        limit = eyes if name == eyes.element else limits.get(name)
        verdict, reason = (Verdict.PASS, "") if limit is None else limit.judge(element.value)
        yield ElementVerdict(name, element.value, element.unit, verdict, reason, element.same)
    yield _cut_off(quality.inside)


def _cut_off(inside: float) -> ElementVerdict:
    """Our own: the standard's four crop elements are facts here, because a tight crop costs our networks nothing."""
    limit = Limit(
        "FaceInsidePicture",
        0.95,
        0.7,
        lambda v, _: say(
            "cut off by the edge of the picture: {percent} of the face is missing", percent=_percent(1 - v)
        ),
        least=True,
    )
    verdict, reason = limit.judge(inside)
    return ElementVerdict("FaceInsidePicture", inside, "share of the face", verdict, reason, same=False)


def not_measured() -> dict[str, str]:
    """Elements that nobody here measures, and why: part of every report, so that silence is not taken for a pass."""
    return dict(NOT_MEASURED)
