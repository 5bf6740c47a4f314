"""What a page may know about an alert, and when: the blindness of a look is decided here, on the server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lfr_edge.alerts.alert import SCORE_SCALE, Alert
from lfr_edge.alerts.desk import AlertDesk, DeskCounts
from lfr_edge.clock import utc_text
from lfr_edge.console.ports import SystemStatus
from lfr_edge.watchlist.entry import categories


def category_title(code: str) -> str:
    """A category in the policy's words."""
    known = categories().get(code)
    return known.title if known else code


def alert_view(desk: AlertDesk, alert: Alert, viewer: str) -> dict[str, Any]:
    """One alert as JSON. Before `viewer` has looked there is no score, no threshold, no reference and no sign of
    what anybody else answered; ``after`` is absent, not hidden.
    """
    facts = alert.facts
    view: dict[str, Any] = {
        "token": alert.id.token,
        "number": alert.id.number,
        "version": alert.version,
        "camera": facts.camera,
        "captured": utc_text(facts.captured_wall_ns),
        "category": category_title(facts.category),
        "response": facts.requested_response,
        "candidate_taken": facts.candidate_taken,
        "candidate_source": facts.candidate_source,
        "look_alikes": len(facts.look_alikes),
        "pictures": not alert.pictures_erased,
        "open": alert.undecided,
        "yours": alert.undecided and not alert.looked(viewer),
        "turn": "you" if alert.assigned_to == viewer else ("other" if alert.assigned_to else "anybody"),
        "escalated": alert.escalated,
        "look": len(alert.looks) + 1 if alert.undecided else len(alert.looks),
        "looks": desk.policy.looks_for(facts.category),
        "waiting_ms": desk.waiting_ms(alert.id.token) if alert.undecided else 0,
    }
    if not alert.undecided or alert.looked(viewer):
        view["after"] = _after(alert, viewer)
    return view


def _after(alert: Alert, viewer: str) -> dict[str, Any]:
    facts = alert.facts
    # A first looker of two sees the score, but not what the second person answers until both have.
    looks = alert.looks if not alert.undecided else tuple(x for x in alert.looks if x.account == viewer)
    return {
        "state": str(alert.state),
        "reference": facts.reference,
        "score": facts.score / SCORE_SCALE,
        "threshold": facts.threshold / SCORE_SCALE,
        "runner_up": None
        if facts.runner_up_score is None
        else {"reference": facts.runner_up_reference, "score": facts.runner_up_score / SCORE_SCALE},
        "look_alikes": [
            {"reference": reference, "score": score / SCORE_SCALE} for reference, score in facts.look_alikes
        ],
        "quality": dict(facts.quality),
        "outcome": str(alert.outcome) if alert.outcome else None,
        "looks": [
            {
                "account": look.account,
                "answer": str(look.answer),
                "factors": look.factors.names(),
                "note": look.note,
                "at": utc_text(look.wall_ns),
                "took_ms": look.took_ms,
            }
            for look in looks
        ],
    }


def status_view(status: SystemStatus, counts: DeskCounts) -> dict[str, Any]:
    """The state of the box for every role: counts and health, nothing about any person."""
    view: dict[str, Any] = asdict(status)
    deployment = view["deployment"]
    for name in ("started", "ends"):
        wall_ns = deployment.pop(f"{name}_wall_ns")
        deployment[name] = utc_text(wall_ns) if wall_ns else None
    view["desk"] = asdict(counts)
    return view
