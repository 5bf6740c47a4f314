"""Under which authority recognition ran, and whether it stayed within it.

A deployment is authorised in writing (``deployment.authorised`` with the document's SHA-256 and its end), starts,
and may be extended by another authority or cancelled. In an evaluation nobody has to authorise anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.audit.report import Finding, MandateStep
from lfr_edge.sentences import say

GRACE_US: Final = 60 * 1_000_000  # what was under way at the end may still be written down
_RUNNING: Final = frozenset({"alert.raised", "drill.raised", "recogniser.started", "recognition.resumed"})


@dataclass(slots=True)
class MandateDuty:
    """Fed every entry once, in order."""

    _operational: bool = False
    _steps: list[MandateStep] = field(default_factory=list)
    _ends_us: int | None = None
    _odd: list[Finding] = field(default_factory=list)
    _exceeded: bool = False

    def feed(self, entry: Entry) -> None:
        match entry.event.ev:
            case "deployment.opened":
                self._operational = entry.event.data.get("purpose") == "operational"
            case "deployment.authorised":
                ends_s = entry.event.data.get("ends_s")
                self._ends_us = ends_s * 1_000_000 if type(ends_s) is int else None
                self._step(entry, self._ends_us)
            case "deployment.cancelled":
                self._ends_us = entry.t_wall_us
                self._step(entry, self._ends_us)
            case "deployment.started":
                if self._operational and not self._steps:
                    text = say("recognition started, and no authority is on record")
                    self._odd.append(Finding("authority_missing", text, entry.seq))
                self._step(entry, None)
            case verb if verb in _RUNNING:
                self._run(entry)

    def _step(self, entry: Entry, until_us: int | None) -> None:
        data = entry.event.data
        digest, operation = str(data.get("sha256", "")), str(data.get("operation", ""))
        step = MandateStep(entry.seq, entry.event.ev, entry.t_wall_us, digest, operation, until_us)
        self._steps.append(step)

    def _run(self, entry: Entry) -> None:
        if self._ends_us is None or self._exceeded or entry.t_wall_us <= self._ends_us + GRACE_US:
            return
        self._exceeded = True  # said once: what follows is the same fault
        text = say("{ev} after the authority had ended", ev=entry.event.ev)
        self._odd.append(Finding("authority_exceeded", text, entry.seq))

    def report(self) -> tuple[MandateStep, ...]:
        return tuple(self._steps)

    def reservations(self) -> Iterator[Finding]:
        yield from self._odd
