"""Whose turn an alert is: an invitation, never a lock. Anybody at the desk may decide any open alert."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lfr_edge.alerts.alert import AWAITING_LOOK, Alert


class Turns:
    """Operators at the desk, and the fair next one. **Thread rule:** of the event loop."""

    def __init__(self) -> None:
        self._present: Counter[str] = Counter()  # an operator may have several pages open
        self._last: dict[str, int] = {}
        self._given = 0

    @property
    def present(self) -> frozenset[str]:
        return frozenset(self._present)

    def arrive(self, account: str) -> None:
        self._present[account] += 1

    def leave(self, account: str) -> None:
        self._present[account] -= 1
        if self._present[account] <= 0:
            del self._present[account]

    def next_for(self, alert: Alert, alerts: Iterable[Alert]) -> str | None:
        """The present operator with the fewest alerts in hand who has not looked at this one yet.

        Whoever holds it now comes last: a turn that ran out goes to somebody else if there is anybody.
        """
        load = Counter(a.assigned_to for a in alerts if a.state in AWAITING_LOOK and a.id != alert.id)
        able = [name for name in self._present if not alert.looked(name)]
        if not able:
            return None
        chosen = min(able, key=lambda n: (n == alert.assigned_to, load[n], self._last.get(n, 0), n))
        self._given += 1
        self._last[chosen] = self._given
        return chosen
