"""Where a deployment stands in its life, and the refusals that follow from it.

::

    preparing ──start──▶ running ──end, authority over, cancelled──▶ ended
        └──────────────────────end, cancelled──────────────────────────┘

A deployment whose process died while it was running is preparing again until its list is unsealed; then it goes
on by itself. A pause is no phase: it belongs to running.
"""

from __future__ import annotations

from enum import StrEnum

from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import say


class Phase(StrEnum):
    PREPARING = "preparing"
    RUNNING = "running"
    ENDED = "ended"


def not_started() -> DeploymentError:
    return DeploymentError(
        "deployment_not_started",
        "the deployment has not been started",
        hint="the deployment officer starts it on the Deployment page",
    )


def has_ended() -> DeploymentError:
    return DeploymentError(
        "deployment_ended",
        "the deployment has ended",
        hint="the deployment officer prepares the next one on the Deployment page",
    )


def already_running() -> DeploymentError:
    return DeploymentError(
        "deployment_running", "the deployment is running", hint="end it first, or wait for its end"
    )


def is_busy(doing: str) -> DeploymentError:
    return DeploymentError(
        "deployment_busy",
        say("the deployment is {doing} just now", doing=say(doing)),
        hint="wait a moment, then look again",
    )


def refuse_unless(phase: Phase, wanted: Phase) -> None:
    """Raises DeploymentError ``deployment_not_started``, ``deployment_ended`` or ``deployment_running``."""
    if phase is not wanted:
        raise {Phase.PREPARING: not_started, Phase.RUNNING: already_running, Phase.ENDED: has_ended}[phase]()


def refuse_unless_running(phase: Phase) -> None:
    """Raises DeploymentError ``deployment_not_started`` or ``deployment_ended``."""
    if phase is not Phase.RUNNING:
        raise has_ended() if phase is Phase.ENDED else not_started()
