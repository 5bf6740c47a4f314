"""Alerts against the truth: which passages were recognised, which alerts were false, how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lfr_edge.evaluation.intervals import binomial_rate
from lfr_edge.evaluation.truth import TruePassage, Truth

# Widths of a face's box at its nearest, in pixels: the sizes of ../models/README.md.
SIZES: Final = ((0, 32), (32, 48), (48, 64), (64, 96), (96, 10_000))


@dataclass(frozen=True, slots=True)
class ClipAlert:
    """One alert of a replayed clip."""

    camera: str
    time_s: float  # of the frame its picture is from, in the clip's own time
    reference: str
    score: float
    box: tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the frame
    latency_ms: float  # frame at hand → alert


@dataclass(frozen=True, slots=True)
class Attributed:
    """`passage` is whose face the alert showed; None where nobody's."""

    alert: ClipAlert
    passage: TruePassage | None

    @property
    def true(self) -> bool:
        return self.passage is not None and self.passage.identity == self.alert.reference


@dataclass(frozen=True, slots=True)
class ClipRun:
    """What one replay gave."""

    alerts: tuple[ClipAlert, ...]
    frames: Mapping[str, int]  # looked at, by camera
    drops: Mapping[str, int]  # published but never looked at, by camera
    ledger: Mapping[str, int]
    suppressed: int


def attribute(alerts: Sequence[ClipAlert], truths: Mapping[str, Truth]) -> list[Attributed]:
    """Each alert to the passage whose face lies under its box; `truths` by camera."""
    return [Attributed(alert, truths[alert.camera].passage_at(alert.time_s, alert.box)) for alert in alerts]


def assess(run: ClipRun, truths: Mapping[str, Truth], listed: set[str]) -> dict[str, Any]:
    """The figures, as one JSON object. TRR is a share of passages; its interval is exact (Clopper, Pearson)."""
    attributed = attribute(run.alerts, truths)
    recognised = {(a.alert.camera, a.passage.number) for a in attributed if a.true and a.passage}
    chances = [(camera, passage) for camera in truths for passage in truths[camera].opportunities(listed)]
    false = [item for item in attributed if not item.true]
    rate = binomial_rate(sum((camera, p.number) in recognised for camera, p in chances), len(chances))
    return {
        "opportunities": len(chances),
        "recognised": sum((camera, p.number) in recognised for camera, p in chances),
        "trr": rate.to_json(),
        "true_alerts": sum(item.true for item in attributed),
        "false_alerts": len(false),
        "latency_ms": percentiles([item.alert.latency_ms for item in attributed]),
        "time_to_alert_ms": percentiles(_waits(attributed)),
        "drops": sum(run.drops.values()),
        "frames": sum(run.frames.values()),
        "suppressed": run.suppressed,
        "ledger": dict(run.ledger),
        "by_face_px": _by_size(chances, recognised),
        "by_camera": {
            camera: {
                "opportunities": sum(at == camera for at, _ in chances),
                "recognised": sum(at == camera for at, _ in recognised),
                "frames": run.frames.get(camera, 0),
                "drops": run.drops.get(camera, 0),
            }
            for camera in truths
        },
        "alerts": [_alert(item) for item in attributed],
        "missed": [
            {"camera": camera, "identity": p.identity, "face_px": round(p.widest_px)}
            for camera, p in chances
            if (camera, p.number) not in recognised
        ],
    }


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p95, p99 by nearest rank; null where there is no value."""
    ordered = sorted(values)

    def rank(share: float) -> float | None:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None

    return {"p50": rank(0.5), "p95": rank(0.95), "p99": rank(0.99)}


def _waits(attributed: Sequence[Attributed]) -> list[float]:
    """Milliseconds from a person's first visible moment to the alert, first alert of each passage."""
    first: dict[tuple[str, int], float] = {}
    for item in attributed:
        if item.true and item.passage is not None:
            key = (item.alert.camera, item.passage.number)
            wait = 1000 * (item.alert.time_s - item.passage.start_s)
            first[key] = min(first.get(key, wait), wait)
    return list(first.values())


def _by_size(
    chances: Sequence[tuple[str, TruePassage]], recognised: set[tuple[str, int]]
) -> list[dict[str, Any]]:
    rows = []
    for low, high in SIZES:
        own = [(camera, p) for camera, p in chances if low <= p.widest_px < high]
        found = sum((camera, p.number) in recognised for camera, p in own)
        rows.append(
            {
                "from": low,
                "to": high,
                "opportunities": len(own),
                "trr": binomial_rate(found, len(own)).to_json(),
            }
        )
    return rows


def _alert(item: Attributed) -> dict[str, Any]:
    return {
        "camera": item.alert.camera,
        "time_s": round(item.alert.time_s, 2),
        "reference": item.alert.reference,
        "score": round(item.alert.score, 4),
        "true": item.true,
        "shows": item.passage.identity if item.passage else None,
    }
