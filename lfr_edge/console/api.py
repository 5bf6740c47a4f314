"""The JSON the pages speak. Every unsafe call was checked for its origin and role before it comes here."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

from aiohttp import web

from lfr_edge.alerts.factors import Factors
from lfr_edge.console.bodies import AccountBody, LookBody, WhyBody, read_body
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS
from lfr_edge.console.language import spoken
from lfr_edge.console.recording import record
from lfr_edge.console.views import alert_view, refuse_before_referral, status_view
from lfr_edge.errors import AccessError
from lfr_edge.sentences import say

RECENT: Final = 20  # decided alerts a page keeps in view


def desk_view(request: web.Request) -> dict[str, Any]:
    """Open and recent alerts as this person may see them, and the cursor to follow from."""
    desk = request.app[PORTS].desk
    viewer, said = session_of(request).account, spoken(request).said
    return {
        "cursor": desk.feed.cursor,
        "open": [alert_view(desk, alert, viewer, said) for alert in desk.open_alerts()],
        "recent": [alert_view(desk, alert, viewer, said) for alert in desk.recent(RECENT)],
    }


async def alerts(request: web.Request) -> web.Response:
    """Open and recent alerts, as this person may see them."""
    return web.json_response(desk_view(request))


async def one_alert(request: web.Request) -> web.Response:
    """One alert, as this person may see it: blind before the look."""
    desk = request.app[PORTS].desk
    alert = desk.get(request.match_info["token"])
    return web.json_response(alert_view(desk, alert, session_of(request).account, spoken(request).said))


async def look(request: web.Request) -> web.Response:
    """Record a look; it decides the alert as the policy says."""
    body = await read_body(request, LookBody)
    desk = request.app[PORTS].desk
    session = session_of(request)
    factors = Factors.of(body.factors.subject, body.factors.system, body.factors.environment)
    alert = await desk.decide(
        request.match_info["token"], session.actor, body.answer, factors, body.note, body.version
    )
    return web.json_response(alert_view(desk, alert, session.account, spoken(request).said))


async def picture(request: web.Request) -> web.Response:
    """One of the two pictures; who viewed it is on the record before the first byte leaves."""
    which = request.match_info["which"]
    if which not in {"probe", "candidate"}:
        raise web.HTTPNotFound
    side = cast(Literal["probe", "candidate"], which)
    desk, session, token = request.app[PORTS].desk, session_of(request), request.match_info["token"]
    refuse_before_referral(session, desk.get(token))
    jpeg = await desk.picture(token, session.actor, side)
    return web.Response(body=jpeg, content_type="image/jpeg")


async def tile(request: web.Request) -> web.Response:
    """A camera's picture with every face hidden that is no open alert; 204 while there is none."""
    camera = request.match_info["camera"]
    system = request.app[PORTS].system
    if camera not in {status.id for status in system.status().cameras}:
        raise web.HTTPNotFound
    jpeg = await system.tile(camera)
    return web.Response(status=204) if jpeg is None else web.Response(body=jpeg, content_type="image/jpeg")


async def status(request: web.Request) -> web.Response:
    """The box, its cameras and counts. For an operator an open drill counts as an alert."""
    ports = request.app[PORTS]
    counts = ports.desk_counts(as_shown=session_of(request).role is Role.OPERATOR)
    return web.json_response(status_view(ports.system.status(), counts, spoken(request).said))


async def pause(request: web.Request) -> web.Response:
    body = await read_body(request, WhyBody)
    await request.app[PORTS].system.pause(session_of(request).actor, body.why)
    return await status(request)


async def resume(request: web.Request) -> web.Response:
    body = await read_body(request, WhyBody)
    await request.app[PORTS].system.resume(session_of(request).actor, body.why)
    return await status(request)


async def withdraw(request: web.Request) -> web.Response:
    body = await read_body(request, WhyBody)
    reference = request.match_info["reference"]
    await request.app[PORTS].system.withdraw(reference, session_of(request).actor, body.why)
    return web.json_response({"withdrawn": reference})


async def add_account(request: web.Request) -> web.Response:
    body = await read_body(request, AccountBody)
    _refuse_own_second_person(body.role)
    actor = session_of(request).actor
    await record(
        request, "access.account_changed", actor, body.name, {"change": "added", "role": str(body.role)}
    )
    return web.json_response({"code": request.app[PORTS].accounts.add(body.name, body.role)}, status=201)


async def change_account(request: web.Request) -> web.Response:
    """Disable, enable or reset somebody else's account; sessions of that person end at once."""
    name, change = request.match_info["name"], request.match_info["change"]
    ports = request.app[PORTS]
    session = session_of(request)
    if change not in {"disable", "enable", "reset"}:
        raise web.HTTPNotFound
    account = ports.accounts.get(name)
    if account is None:
        raise AccessError("access_unknown", say("there is no account {name}", name=name))
    if name == session.account:
        raise AccessError("access_own_account", "your own account is changed by somebody else")
    if change != "disable":
        _refuse_own_second_person(account.role)
    await record(request, "access.account_changed", session.actor, name, {"change": change})
    code = None
    if change == "reset":
        code = ports.accounts.reset(name)
    else:
        ports.accounts.set_disabled(name, disabled=change == "disable")
    ports.sessions.sweep()
    return web.json_response({"code": code} if code else {})


def _refuse_own_second_person(role: Role) -> None:
    """Whoever could hand themselves the code of an approver would be both persons of two-person control.

    Raises:
        AccessError: ``access_approver_protected``.
    """
    if role is Role.AUTHORISING_OFFICER:
        raise AccessError(
            "access_approver_protected",
            "accounts that approve are added, enabled and reset at the command line only",
            hint="the box's administrator: lfr-edge accounts add NAME --role authorising_officer, or accounts reset",
        )


async def healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


ROUTES: Final = {
    "GET /healthz": healthz,
    "GET /api/alerts": alerts,
    "GET /api/alerts/{token}": one_alert,
    "POST /api/alerts/{token}/looks": look,
    "GET /alerts/{token}/{which}.jpg": picture,
    "GET /tiles/{camera}.jpg": tile,
    "GET /api/status": status,
    "POST /api/pause": pause,
    "POST /api/resume": resume,
    "POST /api/watchlist/{reference}/withdraw": withdraw,
    "POST /api/accounts": add_account,
    "POST /api/accounts/{name}/{change}": change_account,
}
