"""What leaves the sealed process: a candidate that passed every rule, and its one picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from lfr_edge.vision.quality import Quality


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate that passed every rule, with the one picture that leaves the sealed process.

    **Lifetime:** until it is sent; the picture is the alert's own material from then on.
    """

    camera: str
    track: int
    captured_ns: int
    captured_wall_ns: int
    reference: str
    score: float
    threshold: float
    runner_up_reference: str | None
    runner_up_score: float | None
    box: tuple[float, float, float, float]  # x1 y1 x2 y2 in the frame, pixels
    quality: dict[str, float]
    jpeg: bytes = field(repr=False)


def measures(quality: Quality, at: int) -> dict[str, float]:
    """What a person is told about a probe's picture, named with its unit where it has one."""
    names = ("overall", "eye_px", "sharpness", "light", "pose", "yaw_deg", "pitch_deg")
    return {name: round(float(getattr(quality, name)[at]), 3) for name in names}
