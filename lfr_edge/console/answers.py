"""What the JSON API answers, for its description. Members may be added; those named here stay.

A test holds real answers to these models: the description cannot drift from the code.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lfr_edge.alerts.book import DeskCounts
from lfr_edge.console.ports import CameraStatus, Counters, Latency, Ledger, ModelStatus, Trouble
from lfr_edge.energy import Energy


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Fault(Answer):
    """Every refusal, whatever its status."""

    error: str = Field(description="Stable code; see docs/reference/errors.md.")
    message: str = Field(description="What happened, for a person.")
    hint: str = Field(description="What to do next.")


class LookAnswer(Answer):
    account: str
    answer: Literal["same_person", "different_person", "cannot_judge"]
    factors: dict[str, list[str]]
    note: str
    at: str
    took_ms: int


class AfterAnswer(Answer):
    """What a person may know who has looked; the machine's figures only once the alert is decided."""

    state: str
    looks: list[LookAnswer]
    score: float | None = None
    threshold: float | None = None
    reference: str | None = None
    outcome: str | None = None


class AlertAnswer(Answer):
    """One alert as this person may see it. ``after`` is absent until they have looked."""

    token: str
    number: int
    version: int = Field(
        description="Send it back with a decision; another version means that somebody was first."
    )
    camera: str
    captured: str
    category: str
    response: Literal["red", "amber", "green"]
    open: bool
    yours: bool = Field(description="Whether this person may still look.")
    turn: Literal["you", "other", "anybody"]
    escalated: bool
    waiting_ms: int
    after: AfterAnswer | None = None


class DeskAnswer(Answer):
    cursor: int
    open: list[AlertAnswer]
    recent: list[AlertAnswer]


class DeploymentAnswer(Answer):
    id: str
    site: str
    purpose: Literal["operational", "evaluation"]
    started: str | None
    ends: str | None
    threshold: float | None
    list_size: int


class StatusAnswer(Answer):
    """The box's health in numbers: nothing about any person."""

    recognising: bool
    paused: bool
    cameras: list[CameraStatus]
    ledger: Ledger
    counters: Counters
    models: list[ModelStatus]
    deployment: DeploymentAnswer
    latency: Latency
    loop_lag_ms: float
    troubles: list[Trouble]
    energy: Energy
    desk: DeskCounts


class WithdrawnAnswer(Answer):
    withdrawn: str


class CodeAnswer(Answer):
    code: str = Field(description="One-time code; shown once.")


class MeAnswer(Answer):
    account: str
    role: str
    fresh_s: int = Field(description="Seconds for which the last proof of identity still counts.")
    passkeys: int


class FreshAnswer(Answer):
    fresh_s: int


class VerificationAnswer(Answer):
    running: bool
    done: int
    of: int
    verdict: str | None = None
    lines: list[str] = []
    checked: str | None = None


class NextAnswer(Answer):
    next: str


class ToldAlert(Answer):
    """An alert as other systems are told of it: no face, no score."""

    token: str
    number: int
    camera: str
    captured: str
    category: str
    category_title: str
    response: Literal["red", "amber", "green"]
    result: Literal["referred", "not_referred"] | None = None
    reference: str | None = Field(None, description="Of the watchlist entry; only of a referred alert.")
    outcome: str | None = None
    identity: str | None = None


class NoticeAnswer(Answer):
    """One event for other systems, by webhook or event stream."""

    type: Literal["alert.offered", "alert.decided", "alert.expired", "alert.outcome"]
    time: str
    site: str
    deployment: str
    alert: ToldAlert
    pictures: dict[str, str] | None = Field(
        None, description="probe_jpeg and candidate_jpeg in base64; only to a webhook that is configured so."
    )


# Status and model by route. A route that is not named answers 200 with an object.
ANSWERS: dict[str, tuple[int, type[Answer] | None]] = {
    "GET /api/alerts": (200, DeskAnswer),
    "GET /api/alerts/{token}": (200, AlertAnswer),
    "POST /api/alerts/{token}/looks": (200, AlertAnswer),
    "GET /api/status": (200, StatusAnswer),
    "POST /api/pause": (200, StatusAnswer),
    "POST /api/resume": (200, StatusAnswer),
    "POST /api/watchlist/{reference}/withdraw": (200, WithdrawnAnswer),
    "POST /api/accounts": (201, CodeAnswer),
    "POST /api/compile": (201, None),
    "POST /api/audit/verify": (200, VerificationAnswer),
    "GET /api/audit/verify": (200, VerificationAnswer),
    "GET /api/me": (200, MeAnswer),
    "POST /api/authenticate": (200, FreshAnswer),
    "POST /api/authenticate/passkey": (200, FreshAnswer),
    "POST /api/sign-in/passkey": (200, NextAnswer),
    "POST /api/passkeys": (201, None),
    "POST /api/trust": (201, None),
    "POST /api/trust/removal": (201, None),
}
QUERIES: dict[str, dict[str, dict[str, Any]]] = {
    "GET /api/compile/entries": {
        "verdict": {"type": "string", "enum": ["", "pass", "warn", "refuse"]},
        "find": {"type": "string", "maxLength": 64},
        "offset": {"type": "integer", "minimum": 0},
    },
    "GET /api/compile/forecast": {
        "faces_per_hour": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
        "hours": {"type": "number", "exclusiveMinimum": 0, "maximum": 24},
    },
    "POST /api/compile": {"name": {"type": "string", "maxLength": 200}},
    "GET /api/audit/verify": {"deployment": {"type": "string", "maxLength": 40}},
    "GET /api/events": {
        "after": {"type": "integer", "minimum": 0, "description": "Cursor of the last event that was seen."},
        "wait": {
            "type": "string",
            "enum": ["0", "1"],
            "description": "0: end once everything kept was sent.",
        },
    },
}
# Calls whose body is no JSON.
UPLOADS: dict[str, str] = {
    "POST /api/compile": "application/octet-stream",
    "POST /api/accounts/{name}/{change}": "",  # none at all
}
