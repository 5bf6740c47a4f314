"""Holds: which alert pictures outlive their retention, by whose word and until when."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from lfr_edge.clock import utc_text
from lfr_edge.console.bodies import Body, WhyBody, read_body
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.door.sessions import fresh_authentication
from lfr_edge.console.keys import PORTS, RULES
from lfr_edge.console.pages import render
from lfr_edge.deployment.control.approvals import Proposal
from lfr_edge.deployment.keeping.holds import GROUNDS, Ground, HoldAsk, Holds
from lfr_edge.deployment.keeping.sweeper import KeptAlert
from lfr_edge.errors import DeploymentError


class HoldBody(Body):
    deployment: Annotated[str, Field(max_length=64)]
    alert: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    ground: Ground
    reason: Annotated[str, Field(min_length=3, max_length=300)]
    days: Annotated[int, Field(ge=1, le=100_000)]  # the room says how long one may last here


class ApprovalBody(Body):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _holds(request: web.Request) -> Holds:
    holds = request.app[PORTS].holds
    if holds is None:
        raise DeploymentError("hold_unknown", "this console keeps no pictures")
    return holds


async def page(request: web.Request) -> web.Response:
    """What is on hold, what waits for a second person, and what could be held."""
    holds, session, rules = request.app[PORTS].holds, session_of(request), request.app[RULES]
    kept: tuple[KeptAlert, ...] = ()
    waiting: tuple[Proposal, ...] = ()
    if holds is not None:
        kept, waiting = await asyncio.to_thread(lambda: (holds.kept(), holds.waiting()))
    return render(
        request,
        "holds.html",
        held=[_line(one) for one in kept if one.alert.hold is not None],
        free=[_line(one) for one in kept if one.alert.hold is None and not one.alert.drill],
        waiting=[_proposal(holds, one, session.actor) for one in waiting] if holds is not None else [],
        grounds=GROUNDS,
        most_days=holds.most_days if holds is not None else 0,
        may_ask=rules["POST /api/holds"].admits(session.role),
        may_approve=rules["POST /api/holds/{id}/approve"].admits(session.role),
        may_release=rules["POST /api/holds/{deployment}/{token}/release"].admits(session.role),
    )


async def ask(request: web.Request) -> web.Response:
    """Ask for a hold; another person approves it within 15 minutes."""
    body = await read_body(request, HoldBody)
    asked = HoldAsk(body.deployment, body.alert, body.ground, body.reason, body.days)
    proposal = await asyncio.to_thread(_holds(request).propose, asked, session_of(request).actor)
    return web.json_response({"id": proposal.id, "sha256": proposal.sha256}, status=201)


async def approve(request: web.Request) -> web.Response:
    """Say yes to exactly this hold, as another person; it is in force with the answer."""
    body = await read_body(request, ApprovalBody)
    session = session_of(request)
    proven = fresh_authentication(session)
    kept = await _holds(request).approve(request.match_info["id"], body.sha256, session.actor, proven)
    return web.json_response(_line(kept))


async def refuse(request: web.Request) -> web.Response:
    """Say no to a hold, or withdraw one's own request."""
    body = await read_body(request, WhyBody)
    name = request.match_info["id"]
    await asyncio.to_thread(_holds(request).refuse, name, session_of(request).actor, body.why)
    return web.json_response({"refused": name})


async def release(request: web.Request) -> web.Response:
    """End a hold before its date; the pictures go when their retention is over."""
    body = await read_body(request, WhyBody)
    place, token = request.match_info["deployment"], request.match_info["token"]
    await _holds(request).release(place, token, session_of(request).actor, body.why)
    return web.json_response({"released": token})


def _line(one: KeptAlert) -> dict[str, Any]:
    hold = one.alert.hold
    return {
        "deployment": one.deployment,
        "alert": one.alert.token,
        "number": one.alert.number,
        "raised": _when(one.alert.raised_us * 1000),
        "until": _when(one.due_wall_ns),
        "reason": hold.reason if hold else "",
        "requester": hold.requester if hold else "",
        "authoriser": hold.authoriser if hold else "",
    }


def _proposal(holds: Holds, one: Proposal, actor: Any) -> dict[str, Any]:
    return {
        "id": one.id,
        "sha256": one.sha256,
        "summary": list(one.summary),
        "proposer": one.proposer,
        "mine": one.proposer == actor.account,
        "minutes": max(1, round(holds.approvals.left_s(one) / 60)),
        "why_not": holds.approvals.why_not(one, actor),
    }


def _when(wall_ns: int) -> str:
    return utc_text(wall_ns)[:16].replace("T", " ") + " UTC"


ROUTES: Final = {
    "GET /holds": page,
    "POST /api/holds": ask,
    "POST /api/holds/{id}/approve": approve,
    "POST /api/holds/{id}/refuse": refuse,
    "POST /api/holds/{deployment}/{token}/release": release,
}
