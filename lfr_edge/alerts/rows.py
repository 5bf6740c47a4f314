"""An alert as one JSON document and back: the form in which SQLite holds it. No picture, no template."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from lfr_edge.alerts.alert import Alert, AlertId, Drill, Facts, Hold, Look, State
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.street import Engagement, Identity, Outcome, Receipt


def to_document(alert: Alert) -> str:
    return json.dumps(asdict(alert), separators=(",", ":"), sort_keys=True)


def from_document(text: str) -> Alert:
    raw = json.loads(text)
    return Alert(
        id=AlertId(**raw["id"]),
        version=raw["version"],
        state=State(raw["state"]),
        facts=_facts(raw["facts"]),
        raised_wall_ns=raw["raised_wall_ns"],
        offered_wall_ns=raw["offered_wall_ns"],
        looks=tuple(_look(look) for look in raw["looks"]),
        outcome=Outcome(raw["outcome"]) if raw["outcome"] else None,
        # A row from before these fields existed has none of them.
        identity=Identity(raw["identity"]) if raw.get("identity") else None,
        engagement=Engagement(**raw["engagement"]) if raw.get("engagement") else None,
        receipt=Receipt(**raw["receipt"]) if raw.get("receipt") else None,
        drill=_drill(raw.get("drill")),
        assigned_to=raw["assigned_to"],
        escalated=raw["escalated"],
        pictures_erased=raw["pictures_erased"],
        hold=Hold(**raw["hold"]) if raw["hold"] else None,
    )


def _facts(raw: dict[str, Any]) -> Facts:
    raw = dict(raw)
    for measured in ("quality", "candidate_quality"):
        raw[measured] = tuple((name, value) for name, value in raw.get(measured, ()))
    raw["look_alikes"] = tuple((reference, score) for reference, score in raw["look_alikes"])
    return Facts(**raw)


def _drill(raw: dict[str, Any] | None) -> Drill | None:
    return Drill(Answer(raw["truth"]), raw["case"], raw["right"]) if raw else None


def _look(raw: dict[str, Any]) -> Look:
    return Look(
        account=raw["account"],
        answer=Answer(raw["answer"]),
        factors=Factors.of(**raw["factors"]),
        note=raw["note"],
        wall_ns=raw["wall_ns"],
        took_ms=raw["took_ms"],
    )
