"""What time demands of an alert: pass the turn on, call everybody, end it, or erase its pictures."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lfr_edge.alerts.alert import AWAITING_LOOK, Alert, DeskPolicy, State
from lfr_edge.alerts.book import SECOND_NS, Book
from lfr_edge.alerts.retention import pictures_due

Due: TypeAlias = Literal["expire", "escalate", "pass_on", "erase"]


def due(alert: Alert, book: Book, policy: DeskPolicy, wall_ns: int) -> Due | None:
    """The most pressing thing; None while there is time. All deadlines but retention are monotonic."""
    token = alert.id.token
    waited_s = book.waiting_ns(token) / SECOND_NS
    waits = alert.state in AWAITING_LOOK
    if (waits or alert.state is State.SUPPRESSED) and waited_s >= policy.expire_s:
        return "expire"
    if waits and not alert.escalated and waited_s >= policy.escalate_s:
        return "escalate"
    if waits and not alert.escalated and book.turn_ns(token) >= policy.reassign_s * SECOND_NS:
        return "pass_on"
    if pictures_due(alert, wall_ns, book.known_for_ns(token), policy.alert_images_h):
        return "erase"
    return None
