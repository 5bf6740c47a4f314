"""The page on which a second person says yes or no, and the keys that this box believes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from lfr_edge.alerts.record import Actor
from lfr_edge.clock import utc_text
from lfr_edge.console.bodies import Body, Why, read_body
from lfr_edge.console.door.fresh import require_fresh
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.door.refusals import record_refusal
from lfr_edge.console.door.sessions import fresh_authentication
from lfr_edge.console.keys import PORTS, RULES
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.deployment.authority.signing import parse_public_key
from lfr_edge.deployment.control.approvals import Approvals, ControlError
from lfr_edge.deployment.control.proposal import RULES as RULES_OF
from lfr_edge.deployment.control.proposal import Proposal
from lfr_edge.deployment.control.trust import PURPOSES, EnrolledKey, Purpose, TrustStore
from lfr_edge.errors import AccessError, DeploymentError, LfrError

SETTLED_SHOWN: Final = 20  # of proposals that are decided


class ApproveBody(Body):
    sha256: Annotated[str, Field(min_length=64, max_length=64)]


class RefuseBody(Body):
    why: Why


class KeyBody(Body):
    purpose: Purpose
    name: Annotated[str, Field(min_length=1, max_length=100)]
    public_key: Annotated[str, Field(min_length=1, max_length=2000)]  # PEM


class RemovalBody(Body):
    purpose: Purpose
    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


async def page(request: web.Request) -> web.Response:
    """What waits for a second person, and whose signatures count."""
    view, keys = await _views(request)
    role = session_of(request).role
    may_enrol = request.app[RULES]["POST /api/trust"].admits(role)
    values = {"view": {**view, "keys": keys}, "keys": keys, "purposes": PURPOSES, "may_enrol": may_enrol}
    return render(request, "approvals.html", **values)


async def proposals(request: web.Request) -> web.Response:
    """Proposals that are open, and the latest that are settled."""
    view, keys = await _views(request)
    return web.json_response({**view, "keys": keys})


async def approve(request: web.Request) -> web.Response:
    """Approve exactly the change of this digest; what can take effect at once does."""
    body = await read_body(request, ApproveBody)
    ports, session = request.app[PORTS], session_of(request)
    approvals = ports.approvals
    require_fresh(request)
    name, authenticated_ns = request.match_info["id"], fresh_authentication(session)
    try:
        approved = await asyncio.to_thread(
            approvals.approve, name, body.sha256, session.actor, authenticated_ns
        )
    except ControlError as error:
        await record_refusal(request, error.code)  # a try to get round the second person is on the record
        raise
    view = await asyncio.to_thread(_proposal_view, approvals, approved, session.actor)
    return web.json_response({**view, **await _carried_out(request, approvals, approved)})


async def refuse(request: web.Request) -> web.Response:
    """Refuse a proposal, or withdraw one's own."""
    body = await read_body(request, RefuseBody)
    approvals, actor = request.app[PORTS].approvals, session_of(request).actor
    refused = await asyncio.to_thread(approvals.refuse, request.match_info["id"], actor, body.why)
    return web.json_response(await asyncio.to_thread(_proposal_view, approvals, refused, actor))


async def keys(request: web.Request) -> web.Response:
    """The public keys whose signatures this box believes."""
    return web.json_response({"keys": await asyncio.to_thread(_key_views, request.app[PORTS].trust)})


async def propose_key(request: web.Request) -> web.Response:
    """Propose to believe what this key signs; a second person approves it."""
    body = await read_body(request, KeyBody)
    trust = _trust(request)
    public = parse_public_key(body.public_key.encode(), "this text")
    change = await asyncio.to_thread(trust.enrolment, body.purpose, body.name, public)
    return await _propose_trust(request, trust, change)


async def propose_removal(request: web.Request) -> web.Response:
    """Propose to believe this key no longer; a second person approves it."""
    body = await read_body(request, RemovalBody)
    trust = _trust(request)
    change = await asyncio.to_thread(trust.removal, body.purpose, body.key_id)
    return await _propose_trust(request, trust, change)


