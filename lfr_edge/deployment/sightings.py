"""How many faces were seen and how well: read from ``statistics.counted``, ``ledger.counted`` and the cameras' events.

*Faces seen* has four meanings and the published tables changed theirs in silence (domain.md 5), so all four are
kept apart, and what no entry tells is None: not recorded, never zero.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.audit.event import Event
from lfr_edge.deployment.reading import count, count_in, table_in, whole_in, word, words
from lfr_edge.recogniser.view import SCORE_BIN_E4

LATENCY_EDGES_MS: Final = (
    50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000, 1500, 2000, 3000, 5000,
)  # fmt: skip
BEYOND: Final = "inf"
_EDGE: Final = re.compile(r"-?[0-9]{1,6}")
_SUMMED: Final = ("frames", "detections", "passages", "probes", "opportunities", "dropped")


def latency_bin(latency_ms: float) -> str:
    """The key of a latency in ``statistics.counted``: the upper edge of its bin."""
    index = bisect.bisect_left(LATENCY_EDGES_MS, latency_ms)
    return str(LATENCY_EDGES_MS[index]) if index < len(LATENCY_EDGES_MS) else BEYOND


def score_bin(score_e4: int) -> str:
    """The key of a score in ``statistics.counted``: the lower edge of its bin."""
    return str(score_e4 // SCORE_BIN_E4 * SCORE_BIN_E4)


def added(first: int | None, second: int | None) -> int | None:
    """The sum of what was recorded; None only where nothing was."""
    if first is None or second is None:
        return second if first is None else first
    return first + second


@dataclass(frozen=True, slots=True)
class Faces:
    """The four definitions of faces seen, from the widest to the narrowest meaning of one face."""

    detections: int | None = None  # faces found, in every frame anew
    passages: int | None = None  # unbroken tracks of one face through one camera's picture
    probes: int | None = None  # templates computed
    opportunities: int | None = None  # passages with at least one probe compared against the list


@dataclass(frozen=True, slots=True)
class Quality:
    """One camera during one span: medians of that span's samples."""

    at_ms: int
    span_ms: int
    passages: int | None
    detections: int | None
    eye_px_e1: int | None
    sharpness_e4: int | None
    light_e4: int | None


