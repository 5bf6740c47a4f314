"""How a deployment decides: the policy from the settings, and what the looks so far lead to."""

from __future__ import annotations

from collections.abc import Sequence

from lfr_edge.alerts.alert import DeskPolicy, Look, Step
from lfr_edge.alerts.factors import Answer
from lfr_edge.settings import DeskSettings


def desk_policy(settings: DeskSettings, alert_images_h: float) -> DeskPolicy:
    """The policy of this deployment; `alert_images_h` is the retention section's."""
    return DeskPolicy(
        looks=settings.looks,
        looks_by_category=tuple(sorted(settings.looks_by_category.items())),
        disagreement=settings.disagreement,
        reassign_s=settings.reassign_s,
        escalate_s=settings.escalate_s,
        expire_s=settings.expire_s,
        max_open=settings.max_open,
        alert_images_h=alert_images_h,
    )


def step_after(looks: Sequence[Look], policy: DeskPolicy, category: str) -> Step:
    """What the looks so far lead to. At least one look is there.

    Only agreement refers: every required look, or two of three, must say *same person*.
    """
    required = policy.looks_for(category)
    same = sum(look.answer is Answer.SAME_PERSON for look in looks)
    if len(looks) < required:
        return Step.SECOND
    if len(looks) > 2:
        return Step.REFER if same >= 2 else Step.DECLINE
    if same == len(looks):
        return Step.REFER
    if same and policy.disagreement == "third_look" and len(looks) == 2:
        return Step.THIRD
    return Step.DECLINE
