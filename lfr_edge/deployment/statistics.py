"""Every published figure of one deployment, folded out of its log's entries into one value.

Nothing else is read: no table, no setting, no clock. What the log does not tell is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.audit.event import PROCESSING
from lfr_edge.deployment.alert_cases import AlertCase, AlertCounts, AlertFold, Drill
from lfr_edge.deployment.reading import Elapsed, count, table_in, whole, word
from lfr_edge.deployment.sightings import CameraFigures, Faces, Histogram, SightingFold, added

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class ThresholdStep:
    seq: int
    at_ms: int
    wall_us: int
    threshold_e4: int
    verb: str  # threshold.set at a start, threshold.changed with two persons


@dataclass(frozen=True, slots=True)
class Model:
    seq: int
    fingerprint: str
    pack: str


@dataclass(frozen=True, slots=True)
class Watchlist:
    entries: int | None  # people: the largest list that was active
    templates_in: int
    templates_out: int
    withdrawn: int
    destroyed_us: int | None
    categories: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Custody:
    """What was kept, seen, exported and erased."""

    alert_images_h: int | None
    pictures_erased: int
    erased_late: int  # later than the retention, and not held
    held: int
    viewed: int
    exported: int
    break_glass: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """One deployment. Times in milliseconds since the log's first entry, or microseconds of the wall clock."""

    origin: str
    site: str
    purpose: str
    authority: Mapping[str, object]  # the data of deployment.authorised, as it stands there
    cameras_listed: int | None
    opened_us: int
    last_us: int
    duration_ms: int
    closed: bool
    entries: int
    verbs: Mapping[str, tuple[int, ...]]  # entry numbers by verb
    watchlist: Watchlist
    thresholds: tuple[ThresholdStep, ...]
    models: tuple[Model, ...]
    cases: tuple[AlertCase, ...]
    alerts: AlertCounts
    drills: tuple[Drill, ...]
    faces: Faces
    counted_ms: int  # of the duration: covered by the cameras' own counts
    processed: int | None
    erased: int | None
    retained: int | None
    cameras: tuple[CameraFigures, ...]
    latency: Histogram
    scores: Histogram
    energy_j: int | None
    paused_ms: int
    down_ms: int
    custody: Custody

    @property
    def name(self) -> str:
        return self.origin.rpartition("/")[2]

    @property
    def place(self) -> str:
        location = self.authority.get("location")
        return location if isinstance(location, str) and location else self.site

    @property
    def use_case(self) -> str:
        said = self.authority.get("use_case")
        return said if isinstance(said, str) else ""

    @property
    def lowest_threshold_e4(self) -> int | None:
        return min((step.threshold_e4 for step in self.thresholds), default=None)

    @property
    def blind_ms(self) -> int:
        """Camera-milliseconds without a picture, over all cameras."""
        return sum(camera.blind_ms for camera in self.cameras)

    @property
    def minutes(self) -> int:
        return round(self.duration_ms / 60_000)


@dataclass(slots=True)
class _Stretch:
    """Adds up the times between a beginning and an end."""

    since: int | None = None
    total_ms: int = 0

    def begin(self, at_ms: int) -> None:
        self.since = at_ms if self.since is None else self.since

    def end(self, at_ms: int) -> None:
        if self.since is not None:
            self.total_ms += max(0, at_ms - self.since)
        self.since = None


@dataclass(slots=True)
class _ListFold:
    entries: int | None = None
    templates_in: int = 0
    templates_out: int = 0
    withdrawn: int = 0
    destroyed_us: int | None = None
    categories: dict[str, int] = field(default_factory=dict)

    def feed(self, entry: Entry) -> None:
        event = entry.event
        templates = count(event, "templates") or 0
        if event.ev == "watchlist.activated":
            self.templates_in += templates
            people = count(event, "entries")
            if people is not None and people >= (self.entries or 0):
                self.entries = people
                table = table_in(event.data, "categories")
                self.categories = {name: n for name in table if type(n := table[name]) is int}
        elif event.ev == "watchlist.added":
            self.templates_in += templates
        elif event.ev == "watchlist.withdrawn":
            self.withdrawn += 1
            self.templates_out += templates
        elif event.ev == "watchlist.destroyed":
            self.templates_out += templates
            self.destroyed_us = entry.t_wall_us

    def value(self) -> Watchlist:
        return Watchlist(
            self.entries, self.templates_in, self.templates_out, self.withdrawn,
            self.destroyed_us, tuple(sorted(self.categories.items())),
        )  # fmt: skip


@dataclass(slots=True)
class _CustodyFold:
    hours: int | None = None
    raised_ms: dict[str, int] = field(default_factory=dict)
    holds: set[str] = field(default_factory=set)
    erased: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def feed(self, entry: Entry, at_ms: int) -> None:
        event = entry.event
        if event.ev in {"deployment.opened", "retention.changed"}:
            hours = count(event, "alert_images_h")
            self.hours = self.hours if hours is None else hours
        elif event.ev == "alert.raised":
            self.raised_ms.setdefault(event.ref, at_ms)
        elif event.ev == "alert.held":
            self.holds.add(event.ref)
        elif event.ev in {"alert.erased", "material.erased"}:
            self.erased.setdefault(event.ref, at_ms)
        elif event.ev in {"evidence.viewed", "evidence.exported", "access.break_glass"}:
            self.counts[event.ev] = self.counts.get(event.ev, 0) + 1

    def value(self) -> Custody:
        # A tenth of an hour: the desk looks every second, but a van may be switched off at the deadline.
        limit_ms = None if self.hours is None else self.hours * HOUR_MS + HOUR_MS // 10
        late = sum(
            limit_ms is not None and ref not in self.holds and at - self.raised_ms.get(ref, at) > limit_ms
            for ref, at in self.erased.items()
        )
        kept = self.counts
        return Custody(
            self.hours, len(self.erased), late, len(self.holds), kept.get("evidence.viewed", 0),
            kept.get("evidence.exported", 0), kept.get("access.break_glass", 0),
        )  # fmt: skip


