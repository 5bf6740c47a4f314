"""What became of each alert, read from the record: one finding and one ending for every alert that was raised.

Each alert gets exactly one :class:`Finding` and exactly one :class:`Ending`, so both columns add up to the alerts
whatever the log holds. The hand-kept tables of 2024 did not, in 161 of 179 rows (domain.md 5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.deployment.reading import count, whole, word


class Finding(StrEnum):
    """Was it the person? *Confirmed* is established after engagement (domain.md 2), never by an outcome alone."""

    TRUE_CONFIRMED = "true_confirmed"
    TRUE_UNCONFIRMED = "true_unconfirmed"
    FALSE_CONFIRMED = "false_confirmed"
    FALSE_UNCONFIRMED = "false_unconfirmed"
    UNDETERMINED = "undetermined"
    UNREVIEWED = "unreviewed"


class Ending(StrEnum):
    """What happened on the street."""

    ARREST = "arrest"
    OTHER_DISPOSAL = "other_disposal"
    NO_ACTION = "no_action"
    NOT_LOCATED = "not_located"
    NOT_ENGAGED = "not_engaged"
    NOT_RECORDED = "not_recorded"
    UNREVIEWED = "unreviewed"


TRUE_FINDINGS: Final = frozenset({Finding.TRUE_CONFIRMED, Finding.TRUE_UNCONFIRMED})
FALSE_FINDINGS: Final = frozenset({Finding.FALSE_CONFIRMED, Finding.FALSE_UNCONFIRMED})
CONFIRMED: Final = frozenset({Finding.TRUE_CONFIRMED, Finding.FALSE_CONFIRMED})
# Nobody showed these to be right: the false alert rate is at most that of all of them together.
NOT_SHOWN_TRUE: Final = FALSE_FINDINGS | {Finding.UNDETERMINED, Finding.UNREVIEWED}
ENGAGED: Final = frozenset({Ending.ARREST, Ending.OTHER_DISPOSAL, Ending.NO_ACTION})
_OUTCOMES: Final = {
    str(ending): ending
    for ending in (Ending.ARREST, Ending.OTHER_DISPOSAL, Ending.NO_ACTION, Ending.NOT_LOCATED)
}


@dataclass(frozen=True, slots=True)
class AlertCase:
    """One alert from raising to its end. Nothing here names a person."""

    seq: int  # entry that raised it
    at_ms: int  # since the first entry of the log
    camera: str
    score_e4: int | None
    threshold_e4: int | None
    finding: Finding
    ending: Ending
    answers: tuple[str, ...]
    took_ms: int | None  # from the offer to the last look

    @property
    def disagreed(self) -> bool:
        return len(set(self.answers)) > 1


@dataclass(frozen=True, slots=True)
class Drill:
    """A known-answer case, and whether the desk gave the known answer; None where nobody decided."""

    seq: int
    right: bool | None
    answers: tuple[str, ...] = ()
    took_ms: int | None = None  # from the offer to the last look


@dataclass(slots=True)
class _Story:
    seq: int = -1
    at_ms: int = 0
    camera: str = ""
    score_e4: int | None = None
    threshold_e4: int | None = None
    truth: str = ""
    answers: list[str] = field(default_factory=list)
    took: list[int] = field(default_factory=list)
    settled: str = ""  # the first of decided, suppressed
    result: str = ""
    outcome: str = ""
    identity: str = ""

    def finding(self) -> Finding:
        if self.identity == "same_person":
            return Finding.TRUE_CONFIRMED
        if self.identity == "different_person":
            return Finding.FALSE_CONFIRMED
        if self.settled != "alert.decided":
            return Finding.UNREVIEWED
        if self.result == "referred":
            return Finding.TRUE_UNCONFIRMED
        different = "different_person" in self.answers and "same_person" not in self.answers
        if self.result == "not_referred" and different:
            return Finding.FALSE_UNCONFIRMED
        return Finding.UNDETERMINED

    def ending(self) -> Ending:
        if self.outcome in _OUTCOMES:
            return _OUTCOMES[self.outcome]
        if self.settled != "alert.decided":
            return Ending.UNREVIEWED
        return Ending.NOT_ENGAGED if self.result == "not_referred" else Ending.NOT_RECORDED

    def case(self) -> AlertCase:
        took = sum(self.took) if self.took else None
        return AlertCase(
            self.seq, self.at_ms, self.camera, self.score_e4, self.threshold_e4,
            self.finding(), self.ending(), tuple(self.answers), took,
        )  # fmt: skip

    def drill(self) -> Drill:
        """Whether what the desk would have done fits the truth; the entry's own word on it is not asked."""
        took = sum(self.took) if self.took else None
        known = self.truth and self.result in {"referred", "not_referred"}
        right = (self.result == "referred") is (self.truth == "same_person") if known else None
        return Drill(self.seq, right, tuple(self.answers), took)


