"""The live channel: what changes at the desk, pushed to the page, from the cursor the page last saw.

A client *is* its cursor in the desk's feed, so there is no queue to overflow. A client that cannot take one message
within five seconds is cut; it comes back with its cursor and misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Final

from aiohttp import WSMsgType, web

from lfr_edge.alerts.alert import ON_THE_STREET
from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.console.api import desk_view
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.door.sessions import Session
from lfr_edge.console.engagement import street_view
from lfr_edge.console.keys import PORTS
from lfr_edge.console.language import spoken
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.console.views import status_view, view_for
from lfr_edge.errors import AlertError, DeploymentError

HEARTBEAT_S: Final = 10.0
SEND_TIMEOUT_S: Final = 5.0
STATUS_S: Final = 1.0
_MAX_MESSAGE: Final = 4096
_CLOSED_SIGNED_OUT: Final = 4001  # the page goes to the sign-in, instead of trying again
_BATCH: Final = 64


async def live(request: web.Request) -> web.StreamResponse:
    """``GET /live?after=CURSOR`` upgraded to a WebSocket. Without a cursor, or with one that is too old, the first
    message is a full picture of the desk.
    """
    session = session_of(request)
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=_MAX_MESSAGE, compress=False)
    await socket.prepare(request)
    tasks = {
        asyncio.create_task(_send(request, socket, session)),
        asyncio.create_task(_receive(request, socket, session)),
        asyncio.create_task(session.ended.wait()),
    }
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()  # no farewell to somebody who does not read
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not socket.closed:
        with contextlib.suppress(ConnectionError, TimeoutError):
            code = _CLOSED_SIGNED_OUT if session.ended.is_set() else 1001
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await socket.close(code=code, drain=False)
    return socket


async def _send(request: web.Request, socket: web.WebSocketResponse, session: Session) -> None:
    """What happens at the desk, and every second how the box is; before a start and after an end only the latter."""
    ports = request.app[PORTS]
    cursor, seat = _after(request), _desk(ports)
    due = 0.0
    loop = asyncio.get_running_loop()
    _sit(seat, session)
    try:
        while not socket.closed and not session.ended.is_set():
            if (desk := _desk(ports)) is not seat:  # another deployment counts from one again
                _rise(seat, session)
                _sit(desk, session)
                seat, cursor = desk, None
            if seat is not None:
                cursor = await _catch_up(request, socket, session, seat, cursor)
            if loop.time() >= due:
                due = loop.time() + STATUS_S
                view = status_view(
                    ports.system.status(), ports.desk_counts(as_shown=True), spoken(request).said
                )
                await _put(
                    socket, {"t": "status", "idle_left_s": ports.sessions.idle_left_s(session), **view}
                )
            left_s = max(0.0, due - loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await (asyncio.sleep(left_s) if seat is None else seat.feed.wait(cursor or 0))
    finally:
        _rise(seat, session)


async def _catch_up(
    request: web.Request,
    socket: web.WebSocketResponse,
    session: Session,
    desk: AlertDesk,
    cursor: int | None,
) -> int:
    """Send what happened after `cursor`, or everything; where the client stands now."""
    events = desk.since(cursor) if cursor is not None else None
    if events is None or cursor is None:
        picture = street_view(request) if _on_the_street(session) else desk_view(request)
        await _put(socket, {"t": "desk", **picture})
        return int(picture["cursor"])
    for event in events[:_BATCH]:
        if session.ended.is_set():
            break
        cursor = event.cursor
        alert = desk.get(event.token)
        if _on_the_street(session) and alert.state not in ON_THE_STREET:
            continue  # not referred: nothing for the street to know
        view = view_for(desk, session, alert, spoken(request).said)
        await _put(socket, {"t": "alert", "cursor": event.cursor, "kind": event.kind, "alert": view})
    return cursor


def _desk(ports: ConsolePorts) -> AlertDesk | None:
    try:
        return ports.desk
    except DeploymentError:
        return None


def _on_the_street(session: Session) -> bool:
    return session.role is Role.ENGAGEMENT_OFFICER


def _sit(desk: AlertDesk | None, session: Session) -> None:
    """Who looks at the desk may be given a turn; the street decides nothing there."""
    if desk is not None and not _on_the_street(session):
        desk.turns.arrive(session.account)


def _rise(desk: AlertDesk | None, session: Session) -> None:
    if desk is not None and not _on_the_street(session):
        desk.turns.leave(session.account)


async def _put(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await socket.send_str(json.dumps(message, separators=(",", ":")))


async def _receive(request: web.Request, socket: web.WebSocketResponse, session: Session) -> None:
    """Two things come back: that an alert is painted, and that a person is there."""
    ports = request.app[PORTS]
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            return
        try:
            said = json.loads(message.data)
        except (ValueError, RecursionError):
            return
        if not isinstance(said, dict):
            return
        if "here" in said:
            ports.sessions.touch(session)
        token, wall_ms = said.get("painted"), said.get("wall_ms", 0)
        if isinstance(token, str) and isinstance(wall_ms, int) and abs(wall_ms) < 1 << 53:
            with contextlib.suppress(AlertError, DeploymentError):  # a made-up token measures nothing
                if ports.desk.get(token).drill is None and not _on_the_street(session):
                    ports.system.painted(token, ports.clock.monotonic_ns(), wall_ms * 1_000_000)


def _after(request: web.Request) -> int | None:
    text = request.query.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


ROUTES: Final = {
    "GET /live": live,
}