@dataclass(slots=True)
class StatisticsFold:
    """Feed every entry of one log in order, then ask for the value."""

    _elapsed: Elapsed = field(default_factory=Elapsed)
    _alerts: AlertFold = field(default_factory=AlertFold)
    _seen: SightingFold = field(default_factory=SightingFold)
    _list: _ListFold = field(default_factory=_ListFold)
    _custody: _CustodyFold = field(default_factory=_CustodyFold)
    _paused: _Stretch = field(default_factory=_Stretch)
    _down: _Stretch = field(default_factory=_Stretch)
    _verbs: dict[str, list[int]] = field(default_factory=dict)
    _thresholds: list[ThresholdStep] = field(default_factory=list)
    _models: list[Model] = field(default_factory=list)
    _first: Entry | None = None
    _opened: tuple[Entry, int] | None = None
    _closed_ms: int | None = None
    _last: Entry | None = None
    _at_ms: int = 0
    _authority: Mapping[str, object] = field(default_factory=dict)

    def feed(self, entry: Entry) -> None:
        before_ms, at_ms = self._at_ms, self._elapsed.feed(entry)
        self._first = self._first or entry
        self._last, self._at_ms = entry, at_ms
        self._verbs.setdefault(entry.event.ev, []).append(entry.seq)
        self._alerts.feed(entry, at_ms)
        self._seen.feed(entry, at_ms)
        self._list.feed(entry)
        self._custody.feed(entry, at_ms)
        self._run(entry, before_ms, at_ms)
        self._describe(entry, at_ms)

    def _run(self, entry: Entry, before_ms: int, at_ms: int) -> None:
        """When recognition was paused, or had no recogniser."""
        match entry.event.ev:
            case "deployment.opened":
                self._down.begin(at_ms)
            case "recogniser.started":
                self._down.end(at_ms)
            case "recogniser.stopped":
                self._down.begin(at_ms)
            case "model.loaded" | "watchlist.destroyed" if self._opened is not None:
                # The desk starts again without having said good-bye: it died after the entry before this one.
                self._down.begin(before_ms)
            case "recognition.paused":
                self._paused.begin(at_ms)
            case "recognition.resumed":
                self._paused.end(at_ms)

    def _describe(self, entry: Entry, at_ms: int) -> None:
        event = entry.event
        match event.ev:
            case "deployment.opened" if self._opened is None:
                self._opened = entry, at_ms
            case "deployment.authorised":
                self._authority = event.data
            case "deployment.closed":
                self._closed_ms = at_ms
            case "model.loaded" | "model.changed":
                self._models.append(Model(entry.seq, event.ref, word(event, "pack")))
            case "threshold.set" | "threshold.changed":
                value = whole(event, "threshold_e4")
                if value is not None:
                    step = ThresholdStep(entry.seq, at_ms, entry.t_wall_us, value, event.ev)
                    self._thresholds.append(step)

    def value(self) -> Statistics:
        """The figures so far. At least one entry was fed."""
        assert self._first is not None, "a log has its log.opened"
        assert self._last is not None
        first, since_ms = self._opened or (self._first, 0)
        end_ms = self._at_ms if self._closed_ms is None else self._closed_ms
        for stretch in (self._paused, self._down):
            stretch.end(end_ms)
        cases, seen = self._alerts.cases(), self._seen
        listed = first.event.data.get("cameras")
        return Statistics(
            origin=first.dep,
            site=word(first.event, "site"),
            purpose=word(first.event, "purpose"),
            authority=self._authority,
            cameras_listed=len(listed) if isinstance(listed, list) else None,
            opened_us=first.t_wall_us,
            last_us=self._last.t_wall_us,
            duration_ms=max(0, end_ms - since_ms),
            closed=self._closed_ms is not None,
            entries=self._last.seq + 1,
            verbs={verb: tuple(self._verbs[verb]) for verb in PROCESSING if verb in self._verbs},
            watchlist=self._list.value(),
            thresholds=tuple(self._thresholds),
            models=tuple(self._models),
            cases=cases,
            alerts=AlertCounts.of(cases),
            drills=self._alerts.drills(),
            faces=seen.faces(),
            counted_ms=seen.counted_ms,
            processed=seen.ledger("processed"),
            erased=seen.ledger("erased"),
            retained=seen.ledger("retained"),
            cameras=seen.cameras(end_ms),
            latency=seen.latency,
            scores=seen.scores,
            energy_j=seen.energy_j,
            paused_ms=self._paused.total_ms,
            down_ms=self._down.total_ms,
            custody=self._custody.value(),
        )


def fold(entries: Iterable[Entry]) -> Statistics:
    """All figures of one log. `entries` are verified, in order, and at least one."""
    folding = StatisticsFold()
    for entry in entries:
        folding.feed(entry)
    return folding.value()


@dataclass(frozen=True, slots=True)
class Sum:
    """One count over several deployments, and how many of them recorded it."""

    value: int | None
    recorded: int
    of: int

    @property
    def whole(self) -> int | None:
        """The sum where every deployment recorded it: only then may it be divided by."""
        return self.value if self.recorded == self.of else None


def summed(values: Iterable[int | None]) -> Sum:
    numbers = list(values)
    total: int | None = None
    for number in numbers:
        total = added(total, number)
    return Sum(total, sum(number is not None for number in numbers), len(numbers))
