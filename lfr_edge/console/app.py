"""The console's application: routes, guard, static files, and the sweep that ends stale sessions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources
from typing import Any, Final

from aiohttp import web

from lfr_edge.alerts.record import Plain
from lfr_edge.audit.note import WITNESS_KEY, read_key_file
from lfr_edge.console import (
    accuracy,
    anchors,
    api,
    approvals,
    audit_pages,
    deployment,
    engagement,
    explaining,
    exports,
    holds,
    language,
    live,
    notice,
    openapi,
    pages,
    reports,
    supervision,
    watchlist,
)
from lfr_edge.console.door import fresh, passkeys, sign_in
from lfr_edge.console.door.access import check_complete, load_rules
from lfr_edge.console.door.guard import adds_headers, guard
from lfr_edge.console.door.refusals import Refusals, tell_left_out
from lfr_edge.console.door.sessions import Tries
from lfr_edge.console.door.systems import Systems
from lfr_edge.console.keys import (
    CHALLENGES,
    HASHING,
    MEASURED,
    OPENAPI,
    OUTBOX,
    PORTS,
    REFUSALS,
    RULES,
    SHELF,
    SPOKEN,
    SYSTEMS,
    TRIES,
    VERIFICATIONS,
)
from lfr_edge.console.language import Spoken
from lfr_edge.console.outside import metrics, stream
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.console.sayings import Sayings
from lfr_edge.console.shelf import Shelf
from lfr_edge.console.texts import LANGUAGES, Texts
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.settings import IntegrationSettings, Settings

_MAX_BODY: Final = 64 * 1024  # the longest honest body is a note of some hundred bytes
_SWEEP_S: Final = 0.5  # sockets of a disabled account close within a second (reliability.md 7, C3-C6)
_HASHES_AT_ONCE: Final = 2
_ROOMS: Final = (
    sign_in,
    language,
    fresh,
    passkeys,
    pages,
    watchlist,
    live,
    api,
    approvals,
    deployment,
    engagement,
    explaining,
    metrics,
    supervision,
    reports,
    accuracy,
    exports,  # before audit_pages, whose paths have the same shape
    audit_pages,
    stream,
    openapi,
    anchors,
    holds,
    notice,
)  # each names its routes: "METHOD /path" → handler, as access.toml does
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def build_app(ports: ConsolePorts) -> web.Application:
    """The application, ready for an ``AppRunner``.

    Raises:
        ConfigError: ``access_rules_incomplete`` when a route has no rule: then nothing is served at all.
        AuditError: the configured witness's key cannot be read.
    """
    app = web.Application(middlewares=[guard], client_max_size=_MAX_BODY)
    app[PORTS] = ports
    app[RULES] = load_rules()
    app[TRIES] = Tries(ports.clock)
    app[CHALLENGES] = passkeys.Challenges(ports.clock)
    app[SHELF] = _shelf(ports.settings) if ports.settings else None
    app[MEASURED] = accuracy.Measured(ports.settings) if ports.settings else None
    app[VERIFICATIONS] = {}
    app[OPENAPI] = api_description
    integrations = ports.settings.integrations if ports.settings else IntegrationSettings()
    app[SYSTEMS] = Systems(integrations.systems)
    app[OUTBOX] = stream.Post(ports) if integrations.systems or integrations.webhooks else None
    app[REFUSALS] = Refusals(ports.clock)
    app[SPOKEN] = {code: _spoken(code) for code in LANGUAGES}
    app[HASHING] = asyncio.Semaphore(_HASHES_AT_ONCE)
    app.router.add_get("/static/{name}", _static_handler(), allow_head=False)
    _add_routes(app.router)
    check_complete(app[RULES], routes_of(app))
    app.on_response_prepare.append(adds_headers(tls=ports.tls))
    app.cleanup_ctx.append(_sweeping)
    app.cleanup_ctx.append(watchlist.compiler_of)
    if (post := app[OUTBOX]) is not None:
        app.cleanup_ctx.append(post.running)
    app.on_shutdown.append(_sign_everybody_out)
    return app


def _shelf(settings: Settings) -> Shelf:
    key = settings.anchoring.witness_key
    return Shelf(settings.audit, () if key is None else (read_key_file(key, WITNESS_KEY),))


def _spoken(code: str) -> Spoken:
    texts, said = Texts(code), Sayings(code)
    return Spoken(texts, said, pages.environment(texts, said))


def api_description() -> dict[str, Any]:
    """The OpenAPI document of the JSON API."""
    return _described()


@functools.cache
def _described() -> dict[str, Any]:
    return openapi.document(_ROOMS)


def routes_of(app: web.Application) -> list[str]:
    """Every route as ``METHOD /path``."""
    return [f"{route.method} {route.resource.canonical}" for route in app.router.routes() if route.resource]


def _add_routes(router: web.UrlDispatcher) -> None:
    for module in _ROOMS:
        for route, handler in module.ROUTES.items():
            method, path = route.split(" ", 1)
            # Not add_get: it would add a HEAD route, which access.toml does not name.
            router.add_route(method, path, handler)


def _static_handler() -> Callable[[web.Request], Awaitable[web.Response]]:
    """Serves the package's own files from memory: a name is a key, never a path."""
    folder = resources.files(__package__).joinpath("static")
    files = {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}

    async def static(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        kind = _TYPES.get(name[name.rfind(".") :])
        if name not in files or kind is None:
            raise web.HTTPNotFound
        return web.Response(body=files[name], content_type=kind, charset="utf-8")

    return static


async def _sweeping(app: web.Application) -> AsyncIterator[None]:
    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            app[PORTS].sessions.sweep()
            await _record_fallen(app)
            await tell_left_out(app)

    task = asyncio.create_task(sweep())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _record_fallen(app: web.Application) -> None:
    """Sessions that time or an officer ended. They are over, whether or not the record takes the entry."""
    for session, why in app[PORTS].sessions.take_fallen():
        record = app[PORTS].recorder.record
        data: dict[str, Plain] = {"by": why}
        with contextlib.suppress(AuditError, DeploymentError):
            await asyncio.to_thread(
                record, "access.signed_out", actor=session.actor, ref=session.account, data=data, why=""
            )


async def _sign_everybody_out(app: web.Application) -> None:
    """Close live sockets at shutdown; the pages come back with their cursors after a new sign-in."""
    app[PORTS].sessions.end_all()
    if (post := app[OUTBOX]) is not None:
        post.closing.set()
