"""The event stream for command-and-control systems, and what keeps it and the webhooks supplied.

A reader *is* its cursor in the outbox: it comes back with the last id it saw and misses nothing of the last day.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import aiohttp
from aiohttp import web

from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.clock import utc_text
from lfr_edge.console.keys import OUTBOX, PORTS, SYSTEM
from lfr_edge.console.outside.notices import notice_of
from lfr_edge.console.outside.outbox import Notice, Outbox
from lfr_edge.console.outside.webhooks import TIMEOUT_S, Sender, receivers_of
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.errors import AlertError, AuditError, DeploymentError, LfrError
from lfr_edge.sentences import say
from lfr_edge.settings.outside import SystemSettings

HEARTBEAT_S: Final = 10.0
SEND_TIMEOUT_S: Final = 5.0
STREAMS_EACH: Final = 2  # of one system: the one that works and the one that takes over
_IDLE_S: Final = 0.5
_NDJSON: Final = "application/x-ndjson"


class Post:
    """The outbox, its supply, its senders and its streams. **Thread rule:** of the event loop."""

    def __init__(self, ports: ConsolePorts) -> None:
        """Raises ConfigError for an integration that must not or cannot be used."""
        assert ports.settings is not None, "without settings there is nothing to send"
        self._ports = ports
        self._receivers = receivers_of(ports.settings.integrations)
        self._path = ports.settings.data / "outbox.sqlite"
        self._outbox: Outbox | None = None
        self.closing = asyncio.Event()
        self._open: dict[str, list[asyncio.Transport | None]] = {}  # connections of streams, by system

    @property
    def outbox(self) -> Outbox:
        assert self._outbox is not None, "running"
        return self._outbox

    @contextlib.contextmanager
    def reading(self, system: str, request: web.Request) -> Iterator[None]:
        """One stream of a system; a reader that has gone holds no place, though its handler learns it later only.

        Raises:
            DeploymentError: ``stream_taken``.
        """
        streams, own = self._open.setdefault(system, []), request.transport
        if sum(one is not None and not one.is_closing() for one in streams) >= STREAMS_EACH:
            raise DeploymentError(
                "stream_taken",
                say("{id} has {streams_each} streams open", id=system, streams_each=STREAMS_EACH),
                hint="close one",
            )
        streams.append(own)
        try:
            yield
        finally:
            streams.remove(own)

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """The console's cleanup context."""
        self._outbox = Outbox(self._path)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as client:
            tasks = [asyncio.create_task(self._supply())]
            tasks += [
                asyncio.create_task(Sender(receiver, self._outbox, self._ports).run(client))
                for receiver in self._receivers
            ]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._outbox.close()

    async def _supply(self) -> None:
        """Follow the desk's feed, whatever deployment it belongs to."""
        while True:
            try:
                desk = self._ports.desk
                await self._follow(desk, self._ports.system.status().deployment.id)
            except LfrError:
                await asyncio.sleep(_IDLE_S)  # no desk now, or its disk refuses: both are told elsewhere

    async def _follow(self, desk: AlertDesk, deployment: str) -> None:
        ports = self._ports
        cursor = await self.outbox.source(deployment)
        while ports.desk is desk:
            events = desk.since(cursor)
            if events is None:  # older than the feed remembers: begin with what it still has
                cursor = desk.feed.cursor
                await self.outbox.put(deployment, cursor, None, ports.clock.wall_ns() // 1_000_000_000)
                continue
            for event in events:
                wall_ns = ports.clock.wall_ns()
                body: dict[str, Any] | None = None
                with contextlib.suppress(AlertError):  # an alert that was never recorded: nobody hears of it
                    body = notice_of(desk.get(event.token), event.kind, wall_ns, ports.site, deployment)
                await self.outbox.put(deployment, event.cursor, body, wall_ns // 1_000_000_000)
                cursor = event.cursor
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_S):
                    await desk.feed.wait(cursor)


async def events(request: web.Request) -> web.StreamResponse:
    """Events for a system with a token: server-sent events, or NDJSON where that is accepted.

    ``after``: the id of the last event that was seen; ``wait=0``: end once everything kept was sent.
    """
    post, system = request.app[OUTBOX], request[SYSTEM]
    if post is None:
        raise DeploymentError(
            "stream_not_configured", "no event stream is configured", hint="[[integrations.systems]]"
        )
    with post.reading(system.id, request):
        return await _told(request, post, system)


async def _told(request: web.Request, post: Post, system: SystemSettings) -> web.StreamResponse:
    cursor = _cursor(request)
    cursor = post.outbox.newest if cursor is None else cursor
    ndjson = _NDJSON in request.headers.get("Accept", "")
    response = web.StreamResponse()
    response.content_type = _NDJSON if ndjson else "text/event-stream"
    await response.prepare(request)
    try:
        await _stream(request, response, post, cursor, ndjson=ndjson)
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await response.write_eof()
    except (TimeoutError, ConnectionError, AuditError):
        # Slow, gone, or not recordable: cut. It comes back with its cursor.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _stream(
    request: web.Request, response: web.StreamResponse, post: Post, cursor: int, *, ndjson: bool
) -> None:
    ports, system = request.app[PORTS], request[SYSTEM]
    types = tuple(kind for kind in system.events if kind != "status")
    following = request.query.get("wait") != "0"
    while not post.closing.is_set():
        notice = await post.outbox.next(cursor, types) if types else None
        if notice is not None:
            await _record(ports, system.id, notice)
            await _put(response, notice.type, notice.body | {"id": notice.id}, notice.seq, ndjson=ndjson)
            cursor = notice.seq
            continue
        if "status" in system.events:
            await _put(response, "status", _status(ports), None, ndjson=ndjson)
        elif following and not ndjson:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await response.write(b": here\n\n")
        if not following:
            return
        await _until(post, max(cursor, post.outbox.newest))


