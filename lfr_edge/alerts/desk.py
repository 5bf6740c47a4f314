"""The alert desk: the one place where an alert changes.

Every change is on the audit log's disk before anybody can see it, in SQLite before clients are told, and compared
with the version the person saw: of two operators, or two clicks, one decides and the other learns who did.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from lfr_edge.alerts.alert import (
    AWAITING_LOOK,
    TRANSITIONS,
    Alert,
    AlertId,
    DeskPolicy,
    Drill,
    Facts,
    Look,
    RaisedAlert,
    State,
    Step,
    advance,
)
from lfr_edge.alerts.book import DeskCounts
from lfr_edge.alerts.deadlines import Due, due
from lfr_edge.alerts.entries import (
    answer_data,
    decided_data,
    drill_data,
    look_data,
    raised_data,
    reconcile,
)
from lfr_edge.alerts.factors import Answer, Factors, clean_note
from lfr_edge.alerts.feed import KEPT_EVENTS, Feed
from lfr_edge.alerts.kept_pictures import KeptPictures
from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.alerts.policy import step_after
from lfr_edge.alerts.record import Actor, Plain, Recorder
from lfr_edge.alerts.referrals import Referrals
from lfr_edge.alerts.refusals import AlreadyDecidedError, refuse_late
from lfr_edge.alerts.store import AlertStore, FeedEvent
from lfr_edge.alerts.turns import Turns
from lfr_edge.audit.entry import Entry
from lfr_edge.clock import Clock
from lfr_edge.errors import AlertError, AuditError, LfrError

if TYPE_CHECKING:
    from lfr_edge.alerts.drills import DrillSchedule

_LOG = logging.getLogger(__name__)
_TICK_S: Final = 0.5  # finer than any deadline of the desk; costs a walk over the open alerts

__all__ = ["AlertDesk", "AlreadyDecidedError", "DeskCounts"]


class AlertDesk(Referrals, KeptPictures):
    """**Thread rule:** every method belongs to the event loop; disk work leaves it."""

    def __init__(
        self, store: AlertStore, material: AlertMaterial, recorder: Recorder, clock: Clock, policy: DeskPolicy
    ) -> None:
        super().__init__(store, material, recorder, clock, policy)
        self.turns = Turns()
        self.drills: DrillSchedule | None = None  # who runs it sets it, for the supervisor's page
        self._last_number = 0
        self._opening = 0  # offers in flight count against max_open
        self._ticker: asyncio.Task[None] | None = None

    async def start(
        self, entries: Iterable[Entry] | None = None, references: Mapping[str, str] | None = None
    ) -> None:
        """Take up where the last process stopped: the view is brought up to the record, what was raised is
        offered, pictures without an alert are erased.

        `entries`: the deployment's whole record; without it SQLite is believed. `references`: watchlist reference
        by :meth:`AlertMaterial.reference_code`, for alerts that SQLite lost.
        """
        kept, events = await self._store.load(KEPT_EVENTS)
        self.feed = Feed(events)
        self._store.follow(self.feed.publish)
        found, recorded = {alert.id.token: alert for alert in kept}, None
        if entries is not None:
            restored = await asyncio.to_thread(reconcile, kept, entries, references or {})
            found, recorded = restored.alerts, restored.recorded
            self._last_number = restored.last_number
        before = {alert.id.token: alert for alert in kept}
        for alert in sorted(found.values(), key=lambda a: a.id.number):
            self.book.put(alert)
            self._last_number = max(self._last_number, alert.id.number)
            if before.get(alert.id.token) != alert:
                await self._store.put(alert, "restored")
        await self._erase_ownerless()
        for alert in self.book:
            if alert.state is State.RAISED:
                if recorded is not None and alert.id.token not in recorded:
                    await self._record_raised(alert)
                await self._offer(alert.id.token)
            await self._settle(alert.id.token)
        self._ticker = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish what was begun, then let go of the ticker. The store and the material stay the caller's."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def raise_alert(self, raised: RaisedAlert) -> Alert:
        """Make the alert durable and recorded, then offer it.

        Raises:
            AlertError: ``alert_material_failed``, ``alert_store_failed``.
            AuditError: the record refused; then nobody has seen the alert.
        """
        return await self._whole(self._raise(raised, None))

    async def raise_drill(self, raised: RaisedAlert, drill: Drill) -> Alert:
        """Offer a known-answer case as if it were an alert. It is recorded as a drill and counted apart.

        Raises as :meth:`raise_alert`.
        """
        return await self._whole(self._raise(raised, drill))

    async def decide(
        self, token: str, actor: Actor, answer: Answer, factors: Factors, note: str, expected_version: int
    ) -> Alert:
        """Record one look; it decides the alert as the policy says. Durable when this returns.

        Raises:
            AlreadyDecidedError: another answer was first (``alert_already_decided``).
            AlertError: ``alert_unknown``, ``alert_changed``, ``alert_reason_missing``, ``alert_note_too_long``,
                ``alert_second_look_by_same_person``, ``alert_store_failed``.
            AuditError: the record refused; nothing changed.
        """
        if len(factors) == 0:
            raise AlertError(
                "alert_reason_missing", "an answer needs a reason", hint="tap at least one factor"
            )
        return await self._whole(
            self._decide(token, actor, answer, factors, clean_note(note), expected_version)
        )

    def open_alerts(self) -> tuple[Alert, ...]:
        """Alerts that await a look, oldest first."""
        return self.book.open()

    def recent(self, limit: int) -> tuple[Alert, ...]:
        """The newest `limit` alerts that no longer await a look, newest first."""
        return self.book.recent(limit)

    def since(self, cursor: int) -> tuple[FeedEvent, ...] | None:
        """What happened after `cursor`; None when the client must read everything afresh."""
        return self.feed.since(cursor)

    def waiting_ms(self, token: str) -> int:
        """How long the present look has been due."""
        return self.book.waiting_ns(token) // 1_000_000

    def counts(self, *, as_shown: bool = False) -> DeskCounts:
        """Drills do not count. `as_shown`: for those who may have to answer one, an open drill is an alert."""
        return self.book.counts(as_shown=as_shown)

    async def tick(self) -> None:
        """Pass turns on, escalate, expire and erase what is due. The ticker calls it; tests may."""
        for alert in self.book:
            step = due(alert, self.book, self.policy, self._clock.wall_ns())
            if step is not None:
                await self._whole(_DUE[step](self, alert.id.token))
        await self._offer_waiting()

    # ── the changes themselves; each runs to its end even if the caller is cancelled ──────────────────────────

    async def _raise(self, raised: RaisedAlert, drill: Drill | None) -> Alert:
        self._last_number += 1
        alert = Alert(
            AlertId.new(self._last_number),
            1,
            State.RAISED,
            Facts.of(raised),
            raised_wall_ns=self._clock.wall_ns(),
            drill=drill,
        )
        token = alert.id.token
        pictures = AlertPictures(raised.probe_jpeg, raised.candidate_jpeg)
        await asyncio.to_thread(self._material.keep, token, pictures)
        # The row first: a crash before the record leaves an alert that the next start records and offers.
        await self._store.put(alert, None)
        try:
            await self._record_raised(alert)
        except AuditError:
            await self._store.forget(token)
            await asyncio.to_thread(self._material.erase, token)
            raise
        self.book.put(alert)
        await self._offer(token)
        return self.book.get(token)

    async def _record_raised(self, alert: Alert) -> None:
        entry = self._material.reference_code(alert.facts.reference)
        commitment = await asyncio.to_thread(self._material.commitment, alert.id.token)
        if alert.drill is not None:
            data = drill_data(alert, alert.drill, commitment)
            return await self._record(
                "drill.raised", None, alert.id.token, data, "known-answer test of the desk"
            )
        data = raised_data(alert, entry, commitment)
        return await self._record(
            "alert.raised", None, alert.id.token, data, "score at or above the threshold"
        )

    async def _erase_ownerless(self) -> None:
        for token in sorted(await asyncio.to_thread(self._material.tokens)):
            if token not in self.book:
                await asyncio.to_thread(self._material.erase, token)
                why = "pictures without an alert after a crash"
                await self._record("alert.erased", None, token, {"key_destroyed": True}, why)

    async def _offer(self, token: str) -> None:
        """Show the alert to the operators, or suppress it while the desk is full."""
        async with self._lock(token):
            alert = self.book.get(token)
            if alert.state not in {State.RAISED, State.SUPPRESSED}:
                return
            full = len(self.open_alerts()) + self._opening >= self.policy.max_open
            if full and alert.drill is None:
                if alert.state is State.RAISED:
                    await self._change(advance(alert, Step.SUPPRESS), "suppressed")
                return
            self._opening += 1
            try:
                offered = replace(
                    advance(alert, Step.OFFER),
                    offered_wall_ns=self._clock.wall_ns(),
                    assigned_to=self.turns.next_for(alert, self.book),
                )
                if alert.drill is None:
                    await self._record("alert.offered", None, token, {"number": alert.id.number}, "")
                self.book.put(offered)
                self.book.look_due(token)
            finally:
                self._opening -= 1
            await self._store.put(offered, "offered")

    async def _offer_waiting(self) -> None:
        """As the desk drains, suppressed alerts come up, oldest first."""
        for alert in tuple(a for a in self.book if a.state in {State.SUPPRESSED, State.RAISED}):
            if len(self.open_alerts()) + self._opening >= self.policy.max_open:
                return
            if alert.state is State.SUPPRESSED:
                await self._offer(alert.id.token)

    async def _decide(
        self, token: str, actor: Actor, answer: Answer, factors: Factors, note: str, expected_version: int
    ) -> Alert:
        async with self._lock(token):
            alert = self.get(token)
            refuse_late(alert, actor, expected_version)
            took_ms = self.waiting_ms(token)
            look = Look(actor.account, answer, factors, note, self._clock.wall_ns(), took_ms)
            looks = (*alert.looks, look)
            step = step_after(looks, self.policy, alert.facts.category)
            after = replace(self._step(alert, step), looks=looks, assigned_to=None)
            ended = after.state not in AWAITING_LOOK
            await self._record_look(alert, after, actor, ended)
            if not ended:
                after = replace(after, assigned_to=self.turns.next_for(after, self.book), escalated=False)
            self.book.look_due(token)
            await self._change(after, "decided" if ended else "looked")
        await self._offer_waiting()
        return after

    def _step(self, alert: Alert, step: Step) -> Alert:
        """What the looks lead to; a drill that is decided ends there and then, whatever the answer."""
        if alert.drill is None or step not in {Step.REFER, Step.DECLINE}:
            return advance(alert, step)
        right = (step is Step.REFER) is (alert.drill.truth is Answer.SAME_PERSON)
        return replace(advance(alert, Step.REVEAL), drill=replace(alert.drill, right=right))

    async def _record_look(self, before: Alert, after: Alert, actor: Actor, ended: bool) -> None:
        token, look, ordinal = before.id.token, after.looks[-1], len(after.looks)
        if after.drill is not None:
            return await self._record(
                "drill.answered", actor, token, answer_data(before, look, ordinal, after.drill), look.note
            )
        await self._record("alert.looked", actor, token, look_data(before, look, ordinal), look.note)
        if ended:
            await self._record("alert.decided", actor, token, decided_data(after), "")
        return None

    async def _settle(self, token: str) -> None:
        """Decide what the looks on record had decided when the process died before it could say so."""
        async with self._lock(token):
            alert = self.book.get(token)
            if alert.state not in AWAITING_LOOK or not alert.looks or alert.drill is not None:
                return  # a drill's last answer and its result are one entry
            step = step_after(alert.looks, self.policy, alert.facts.category)
            if step not in {Step.REFER, Step.DECLINE}:
                return
            after = replace(advance(alert, step), assigned_to=None)
            await self._record(
                "alert.decided", None, token, decided_data(after), "as the looks on record say"
            )
            await self._change(after, "decided")

    async def _expire(self, token: str) -> None:
        async with self._lock(token):
            alert = self.book.get(token)
            if (alert.state, Step.EXPIRE) not in TRANSITIONS:
                return
            data: dict[str, Plain] = {"number": alert.id.number, "looks": len(alert.looks)}
            if alert.drill is not None:
                data["result"] = "expired"
                await self._record("drill.answered", None, token, data, "nobody answered in time")
            elif alert.state is State.SUPPRESSED:  # its one settlement: it was raised and never shown
                await self._record("alert.suppressed", None, token, data, "the desk stayed full")
            else:
                await self._record("alert.expired", None, token, data, "nobody decided in time")
            await self._change(replace(advance(alert, Step.EXPIRE), assigned_to=None), "expired")

    async def _turn(self, token: str, escalated: bool) -> None:
        """Pass the alert to the next operator, or call everybody. Changes no version: an answer under way counts."""
        async with self._lock(token):
            alert = self.book.get(token)
            if alert.state not in AWAITING_LOOK:
                return
            following = None if escalated else self.turns.next_for(alert, self.book)
            self.book.turn_begins(token)
            if escalated or following != alert.assigned_to:
                after = replace(alert, assigned_to=following, escalated=escalated)
                data: dict[str, Plain] = {"number": alert.id.number, "to": following or "everybody"}
                if alert.drill is None:
                    verb: Literal["alert.escalated", "alert.assigned"]
                    verb = "alert.escalated" if escalated else "alert.assigned"
                    await self._record(verb, None, token, data, "")
                await self._change(after, "escalated" if escalated else "assigned")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                await self.tick()
            except (LfrError, OSError):  # a full disk may be emptied: what is due stays due
                _LOG.exception("what was due at the desk could not be done; it is tried again")


_DUE: Final[dict[Due, Callable[[AlertDesk, str], Coroutine[Any, Any, None]]]] = {
    "expire": lambda desk, token: desk._expire(token),
    "escalate": lambda desk, token: desk._turn(token, True),
    "pass_on": lambda desk, token: desk._turn(token, False),
    "erase": lambda desk, token: desk._erase(token),
}
