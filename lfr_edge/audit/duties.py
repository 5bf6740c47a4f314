"""What a log says about the people who kept it: clock, alerts, erasure, templates, two-person control.

Each accumulator is fed every entry once, in order, and then asked. None of them can make a log *altered*: a duty
that was not done is a reservation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lfr_edge.audit.entry import MONO_WRAP, Entry
from lfr_edge.audit.event import TWO_PERSONS
from lfr_edge.audit.mandate import MandateDuty
from lfr_edge.audit.report import NAMED_MAX, ChangeReport, ClockReport, DutyReport, Finding
from lfr_edge.sentences import say

JUMP_US: Final = 2_000_000  # smaller steps are the daily work of NTP
APPROVAL_US: Final = 15 * 60 * 1_000_000  # reliability.md 3

_OF_DRILLS: Final = frozenset({"alert.erased", "alert.held", "alert.released"})  # a drill has pictures, too


def _count(entry: Entry, name: str) -> int:
    value = entry.event.data.get(name)
    return max(value, 0) if type(value) is int else 0


@dataclass(slots=True)
class ClockWatch:
    """Compares the wall clock with the monotonic one within each boot."""

    _first_us: int = 0
    _last: Entry | None = None
    _boots: dict[str, None] = field(default_factory=dict)
    _sources: dict[str, None] = field(default_factory=dict)
    _jumps: list[tuple[int, int]] = field(default_factory=list)
    _back: list[int] = field(default_factory=list)

    def feed(self, entry: Entry) -> None:
        self._boots.setdefault(entry.boot_id)  # dicts without values: sets in order
        self._sources.setdefault(entry.t_src)
        last = self._last
        if last is None:
            self._first_us = entry.t_wall_us
        elif last.boot_id == entry.boot_id:
            passed_us = (entry.t_mono_ns - last.t_mono_ns) % MONO_WRAP // 1000
            jump_us = entry.t_wall_us - last.t_wall_us - passed_us
            if entry.t_mono_ns < last.t_mono_ns and passed_us > MONO_WRAP // 2000:
                self._back.append(entry.seq)
            elif abs(jump_us) > JUMP_US:
                self._jumps.append((entry.seq, jump_us // 1000))
        self._last = entry

    def report(self) -> ClockReport:
        last_us = self._last.t_wall_us if self._last else 0
        return ClockReport(
            self._first_us, last_us, len(self._boots), tuple(self._sources), tuple(self._jumps[:NAMED_MAX])
        )

    def reservations(self) -> Iterator[Finding]:
        for seq in self._back[:NAMED_MAX]:
            yield Finding("clock_went_back", "the monotonic clock went back within one boot", seq)


@dataclass(slots=True)
class AlertDuty:
    """Alerts raised = decided + suppressed + undecided, each by its reference."""

    _open: dict[str, int] = field(default_factory=dict)  # reference → seq of alert.raised
    _raised: set[str] = field(default_factory=set)
    _decided: set[str] = field(default_factory=set)
    _suppressed: set[str] = field(default_factory=set)
    _odd: list[Finding] = field(default_factory=list)

    def feed(self, entry: Entry) -> None:
        ev, ref, seq = entry.event.ev, entry.event.ref, entry.seq
        if ev == "alert.raised":
            if ref in self._raised:
                self._odd.append(
                    Finding("alert_raised_twice", say("alert {ref} was raised before", ref=ref), seq)
                )
            self._raised.add(ref)
            self._open[ref] = seq
        elif ev in {"alert.decided", "alert.suppressed"}:
            done = self._decided if ev == "alert.decided" else self._suppressed
            if ref not in self._raised:
                self._odd.append(
                    Finding(
                        "alert_unknown", say("{ev} for {ref}, which was never raised", ev=ev, ref=ref), seq
                    )
                )
            elif ref not in self._open:
                self._odd.append(
                    Finding(
                        "alert_settled_twice", say("{ev} for {ref}, which was settled", ev=ev, ref=ref), seq
                    )
                )
            else:
                done.add(ref)
                del self._open[ref]

    def report(self) -> tuple[int, int, int, tuple[str, ...]]:
        return len(self._raised), len(self._decided), len(self._suppressed), tuple(self._open)

    def reservations(self) -> Iterator[Finding]:
        yield from self._odd[:NAMED_MAX]
        for ref, seq in list(self._open.items())[:NAMED_MAX]:
            yield Finding("alert_undecided", say("nobody decided alert {ref}", ref=ref), seq)


@dataclass(slots=True)
class DrillDuty:
    """Drills raised = answered + unanswered, by reference. No alert may pass as a drill."""

    _raised: dict[str, None] = field(default_factory=dict)
    _answered: dict[str, bool] = field(default_factory=dict)  # reference → rightly
    _odd: list[Finding] = field(default_factory=list)

    def feed(self, entry: Entry) -> None:
        event, seq = entry.event, entry.seq
        if event.ev == "drill.raised":
            if event.ref in self._raised:
                self._odd.append(
                    Finding("drill_raised_twice", say("drill {ref} was raised before", ref=event.ref), seq)
                )
            self._raised.setdefault(event.ref)
        elif event.ev == "drill.answered":
            self._answer(entry)
        elif event.ev.startswith("alert.") and event.ev not in _OF_DRILLS and event.ref in self._raised:
            self._odd.append(
                Finding("drill_as_alert", say("{ev} for the drill {ref}", ev=event.ev, ref=event.ref), seq)
            )

    def _answer(self, entry: Entry) -> None:
        event = entry.event
        if event.ref not in self._raised:
            text = say("an answer to drill {ref}, which was never raised", ref=event.ref)
            self._odd.append(Finding("drill_unknown", text, entry.seq))
        elif event.data.get("result") in {"referred", "not_referred"}:  # the last look of a drill says it
            self._answered.setdefault(event.ref, event.data.get("right") is True)

    def report(self) -> tuple[int, int, int, tuple[str, ...]]:
        rest = tuple(ref for ref in self._raised if ref not in self._answered)
        return len(self._raised), len(self._answered), sum(self._answered.values()), rest

    def reservations(self) -> Iterator[Finding]:
        yield from self._odd[:NAMED_MAX]


@dataclass(slots=True)
class ErasureDuty:
    """processed = erased + retained, cumulative within each run of the recogniser."""

    _before: tuple[int, int, int] = (0, 0, 0)
    _run: tuple[int, int, int] = (0, 0, 0)
    _odd: list[Finding] = field(default_factory=list)

    def feed(self, entry: Entry) -> None:
        if entry.event.ev == "recogniser.started":
            self._before = self._totals()
            self._run = (0, 0, 0)
        elif entry.event.ev == "ledger.counted":
            counts = _count(entry, "processed"), _count(entry, "erased"), _count(entry, "retained")
            if counts[0] != counts[1] + counts[2] or not {"processed", "erased", "retained"} <= set(
                entry.event.data
            ):
                text = say(
                    "{processed} processed is not {erased} erased + {retained} retained",
                    processed=counts[0],
                    erased=counts[1],
                    retained=counts[2],
                )
                self._odd.append(Finding("ledger_inexact", text, entry.seq))
            if counts[0] < self._run[0] or counts[1] < self._run[1]:
                self._odd.append(Finding("ledger_went_back", "a counter fell within one run", entry.seq))
            self._run = counts

    def _totals(self) -> tuple[int, int, int]:
        before, run = self._before, self._run
        return before[0] + run[0], before[1] + run[1], before[2] + run[2]

    def report(self) -> tuple[int, int, int]:
        return self._totals()

    def reservations(self) -> Iterator[Finding]:
        yield from self._odd[:NAMED_MAX]


@dataclass(slots=True)
class TemplateDuty:
    """Every template that went in has a way out: withdrawn while live, or destroyed at the end."""

    _in: int = 0
    _out: int = 0

    def feed(self, entry: Entry) -> None:
        if entry.event.ev in {"watchlist.activated", "watchlist.added"}:
            self._in += _count(entry, "templates")
        elif entry.event.ev in {"watchlist.withdrawn", "watchlist.destroyed"}:
            self._out += _count(entry, "templates")

    def report(self) -> tuple[int, int]:
        return self._in, self._out

    def reservations(self, *, closed: bool) -> Iterator[Finding]:
        if self._out > self._in or (closed and self._out < self._in):
            yield Finding(
                "templates_unaccounted",
                say("{in_} templates went in, {out} came out", in_=self._in, out=self._out),
            )


@dataclass(frozen=True, slots=True)
class _Change:
    sha256: str
    proposer: str
    proposed_us: int
    approver: str = ""


@dataclass(slots=True)
class ControlDuty:
    """Changes that need two persons, bound to the exact change, within 15 minutes, used once."""

    _waiting: dict[str, _Change] = field(default_factory=dict)
    _approved: dict[str, _Change] = field(default_factory=dict)
    _changes: list[ChangeReport] = field(default_factory=list)
    _odd: list[Finding] = field(default_factory=list)

    def feed(self, entry: Entry) -> None:
        event = entry.event
        if event.ev == "control.proposed":
            digest = str(event.data.get("sha256", ""))
            self._waiting[event.ref] = _Change(digest, event.actor.account, entry.t_wall_us)
        elif event.ev == "control.approved":
            self._approve(entry)
        elif event.ev == "control.refused":
            self._waiting.pop(event.ref, None)
        elif event.ev in TWO_PERSONS:
            self._use(entry)

    def _approve(self, entry: Entry) -> None:
        event = entry.event
        change = self._waiting.pop(event.ref, None)
        if (
            change is None
            or not change.sha256
            or event.data.get("sha256") != change.sha256
            or event.actor.account == change.proposer
            or not 0 <= entry.t_wall_us - change.proposed_us <= APPROVAL_US
        ):
            text = say(
                "the approval of {ref} fits no proposal by another person in the last 15 minutes",
                ref=event.ref,
            )
            self._odd.append(Finding("control_approval_void", text, entry.seq))
        else:
            self._approved[event.ref] = _Change(
                change.sha256, change.proposer, change.proposed_us, event.actor.account
            )

    def _use(self, entry: Entry) -> None:
        event = entry.event
        name = str(event.data.get("change", ""))
        change = self._approved.pop(name, None)
        fits = change is not None and event.data.get("sha256") == change.sha256
        self._changes.append(
            ChangeReport(
                entry.seq,
                event.ev,
                name,
                change.proposer if change else "",
                change.approver if change else "",
                fits,
            )
        )
        if not fits:
            self._odd.append(
                Finding("control_missing", say("{ev} without a second person", ev=event.ev), entry.seq)
            )

    def report(self) -> tuple[ChangeReport, ...]:
        return tuple(self._changes)

    def reservations(self) -> Iterator[Finding]:
        yield from self._odd[:NAMED_MAX]


@dataclass(slots=True)
class Duties:
    """All accumulators together."""

    clock: ClockWatch = field(default_factory=ClockWatch)
    alerts: AlertDuty = field(default_factory=AlertDuty)
    drills: DrillDuty = field(default_factory=DrillDuty)
    erasure: ErasureDuty = field(default_factory=ErasureDuty)
    templates: TemplateDuty = field(default_factory=TemplateDuty)
    control: ControlDuty = field(default_factory=ControlDuty)
    mandate: MandateDuty = field(default_factory=MandateDuty)

    def feed(self, entry: Entry) -> None:
        self.clock.feed(entry)
        self.alerts.feed(entry)
        self.drills.feed(entry)
        self.erasure.feed(entry)
        self.templates.feed(entry)
        self.control.feed(entry)
        self.mandate.feed(entry)

    def report(self) -> DutyReport:
        raised, answered, right, unanswered = self.drills.report()
        return DutyReport(
            *self.alerts.report(),
            *self.erasure.report(),
            *self.templates.report(),
            drills_raised=raised,
            drills_answered=answered,
            drills_right=right,
            drills_unanswered=unanswered,
        )

    def reservations(self, *, closed: bool) -> Iterator[Finding]:
        yield from self.clock.reservations()
        yield from self.alerts.reservations()
        yield from self.drills.reservations()
        yield from self.erasure.reservations()
        yield from self.templates.reservations(closed=closed)
        yield from self.control.reservations()
        yield from self.mandate.reservations()