@dataclass(frozen=True, slots=True)
class CameraFigures:
    id: str
    blind_ms: int  # the larger of what its connections and its own count say
    lost: int  # times that it was lost
    faces: Faces
    frames: int | None
    dropped: int | None
    series: tuple[Quality, ...]

    def median(self, name: str) -> int | None:
        """The median over the spans' medians of eye_px_e1, sharpness_e4 or light_e4."""
        values = sorted(value for span in self.series if (value := getattr(span, name)) is not None)
        return values[len(values) // 2] if values else None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bin, in the bins' order."""

    bins: tuple[tuple[int | None, int], ...] = ()  # (edge, count); None is the bin without an upper edge

    @property
    def total(self) -> int:
        return sum(number for _, number in self.bins)

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram.of((*self.bins, *other.bins))

    @classmethod
    def of(cls, bins: Iterable[tuple[int | None, int]]) -> Histogram:
        table: dict[int | None, int] = {}
        for edge, number in bins:
            table[edge] = table.get(edge, 0) + number
        last = [(None, table.pop(None))] if None in table else []
        return cls((*sorted((edge, n) for edge, n in table.items() if edge is not None), *last))

    def at_most(self, share: float) -> int | None:
        """The upper edge under which `share` of the counts lie; None where it lies beyond the last edge."""
        so_far = 0
        for edge, number in self.bins:
            so_far += number
            if so_far >= share * self.total:
                return edge
        return None


@dataclass(slots=True)
class _Camera:
    blind_since: int | None = None
    blind_ms: int = 0
    said_blind_ms: int = 0
    lost: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    series: list[Quality] = field(default_factory=list)

    def figures(self, name: str, end_ms: int) -> CameraFigures:
        blind = self.blind_ms + (max(0, end_ms - self.blind_since) if self.blind_since is not None else 0)
        sums = self.sums
        faces = Faces(*(sums.get(kind) for kind in ("detections", "passages", "probes", "opportunities")))
        return CameraFigures(
            name, max(blind, self.said_blind_ms), self.lost, faces,
            sums.get("frames"), sums.get("dropped"), tuple(self.series),
        )  # fmt: skip


@dataclass(slots=True)
class SightingFold:
    """Feed every entry in order, then ask."""

    counted_ms: int = 0  # covered by statistics.counted
    latency: Histogram = field(default_factory=Histogram)
    scores: Histogram = field(default_factory=Histogram)
    energy_j: int | None = None
    _cameras: dict[str, _Camera] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)  # ledgers of recognisers that ended
    _run: dict[str, int] = field(default_factory=dict)  # the ledger since the last recogniser.started

    def feed(self, entry: Entry, at_ms: int) -> None:
        event = entry.event
        match event.ev:
            case "deployment.opened":
                for name in words(event, "cameras"):  # a camera that never comes is blind from the start
                    self._camera(name).blind_since = at_ms
            case "camera.connected" | "camera.lost":
                self._moved(event, at_ms)
            case "recogniser.started":
                self._before = {name: self.ledger(name) or 0 for name in (*self._before, *self._run)}
                self._run = {}
            case "ledger.counted":
                for name in event.data:
                    value = count(event, name)
                    if value is not None:
                        self._run[name] = value
            case "statistics.counted":
                self._counted(event, at_ms)

    def ledger(self, name: str) -> int | None:
        return added(self._before.get(name), self._run.get(name))

    def _camera(self, name: str) -> _Camera:
        return self._cameras.setdefault(name, _Camera())

    def _moved(self, event: Event, at_ms: int) -> None:
        camera = self._camera(word(event, "camera") or event.ref)
        if event.ev == "camera.lost":
            camera.lost += 1
            if camera.blind_since is None:
                camera.blind_since = at_ms
        elif camera.blind_since is not None:
            camera.blind_ms += at_ms - camera.blind_since
            camera.blind_since = None

    def _counted(self, event: Event, at_ms: int) -> None:
        span_ms = count(event, "span_ms") or 0
        self.counted_ms += span_ms if table_in(event.data, "cameras") else 0
        self.energy_j = added(self.energy_j, count(event, "energy_j"))
        self.latency += _bins(table_in(event.data, "latency_ms"))
        self.scores += _bins(table_in(event.data, "score_e4"))
        cameras = table_in(event.data, "cameras")
        for name in cameras:
            data, camera = table_in(cameras, name), self._camera(name)
            for kind in _SUMMED:
                value = count_in(data, kind)
                if value is not None:
                    camera.sums[kind] = camera.sums.get(kind, 0) + value
            camera.said_blind_ms += count_in(data, "blind_ms") or 0
            camera.series.append(
                Quality(
                    at_ms,
                    span_ms,
                    count_in(data, "passages"),
                    count_in(data, "detections"),
                    count_in(data, "eye_px_e1"),
                    count_in(data, "sharpness_e4"),
                    count_in(data, "light_e4"),
                )
            )

    def cameras(self, end_ms: int) -> tuple[CameraFigures, ...]:
        return tuple(camera.figures(name, end_ms) for name, camera in sorted(self._cameras.items()))

    def faces(self) -> Faces:
        """The ledger's exact counts where it has them; else the sums of the spans."""
        sums: dict[str, int | None] = {}
        for camera in self._cameras.values():
            for kind in _SUMMED:
                sums[kind] = added(sums.get(kind), camera.sums.get(kind))
        found, probes = self.ledger("faces"), self.ledger("probes")
        return Faces(
            sums.get("detections") if found is None else found,
            sums.get("passages"),
            sums.get("probes") if probes is None else probes,
            sums.get("opportunities"),
        )


def _bins(table: Mapping[str, object]) -> Histogram:
    found: list[tuple[int | None, int]] = []
    for key in table:
        number = whole_in(table, key)
        if number and number > 0 and (key == BEYOND or _EDGE.fullmatch(key)):
            found.append((None if key == BEYOND else int(key), number))
    return Histogram.of(found)
