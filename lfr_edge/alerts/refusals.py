"""Why an answer does not count: somebody was first, or the alert has moved on."""

from __future__ import annotations

from lfr_edge.alerts.alert import AWAITING_LOOK, Alert
from lfr_edge.audit.event import Actor
from lfr_edge.errors import AlertError
from lfr_edge.sentences import say


class AlreadyDecidedError(AlertError):
    """Somebody was first. ``winner`` is the alert as it stands."""

    def __init__(self, winner: Alert) -> None:
        last = winner.looks[-1].account if winner.looks else say("the clock")
        super().__init__(
            "alert_already_decided",
            say("alert {number} was already decided by {last}", number=winner.id.number, last=last),
            hint="the page shows that decision; yours was not recorded",
        )
        self.winner = winner


class AlreadyTakenError(AlertError):
    """Somebody else took the referral first. ``winner`` is the alert as it stands."""

    def __init__(self, winner: Alert) -> None:
        who = winner.engagement.account if winner.engagement else say("somebody")
        super().__init__(
            "alert_already_taken",
            say("alert {number} was already taken by {who}", number=winner.id.number, who=who),
            hint="the page shows who has it",
        )
        self.winner = winner


def refuse_late(alert: Alert, actor: Actor, expected_version: int) -> None:
    """Compare and refuse: the state, the person, the version that was seen.

    Raises:
        AlreadyDecidedError: ``alert_already_decided``.
        AlertError: ``alert_second_look_by_same_person``, ``alert_changed``.
    """
    if alert.state not in AWAITING_LOOK:
        raise AlreadyDecidedError(alert)
    if alert.looked(actor.account):
        raise AlertError(
            "alert_second_look_by_same_person",
            say("you already looked at alert {number}", number=alert.id.number),
            hint="the second look belongs to another person, who does not see your answer",
        )
    if alert.version != expected_version:
        raise changed(alert)


def refuse_unlooked(alert: Alert) -> None:
    """What the machine found is for after the decision.

    Raises:
        AlertError: ``alert_look_first``, ``alert_is_drill``.
    """
    if alert.undecided:
        raise AlertError(
            "alert_look_first",
            say("alert {number} is not decided yet", number=alert.id.number),
            hint="what the machine saw is shown after the decision, so that it cannot sway anybody",
        )
    if alert.drill is not None:
        raise AlertError(
            "alert_is_drill",
            say("alert {number} was a drill: no machine compared it", number=alert.id.number),
        )


def changed(alert: Alert) -> AlertError:
    return AlertError(
        "alert_changed",
        say("alert {number} has moved on while you looked", number=alert.id.number),
        hint="look at it as it stands now, then answer again",
    )
