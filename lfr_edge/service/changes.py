"""Changes that take two persons while a deployment is prepared or runs: proposed here, and carried out once approved.

Order, always: the approval is used up, the entry is durable, the change takes effect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.alerts.record import Actor
from lfr_edge.console.deployment_port import Change
from lfr_edge.deployment.authority import threshold_change
from lfr_edge.deployment.control.proposal import Kind, Proposal
from lfr_edge.errors import DeploymentError, RecogniserError, WatchlistError
from lfr_edge.models.licence import require_permission
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.sentences import say
from lfr_edge.service.activation import activation, summary
from lfr_edge.service.list_changes import add
from lfr_edge.service.phase import Phase, refuse_unless, refuse_unless_running

if TYPE_CHECKING:
    from lfr_edge.service.run import Run

_MOST_HOURS: Final = 24 * 31  # domain.md 3


async def propose(run: Run, what: Change, value: str, actor: Actor) -> Proposal:
    """Ask for the second person.

    Raises:
        DeploymentError: the phase, the value or the authority does not allow it.
        ControlError: as :meth:`Approvals.propose`.
    """
    kind, change, words = await asyncio.to_thread(_PROPOSED[what], run, value, actor)
    return await asyncio.to_thread(run.approvals.propose, kind, change, actor, words)


async def carry_out(run: Run, proposal: Proposal, actor: Actor) -> bool:
    """Let an approved change take effect. False: it is used elsewhere, such as a list's activation at the start.

    Raises:
        ControlError: not approved, used, too old.
        DeploymentError: the deployment has moved on since it was proposed; the approval is void.
        WatchlistError: as :func:`add`; an approval that is not used by then is void.
        AuditError: not on the record, and then not in effect.
    """
    act = _CARRIED_OUT.get(proposal.kind)
    if act is None:
        return False
    try:
        await act(run, proposal, actor)
    except (DeploymentError, WatchlistError) as error:
        # Nothing tries again: left standing, it would look like a yes that is still to come.
        await asyncio.to_thread(run.approvals.drop, proposal.id, f"{error.code}: {error.message}"[:500])
        raise
    return True


async def _use(run: Run, proposal: Proposal) -> dict[str, str]:
    return await asyncio.to_thread(run.approvals.use, proposal.kind, proposal.change)


# ── the list and everything that goes with it ─────────────────────────────────────────────────────────────────


def _watchlist(run: Run, value: str, actor: Actor) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    refuse_unless(run.phase, Phase.PREPARING)
    if run.listing is None:
        raise DeploymentError(
            "readiness_list_unsealed",
            "the watchlist is not unsealed",
            hint="unseal it first: what is approved is exactly this list",
        )
    return "watchlist.activate", activation(run), summary(run)


# ── the threshold ─────────────────────────────────────────────────────────────────────────────────────────────


def _threshold(run: Run, value: str, actor: Actor) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    refuse_unless_running(run.phase)
    wanted = _number(value, -1.0, 1.0, "a similarity between -1 and 1, such as 0.48")
    _refuse_below_floor(run, actor.role, wanted)
    assert run.threshold is not None, "set with the list"
    change = {
        "deployment": run.session.deployment.id,
        "from_e4": round(run.threshold * 10_000),
        "threshold_e4": round(wanted * 10_000),
    }
    words = (
        f"Alert at a similarity of {wanted:.4f} or more, instead of {run.threshold:.4f}.",
        "A lower threshold alerts on more people, wrongly listed ones among them; it counts from the next face.",
    )
    return "threshold.change", change, words


async def _change_threshold(run: Run, proposal: Proposal, actor: Actor) -> None:
    refuse_unless_running(run.phase)
    e4 = int(proposal.change["threshold_e4"])
    _refuse_below_floor(run, "deployment_officer", e4 / 10_000)
    assert run.listing is not None, "a running deployment has a list"
    data = {"threshold_e4": e4, "list_size": len(run.listing)} | await _use(run, proposal)
    await run.record("threshold.changed", actor=actor, data=data)
    run.threshold = e4 / 10_000  # a recogniser that is restarting now starts with it
    with contextlib.suppress(RecogniserError):
        await run.warden.team.tell("threshold", {"threshold": run.threshold})


def _refuse_below_floor(run: Run, role: str, wanted: float) -> None:
    if run.warrant.signed is None:
        return
    clause = threshold_change(run.warrant.signed, role, wanted)
    if not clause.ok:
        raise DeploymentError(
            "authority_threshold",
            say(
                "clause {number}, {title}: {text}", number=clause.number, title=clause.title, text=clause.text
            ),
            hint=clause.hint,
        )


# ── how long pictures of alerts are kept ──────────────────────────────────────────────────────────────────────


def _retention(run: Run, value: str, actor: Actor) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    refuse_unless_running(run.phase)
    hours = int(_number(value, 1, _MOST_HOURS, f"whole hours between 1 and {_MOST_HOURS}"))
    _refuse_longer(run, hours)
    change = {"deployment": run.session.deployment.id, "alert_images_h": hours}
    return (
        "retention.change",
        change,
        (f"Keep alert pictures for {hours} hours, not {run.alert_images_h:g}.",),
    )


async def _change_retention(run: Run, proposal: Proposal, actor: Actor) -> None:
    refuse_unless_running(run.phase)
    hours = int(proposal.change["alert_images_h"])
    _refuse_longer(run, hours)
    data = {"alert_images_h": hours} | await _use(run, proposal)
    await run.record("retention.changed", actor=actor, data=data)
    run.alert_images_h = float(hours)
    run.desk.policy = replace(run.desk.policy, alert_images_h=float(hours))


def _refuse_longer(run: Run, hours: int) -> None:
    signed = run.warrant.signed
    if signed is not None and hours > signed.authority.retention.alert_images_h:
        raise DeploymentError(
            "authority_retention",
            say(
                "{hours} h is longer than the {alert_images_h} h that are authorised",
                hours=hours,
                alert_images_h=signed.authority.retention.alert_images_h,
            ),
            hint="choose fewer hours, or get a new authority",
        )


# ── the networks ──────────────────────────────────────────────────────────────────────────────────────────────


def _model(run: Run, value: str, actor: Actor) -> tuple[Kind, dict[str, Any], tuple[str, ...]]:
    refuse_unless(run.phase, Phase.PREPARING)
    pack = _pack(run, value)
    change = {
        "deployment": run.session.deployment.id,
        "pack": pack.name,
        "fingerprint": pack.fingerprint,
    }
    words = (
        f"Recognise with the networks {pack.name} {pack.manifest.version}, instead of {run.pack.name}.",
        f"Fingerprint {pack.fingerprint}. The list must have been compiled with them.",
    )
    return "model.change", change, words


async def _change_model(run: Run, proposal: Proposal, actor: Actor) -> None:
    refuse_unless(run.phase, Phase.PREPARING)
    pack = await asyncio.to_thread(_pack, run, str(proposal.change["pack"]))
    if pack.fingerprint != proposal.change["fingerprint"]:
        raise DeploymentError(
            "change_outdated",
            "the networks were exchanged since they were proposed",
            hint="propose the change again",
        )
    data = {"pack": pack.name, "precision": pack.precision} | await _use(run, proposal)
    await run.record("model.changed", actor=actor, ref=pack.fingerprint, data=data)
    run.take_pack(pack)


def _pack(run: Run, name: str) -> Pack:
    models = run.settings.models
    pack = ModelStore(models.store).load(name)
    require_permission(pack, models.purpose, models.licence_reference)
    return pack


def _number(text: str, least: float, most: float, wanted: str) -> float:
    try:
        number = float(text)
        if not least <= number <= most:
            raise ValueError
    except ValueError:
        raise DeploymentError(
            "change_value_invalid", "the value cannot be used", hint=say("give {wanted}", wanted=wanted)
        ) from None
    return number


_PROPOSED: Final[dict[Change, Callable[..., tuple[Kind, dict[str, Any], tuple[str, ...]]]]] = {
    "watchlist": _watchlist,
    "threshold": _threshold,
    "retention": _retention,
    "model": _model,
}
_CARRIED_OUT: Final[dict[str, Callable[[Run, Proposal, Actor], Awaitable[None]]]] = {
    "threshold.change": _change_threshold,
    "retention.change": _change_retention,
    "model.change": _change_model,
    "watchlist.add": add,
}
