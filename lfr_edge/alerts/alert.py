"""An alert's values and its one state machine.

::

    raised ──offer──▶ offered ──second──▶ second_look ──third──▶ third_look
      │                 │                     │                      │
      └─suppress─▶ suppressed ──offer──▶ …    ├──refer──▶ referred ──engage──▶ engaged ──outcome──▶ closed
                        │                     │              └──────────lose (not located)──────────▲
                        │                     ├──decline──▶ not_referred
                        │                     ├──reveal──▶ revealed        (drills, and only drills)
                        └──expire──▶ expired_unreviewed ◀──expire──┘

``TRANSITIONS`` below is the table; nothing else in the product moves an alert. Expiry without a look is a real
end: it is counted and published, never hidden. A drill has no way to *referred*: :func:`advance` refuses it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final, Literal

from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.street import Engagement, Identity, Outcome, Receipt
from lfr_edge.errors import AlertError
from lfr_edge.sentences import say

SCORE_SCALE: Final = 10_000  # scores are kept and recorded as integers, cosine × 10⁴ (reliability.md 1.2)


class State(StrEnum):
    RAISED = "raised"
    SUPPRESSED = "suppressed"
    OFFERED = "offered"
    SECOND_LOOK = "second_look"
    THIRD_LOOK = "third_look"
    REFERRED = "referred"
    ENGAGED = "engaged"
    NOT_REFERRED = "not_referred"
    REVEALED = "revealed"
    EXPIRED_UNREVIEWED = "expired_unreviewed"
    CLOSED = "closed"


class Step(StrEnum):
    OFFER = "offer"
    SUPPRESS = "suppress"
    SECOND = "second"
    THIRD = "third"
    REFER = "refer"
    DECLINE = "decline"
    REVEAL = "reveal"
    EXPIRE = "expire"
    ENGAGE = "engage"
    LOSE = "lose"
    OUTCOME = "outcome"


TRANSITIONS: Final[dict[tuple[State, Step], State]] = {
    (State.RAISED, Step.OFFER): State.OFFERED,
    (State.RAISED, Step.SUPPRESS): State.SUPPRESSED,
    (State.SUPPRESSED, Step.OFFER): State.OFFERED,
    (State.SUPPRESSED, Step.EXPIRE): State.EXPIRED_UNREVIEWED,
    (State.OFFERED, Step.SECOND): State.SECOND_LOOK,
    (State.OFFERED, Step.REFER): State.REFERRED,
    (State.OFFERED, Step.DECLINE): State.NOT_REFERRED,
    (State.OFFERED, Step.REVEAL): State.REVEALED,
    (State.OFFERED, Step.EXPIRE): State.EXPIRED_UNREVIEWED,
    (State.SECOND_LOOK, Step.THIRD): State.THIRD_LOOK,
    (State.SECOND_LOOK, Step.REFER): State.REFERRED,
    (State.SECOND_LOOK, Step.DECLINE): State.NOT_REFERRED,
    (State.SECOND_LOOK, Step.REVEAL): State.REVEALED,
    (State.SECOND_LOOK, Step.EXPIRE): State.EXPIRED_UNREVIEWED,
    (State.THIRD_LOOK, Step.REFER): State.REFERRED,
    (State.THIRD_LOOK, Step.DECLINE): State.NOT_REFERRED,
    (State.THIRD_LOOK, Step.REVEAL): State.REVEALED,
    (State.THIRD_LOOK, Step.EXPIRE): State.EXPIRED_UNREVIEWED,
    (State.REFERRED, Step.ENGAGE): State.ENGAGED,
    (State.REFERRED, Step.LOSE): State.CLOSED,
    (State.ENGAGED, Step.OUTCOME): State.CLOSED,
}
AWAITING_LOOK: Final = frozenset({State.OFFERED, State.SECOND_LOOK, State.THIRD_LOOK})
ENDS: Final = frozenset({State.NOT_REFERRED, State.REVEALED, State.EXPIRED_UNREVIEWED, State.CLOSED})
ON_THE_STREET: Final = frozenset({State.REFERRED, State.ENGAGED, State.CLOSED})
_FOR_DRILLS: Final = frozenset({Step.REVEAL})
_NOT_FOR_DRILLS: Final = frozenset(
    {Step.REFER, Step.DECLINE, Step.SUPPRESS, Step.ENGAGE, Step.LOSE, Step.OUTCOME}
)
RESPONSES: Final = ("red", "amber", "green")  # immediate · arrest or engage · identify (domain.md 2)


@dataclass(frozen=True, slots=True)
class AlertId:
    token: str  # 128 random bits in hex: names the alert outside, says nothing about order or time
    number: int  # counts the deployment's alerts from 1: what people say aloud

    @staticmethod
    def new(number: int) -> AlertId:
        return AlertId(secrets.token_hex(16), number)


@dataclass(frozen=True, slots=True)
class RaisedAlert:
    """What matching hands over: one candidate that passed every rule of the threshold.

    **Lifetime:** the two pictures are encrypted at once (:mod:`lfr_edge.alerts.material`); whoever made this
    value drops it after :meth:`lfr_edge.alerts.desk.AlertDesk.raise_alert`.
    """

    camera: str
    captured_ns: int  # CLOCK_MONOTONIC of the best shot's frame
    captured_wall_ns: int
    reference: str  # of the watchlist entry; never a name
    category: str
    requested_response: str  # one of RESPONSES
    score: float  # cosine
    threshold: float
    runner_up_score: float | None
    runner_up_reference: str | None
    track: int
    quality: dict[str, float]  # the probe's measures, named with their units (eye_px, sharpness, …)
    probe_jpeg: bytes = field(repr=False)
    candidate_jpeg: bytes = field(repr=False)
    candidate_taken: date | None
    candidate_source: str
    look_alikes: tuple[tuple[str, float], ...] = ()  # (reference, cosine to this entry), best first
    candidate_quality: dict[str, float] = field(default_factory=dict)  # as `quality`, of the list's picture

    def __post_init__(self) -> None:
        if self.requested_response not in RESPONSES:
            raise AlertError(
                "alert_unknown_response",
                say(
                    "{requested_response!r} is no requested response",
                    requested_response=self.requested_response,
                ),
                hint=say("the watchlist may ask for {responses}", responses=", ".join(RESPONSES)),
            )


@dataclass(frozen=True, slots=True)
class Facts:
    """A raised alert without its pictures: all that SQLite may hold."""

    camera: str
    captured_ns: int
    captured_wall_ns: int
    reference: str
    category: str
    requested_response: str
    score: int  # × SCORE_SCALE, like every score here
    threshold: int
    runner_up_score: int | None
    runner_up_reference: str | None
    track: int
    quality: tuple[tuple[str, float], ...]
    candidate_taken: str | None  # ISO date
    candidate_source: str
    look_alikes: tuple[tuple[str, int], ...]
    candidate_quality: tuple[tuple[str, float], ...] = ()

    @staticmethod
    def of(raised: RaisedAlert) -> Facts:
        runner_up = raised.runner_up_score
        return Facts(
            camera=raised.camera,
            captured_ns=raised.captured_ns,
            captured_wall_ns=raised.captured_wall_ns,
            reference=raised.reference,
            category=raised.category,
            requested_response=raised.requested_response,
            score=scaled(raised.score),
            threshold=scaled(raised.threshold),
            runner_up_score=None if runner_up is None else scaled(runner_up),
            runner_up_reference=raised.runner_up_reference,
            track=raised.track,
            quality=_measures(raised.quality),
            candidate_taken=raised.candidate_taken.isoformat() if raised.candidate_taken else None,
            candidate_source=raised.candidate_source,
            look_alikes=tuple((reference, scaled(score)) for reference, score in raised.look_alikes),
            candidate_quality=_measures(raised.candidate_quality),
        )


def _measures(quality: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((name, float(value)) for name, value in quality.items()))


@dataclass(frozen=True, slots=True)
class Look:
    """One person's assessment, made without sight of the score or of anybody else's answer."""

    account: str
    answer: Answer
    factors: Factors
    note: str
    wall_ns: int
    took_ms: int  # from the offer (or the previous look) to this answer


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an alert's pictures outlive their retention (evidence, complaint, disclosure)."""

    reason: str
    authoriser: str
    expires_wall_ns: int


