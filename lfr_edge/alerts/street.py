"""What happens on the street after a referral: who took it, what was established, what came of it, which receipt.

Identity and outcome are two questions. An arrest for something else says nothing about whether the machine and
the looks were right; only what was established after engagement makes an alert a *confirmed* true or false one
(domain.md 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lfr_edge.errors import AlertError
from lfr_edge.sentences import say


class Outcome(StrEnum):
    """What came of a referral on the street."""

    ARREST = "arrest"
    OTHER_DISPOSAL = "other_disposal"
    NO_ACTION = "no_action"
    NOT_LOCATED = "not_located"


class Identity(StrEnum):
    """Whether the person stopped is the one on the list, by what the officer established there."""

    SAME_PERSON = "same_person"
    DIFFERENT_PERSON = "different_person"
    NOT_ESTABLISHED = "not_established"


@dataclass(frozen=True, slots=True)
class Engagement:
    """Who took the referral, and when."""

    account: str
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the person stopped was given. The record holds the code's digest only."""

    code: str
    wall_ns: int


def check_outcome(number: int, outcome: Outcome, identity: Identity, *, engaged: bool) -> None:
    """Raises AlertError ``alert_not_engaged`` or ``alert_identity_impossible``."""
    if outcome is not Outcome.NOT_LOCATED and not engaged:
        raise AlertError(
            "alert_not_engaged",
            say("nobody has taken alert {number}", number=number),
            hint="take it first, then record what came of it; 'not located' needs no engagement",
        )
    if outcome is Outcome.NOT_LOCATED and identity is not Identity.NOT_ESTABLISHED:
        raise AlertError(
            "alert_identity_impossible",
            say("nobody was located for alert {number}, so no identity can be established", number=number),
            hint="record 'not established', or the outcome that there was",
        )
