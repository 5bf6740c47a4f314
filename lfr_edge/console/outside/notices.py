"""What other systems are told of an alert: a number, a place, a category, what people decided. No face, no score.

A drill is told to nobody: it is no alert. The reference of the entry is told once people referred the alert, because
whoever acts then has to know for whom.
"""

from __future__ import annotations

from typing import Any, Final

from lfr_edge.alerts.alert import Alert, State
from lfr_edge.clock import utc_text
from lfr_edge.console.views import category_title

# The desk's own events (alerts.store.FeedEvent.kind) that leave the house, and how they are called outside.
TYPES: Final = {
    "offered": "alert.offered",
    "decided": "alert.decided",
    "expired": "alert.expired",
    "outcome": "alert.outcome",
}
_NOT_REFERRED: Final = frozenset({State.NOT_REFERRED, State.EXPIRED_UNREVIEWED})


def notice_of(alert: Alert, kind: str, wall_ns: int, site: str, deployment: str) -> dict[str, Any] | None:
    """The notice of one event at the desk; None for what nobody outside is told."""
    if kind not in TYPES or alert.drill is not None:
        return None
    facts = alert.facts
    told: dict[str, Any] = {
        "token": alert.id.token,
        "number": alert.id.number,
        "camera": facts.camera,
        "captured": utc_text(facts.captured_wall_ns),
        "category": facts.category,
        "category_title": category_title(facts.category),
        "response": facts.requested_response,
    }
    if kind in {"decided", "outcome"}:
        referred = alert.state not in _NOT_REFERRED
        told["result"] = "referred" if referred else "not_referred"
        if referred:
            told["reference"] = facts.reference
    if kind == "outcome":
        told["outcome"] = str(alert.outcome) if alert.outcome else None
        told["identity"] = str(alert.identity) if alert.identity else None
    return {
        "type": TYPES[kind],
        "time": utc_text(wall_ns),
        "site": site,
        "deployment": deployment,
        "alert": told,
    }
