"""Holds: an alert's pictures outlive their retention for a reason, with an authoriser, until a date.

One person asks, another approves exactly that (:mod:`lfr_edge.deployment.control.approvals`), and the hold stands in
the record of its deployment, or, once that is closed, in the box's. Proposal and approval stand in the box's log,
because a hold may be asked for at any time. What ends a hold is its date, or a release; then retention goes on as if
it had never been.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast, get_args

from lfr_edge.alerts.alert import Hold
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.record import Actor, Plain, Recorder
from lfr_edge.clock import Clock, utc_text
from lfr_edge.deployment.control.approvals import Approvals, Proposal
from lfr_edge.deployment.keeping.sweeper import KeptAlert, Sweeper
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import say

Ground: TypeAlias = Literal["evidence", "complaint", "disclosure"]  # domain.md 3, row 4
GROUNDS: Final[tuple[Ground, ...]] = get_args(Ground)
_DAY_S: Final = 86_400
_REASON: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{3,300}")


@dataclass(frozen=True, slots=True)
class HoldAsk:
    """What somebody asks for. `reason` names a case, never a person."""

    deployment: str
    token: str
    ground: Ground
    reason: str
    days: int


class Holds:
    """**Thread rule:** the event loop for coroutines; :meth:`kept`, :meth:`waiting`, :meth:`propose` and
    :meth:`refuse` block on the disk and may run in any thread.

    Args:
        record: the box's log.
        role_of: the role that an account has now, None where it is disabled.
        desk_now: the running deployment's name and desk; None where none runs.
    """

    def __init__(
        self,
        sweeper: Sweeper,
        record: Recorder,
        clock: Clock,
        *,
        store: Path,
        most_days: int,
        role_of: Callable[[str], str | None],
        desk_now: Callable[[], tuple[str, AlertDesk] | None],
    ) -> None:
        self._sweeper = sweeper
        self._record = record
        self._clock = clock
        self.most_days = most_days
        self._desk_now = desk_now
        self.approvals = Approvals(record, clock, store, role_of)

    def kept(self) -> tuple[KeptAlert, ...]:
        """Every alert whose pictures are there, held or not, oldest first."""
        return self._sweeper.kept()

    def waiting(self) -> tuple[Proposal, ...]:
        """Holds that await their second person."""
        return self.approvals.waiting()

    def propose(self, ask: HoldAsk, actor: Actor) -> Proposal:
        """Ask for a hold.

        Raises:
            DeploymentError: ``hold_unknown``, ``hold_invalid``, ``hold_interrupted``.
            ControlError: as :meth:`Approvals.propose`.
        """
        if ask.ground not in GROUNDS or not _REASON.fullmatch(ask.reason) or not ask.reason.strip():
            raise DeploymentError(
                "hold_invalid",
                "a hold needs a ground and a reason of 3 to 300 visible characters",
                hint=say(
                    "ground: {grounds}; the reason names a case, not a person", grounds=", ".join(GROUNDS)
                ),
            )
        if not 1 <= ask.days <= self.most_days:
            raise DeploymentError(
                "hold_invalid",
                say("a hold lasts 1 to {most_days} days", most_days=self.most_days),
                hint="it may be placed anew before it ends; retention.hold_days sets the most",
            )
        kept = self._find(ask.deployment, ask.token)
        running = self._desk_now()
        if running is None or running[0] != ask.deployment:
            _require_closed(kept)
        expires_s = self._clock.wall_ns() // 10**9 + ask.days * _DAY_S
        change = {
            "deployment": kept.deployment,
            "alert": kept.alert.token,
            "number": kept.alert.number,
            "ground": ask.ground,
            "reason": ask.reason,
            "expires_s": expires_s,
        }
        raised, until = (
            utc_text(at)[:16].replace("T", " ") for at in (kept.alert.raised_us * 1000, expires_s * 10**9)
        )
        summary = (
            f"Keep the pictures of alert {kept.alert.number} of {kept.deployment} (raised {raised} UTC)",
            f"until {until} UTC, for {ask.ground}: {ask.reason}",
        )
        return self.approvals.propose("hold.place", change, actor, summary)

    async def approve(self, name: str, sha256: str, actor: Actor, authenticated_ns: int) -> KeptAlert:
        """Say yes to exactly this hold, as another person; it is in force when this returns.

        Raises:
            ControlError: as :meth:`Approvals.approve`.
            DeploymentError: ``hold_unknown``: the pictures went in the meantime.
            AuditError, AlertError: the record refused; nothing is held.
        """
        proposal = await asyncio.to_thread(self.approvals.approve, name, sha256, actor, authenticated_ns)
        used = await asyncio.to_thread(self.approvals.use, "hold.place", proposal.change)
        return await self._place(proposal, actor, used)

    def refuse(self, name: str, actor: Actor, why: str) -> None:
        """Say no. Raises ControlError as :meth:`Approvals.refuse`."""
        self.approvals.refuse(name, actor, why)

    async def release(self, deployment: str, token: str, actor: Actor, why: str) -> None:
        """End a hold before its date.

        Raises:
            DeploymentError: ``hold_unknown``, ``hold_not_held``.
            AuditError, AlertError: the record refused; the hold stands.
        """
        kept = await asyncio.to_thread(self._find, deployment, token)
        if kept.alert.hold is None:
            raise DeploymentError("hold_not_held", "this alert is not on hold", hint="reload the page")
        running = self._desk_now()
        if running is not None and running[0] == deployment:
            await running[1].release(token, actor, why)
            return
        _require_closed(kept)
        data: dict[str, Plain] = {"origin": kept.origin, "number": kept.alert.number}
        await asyncio.to_thread(
            self._record.record, "alert.released", actor=actor, ref=token, data=data, why=why
        )

    async def _place(self, proposal: Proposal, actor: Actor, used: dict[str, str]) -> KeptAlert:
        change = proposal.change
        deployment, token = str(change["deployment"]), str(change["alert"])
        reason = f"{change['ground']}: {change['reason']}"
        approval = {"requester": proposal.proposer, "ground": str(change["ground"]), **used}
        running = self._desk_now()
        if running is not None and running[0] == deployment:
            hold = Hold(reason, actor.account, int(change["expires_s"]) * 10**9)
            await running[1].hold(token, actor, hold, approval)
            return await asyncio.to_thread(self._find, deployment, token)
        return await asyncio.to_thread(self._place_closed, proposal, actor, reason, approval)

    def _place_closed(
        self, proposal: Proposal, actor: Actor, reason: str, approval: dict[str, str]
    ) -> KeptAlert:
        deployment, token = str(proposal.change["deployment"]), str(proposal.change["alert"])
        with self._sweeper.turn:  # no sweep between this look and the entry
            kept = self._find(deployment, token)
            _require_closed(kept)
            data: dict[str, Plain] = {
                "origin": kept.origin,
                "number": kept.alert.number,
                "expires_s": int(proposal.change["expires_s"]),
                "authoriser": actor.account,
                **cast(dict[str, Plain], approval),
            }
            self._record.record("alert.held", actor=actor, ref=token, data=data, why=reason)
            return self._find(deployment, token)

    def _find(self, deployment: str, token: str) -> KeptAlert:
        for kept in self._sweeper.kept():
            if kept.deployment == deployment and kept.alert.token == token:
                return kept
        raise DeploymentError(
            "hold_unknown", "there are no pictures of this alert (any more)", hint="reload the page"
        )


def _require_closed(kept: KeptAlert) -> None:
    """An interrupted deployment's own log will go on, and its desk reads that one only."""
    if not kept.closed:
        raise DeploymentError(
            "hold_interrupted",
            say(
                "{deployment} was interrupted: its desk is not open, and its record not closed",
                deployment=kept.deployment,
            ),
            hint="let it go on (unseal the list) or end it, then place or release the hold",
        )
