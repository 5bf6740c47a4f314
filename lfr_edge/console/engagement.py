"""The street's page: referrals on a phone, taken, closed with an outcome, and a receipt for the person stopped."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.console.bodies import EmptyBody, OutcomeBody, TakeBody, read_body
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.console.views import referral_view, view_for

RECENT: Final = 20  # referrals a phone keeps in view, open ones first


def street_view(request: web.Request) -> dict[str, Any]:
    """Referrals, and the cursor to follow from."""
    desk, said = request.app[PORTS].desk, spoken(request).said
    return {
        "cursor": desk.feed.cursor,
        "referrals": [referral_view(alert, said) for alert in desk.book.on_the_street(RECENT)],
    }


async def page(request: web.Request) -> web.Response:
    return render(request, "engagement.html", outcomes=tuple(Outcome), identities=tuple(Identity))


async def referrals(request: web.Request) -> web.Response:
    """Referrals of this deployment, those that wait for somebody first."""
    return web.json_response(street_view(request))


async def take(request: web.Request) -> web.Response:
    """Take a referral. The first one has it; the next gets 409 with who."""
    body = await read_body(request, TakeBody)
    session = session_of(request)
    alert = await request.app[PORTS].desk.engage(request.match_info["token"], session.actor, body.version)
    return web.json_response(view_for(request.app[PORTS].desk, session, alert, spoken(request).said))


async def outcome(request: web.Request) -> web.Response:
    """Say what came of a referral and whether it was the person on the list."""
    body = await read_body(request, OutcomeBody)
    session = session_of(request)
    alert = await request.app[PORTS].desk.record_outcome(
        request.match_info["token"], session.actor, body.outcome, body.identity, body.version
    )
    return web.json_response(view_for(request.app[PORTS].desk, session, alert, spoken(request).said))


async def receipt(request: web.Request) -> web.Response:
    """Issue the receipt for the person stopped, or show the one that was issued."""
    await read_body(request, EmptyBody)
    session = session_of(request)
    alert = await request.app[PORTS].desk.issue_receipt(request.match_info["token"], session.actor)
    return web.json_response(view_for(request.app[PORTS].desk, session, alert, spoken(request).said))


ROUTES: Final = {
    "GET /engagement": page,
    "GET /api/referrals": referrals,
    "POST /api/alerts/{token}/engagement": take,
    "POST /api/alerts/{token}/outcome": outcome,
    "POST /api/alerts/{token}/receipt": receipt,
}
