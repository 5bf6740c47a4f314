"""The alerts of one deployment in memory, and how long each has waited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lfr_edge.alerts.alert import AWAITING_LOOK, ENDS, ON_THE_STREET, Alert, State
from lfr_edge.clock import Clock
from lfr_edge.errors import AlertError

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DeskCounts:
    """``raised = offered + suppressed`` at every moment: nothing is dropped silently in a flood."""

    raised: int
    offered: int  # shown to operators, now or before
    suppressed: int  # not shown so far
    decided: int  # a person answered
    undecided: int
    referred: int
    expired: int  # ended without a decision


class Book:
    """Ages are monotonic: since this process knows the alert, since its look is due, since its turn runs.

    **Thread rule:** of the event loop.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alerts: dict[str, Alert] = {}
        self._known_ns: dict[str, int] = {}
        self._due_ns: dict[str, int] = {}
        self._turn_ns: dict[str, int] = {}

    def __iter__(self) -> Iterator[Alert]:
        return iter(tuple(self._alerts.values()))

    def __contains__(self, token: str) -> bool:
        return token in self._alerts

    def get(self, token: str) -> Alert:
        """Raises AlertError ``alert_unknown``."""
        alert = self._alerts.get(token)
        if alert is None:
            raise AlertError("alert_unknown", "there is no such alert", hint="reload the desk page")
        return alert

    def put(self, alert: Alert) -> None:
        token = alert.id.token
        if token not in self._alerts:
            # After a restart: the present look was due since the last one, or since the alert came up.
            came_ns = alert.offered_wall_ns or alert.raised_wall_ns
            waited = self._clock.wall_ns() - (alert.looks[-1].wall_ns if alert.looks else came_ns)
            now = self._clock.monotonic_ns()
            self._known_ns[token] = now
            self._due_ns[token] = self._turn_ns[token] = now - max(0, waited)
        self._alerts[token] = alert

    def look_due(self, token: str) -> None:
        """A look, and with it a turn, begins now."""
        self._due_ns[token] = self._turn_ns[token] = self._clock.monotonic_ns()

    def turn_begins(self, token: str) -> None:
        self._turn_ns[token] = self._clock.monotonic_ns()

    def known_for_ns(self, token: str) -> int:
        return self._clock.monotonic_ns() - self._known_ns[token]

    def waiting_ns(self, token: str) -> int:
        return self._clock.monotonic_ns() - self._due_ns[token]

    def turn_ns(self, token: str) -> int:
        return self._clock.monotonic_ns() - self._turn_ns[token]

    def open(self) -> tuple[Alert, ...]:
        """Alerts that await a look, oldest first."""
        return tuple(a for a in self._alerts.values() if a.state in AWAITING_LOOK)

    def recent(self, limit: int) -> tuple[Alert, ...]:
        """The newest `limit` alerts that no longer await a look, newest first."""
        ended = [a for a in self._alerts.values() if a.state in ENDS or a.state in ON_THE_STREET]
        return tuple(sorted(ended, key=lambda a: -a.id.number)[:limit])

    def on_the_street(self, limit: int) -> tuple[Alert, ...]:
        """The newest `limit` alerts that were referred, those that wait for somebody first, newest first."""
        found = [a for a in self._alerts.values() if a.state in ON_THE_STREET]
        return tuple(sorted(found, key=lambda a: (a.state is State.CLOSED, -a.id.number))[:limit])

    def counts(self, *, as_shown: bool = False) -> DeskCounts:
        """Drills are no alerts. `as_shown`: an open drill counts as one, as long as nobody may know."""
        alerts = [a for a in self._alerts.values() if a.drill is None or (as_shown and a.undecided)]
        offered = sum(a.offered_wall_ns is not None for a in alerts)
        return DeskCounts(
            raised=len(alerts),
            offered=offered,
            suppressed=len(alerts) - offered,
            decided=sum(a.state is State.NOT_REFERRED or a.state in ON_THE_STREET for a in alerts),
            undecided=sum(a.undecided for a in alerts),
            referred=sum(a.state in ON_THE_STREET for a in alerts),
            expired=sum(a.state is State.EXPIRED_UNREVIEWED for a in alerts),
        )
