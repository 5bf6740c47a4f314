"""What stands before every handler: names, origins, sessions, roles; and what goes out with every answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from lfr_edge.console.door.access import Rule
from lfr_edge.console.door.refusals import RECORDED, record_refusal
from lfr_edge.console.door.sessions import Session
from lfr_edge.console.faults import fault_response, too_many_tries
from lfr_edge.console.keys import PORTS, RULES, SESSION, SYSTEM, SYSTEMS, TRIES
from lfr_edge.console.ports import ConsolePorts
from lfr_edge.errors import AccessError, LfrError
from lfr_edge.settings import SystemSettings

_LOG = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS: Final = {
    # Nothing from anywhere else, nothing inline, no frames: a page is exactly what this box serves.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # "no-referrer" would turn the Origin of our own forms into "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
    "Server": "lfr-edge",
}


def see_other(path: str) -> web.Response:
    """A redirect that a handler can still give a cookie."""
    return web.Response(status=303, headers={"Location": path})


def cookie_name(ports: ConsolePorts) -> str:
    """``__Host-`` pins a cookie to this host over TLS only; plain http on loopback cannot carry that prefix."""
    return "__Host-lfr-session" if ports.tls else "lfr-session"


def adds_headers(*, tls: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """For ``on_response_prepare``: the headers of reliability.md 3 on every answer, errors and handshakes included."""
    headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if tls else {})

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return add_headers


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse before the handler runs; turn our errors into answers after."""
    try:
        ports = request.app[PORTS]
        refuse_strangers(request, tls=ports.tls, answers_to=ports.answers_to)
        rule = _rule_of(request)
        if rule is not None:
            redirect = _admit(request, rule)
            if redirect is not None:
                return redirect
        return await handler(request)
    except LfrError as error:
        if error.code in RECORDED:
            await record_refusal(request, error.code)
        return fault_response(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return fault_response(
            request, AccessError(f"http_{error.status}", error.reason or "refused"), error.status
        )
    except Exception:
        # A fault of ours: told to the engineer in the log, to the person in one sentence, without any detail.
        _LOG.exception("a handler failed: %s %s", request.method, _route_name(request))
        return fault_response(request, AccessError("console_failed", "the console made an error"), 500)


def _route_name(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown route"


def _rule_of(request: web.Request) -> Rule | None:
    resource = request.match_info.route.resource
    if resource is None:  # the router's own 404 and 405
        return None
    return request.app[RULES][f"{request.method} {resource.canonical}"]


def _admit(request: web.Request, rule: Rule) -> web.StreamResponse | None:
    """Put the session into the request, or refuse; a redirect for a page that needs a sign-in first."""
    ports = request.app[PORTS]
    if rule.systems and "Authorization" in request.headers:
        request[SYSTEM] = _system(request)
        return None
    session = ports.sessions.find(request.cookies.get(cookie_name(ports)))
    if session is not None:
        request[SESSION] = session
        if not rule.background:
            ports.sessions.touch(session)
    if rule.admits(session.role if session else None):
        return None
    if session is not None:
        raise AccessError(
            "access_role_refused",
            "your role does not include this",
            hint="who may do what is listed in access.toml; sign in as somebody else",
        )
    if request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate":
        query = {} if request.path == "/" else {"?": urlencode({"next": request.path})}
        return see_other(f"/sign-in{'?' + query['?'] if query else ''}")
    raise AccessError("access_signed_out", "you are signed out", hint="sign in again")


def _system(request: web.Request) -> SystemSettings:
    """The system whose token this is. Wrong tokens are counted as wrong passwords are."""
    system = request.app[SYSTEMS].find(request.headers["Authorization"])
    if system is None:
        if not request.app[TRIES].allow(f"systems {request.remote}"):
            raise too_many_tries()
        raise AccessError(
            "access_system_refused", "this token opens nothing", hint="see integrations.systems"
        )
    return system


def refuse_strangers(request: web.Request, *, tls: bool, answers_to: Callable[[str], bool]) -> None:
    """Refuse other sites' pages: by host name, by Origin, by what the browser says of the request's source.

    Raises:
        AccessError: ``access_host_refused``, ``access_cross_site``.
    """
    name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if not answers_to(name):
        raise AccessError("access_host_refused", "this console does not answer to that name")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    socket = request.headers.get("Upgrade", "").lower() == "websocket"
    if request.method in SAFE_METHODS and not socket:
        if site in {"cross-site", "same-site"} and request.headers.get("Sec-Fetch-Mode") != "navigate":
            raise _cross_site()
        return
    origin = f"{'https' if tls else 'http'}://{request.host}"
    if request.headers.get("Origin") != origin or site != "same-origin":
        raise _cross_site()


def _cross_site() -> AccessError:
    return AccessError(
        "access_cross_site", "this request came from another page", hint="use the console's own pages"
    )


def passkeys_here(request: web.Request) -> bool:
    """Whether the console was opened by the name under which its passkeys are kept."""
    name = request.app[PORTS].dns_name
    return name is not None and request.host.rsplit(":", 1)[0] == name


def session_of(request: web.Request) -> Session:
    """The session that the guard admitted; handlers of signed-in routes may rely on it."""
    return request[SESSION]