@dataclass(frozen=True, slots=True)
class Drill:
    """What makes an alert a test of the desk: somebody knows the answer."""

    truth: Answer  # SAME_PERSON or DIFFERENT_PERSON
    case: str  # of the drill pack
    right: bool | None = None  # whether the desk's answer was the known one; None until it is given

    def __post_init__(self) -> None:
        if self.truth is Answer.CANNOT_JUDGE:
            raise ValueError("a drill has a known answer")


@dataclass(frozen=True, slots=True)
class Alert:
    id: AlertId
    version: int  # rises with every transition and look; a decision names the version it saw
    state: State
    facts: Facts
    raised_wall_ns: int
    offered_wall_ns: int | None = None
    looks: tuple[Look, ...] = ()
    outcome: Outcome | None = None
    identity: Identity | None = None
    engagement: Engagement | None = None
    receipt: Receipt | None = None
    drill: Drill | None = None
    assigned_to: str | None = None  # whose turn it is; anybody may still decide
    escalated: bool = False
    pictures_erased: bool = False
    hold: Hold | None = None

    @property
    def undecided(self) -> bool:
        return self.state in AWAITING_LOOK or self.state in {State.RAISED, State.SUPPRESSED}

    def looked(self, account: str) -> bool:
        return any(look.account == account for look in self.looks)


@dataclass(frozen=True, slots=True)
class DeskPolicy:
    """How this deployment decides. Times in seconds; reassign and escalate are reliability.md 5's figures."""

    looks: Literal[1, 2] = 1
    looks_by_category: tuple[tuple[str, Literal[1, 2]], ...] = ()
    disagreement: Literal["third_look", "not_referred"] = "not_referred"
    reassign_s: float = 15.0
    escalate_s: float = 30.0
    expire_s: float = 600.0  # after ten minutes the person is gone: an honest end instead of a stale queue
    max_open: int = (
        40  # what one desk can hold in view; more are suppressed, counted, and offered as it drains
    )
    alert_images_h: float = 24.0

    def looks_for(self, category: str) -> int:
        return dict(self.looks_by_category).get(category, self.looks)


def scaled(score: float) -> int:
    return round(score * SCORE_SCALE)


def advance(alert: Alert, step: Step) -> Alert:
    """The alert after `step`.

    Raises:
        AlertError: ``alert_wrong_state`` where the table has no such transition.
    """
    state = TRANSITIONS.get((alert.state, step))
    barred = _FOR_DRILLS if alert.drill is None else _NOT_FOR_DRILLS
    if state is None or step in barred:
        raise AlertError(
            "alert_wrong_state",
            say(
                "alert {number} is {state}: it cannot {step}",
                number=alert.id.number,
                state=say(alert.state.replace("_", " ")),
                step=say(step.replace("_", " ")),
            ),
            hint="reload the desk page to see where the alert stands",
        )
    return replace(alert, state=state, version=alert.version + 1)