async def _until(post: Post, cursor: int) -> None:
    """A notice, the next heartbeat, or the end of the console."""
    waits = [asyncio.ensure_future(post.outbox.wait(cursor)), asyncio.ensure_future(post.closing.wait())]
    try:
        await asyncio.wait(waits, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _put(
    response: web.StreamResponse, kind: str, body: dict[str, Any], seq: int | None, *, ndjson: bool
) -> None:
    cursor = {} if seq is None else {"cursor": seq}
    text = json.dumps(body | cursor, separators=(",", ":"))
    name = "" if seq is None else f"id: {seq}\n"
    raw = f"{text}\n" if ndjson else f"{name}event: {kind}\ndata: {text}\n\n"
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await response.write(raw.encode())


async def _record(ports: ConsolePorts, system: str, notice: Notice) -> None:
    """A disclosure is on record before it is made."""
    data: dict[str, Any] = {"to": system, "event": notice.type, "id": notice.id, "pictures": False}
    token = notice.body["alert"]["token"]
    await asyncio.to_thread(
        ports.recorder.record, "disclosure.sent", actor=None, ref=token, data=data, why="event stream"
    )


def _status(ports: ConsolePorts) -> dict[str, Any]:
    """Health, in numbers: nothing about any person."""
    now = ports.system.status()
    return {
        "type": "status",
        "time": utc_text(ports.clock.wall_ns()),
        "site": ports.site,
        "deployment": now.deployment.id,
        "recognising": now.recognising,
        "paused": now.paused,
        "cameras": len(now.cameras),
        "cameras_live": sum(camera.state == "live" for camera in now.cameras),
        "undecided": ports.desk_counts(as_shown=True).undecided,
    }


def _cursor(request: web.Request) -> int | None:
    text: str = request.query.get("after", "") or request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


ROUTES: Final = {"GET /api/events": events}
