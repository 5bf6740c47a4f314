"""Two persons for what one may not do alone (reliability.md 3).

Somebody proposes an exact change; somebody else, freshly authenticated and in a role that may, approves exactly that
one within 15 minutes; it is used once within 15 minutes more. Each step is in the audit log before it has an effect,
and whatever is interrupted between the two fails towards "no".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from lfr_edge.alerts.record import Actor, Recorder
from lfr_edge.audit.event import SYSTEM
from lfr_edge.audit.stamp import boot_id
from lfr_edge.clock import Clock
from lfr_edge.deployment.control.proposal import (
    OPEN,
    RULES,
    ControlError,
    Kind,
    Proposal,
    Stamp,
    check_summary,
    digest,
    plain_change,
)
from lfr_edge.deployment.control.proposal_store import ProposalStore
from lfr_edge.errors import AuditError
from lfr_edge.sentences import listed, say

__all__ = ["LIFE_S", "Approvals", "ControlError", "Kind", "Proposal"]

FRESH_S: Final = 60  # reliability.md 3
# 15 minutes (reliability.md 3) less the time in which an entry becomes durable: the verifier counts by the entries'
# own times, and what was accepted here must be accepted there.
LIFE_S: Final = 15 * 60 - 5
OPEN_MAX: Final = 50
_SECOND_NS: Final = 1_000_000_000


class Approvals:
    """The proposals of one deployment. **Thread rule:** any thread, any process; every method blocks on the disk.

    Args:
        recorder: the log of this deployment. An approval counts only in the log in which it was proposed, so
            `store_path` lies in the deployment's folder.
        role_of: the role that an account has at this moment; None where it does not exist or is disabled.
    """

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        store_path: Path,
        role_of: Callable[[str], str | None],
        *,
        boot: str | None = None,
    ) -> None:
        self.recorder = recorder
        self.clock = clock
        self._store = ProposalStore(store_path)
        self._role_of = role_of
        self._boot = boot or boot_id()

    def all(self) -> tuple[Proposal, ...]:
        """Every proposal that is kept, oldest first."""
        return self._store.read()

    def get(self, id: str) -> Proposal:  # noqa: A002  # the word of the page and of the record
        """Raises ControlError: ``control_unknown``."""
        return _find(self._store.read(), id)

    def waiting(self) -> tuple[Proposal, ...]:
        """Proposals that somebody may still approve, oldest first."""
        return tuple(
            p for p in self._store.read() if p.state == "proposed" and self.left_s(p) > 0 and self._stands(p)
        )

    def left_s(self, proposal: Proposal) -> float:
        """Seconds until it lapses: a proposal unapproved, an approval unused; 0 for whatever is settled."""
        if proposal.state not in OPEN:
            return 0.0
        since = proposal.approved or proposal.proposed
        wall_age_ns = self.clock.wall_ns() - since.wall_ns
        mono_age_ns = self.clock.monotonic_ns() - since.mono_ns
        if since.boot != self._boot or wall_age_ns < 0 or mono_age_ns < 0:
            return 0.0  # neither clock can say how old it is
        return max(0.0, LIFE_S - max(wall_age_ns, mono_age_ns) / _SECOND_NS)

    def propose(
        self, kind: Kind, change: Mapping[str, Any], actor: Actor, summary: tuple[str, ...]
    ) -> Proposal:
        """Ask for a second person.

        Args:
            change: exactly what will be done, as plain JSON values; it is what :meth:`use` must be given.
            summary: the change in plain words for the person who approves, made by the program and not by the
                proposer.

        Raises:
            ControlError: ``control_kind_unknown``, ``control_change_invalid``, ``control_summary_invalid``,
                ``control_role_refused``, ``control_already_open``, ``control_too_many``.
            AuditError: the proposal is not on the record and does not exist.
        """
        if kind not in RULES:
            raise ControlError(
                "control_kind_unknown", say("there is no two-person change {kind!r}", kind=kind)
            )
        self._require_role(actor, RULES[kind].propose, "propose")
        check_summary(summary)
        copy = plain_change(change)
        name = f"C-{secrets.token_hex(8)}"
        bound = digest(kind, copy)
        self._require_room(self._store.read(), bound)
        mono_ns = self.clock.monotonic_ns()
        self._record(
            "control.proposed", actor, name, {"kind": kind, "sha256": bound, "summary": list(summary)}
        )
        proposal = Proposal(
            name, kind, copy, bound, summary, actor.account, Stamp(mono_ns, self.clock.wall_ns(), self._boot)
        )
        with self._store.locked() as proposals:
            self._require_room(proposals, bound)
            self._store.write((*proposals, proposal))
        return proposal

    def approve(self, id: str, sha256: str, actor: Actor, authenticated_ns: int) -> Proposal:  # noqa: A002
        """Say yes to exactly this change.

        Args:
            sha256: the digest that the approver was shown.
            authenticated_ns: when this person last proved who they are (password or passkey), on the monotonic
                clock.

        Raises:
            ControlError: ``control_unknown``, ``control_not_open``, ``control_expired``, ``control_altered``,
                ``control_same_person``, ``control_role_refused``, ``control_role_changed``, ``control_stale_sign_in``.
            AuditError: the approval is not on the record; the proposal is void.
        """
        with self._store.locked() as proposals:
            proposal = _find(proposals, id)
            self._require_approvable(proposal, sha256, actor, authenticated_ns)
            # Claimed on disk before the record is written: nobody else can approve it meanwhile, and an
            # interruption leaves it claimed for ever, which is a no.
            claimed = replace(proposal, state="approving", approver=actor.account)
            self._store.write(_with(proposals, claimed))
        mono_ns, wall_ns = self.clock.monotonic_ns(), self.clock.wall_ns()
        try:
            self._record("control.approved", actor, id, {"kind": claimed.kind, "sha256": claimed.sha256})
        except AuditError:
            self._settle(replace(claimed, state="void", why="its approval could not be recorded"))
            raise
        return self._settle(replace(claimed, state="approved", approved=Stamp(mono_ns, wall_ns, self._boot)))

    def refuse(self, id: str, actor: Actor, why: str) -> Proposal:  # noqa: A002
        """Say no, or withdraw one's own proposal.

        Raises:
            ControlError: ``control_unknown``, ``control_not_open``, ``control_role_refused``, ``control_role_changed``.
        """
        with self._store.locked() as proposals:
            proposal = _find(proposals, id)
            if proposal.state not in {"proposed", "approved"}:
                raise _not_open(proposal)
            if _person(actor.account) != _person(proposal.proposer):
                self._require_role(actor, RULES[proposal.kind].approve, "refuse")
            refused = replace(proposal, state="refused", why=why)
            self._store.write(_with(proposals, refused))  # first the no, then its record: an error stays a no
        self._record("control.refused", actor, id, {"kind": refused.kind, "sha256": refused.sha256}, why)
        return refused

    def drop(self, id: str, why: str) -> None:  # noqa: A002
        """An approval that could not take effect counts no more; one that was used or is not open stays as it is.

        Raises:
            ControlError: ``control_unknown``.
            AuditError: the no is not on the record; it is a no all the same.
        """
        with self._store.locked() as proposals:
            proposal = _find(proposals, id)
            if proposal.state != "approved":
                return
            self._store.write(_with(proposals, replace(proposal, state="refused", why=why)))
        self._record("control.refused", SYSTEM, id, {"kind": proposal.kind, "sha256": proposal.sha256}, why)

    def use(self, kind: Kind, change: Mapping[str, Any]) -> dict[str, str]:
        """Take the approval of exactly this change, once.

        Returns:
            ``{"change": …, "sha256": …}`` for the data of the audit entry of the effect, which the caller writes next
            and before the effect.

        Raises:
            ControlError: ``control_missing``, ``control_not_approved``, ``control_used``, ``control_expired``,
                ``control_refused``, ``control_role_changed``.
        """
        if kind not in RULES:
            raise ControlError(
                "control_kind_unknown", say("there is no two-person change {kind!r}", kind=kind)
            )
        bound = digest(kind, change)
        with self._store.locked() as proposals:
            mine = [p for p in proposals if p.kind == kind and p.sha256 == bound]
            approved = [p for p in mine if p.state == "approved" and self.left_s(p) > 0]
            if not approved:
                _refuse_use(mine)
            proposal = next(filter(self._stands, approved), approved[0])
            self._require_standing(proposal)
            self._store.write(_with(proposals, replace(proposal, state="used")))
        return {"change": proposal.id, "sha256": proposal.sha256}

    def why_not(self, proposal: Proposal, actor: Actor) -> str:
        """Why this person may not approve it, as an error code; empty where they may. Freshness apart."""
        try:
            self._require_approvable(proposal, proposal.sha256, actor, self.clock.monotonic_ns())
        except ControlError as error:
            return error.code
        return ""

    def _require_approvable(
        self, proposal: Proposal, sha256: str, actor: Actor, authenticated_ns: int
    ) -> None:
        if proposal.state != "proposed":
            raise _not_open(proposal)
        if self.left_s(proposal) <= 0:
            raise _expired(proposal)
        if not secrets.compare_digest(sha256.encode(), proposal.sha256.encode()):
            raise ControlError(
                "control_altered",
                "this is not the change that was proposed",
                hint="reload the page and read the proposal again",
            )
        if _person(actor.account) == _person(proposal.proposer):
            raise ControlError(
                "control_same_person",
                "whoever proposes a change does not approve it",
                hint="another person must sign in and approve",
            )
        self._require_role(actor, RULES[proposal.kind].approve, "approve")
        self._require_proposer(proposal)
        if not 0 <= self.clock.monotonic_ns() - authenticated_ns <= FRESH_S * _SECOND_NS:
            raise ControlError(
                "control_stale_sign_in",
                say("approving needs a password or passkey given in the last {fresh_s} s", fresh_s=FRESH_S),
                hint="enter your password again",
            )

    def _require_role(self, actor: Actor, roles: frozenset[str], what: str) -> None:
        now = self._role_of(actor.account)
        if now is None or now != actor.role:
            raise _role_changed(actor.account)
        if now not in roles:
            raise ControlError(
                "control_role_refused",
                say("your role may not {what} this", what=say(what)),
                hint=say(
                    "somebody with one of these roles may: {roles}",
                    roles=listed(say(role.replace("_", " ")) for role in sorted(roles)),
                ),
            )

    def _require_proposer(self, proposal: Proposal) -> None:
        if self._role_of(proposal.proposer) not in RULES[proposal.kind].propose:
            raise _role_changed(proposal.proposer)

    def _require_standing(self, proposal: Proposal) -> None:
        """Both persons still are who they were when they spoke."""
        self._require_proposer(proposal)
        if self._role_of(proposal.approver) not in RULES[proposal.kind].approve:
            raise _role_changed(proposal.approver)
        if _person(proposal.approver) == _person(proposal.proposer):
            raise ControlError("control_same_person", "whoever proposes a change does not approve it")

    def _stands(self, proposal: Proposal) -> bool:
        """Whether those who spoke for it still may: nobody can approve or use the word of a disabled account."""
        try:
            if proposal.state == "approved":
                self._require_standing(proposal)
            else:
                self._require_proposer(proposal)
        except ControlError:
            return False
        return True

    def _require_room(self, proposals: tuple[Proposal, ...], bound: str) -> None:
        alive = [p for p in proposals if self.left_s(p) > 0 and self._stands(p)]
        # An interrupted approval is a no that nobody needs to clear away.
        if any(p.sha256 == bound and p.state != "approving" for p in alive):
            raise ControlError(
                "control_already_open",
                "exactly this change is proposed already",
                hint="approve, use or refuse the open proposal first",
            )
        if len(alive) >= OPEN_MAX:
            raise ControlError(
                "control_too_many",
                say("{open_max} proposals are open", open_max=OPEN_MAX),
                hint="refuse those that nobody needs",
            )

    def _settle(self, proposal: Proposal) -> Proposal:
        """The end of a claim; only the claimer gets here."""
        with self._store.locked() as proposals:
            if _find(proposals, proposal.id).state != "approving":
                raise _not_open(proposal)
            self._store.write(_with(proposals, proposal))
        return proposal

    def _record(self, ev: Any, actor: Actor, ref: str, data: dict[str, Any], why: str = "") -> None:
        self.recorder.record(ev, actor=actor, ref=ref, data=data, why=why)


def _find(proposals: tuple[Proposal, ...], name: str) -> Proposal:
    for proposal in proposals:
        if proposal.id == name:
            return proposal
    raise ControlError("control_unknown", "there is no such proposal", hint="reload the page")


def _with(proposals: tuple[Proposal, ...], changed: Proposal) -> tuple[Proposal, ...]:
    return tuple(changed if proposal.id == changed.id else proposal for proposal in proposals)


def _person(account: str) -> str:
    """One person is one account, however its name is typed."""
    return account.strip().casefold()


def _refuse_use(mine: list[Proposal]) -> NoReturn:
    """Why none of the proposals of a change can be used, by the newest one."""
    if not mine:
        raise ControlError(
            "control_missing",
            "nobody has proposed exactly this change",
            hint="propose it; another person then approves it on the Approvals page",
        )
    last = mine[-1]
    if last.state in {"proposed", "approving"}:
        raise ControlError(
            "control_not_approved",
            "this change waits for its second person",
            hint="another person approves it on the Approvals page",
        )
    if last.state == "used":
        raise ControlError(
            "control_used", "this approval was used; it works once", hint="propose the change again"
        )
    if last.state == "approved":
        raise _expired(last)
    raise ControlError(
        "control_refused", "this change was refused", hint="propose it again if it is still needed"
    )


def _not_open(proposal: Proposal) -> ControlError:
    return ControlError(
        "control_not_open",
        say(
            "this proposal is {state}, approved by {approver}",
            state=say(proposal.state),
            approver=proposal.approver,
        )
        if proposal.approver
        else say("this proposal is {state}", state=say(proposal.state)),
        hint="reload the page; somebody else was first",
    )


def _expired(proposal: Proposal) -> ControlError:
    return ControlError(
        "control_expired",
        say("the 15 minutes of {id} are over", id=proposal.id),
        hint="propose the change again",
    )


def _role_changed(account: str) -> ControlError:
    return ControlError(
        "control_role_changed",
        say("{account} has not, or no longer, the role in which this was asked", account=account),
        hint="propose the change again with persons in their present roles",
    )
