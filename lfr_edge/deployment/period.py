"""One deployment or many as one subject of a report: counts that add up, and denominators that may be divided by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lfr_edge.deployment.alert_cases import AlertCase, AlertCounts, Drill, Finding
from lfr_edge.deployment.intervals import Share
from lfr_edge.deployment.sightings import Faces, Histogram
from lfr_edge.deployment.statistics import Statistics, Sum, summed

FACES: Final = ("detections", "passages", "probes", "opportunities")  # the four definitions, widest first
HEADLINE_FACES: Final = "opportunities"  # what the single figure of the published tables means here


@dataclass(frozen=True, slots=True)
class Period:
    """Sums over deployments. A rate exists only where every deployment recorded its denominator."""

    deployments: tuple[Statistics, ...]
    alerts: AlertCounts
    cases: tuple[AlertCase, ...]
    drills: tuple[Drill, ...]
    detections: Sum
    passages: Sum
    probes: Sum
    opportunities: Sum
    processed: Sum
    erased: Sum
    retained: Sum
    energy_j: Sum
    latency: Histogram
    scores: Histogram
    duration_ms: int
    counted_ms: int
    blind_ms: int
    paused_ms: int
    down_ms: int

    @classmethod
    def of(cls, deployments: Sequence[Statistics]) -> Period:
        alerts, latency, scores = AlertCounts(), Histogram(), Histogram()
        for one in deployments:
            alerts, latency, scores = alerts + one.alerts, latency + one.latency, scores + one.scores
        seen: list[Faces] = [one.faces for one in deployments]
        return cls(
            deployments=tuple(deployments),
            alerts=alerts,
            cases=tuple(case for one in deployments for case in one.cases),
            drills=tuple(drill for one in deployments for drill in one.drills),
            detections=summed(faces.detections for faces in seen),
            passages=summed(faces.passages for faces in seen),
            probes=summed(faces.probes for faces in seen),
            opportunities=summed(faces.opportunities for faces in seen),
            processed=summed(one.processed for one in deployments),
            erased=summed(one.erased for one in deployments),
            retained=summed(one.retained for one in deployments),
            energy_j=summed(one.energy_j for one in deployments),
            latency=latency,
            scores=scores,
            duration_ms=sum(one.duration_ms for one in deployments),
            counted_ms=sum(one.counted_ms for one in deployments),
            blind_ms=sum(one.blind_ms for one in deployments),
            paused_ms=sum(one.paused_ms for one in deployments),
            down_ms=sum(one.down_ms for one in deployments),
        )

    def faces(self, definition: str) -> Sum:
        if definition not in FACES:
            raise ValueError(f"{definition!r} is none of {FACES}")
        value = getattr(self, definition)
        assert isinstance(value, Sum)
        return value

    def per_face(self, events: int, definition: str = HEADLINE_FACES) -> Share | None:
        """`events` per face seen; None where a deployment recorded no such denominator, or it contradicts."""
        faces = self.faces(definition).whole
        return None if faces is None or events > faces else Share(events, faces)

    def per_alert(self, events: int) -> Share:
        return Share(events, self.alerts.total)

    @property
    def unreviewed(self) -> int:
        return self.alerts.where({Finding.UNREVIEWED})

    @property
    def looked_twice(self) -> tuple[int, int]:
        """(alerts where the looks differed, alerts with two or more looks)."""
        twice = [case for case in self.cases if len(case.answers) > 1]
        return sum(case.disagreed for case in twice), len(twice)

    @property
    def took_ms(self) -> tuple[int, ...]:
        """From the offer to the last look of each alert that was looked at, ascending."""
        return tuple(sorted(case.took_ms for case in self.cases if case.took_ms is not None))

    @property
    def list_sizes(self) -> tuple[int, ...]:
        return tuple(n for one in self.deployments if (n := one.watchlist.entries) is not None)
