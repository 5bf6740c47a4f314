"""How well each camera can recognise now: a few numbers over the last minute, about the picture, not the people."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

SCORE_BIN_E4: Final = 200  # 0.02 of cosine: about forty bins over all scores in use
WINDOW_NS: Final = 60_000_000_000
RATE_NS: Final = 10_000_000_000  # over which looks are counted
# Longer without a look is a pause or a camera that was gone, and no slowness: who shows no progress for two seconds
# is ended (handle.py).
_GAP_NS: Final = 2_500_000_000
# A camera with fewer is not served: what a box's verdict is made from (setup/capacity.py), and what the desk warns of.
LEAST_LOOKS_PER_S: Final = 5.0
_MOST_SAMPLES: Final = 512  # a minute of a busy street's probes; older ones leave first


@dataclass(slots=True)
class Counts:
    """One camera since this recogniser started: the four definitions of faces seen (domain.md 5), never who."""

    frames: int = 0  # looked at
    detections: int = 0  # faces found, in every frame anew
    passages: int = 0  # tracks that began
    probes: int = 0  # templates computed
    opportunities: int = 0  # passages that ended, or raised an alert, with at least one comparison
    scores: Counter[int] = field(
        default_factory=Counter
    )  # last score of each opportunity, in bins of 0.02 (× 10⁴)

    quality: Counter[int] = field(
        default_factory=Counter
    )  # best of each passage that was cut out; in twentieths
    detector: Counter[int] = field(default_factory=Counter)  # best score of the same passages; in fiftieths
    strangers: Counter[int] = field(default_factory=Counter)  # as `scores`, of passages without an alert

    def passed(self, quality: float, detector: float, score: float | None) -> None:
        """A passage is over, or raised an alert: then, or without a comparison, `score` is None."""
        self.quality[int(quality * 20)] += 1
        self.detector[int(detector * 50)] += 1
        if score is not None:
            self.strangers[math.floor(score * 10_000 / SCORE_BIN_E4) * SCORE_BIN_E4] += 1

    def ended(self, score: float) -> None:
        self.opportunities += 1
        self.scores[math.floor(score * 10_000 / SCORE_BIN_E4) * SCORE_BIN_E4] += 1

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: {str(edge): count for edge, count in value.items()} if isinstance(value, Counter) else value
            for name, value in fields.items()
        }


@dataclass(slots=True)
class View:
    """One camera's minute. **Thread rule:** the recogniser's only thread."""

    counts: Counts = field(default_factory=Counts)

    looked: deque[int] = field(default_factory=lambda: deque(maxlen=2048))  # times of frames looked at
    passages: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_SAMPLES))  # times they began
    samples: deque[tuple[int, float, float, float]] = field(
        default_factory=lambda: deque(maxlen=_MOST_SAMPLES)
    )  # time, eye distance in pixels, sharpness 0..1, light 0..1; of faces that were cut out

    def look(self, now_ns: int) -> None:
        """A frame of this camera is looked at."""
        if self.looked and now_ns - self.looked[-1] > _GAP_NS:
            self.looked.clear()
        self.looked.append(now_ns)

    def looks_per_s(self, now_ns: int) -> float | None:
        """Over the last ten seconds; None before there were as many, and while nothing is looked at."""
        if not self.looked or now_ns - self.looked[0] < RATE_NS or now_ns - self.looked[-1] > _GAP_NS:
            return None
        return round(sum(now_ns - moment < RATE_NS for moment in self.looked) / (RATE_NS / 1e9), 2)

    def trim(self, now_ns: int) -> None:
        for times in (self.looked, self.passages):
            while times and now_ns - times[0] > WINDOW_NS:
                times.popleft()
        while self.samples and now_ns - self.samples[0][0] > WINDOW_NS:
            self.samples.popleft()

    def to_json(self, now_ns: int) -> dict[str, Any]:
        self.trim(now_ns)
        return {
            "looks_per_s": self.looks_per_s(now_ns),
            "faces_per_min": float(len(self.passages)),
            "median_eye_px": _median([sample[1] for sample in self.samples]),
            "sharpness": _median([sample[2] for sample in self.samples]),
            "light": _median([sample[3] for sample in self.samples]),
            "counts": self.counts.to_json(),
        }


def _median(values: list[float]) -> float | None:
    return round(median(values), 3) if values else None
