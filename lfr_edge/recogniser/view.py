"""How well each camera can recognise now: a few numbers over the last minute, about the picture, not the people."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

WINDOW_NS: Final = 60_000_000_000
_MOST_SAMPLES: Final = 512  # a minute of a busy street's probes; older ones leave first


@dataclass(slots=True)
class View:
    """One camera's minute. **Thread rule:** the recogniser's only thread."""

    looked: deque[int] = field(default_factory=lambda: deque(maxlen=2048))  # times of frames looked at
    passages: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_SAMPLES))  # times they began
    samples: deque[tuple[int, float, float, float]] = field(
        default_factory=lambda: deque(maxlen=_MOST_SAMPLES)
    )  # time, eye distance in pixels, sharpness 0..1, light 0..1; of faces that were cut out

    def trim(self, now_ns: int) -> None:
        for times in (self.looked, self.passages):
            while times and now_ns - times[0] > WINDOW_NS:
                times.popleft()
        while self.samples and now_ns - self.samples[0][0] > WINDOW_NS:
            self.samples.popleft()

    def to_json(self, now_ns: int) -> dict[str, float | None]:
        self.trim(now_ns)
        elapsed_s = (now_ns - self.looked[0]) / 1e9 if self.looked else 0.0
        return {
            "looks_per_s": round(len(self.looked) / elapsed_s, 2) if elapsed_s > 1 else 0.0,
            "faces_per_min": float(len(self.passages)),
            "median_eye_px": _median([sample[1] for sample in self.samples]),
            "sharpness": _median([sample[2] for sample in self.samples]),
            "light": _median([sample[3] for sample in self.samples]),
        }


def _median(values: list[float]) -> float | None:
    return round(median(values), 3) if values else None