@dataclass(slots=True)
class AlertFold:
    """Feed every entry in order, then ask."""

    _raised: dict[str, _Story] = field(default_factory=dict)
    _drills: dict[str, _Story] = field(default_factory=dict)

    def feed(self, entry: Entry, at_ms: int) -> None:
        event = entry.event
        if event.ev == "alert.raised":
            # A drill's reference that is raised as an alert is an alert: no alert can hide as a drill.
            story = self._raised.setdefault(event.ref, _Story())
            if story.seq < 0:
                self._begin(story, entry, at_ms)
        elif event.ev == "drill.raised":
            story = self._drills.setdefault(event.ref, _Story(entry.seq, at_ms))
            story.truth = story.truth or word(event, "truth")
        elif event.ev == "drill.answered" and event.ref in self._drills:
            self._answer(self._drills[event.ref], entry)
        elif event.ref in self._raised:
            self._go_on(self._raised[event.ref], entry)

    def _begin(self, story: _Story, entry: Entry, at_ms: int) -> None:
        event = entry.event
        story.seq, story.at_ms, story.camera = entry.seq, at_ms, word(event, "camera")
        story.score_e4, story.threshold_e4 = whole(event, "score_e4"), whole(event, "threshold_e4")

    def _answer(self, story: _Story, entry: Entry) -> None:
        """One look; at a drill, the last one says what the desk would have done."""
        event = entry.event
        if word(event, "answer"):
            story.answers.append(word(event, "answer"))
        took = count(event, "took_ms")
        if took is not None:
            story.took.append(took)
        story.result = story.result or word(event, "result")

    def _go_on(self, story: _Story, entry: Entry) -> None:
        event = entry.event
        if event.ev == "alert.looked":
            self._answer(story, entry)
        elif event.ev in {"alert.decided", "alert.suppressed"} and not story.settled:
            story.settled, story.result = event.ev, word(event, "result")
        elif event.ev in {"alert.outcome", "alert.engaged"}:  # the last word counts: corrections are entries
            story.outcome = word(event, "outcome") or story.outcome
            story.identity = word(event, "identity") or story.identity

    def cases(self) -> tuple[AlertCase, ...]:
        return tuple(story.case() for story in self._raised.values())

    def drills(self) -> tuple[Drill, ...]:
        return tuple(story.drill() for ref, story in self._drills.items() if ref not in self._raised)


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Alerts by finding × ending. Every other count is a sum over this one table."""

    cells: tuple[tuple[Finding, Ending, int], ...] = ()

    @classmethod
    def of(cls, cases: Iterable[AlertCase]) -> AlertCounts:
        return cls._of((case.finding, case.ending, 1) for case in cases)

    @classmethod
    def _of(cls, items: Iterable[tuple[Finding, Ending, int]]) -> AlertCounts:
        table: dict[tuple[Finding, Ending], int] = {}
        for finding, ending, number in items:
            table[finding, ending] = table.get((finding, ending), 0) + number
        ordered = [(f, e, table[f, e]) for f in Finding for e in Ending if (f, e) in table]
        return cls(tuple(ordered))

    def __add__(self, other: AlertCounts) -> AlertCounts:
        return self._of((*self.cells, *other.cells))

    @property
    def total(self) -> int:
        return sum(number for _, _, number in self.cells)

    def where(
        self, findings: Iterable[Finding] = tuple(Finding), endings: Iterable[Ending] = tuple(Ending)
    ) -> int:
        wanted, ended = frozenset(findings), frozenset(endings)
        return sum(number for finding, ending, number in self.cells if finding in wanted and ending in ended)

    def engaged(self, findings: Iterable[Finding]) -> int:
        """Alerts after which somebody was stopped: an outcome says so, or the identity that was established."""
        wanted = frozenset(findings)
        return sum(
            number
            for finding, ending, number in self.cells
            if finding in wanted and (ending in ENGAGED or finding in CONFIRMED)
        )

    @property
    def true(self) -> int:
        return self.where(TRUE_FINDINGS)

    @property
    def false(self) -> int:
        return self.where(FALSE_FINDINGS)

    @property
    def not_shown_true(self) -> int:
        return self.where(NOT_SHOWN_TRUE)
