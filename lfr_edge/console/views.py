"""What a page may know about an alert, and when: the blindness of a look is decided here, on the server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from lfr_edge.alerts.alert import ON_THE_STREET, SCORE_SCALE, Alert, Look
from lfr_edge.alerts.desk import AlertDesk, DeskCounts
from lfr_edge.clock import utc_text
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.door.sessions import Session
from lfr_edge.console.ports import SystemStatus
from lfr_edge.console.sayings import Sayings
from lfr_edge.errors import AlertError
from lfr_edge.watchlist.entry import categories, image_sources

_ENGLISH: Final = Sayings()  # for programs, and for tests


def category_title(code: str, said: Sayings = _ENGLISH) -> str:
    """A category in the policy's words."""
    known = categories().get(code)
    return said(known.title).text if known else code


def source_title(code: str, said: Sayings = _ENGLISH) -> str:
    """Where a candidate image comes from, in the policy's words."""
    known = image_sources().get(code)
    return said(known.title).text if known else code


def alert_view(desk: AlertDesk, alert: Alert, viewer: str, said: Sayings = _ENGLISH) -> dict[str, Any]:
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
        "category": category_title(facts.category, said),
        "response": facts.requested_response,
        "candidate_taken": facts.candidate_taken,
        "candidate_source": facts.candidate_source,
        "source_title": source_title(facts.candidate_source, said),
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
    """What a person may know who has looked. The machine's figures come with the decision, not with the first of
    two looks: who knows the score cannot keep it from the colleague who has still to look.
    """
    if alert.undecided:
        own = tuple(look for look in alert.looks if look.account == viewer)
        return {"state": str(alert.state), "looks": [_look(look) for look in own]}
    view: dict[str, Any] = {
        "state": str(alert.state),
        "looks": [_look(look) for look in alert.looks],
        "outcome": str(alert.outcome) if alert.outcome else None,
        "identity": str(alert.identity) if alert.identity else None,
        "engaged_by": alert.engagement.account if alert.engagement else None,
        "receipt": alert.receipt.code if alert.receipt else None,
    }
    if alert.drill is not None:
        return view | {"drill": {"truth": str(alert.drill.truth), "right": alert.drill.right}}
    return view | _figures(alert)


def _figures(alert: Alert) -> dict[str, Any]:
    facts = alert.facts
    return {
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
        "candidate_quality": dict(facts.candidate_quality),
    }


def _look(look: Look) -> dict[str, Any]:
    return {
        "account": look.account,
        "answer": str(look.answer),
        "factors": look.factors.names(),
        "note": look.note,
        "at": utc_text(look.wall_ns),
        "took_ms": look.took_ms,
    }


def referral_view(alert: Alert, said: Sayings = _ENGLISH) -> dict[str, Any]:
    """One referral for the officer on the street: what was seen and by whom it was looked at. No score: the person
    is judged by eyes, and the number would decide for them (domain.md 8).
    """
    facts = alert.facts
    return {
        "token": alert.id.token,
        "number": alert.id.number,
        "version": alert.version,
        "state": str(alert.state),
        "camera": facts.camera,
        "captured": utc_text(facts.captured_wall_ns),
        "category": category_title(facts.category, said),
        "response": facts.requested_response,
        "reference": facts.reference,
        "candidate_taken": facts.candidate_taken,
        "candidate_source": facts.candidate_source,
        "source_title": source_title(facts.candidate_source, said),
        "pictures": not alert.pictures_erased,
        "looks": [
            {name: _look(look)[name] for name in ("answer", "factors", "note")} for look in alert.looks
        ],
        "engaged_by": alert.engagement.account if alert.engagement else None,
        "engaged_at": utc_text(alert.engagement.wall_ns) if alert.engagement else None,
        "outcome": str(alert.outcome) if alert.outcome else None,
        "identity": str(alert.identity) if alert.identity else None,
        "receipt": alert.receipt.code if alert.receipt else None,
    }


def view_for(desk: AlertDesk, session: Session, alert: Alert, said: Sayings = _ENGLISH) -> dict[str, Any]:
    """One alert as this person's page knows it."""
    if session.role is Role.ENGAGEMENT_OFFICER:
        return referral_view(alert, said)
    return alert_view(desk, alert, session.account, said)


def refuse_before_referral(session: Session, alert: Alert) -> None:
    """An officer on the street sees an alert once it was referred, not before.

    Raises:
        AlertError: ``alert_unknown``, as if there were none.
    """
    if session.role is Role.ENGAGEMENT_OFFICER and alert.state not in ON_THE_STREET:
        raise AlertError("alert_unknown", "there is no such referral", hint="reload the page")


def status_view(status: SystemStatus, counts: DeskCounts, said: Sayings = _ENGLISH) -> dict[str, Any]:
    """The state of the box for every role: counts and health, nothing about any person."""
    view: dict[str, Any] = asdict(status)
    deployment = view["deployment"]
    for name in ("started", "ends"):
        wall_ns = deployment.pop(f"{name}_wall_ns")
        deployment[name] = utc_text(wall_ns) if wall_ns else None
    view["desk"] = asdict(counts)
    view["troubles"] = [
        {"health": one.health, **said.told(text=one.text, hint=one.hint)} for one in status.troubles
    ]
    for camera, seen in zip(view["cameras"], status.cameras, strict=True):
        camera |= said.told(note=seen.note)
    return view
