"""The street's part of the desk: take a referral, give a receipt, say what was established and what came of it."""

from __future__ import annotations

from dataclasses import replace

from lfr_edge.alerts.alert import Alert, State, Step, advance
from lfr_edge.alerts.changes import Changes
from lfr_edge.alerts.record import Actor, Plain
from lfr_edge.alerts.refusals import AlreadyDecidedError, AlreadyTakenError, changed
from lfr_edge.alerts.street import Engagement, Identity, Outcome, Receipt, check_outcome
from lfr_edge.audit.receipt import code_digest, new_code
from lfr_edge.errors import AlertError
from lfr_edge.sentences import say


class Referrals(Changes):
    """**Thread rule:** of the event loop."""

    async def engage(self, token: str, actor: Actor, expected_version: int) -> Alert:
        """Take a referral: from here on it is this person's, and everybody sees whose.

        Raises:
            AlreadyTakenError: somebody else was first (``alert_already_taken``).
            AlertError: ``alert_wrong_state`` without a referral, ``alert_changed``.
        """
        return await self._whole(self._engage(token, actor, expected_version))

    async def record_outcome(
        self, token: str, actor: Actor, outcome: Outcome, identity: Identity, expected_version: int
    ) -> Alert:
        """What came of a referral, and whether it was the person on the list; closes the alert.

        A person who was stopped gets a receipt: where none was issued yet, closing issues it.

        Raises:
            AlreadyDecidedError: the outcome is already recorded.
            AlertError: ``alert_wrong_state`` before a referral, ``alert_not_engaged``,
                ``alert_identity_impossible``, ``alert_changed``.
        """
        return await self._whole(self._outcome(token, actor, outcome, identity, expected_version))

    async def issue_receipt(self, token: str, actor: Actor) -> Alert:
        """Give the person stopped a code that leads to this record. Asking again shows the same code.

        Raises:
            AlertError: ``alert_not_engaged``: nobody was stopped.
        """
        return await self._whole(self._issue(token, actor))

    async def _engage(self, token: str, actor: Actor, expected_version: int) -> Alert:
        async with self._lock(token):
            alert = self.get(token)
            if alert.outcome is not None:
                raise AlreadyDecidedError(alert)
            if alert.engagement is not None:
                raise AlreadyTakenError(alert)
            taken = Engagement(actor.account, self._clock.wall_ns())
            after = replace(advance(alert, Step.ENGAGE), engagement=taken)
            if alert.version != expected_version:
                raise changed(alert)
            await self._record("alert.engaged", actor, token, {"number": alert.id.number}, "")
            return await self._change(after, "engaged")

    async def _outcome(
        self, token: str, actor: Actor, outcome: Outcome, identity: Identity, expected_version: int
    ) -> Alert:
        async with self._lock(token):
            alert = self.get(token)
            if alert.outcome is not None:
                raise AlreadyDecidedError(alert)
            step = Step.LOSE if alert.state is State.REFERRED else Step.OUTCOME
            after = replace(advance(alert, step), outcome=outcome, identity=identity)
            check_outcome(alert.id.number, outcome, identity, engaged=alert.engagement is not None)
            if alert.version != expected_version:
                raise changed(alert)
            data: dict[str, Plain] = {
                "number": alert.id.number,
                "outcome": str(outcome),
                "identity": str(identity),
            }
            await self._record("alert.outcome", actor, token, data, "")
            after = await self._change(after, "outcome")
            if outcome is not Outcome.NOT_LOCATED and after.receipt is None:
                after = await self._give_receipt(after, actor)
            return after

    async def _issue(self, token: str, actor: Actor) -> Alert:
        async with self._lock(token):
            alert = self.get(token)
            if alert.engagement is None or alert.outcome is Outcome.NOT_LOCATED:
                raise AlertError(
                    "alert_not_engaged",
                    say("nobody was stopped for alert {number}", number=alert.id.number),
                    hint="a receipt is for a person who was stopped: take the referral first",
                )
            return alert if alert.receipt is not None else await self._give_receipt(alert, actor)

    async def _give_receipt(self, alert: Alert, actor: Actor) -> Alert:
        code = new_code()
        data: dict[str, Plain] = {"number": alert.id.number, "code_sha256": code_digest(code)}
        await self._record("receipt.issued", actor, alert.id.token, data, "for the person stopped")
        return await self._change(replace(alert, receipt=Receipt(code, self._clock.wall_ns())), "receipt")
