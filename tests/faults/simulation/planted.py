"""Bugs to plant: each a patch of one guard of the product. The simulation has to find every one of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lfr_edge.alerts import deadlines as deadlines_room
from lfr_edge.alerts import desk as desk_room
from lfr_edge.alerts import entries as entries_room
from lfr_edge.alerts import material as material_room
from lfr_edge.alerts.alert import State, Step
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.material import AlertMaterial
from lfr_edge.alerts.refusals import AlreadyTakenError
from lfr_edge.audit import disk as disk_room
from lfr_edge.audit import log as log_room
from lfr_edge.audit import recovery as recovery_room
from lfr_edge.audit import writer as writer_room
from lfr_edge.audit.disk import RealDisk
from lfr_edge.audit.segment import Tail
from lfr_edge.audit.writer import LogWriter

Bug = Callable[[], AbstractContextManager[Any]]


def swap(owner: Any, name: str, make: Callable[[Any], Any]) -> Bug:
    """`make` gets what was there."""
    return lambda: patch.object(owner, name, make(getattr(owner, name)))


def nothing(*args: object, **kwargs: object) -> None:
    return None


async def nothing_async(*args: object, **kwargs: object) -> None:
    return None


def quietly(change: Callable[..., Any]) -> Callable[..., Any]:
    """A sync that fails is none."""

    def call(*args: Any) -> None:
        try:
            change(*args)
        except OSError:
            return

    return call


# ── the record ────────────────────────────────────────────────────────────────────────────────────────────────────


def _acknowledges_before_writing(write_entries: Any) -> Any:
    """Each batch is written with the next one."""

    def hasty(self: LogWriter, batch: Any) -> None:
        late, self._late = getattr(self, "_late", None), batch  # type: ignore[attr-defined]
        if late is not None:
            write_entries(self, late)

    return hasty


def _head_without_sync(write_head: Any) -> Any:
    def write(self: LogWriter, before: Any, head: Any, sign: Any) -> Any:
        with patch.object(type(self._disk), "datasync", nothing):
            return write_head(self, before, head, sign)

    return write


def _signature_first(write_head: Any) -> Any:
    """The signature is handed out; head and checkpoint are written with the next one."""

    def write(self: LogWriter, before: Any, head: Any, sign: Any) -> Any:
        late = getattr(self, "_late", None)
        checkpoint = sign()
        if late is not None:
            write_head(self, late[0], late[1], late[2])
            object.__setattr__(self, "_late", None)
            return write_head(self, before, head, lambda: checkpoint)
        self._late = (before, head, lambda: checkpoint)
        return checkpoint

    return write


def _in_place(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Written where it lies: no draft, no rename, no sync."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.write(descriptor, data)
    os.close(descriptor)


@contextmanager
def _files_in_place() -> Iterator[None]:
    with ExitStack() as stack:
        for room in ("lfr_edge.audit.witness", "lfr_edge.audit.keys", "lfr_edge.audit.opening"):
            stack.enter_context(patch(f"{room}.write_new", _in_place))
        yield


@contextmanager
def _names_not_synced() -> Iterator[None]:
    with ExitStack() as stack:
        for room in (disk_room, writer_room):
            stack.enter_context(patch.object(room, "sync_folder", nothing))
        yield


def _never_damage(judge: Any) -> Any:
    return lambda data, bad: Tail(bad.offset, bad.reason, damage=True)


def _forgets_what_is_durable(open_log: Any) -> Any:
    """After a restart the numbers begin one too early."""

    def begin(cls: Any, *args: Any, **kwargs: Any) -> Any:
        log = open_log.__func__(cls, *args, **kwargs)
        group = log._group
        own = type(group)
        log._group.__class__ = type(
            "Early", (own,), {"next_seq": property(lambda self: own.next_seq.fget(self) - 1)}
        )
        return log

    return classmethod(begin)


# ── the desk ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _skips(verb: str) -> Callable[[Any], Any]:
    def make(record: Any) -> Any:
        async def careless(self: Any, ev: str, *args: Any) -> None:
            if ev != verb:
                await record(self, ev, *args)

        return careless

    return make


def _tells_before_recording(decide: Any) -> Any:
    """The look is in the table, and clients know, before it is on record."""

    async def early(self: Any, before: Any, after: Any, actor: Any, ended: bool) -> None:
        await self._store.put(after, "decided" if ended else "looked")
        await decide(self, before, after, actor, ended)

    return early


def _shows_before_recording(offer: Any) -> Any:
    async def early(self: Any, token: str) -> None:
        alert = self.book.get(token)
        if alert.state is State.RAISED:
            await self._store.put(alert, "offered")
        await offer(self, token)

    return early


def _anybody_may_answer(refuse: Any) -> Any:
    def late(alert: Any, actor: Any, version: int) -> None:
        try:
            refuse(alert, actor, version)
        except desk_room.AlertError as error:
            if error.code != "alert_second_look_by_same_person":
                raise

    return late


def _decides_again(step: Any) -> Any:
    def again(self: Any, alert: Any, taken: Step) -> Any:
        if not alert.undecided:
            return replace(alert, version=alert.version + 1)
        return step(self, alert, taken)

    return again


@contextmanager
def _no_compare() -> Iterator[None]:
    with (
        patch.object(desk_room, "refuse_late", nothing),
        patch.object(AlertDesk, "_step", _decides_again(AlertDesk._step)),
    ):
        yield


def _one_look_is_enough(step_after: Any) -> Any:
    def soon(looks: Any, policy: Any, category: str) -> Step:
        return Step.REFER if looks[-1].answer == "same_person" else Step.DECLINE

    return soon


def _forgets_numbers(start: Any) -> Any:
    async def begin(self: Any, *args: Any) -> None:
        await start(self, *args)
        self._last_number = 0

    return begin


def _believes_the_table(reconcile: Any) -> Any:
    def believe(alerts: Any, entries: Any, references: Any) -> Any:
        found = {alert.id.token: alert for alert in alerts}
        return replace(reconcile(alerts, entries, references), alerts=found)

    return believe


def _forgets_looks(looked: Any) -> Any:
    return lambda alert, entry: alert


def _expires_by_the_wall(due: Any) -> Any:
    def by_wall(alert: Any, book: Any, policy: Any, wall_ns: int) -> Any:
        began = alert.offered_wall_ns or alert.raised_wall_ns
        if (alert.undecided) and wall_ns - began >= policy.expire_s * 1e9:
            return "expire"
        return due(alert, book, policy, wall_ns)

    return by_wall


def _never(which: str) -> Callable[[Any], Any]:
    def make(due: Any) -> Any:
        def lazy(*args: Any) -> Any:
            found = due(*args)
            return None if found == which else found

        return lazy

    return make


def _two_may_take_it(engage: Any) -> Any:
    async def take(self: Any, token: str, actor: Any, expected: int) -> Any:
        try:
            return await engage(self, token, actor, expected)
        except AlreadyTakenError as late:
            await self._record("alert.engaged", actor, token, {"number": late.winner.id.number}, "")
            return late.winner

    return take


def _takes_any_number(offer: Any) -> Any:
    async def greedy(self: Any, token: str) -> None:
        self.policy = replace(self.policy, max_open=10**6)
        await offer(self, token)

    return greedy


def _takes_no_turns(lock: Any) -> Any:
    return lambda self, token: asyncio.Lock()


# ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _without_sync(write: Any) -> Any:
    def soon(path: Path, data: bytes) -> None:
        path.write_bytes(data)

    return soon


def _records_then_erases(erase: Any) -> Any:
    async def paper_first(self: Any, token: str) -> None:
        alert = self.book.get(token)
        data = {"number": alert.id.number, "key_destroyed": True}
        await self._record("alert.erased", None, token, data, "retention ended")
        await asyncio.to_thread(self._material.erase, token)
        await self._change(replace(alert, pictures_erased=True, hold=None), "erased")

    return paper_first


def _erases_on_hold(pictures_due: Any) -> Any:
    return lambda alert, *rest: pictures_due(replace(alert, hold=None), *rest)


BUGS: dict[str, Bug] = {
    "the log does not sync": swap(RealDisk, "datasync", lambda real: nothing),
    "the log overlooks a failing sync": swap(RealDisk, "datasync", quietly),
    "the log acknowledges before it writes": swap(LogWriter, "write_entries", _acknowledges_before_writing),
    "heads are not synced": swap(LogWriter, "write_head", _head_without_sync),
    "a signature leaves before its head is kept": swap(LogWriter, "write_head", _signature_first),
    "files are written in place": _files_in_place,
    "names are not synced": _names_not_synced,
    "a torn write is not cut off": swap(recovery_room, "_move_aside", lambda real: lambda folder, end: None),
    "a torn write passes for damage": swap(recovery_room, "judge_tail", _never_damage),
    "a number is given twice after a restart": swap(log_room.AuditLog, "open", _forgets_what_is_durable),
    "decisions get no head": swap(log_room, "SIGNED_AT_ONCE", lambda real: frozenset()),
    "an alert is shown and its offer not recorded": swap(AlertDesk, "_record", _skips("alert.offered")),
    "an alert is shown before its record": swap(AlertDesk, "_offer", _shows_before_recording),
    "an alert is not recorded": swap(AlertDesk, "_record", _skips("alert.raised")),
    "a look is not recorded": swap(AlertDesk, "_record", _skips("alert.looked")),
    "a decision is not recorded": swap(AlertDesk, "_record", _skips("alert.decided")),
    "a decision is told before its record": swap(AlertDesk, "_record_look", _tells_before_recording),
    "nobody is compared": _no_compare,
    "one person looks twice": swap(desk_room, "refuse_late", _anybody_may_answer),
    "one look is enough": swap(desk_room, "step_after", _one_look_is_enough),
    "alerts do not take turns": swap(AlertDesk, "_lock", _takes_no_turns),
    "numbers begin again after a restart": swap(AlertDesk, "start", _forgets_numbers),
    "the table is believed, not the record": swap(desk_room, "reconcile", _believes_the_table),
    "looks on record are forgotten": swap(entries_room, "_looked", _forgets_looks),
    "looks on record decide nothing": swap(AlertDesk, "_settle", lambda real: nothing_async),
    "an alert is not offered again": swap(AlertDesk, "_offer", lambda real: nothing_async),
    "the desk takes any number": swap(AlertDesk, "_offer", _takes_any_number),
    "suppressed alerts stay suppressed": swap(AlertDesk, "_offer_waiting", lambda real: nothing_async),
    "expiry follows the wall clock": swap(desk_room, "due", _expires_by_the_wall),
    "nothing expires": swap(desk_room, "due", _never("expire")),
    "nothing is erased": swap(desk_room, "due", _never("erase")),
    "pictures on hold are erased": swap(deadlines_room, "pictures_due", _erases_on_hold),
    "a hold is not recorded": swap(AlertDesk, "_record", _skips("alert.held")),
    "two officers take one referral": swap(AlertDesk, "_engage", _two_may_take_it),
    "an outcome is not recorded": swap(AlertDesk, "_record", _skips("alert.outcome")),
    "a receipt is not recorded": swap(AlertDesk, "_record", _skips("receipt.issued")),
    "pictures are not synced": swap(material_room, "_write", _without_sync),
    "the pictures' names are not synced": swap(material_room, "sync_folder", lambda real: nothing),
    "erasure is recorded before it is done": swap(AlertDesk, "_erase", _records_then_erases),
    "pictures are not erased": swap(AlertMaterial, "erase", lambda real: nothing),
    "pictures without an alert stay": swap(AlertDesk, "_erase_ownerless", lambda real: nothing_async),
}

__all__ = ["BUGS", "Bug"]
