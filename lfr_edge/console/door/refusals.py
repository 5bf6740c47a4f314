"""Refusals on the record, so that a probing visitor is seen, and limited, so that the same visitor cannot fill it.

Every refusal is either an entry of its own or part of the count ``left_out`` of a later one: none goes unnoticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from typing import Final

from aiohttp import web

from lfr_edge.alerts.record import Plain
from lfr_edge.clock import Clock
from lfr_edge.console.keys import PORTS, REFUSALS, SESSION
from lfr_edge.errors import AuditError, LfrError

_LOG = logging.getLogger(__name__)
EACH_A_MINUTE: Final = 10  # of one code and one address: as many as there are tries at a password
ALL_A_MINUTE: Final = 60  # 60 entries of some 300 bytes: a flood of a day is 26 MB
_WINDOW_NS: Final = 60_000_000_000
# Being signed out is no attempt: every page that was left open asks again until somebody closes it.
RECORDED: Final = frozenset(
    {
        "access_cross_site",
        "access_host_refused",
        "access_role_refused",
        "access_system_refused",
        "access_too_many_tries",
    }
)


class Refusals:
    """How many refusals may still be recorded. **Thread rule:** of the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: deque[int] = deque()
        self._each: defaultdict[str, deque[int]] = defaultdict(deque)
        self.left_out = 0  # since the last entry

    def admit(self, key: str) -> bool:
        """Whether this refusal becomes an entry; otherwise it is counted."""
        now = self._clock.monotonic_ns()
        if len(self._each) > ALL_A_MINUTE * 10:
            self._each.clear()  # the limit of all still holds
        each = self._each[key]
        for times in (each, self._all):
            while times and now - times[0] >= _WINDOW_NS:
                times.popleft()
        if len(each) >= EACH_A_MINUTE or len(self._all) >= ALL_A_MINUTE:
            self.left_out += 1
            return False
        each.append(now)
        self._all.append(now)
        return True

    def take_left_out(self) -> int:
        left_out, self.left_out = self.left_out, 0
        return left_out

    @property
    def quiet(self) -> bool:
        """A minute has passed since the last entry: what was left out can be told."""
        return not self._all or self._clock.monotonic_ns() - self._all[-1] >= _WINDOW_NS


async def record_refusal(request: web.Request, code: str, ref: str = "") -> None:
    """Never raises: with or without an entry, the answer stays a refusal."""
    session = request.get(SESSION)
    ref = ref or (session.account if session else "unknown")
    address = request.remote or ""
    if not request.app[REFUSALS].admit(f"{code} {ref} {address}"):
        return
    resource = request.match_info.route.resource
    data: dict[str, Plain] = {
        "code": code,
        "route": f"{request.method} {resource.canonical if resource else 'unknown'}"[:200],
        "from": address,
    }
    if left_out := request.app[REFUSALS].take_left_out():
        data["left_out"] = left_out
    try:
        recorder = request.app[PORTS].recorder
        actor = session.actor if session else None
        await asyncio.to_thread(recorder.record, "access.refused", actor=actor, ref=ref, data=data, why="")
    except LfrError:
        _LOG.exception("a refusal could not be recorded")


async def tell_left_out(app: web.Application) -> None:
    """The remainder of a flood that has ended. Called by the sweep."""
    refusals = app[REFUSALS]
    if not refusals.left_out or not refusals.quiet:
        return
    left_out = refusals.take_left_out()
    data: dict[str, Plain] = {"left_out": left_out}
    try:
        await asyncio.to_thread(
            app[PORTS].recorder.record, "access.refused", actor=None, ref="several", data=data, why=""
        )
    except AuditError:
        refusals.left_out += left_out
