"""``statistics.counted``: what a minute held, as increases since the last entry that was recorded.

Increases, because a report only adds them up: a restart of the recogniser or of the desk needs no bookkeeping in
the reader. Nothing in it is about a single person. What was not measured is left out, never written as zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lfr_edge.capture.keeper import CameraStatus
from lfr_edge.deployment.sightings import latency_bin
from lfr_edge.energy import meter
from lfr_edge.recogniser.drift import MEASURES

_COUNTED: Final = ("frames", "detections", "passages", "probes", "opportunities")


@dataclass(slots=True)
class Census:
    """What has been recorded so far, so that the next entry holds the rest. **Thread rule:** the event loop."""

    began_ns: int  # monotonic, of the span that is under way
    blind_s: dict[str, float] = field(default_factory=dict)
    seen: dict[str, Counter[str]] = field(default_factory=dict)
    bins: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    scores: Counter[str] = field(default_factory=Counter)
    latencies: int = 0
    energy_uj: int | None = field(default_factory=lambda: energy_uj())

    def entry(
        self,
        now_ns: int,
        cameras: Sequence[CameraStatus],
        pulse: Mapping[str, Any],
        latencies: Sequence[float],
    ) -> dict[str, Any]:
        """The payload for what has happened since the last :meth:`recorded`."""
        span_ms = (now_ns - self.began_ns) // 1_000_000
        views: Mapping[str, Mapping[str, Any]] = pulse.get("cameras", {})
        body: dict[str, Any] = {
            "span_ms": span_ms,
            "cameras": {
                status.camera: self._camera(status, views.get(status.camera), span_ms) for status in cameras
            },
        }
        scores = _scores(views) - self.scores
        fresh = list(latencies)[self.latencies :]
        energy = energy_uj()
        if scores:
            body["score_e4"] = dict(scores)
        if fresh:
            body["latency_ms"] = dict(Counter(map(latency_bin, fresh)))
        if energy is not None and self.energy_uj is not None and energy >= self.energy_uj:
            body["energy_j"] = (energy - self.energy_uj) // 1_000_000
        return body

    def recorded(
        self,
        now_ns: int,
        cameras: Sequence[CameraStatus],
        pulse: Mapping[str, Any],
        latencies: Sequence[float],
    ) -> None:
        """That entry is durable: the next one counts from here."""
        views: Mapping[str, Mapping[str, Any]] = pulse.get("cameras", {})
        self.began_ns = now_ns
        self.blind_s = {status.camera: status.blind_s for status in cameras}
        self.seen = {name: _numbers(view) for name, view in views.items()}
        self.bins = {name: _bins(view) for name, view in views.items()}
        self.scores = _scores(views)
        self.latencies = len(latencies)
        self.energy_uj = energy_uj()

    def restarted(self) -> None:
        """Another recogniser counts from zero."""
        self.seen.clear()
        self.bins.clear()
        self.scores.clear()

    def _camera(self, status: CameraStatus, view: Mapping[str, Any] | None, span_ms: int) -> dict[str, Any]:
        blind_ms = round((status.blind_s - self.blind_s.get(status.camera, 0.0)) * 1000)
        blind_ms = max(0, min(span_ms, blind_ms))
        row: dict[str, Any] = {"live_ms": span_ms - blind_ms, "blind_ms": blind_ms}
        if view is None:
            return row
        before = self.seen.get(status.camera, Counter())
        row |= {name: count - before[name] for name, count in _numbers(view).items()}
        for name, key, scale in (
            ("median_eye_px", "eye_px_e1", 10),
            ("sharpness", "sharpness_e4", 10_000),
            ("light", "light_e4", 10_000),
        ):
            if view[name] is not None:
                row[key] = round(view[name] * scale)
        bins = self.bins.get(status.camera, {})
        fresh = {name: dict(seen - bins.get(name, Counter())) for name, seen in _bins(view).items()}
        if any(fresh.values()):
            row["seen"] = fresh
        return row


def _numbers(view: Mapping[str, Any]) -> Counter[str]:
    counts = view["counts"]
    return Counter({name: int(counts[name]) for name in _COUNTED} | {"dropped": int(view["dropped"])})


def _bins(view: Mapping[str, Any]) -> dict[str, Counter[str]]:
    counts = view["counts"]
    return {name: Counter({str(at): int(n) for at, n in counts.get(name, {}).items()}) for name in MEASURES}


def _scores(views: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for view in views.values():
        total.update({str(edge): int(count) for edge, count in view["counts"]["scores"].items()})
    return total


def energy_uj() -> int | None:
    """Microjoules since this process began to count; None where the box does not tell."""
    joules = meter().joules()
    return None if joules is None else int(joules * 1_000_000)
