"""Evidence with pictures leaves this box by two persons: one asks for named alerts, with a reason; another approves.

The file holds each alert's two pictures, what people said of it, and its entries of the log with their proofs, so that
whoever gets it can show that nothing was left out or changed. It can be fetched once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from lfr_edge.alerts.alert import Alert
from lfr_edge.alerts.record import Actor
from lfr_edge.audit.proof import prove_entry
from lfr_edge.audit.view import LogView
from lfr_edge.clock import utc_text
from lfr_edge.console.bodies import ExportBody, read_body
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS
from lfr_edge.console.recording import record
from lfr_edge.console.reports import attachment, zipped
from lfr_edge.console.shelf import shelf_of
from lfr_edge.deployment.control.approvals import Approvals
from lfr_edge.deployment.control.proposal import ControlError, Proposal
from lfr_edge.errors import AlertError, AuditError, DeploymentError
from lfr_edge.sentences import say

KIND: Final = "evidence.export"


async def propose(request: web.Request) -> web.Response:
    """Ask to take the pictures of some alerts out of this box; a second person approves exactly that."""
    body = await read_body(request, ExportBody)
    ports, session = request.app[PORTS], session_of(request)
    found = [_numbered(request, number) for number in sorted(set(body.alerts))]
    change = {
        "deployment": ports.system.status().deployment.id,
        "alerts": [alert.id.token for alert in found],
        "why": body.why,
    }
    numbers = ", ".join(str(alert.id.number) for alert in found)
    summary = (
        f"Pictures and record of alerts {numbers} of deployment {change['deployment']}",
        f"Reason: {body.why}",
    )
    proposal = await asyncio.to_thread(ports.approvals.propose, KIND, change, session.actor, summary)
    return web.json_response({"id": proposal.id, "sha256": proposal.sha256}, status=201)


async def fetch(request: web.Request) -> web.Response:
    """The evidence that was approved, once, for the person who asked."""
    ports, session = request.app[PORTS], session_of(request)
    approvals, actor = ports.approvals, session.actor
    proposal = await asyncio.to_thread(approvals.get, request.match_info["id"])
    if proposal.kind != KIND or proposal.proposer != actor.account:
        raise ControlError("control_unknown", "there is no such export of yours", hint="reload the page")
    if proposal.change["deployment"] != ports.system.status().deployment.id:
        raise DeploymentError("deployment_ended", "the pictures went with their deployment")
    view = await shelf_of(request).view(str(proposal.change["deployment"]))
    files = dict(await asyncio.to_thread(_record_of, view, tuple(proposal.change["alerts"])))
    used = await asyncio.to_thread(approvals.use, KIND, proposal.change)
    for token in proposal.change["alerts"]:
        files |= await _evidence(request, str(token), actor)
    data = await asyncio.to_thread(zipped, files)
    told: dict[str, Any] = {
        **used,
        "alerts": len(proposal.change["alerts"]),
        "files": len(files),
        "file_sha256": hashlib.sha256(data).hexdigest(),
    }
    await record(request, "evidence.exported", actor, proposal.id, told, str(proposal.change["why"]))
    return attachment(data, "application/zip", f"lfr-evidence-{proposal.id}.zip")


def exports_of(approvals: Approvals, account: str) -> tuple[Proposal, ...]:
    """This person's exports that wait for somebody, or for being fetched. Blocks."""
    mine = (one for one in approvals.all() if one.kind == KIND and one.proposer == account)
    return tuple(one for one in mine if one.state in {"proposed", "approved"} and approvals.left_s(one) > 0)


def _numbered(request: web.Request, number: int) -> Alert:
    """By the number that people say aloud. A drill is no evidence of anything."""
    for alert in request.app[PORTS].desk.book:
        if alert.id.number == number and alert.drill is None:
            if alert.undecided:
                raise AlertError(
                    "alert_wrong_state",
                    say("alert {number} is not decided yet", number=number),
                    hint="decide it first",
                )
            if alert.pictures_erased:
                raise AlertError(
                    "alert_pictures_erased", say("the pictures of alert {number} are erased", number=number)
                )
            return alert
    raise AlertError(
        "alert_unknown",
        say("there is no alert {number} in this deployment", number=number),
        hint="see the timeline",
    )


async def _evidence(request: web.Request, token: str, actor: Actor) -> Mapping[str, bytes]:
    """Pictures and decisions of one alert; each view of a picture is recorded by the desk before it is given."""
    desk = request.app[PORTS].desk
    alert = desk.get(token)
    folder = f"alert-{alert.id.number}"
    facts = alert.facts
    told = {
        "token": token,
        "number": alert.id.number,
        "camera": facts.camera,
        "captured": utc_text(facts.captured_wall_ns),
        "reference": facts.reference,
        "category": facts.category,
        "score_e4": facts.score,
        "threshold_e4": facts.threshold,
        "state": str(alert.state),
        "looks": [
            {
                "account": look.account,
                "answer": str(look.answer),
                "factors": look.factors.names(),
                "note": look.note,
            }
            for look in alert.looks
        ],
    }
    return {
        f"{folder}/probe.jpg": await desk.picture(token, actor, "probe"),
        f"{folder}/candidate.jpg": await desk.picture(token, actor, "candidate"),
        f"{folder}/alert.json": json.dumps(told, indent=1, ensure_ascii=False).encode(),
    }


def _record_of(view: LogView, tokens: tuple[str, ...]) -> Mapping[str, bytes]:
    """Every signed entry about these alerts with its proof, and what is needed to check them. Blocks."""
    signed = view.signed.size if view.signed else 0
    files: dict[str, bytes] = {}
    for seq in range(signed):
        entry = view.entry(seq)
        if entry.event.ref in tokens:
            files[f"proofs/entry-{seq}.tlog-proof"] = str(prove_entry(view, seq, view.body(seq))).encode()
    if not files:
        raise AuditError(
            "audit_entry_unsigned", "no signed head covers these alerts yet", hint="wait ten seconds"
        )
    for path in (view.folder.certificate, view.folder.device_key):
        files[f"proofs/{path.name}"] = path.read_bytes()
    return files


ROUTES: Final = {
    "POST /api/audit/exports": propose,
    "GET /audit/exports/{id}": fetch,
}