async def _propose_trust(request: web.Request, trust: TrustStore, change: dict[str, Any]) -> web.Response:
    approvals, actor = request.app[PORTS].approvals, session_of(request).actor
    proposal = await asyncio.to_thread(approvals.propose, "trust.enrol", change, actor, trust.summary(change))
    return web.json_response(await asyncio.to_thread(_proposal_view, approvals, proposal, actor), status=201)


async def _carried_out(request: web.Request, approvals: Approvals, approved: Proposal) -> dict[str, Any]:
    """Let an approved change take effect. What fails now is told; the approval itself stands on the record."""
    ports, actor = request.app[PORTS], session_of(request).actor
    try:
        if approved.kind == "trust.enrol":
            trust = _trust(request)
            await asyncio.to_thread(trust.apply, approved.change, approvals, actor)
            return {"carried_out": True}
        done = ports.carry_out is not None and await ports.carry_out(approved, actor)
    except LfrError as error:
        told = spoken(request).said.told(error.code, problem=error.message, hint=error.hint)
        return {"carried_out": False, **told}
    return {"carried_out": done}


async def _views(request: web.Request) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    ports, actor = request.app[PORTS], session_of(request).actor
    keys = await asyncio.to_thread(_key_views, ports.trust)
    try:
        approvals = ports.approvals
    except DeploymentError as error:
        return {"open": [], "settled": [], "closed": error.code}, keys
    return await asyncio.to_thread(_list_view, approvals, actor), keys


def _list_view(approvals: Approvals, actor: Actor) -> dict[str, Any]:
    everything = [_proposal_view(approvals, proposal, actor) for proposal in approvals.all()]
    settled = [view for view in everything if view["state"] not in {"proposed", "approved"}]
    return {
        "open": [view for view in everything if view["state"] in {"proposed", "approved"}],
        "settled": settled[::-1][:SETTLED_SHOWN],
        "closed": "",
    }


def _proposal_view(approvals: Approvals, proposal: Proposal, actor: Actor) -> dict[str, Any]:
    """As the page shows it to this person: never the change itself, always its digest and its words."""
    left_s = int(approvals.left_s(proposal))
    mine = proposal.proposer == actor.account
    open_now = proposal.state in {"proposed", "approved"}
    return {
        "id": proposal.id,
        "kind": proposal.kind,
        "summary": list(proposal.summary),
        "sha256": proposal.sha256,
        "proposer": proposal.proposer,
        "approver": proposal.approver,
        "at": utc_text(proposal.proposed.wall_ns),
        "state": "expired" if open_now and not left_s else proposal.state,
        "left_s": left_s,
        "why": proposal.why,
        "mine": mine,
        "may_refuse": left_s > 0 and (mine or actor.role in RULES_OF[proposal.kind].approve),
        "why_not": approvals.why_not(proposal, actor),
    }


def _key_views(trust: TrustStore | None) -> list[dict[str, Any]]:
    return [_key_view(key) for key in trust.all()] if trust else []


def _key_view(key: EnrolledKey) -> dict[str, Any]:
    return {
        "purpose": key.purpose,
        "name": key.name,
        "key_id": key.key_id,
        "enrolled_by": key.enrolled_by,
        "approved_by": key.approved_by,
        "at": key.at,
    }


def _trust(request: web.Request) -> TrustStore:
    trust = request.app[PORTS].trust
    if trust is None:
        raise AccessError("trust_unavailable", "this console keeps no keys", hint="see lfr-edge serve")
    return trust


ROUTES: Final = {
    "GET /approvals": page,
    "GET /api/approvals": proposals,
    "POST /api/approvals/{id}/approve": approve,
    "POST /api/approvals/{id}/refuse": refuse,
    "GET /api/trust": keys,
    "POST /api/trust": propose_key,
    "POST /api/trust/removal": propose_removal,
}
