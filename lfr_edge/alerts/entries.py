"""What the record says of an alert, written and read back: numbers and codes, no picture, no name, no float.

The record is the truth and SQLite a view of it. After a crash between the two, :func:`reconcile` brings the view
up to the record: a look that was recorded counts, even if the process died before anybody was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from lfr_edge.alerts.alert import AWAITING_LOOK, Alert, AlertId, Drill, Facts, Hold, Look, State
from lfr_edge.alerts.factors import Answer, EnvironmentFactor, Factors, SubjectFactor, SystemFactor
from lfr_edge.alerts.record import Plain
from lfr_edge.alerts.street import Engagement, Identity, Outcome
from lfr_edge.audit.entry import Entry

UNKNOWN_REFERENCE: Final = "not in this list"  # the record names an entry by a code that dies with the key


def raised_data(alert: Alert, entry: str, commitment: str) -> dict[str, Plain]:
    """`entry`: the code of the watchlist entry; `commitment`: salted hash of the pictures."""
    facts = alert.facts
    data: dict[str, Plain] = {
        "number": alert.id.number,
        "camera": facts.camera,
        "track": facts.track,
        "captured_us": facts.captured_wall_ns // 1000,
        "entry": entry,
        "category": facts.category,
        "response": facts.requested_response,
        "score_e4": facts.score,
        "threshold_e4": facts.threshold,
        "look_alikes": len(facts.look_alikes),
        "commitment": commitment,
    }
    if facts.runner_up_score is not None:
        data["runner_up_e4"] = facts.runner_up_score
    return data


def drill_data(alert: Alert, drill: Drill, commitment: str) -> dict[str, Plain]:
    return {
        "number": alert.id.number,
        "truth": str(drill.truth),
        "case": drill.case,
        "camera": alert.facts.camera,
        "category": alert.facts.category,
        "commitment": commitment,
    }


def look_data(alert: Alert, look: Look, ordinal: int) -> dict[str, Plain]:
    return {
        "number": alert.id.number,
        "look": ordinal,
        "answer": str(look.answer),
        "factors": [name for names in look.factors.names().values() for name in names],
        "took_ms": look.took_ms,
    }


def decided_data(alert: Alert) -> dict[str, Plain]:
    return {"number": alert.id.number, "looks": len(alert.looks), "result": str(alert.state)}


def answer_data(alert: Alert, look: Look, ordinal: int, drill: Drill) -> dict[str, Plain]:
    """A look at a drill; once it is decided, what the desk would have done and whether that was right."""
    data = look_data(alert, look, ordinal)
    if drill.right is not None:
        referred = drill.right is (drill.truth is Answer.SAME_PERSON)
        data |= {"result": "referred" if referred else "not_referred", "right": drill.right}
    return data


@dataclass(frozen=True, slots=True)
class Restored:
    alerts: dict[str, Alert]  # by token, as the record has them
    recorded: frozenset[str]  # tokens whose raising is on record
    last_number: int  # the highest that the record gave to an alert or a drill; 0 where it gave none


def reconcile(alerts: Iterable[Alert], entries: Iterable[Entry], references: Mapping[str, str]) -> Restored:
    """The alerts as the record has them.

    `references` gives the watchlist reference of each code, as far as the list is at hand. An alert that SQLite
    lost comes back with what the record holds; one that the record does not know yet stays as it is.
    """
    found = {alert.id.token: alert for alert in alerts}
    recorded: set[str] = set()
    looks: dict[str, int] = {}
    last_number = 0
    for entry in entries:
        event = entry.event
        token, data = event.ref, cast(dict[str, Any], event.data)
        if event.ev in {"alert.raised", "drill.raised"}:
            last_number = max(last_number, data["number"])
        if event.ev == "alert.raised":
            recorded.add(token)
            found.setdefault(token, _raised(entry, references))
        elif event.ev == "drill.raised" and token in found:  # a drill that SQLite lost is no loss
            recorded.add(token)
        elif token not in recorded:
            continue
        elif event.ev in {"alert.looked", "drill.answered"} and "answer" in data:
            looks[token] = looks.get(token, 0) + 1
            if looks[token] > len(found[token].looks):
                found[token] = _looked(found[token], entry)
            if "right" in data:
                found[token] = _revealed(found[token], data["right"])
        else:
            found[token] = _moved(found[token], entry, data)
    return Restored(found, frozenset(recorded), last_number)


def _raised(entry: Entry, references: Mapping[str, str]) -> Alert:
    data = cast(dict[str, Any], entry.event.data)
    facts = Facts(
        camera=data["camera"],
        captured_ns=0,
        captured_wall_ns=data["captured_us"] * 1000,
        reference=references.get(data["entry"], UNKNOWN_REFERENCE),
        category=data["category"],
        requested_response=data["response"],
        score=data["score_e4"],
        threshold=data["threshold_e4"],
        runner_up_score=data.get("runner_up_e4"),
        runner_up_reference=None,
        track=data["track"],
        quality=(),
        candidate_taken=None,
        candidate_source="",
        look_alikes=(),
    )
    return Alert(AlertId(entry.event.ref, data["number"]), 1, State.RAISED, facts, entry.t_wall_us * 1000)


def _looked(alert: Alert, entry: Entry) -> Alert:
    data = cast(dict[str, Any], entry.event.data)
    names = set(data["factors"])
    factors = Factors.of(*(names & set(kind) for kind in (SubjectFactor, SystemFactor, EnvironmentFactor)))
    answer = Answer(data["answer"])
    look = Look(
        entry.event.actor.account, answer, factors, entry.event.why, entry.t_wall_us * 1000, data["took_ms"]
    )
    waiting = (State.SECOND_LOOK, State.THIRD_LOOK)[min(len(alert.looks), 1)]
    return replace(alert, looks=(*alert.looks, look), state=waiting, version=alert.version + 1)


def _revealed(alert: Alert, right: bool) -> Alert:
    if alert.drill is None or alert.state is State.REVEALED:
        return alert
    drill = replace(alert.drill, right=right)
    return replace(alert, state=State.REVEALED, drill=drill, assigned_to=None, version=alert.version + 1)


def _moved(alert: Alert, entry: Entry, data: Mapping[str, Any]) -> Alert:
    """The alert after any other entry about it; unchanged where it already is there or beyond."""
    ev, wall_ns, waits = entry.event.ev, entry.t_wall_us * 1000, alert.state in AWAITING_LOOK
    if ev == "alert.offered" and alert.state in {State.RAISED, State.SUPPRESSED}:
        return replace(alert, state=State.OFFERED, offered_wall_ns=wall_ns, version=alert.version + 1)
    if ev == "alert.decided" and waits:
        return replace(alert, state=State(data["result"]), assigned_to=None, version=alert.version + 1)
    if ev in {"alert.expired", "drill.answered"} and waits:
        return replace(alert, state=State.EXPIRED_UNREVIEWED, assigned_to=None, version=alert.version + 1)
    if ev == "alert.suppressed" and alert.state in {State.RAISED, State.SUPPRESSED}:
        return replace(alert, state=State.EXPIRED_UNREVIEWED, version=alert.version + 1)
    if ev == "alert.engaged" and alert.state is State.REFERRED:
        taken = Engagement(entry.event.actor.account, wall_ns)
        return replace(alert, state=State.ENGAGED, engagement=taken, version=alert.version + 1)
    if ev == "alert.outcome" and alert.outcome is None:
        came, identity = Outcome(data["outcome"]), Identity(data["identity"])
        return replace(alert, state=State.CLOSED, outcome=came, identity=identity, version=alert.version + 1)
    if ev == "alert.erased" and not alert.pictures_erased:
        return replace(alert, pictures_erased=True, hold=None)
    if ev == "alert.held":
        expires_ns = data["expires_s"] * 1_000_000_000
        return replace(alert, hold=Hold(entry.event.why, data.get("authoriser", ""), expires_ns))
    if ev == "alert.released":
        return replace(alert, hold=None)
    return alert
