"""The record on pages: what happened, who did it, one entry with its proof, and the whole log checked now."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from lfr_edge.audit.check import Trust
from lfr_edge.audit.entry import Entry
from lfr_edge.audit.event import PROCESSING
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import open_certificate, read_certificate
from lfr_edge.audit.merkle import leaf_hash
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.proof import prove_entry
from lfr_edge.audit.view import LogView
from lfr_edge.console.bodies import VerifyBody, read_body
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.exports import exports_of
from lfr_edge.console.keys import PORTS, RULES, VERIFICATIONS
from lfr_edge.console.language import spoken
from lfr_edge.console.pages import render
from lfr_edge.console.recording import record
from lfr_edge.console.reports import attachment
from lfr_edge.console.shelf import chosen, shelf_of
from lfr_edge.console.verification import Verification
from lfr_edge.deployment.control.proposal import Proposal
from lfr_edge.errors import AuditError, DeploymentError

PAGE: Final = 50
_SCANNED: Final = 20_000  # entries that one request reads for a filter: about a second on one core
# What a copy of a log is: enough to verify it anywhere, and no secret.
_FILES: Final = ("entries", "checkpoints", "heads", "certificate", "device_key", "anchors")


@dataclass(frozen=True, slots=True)
class Filter:
    verb: str  # a verb, a part before a dot, or one of the classes of section 62
    person: str

    def takes(self, entry: Entry) -> bool:
        event = entry.event
        verb = self.verb in {"", event.ev, event.ev.partition(".")[0], PROCESSING.get(event.ev, "")}
        return verb and self.person in {"", event.actor.account}


@dataclass(frozen=True, slots=True)
class Page:
    """Entries from new to old. `older`: the number to go on before; None at the beginning of the log."""

    entries: tuple[Entry, ...]
    older: int | None
    size: int


async def audit(request: web.Request) -> web.Response:
    """Verdict, duties and timeline."""
    ports = request.app[PORTS]
    names: tuple[str, ...] = ()
    name: str | None = None
    found: Page | None = None
    view: LogView | None = None
    problem: AuditError | None = None
    asked = Filter(request.query.get("verb", "")[:64], request.query.get("person", "").strip()[:32])
    try:
        shelf = shelf_of(request)
        names = shelf.logs()
        name = chosen(request, shelf, names)
        if name is not None:
            view = await shelf.view(name)
            found = await asyncio.to_thread(_page, view, asked, _number(request.query.get("before")))
    except AuditError as error:
        problem = error
    may_export = request.app[RULES]["POST /api/audit/exports"].admits(session_of(request).role)
    summary = await ports.system.log_summary(verify=False)
    return render(
        request,
        "audit.html",
        summary=summary,
        counts=ports.desk_counts(),
        running=name in {None, ports.system.status().deployment.id},  # whose duties the desk can tell
        names=names,
        chosen=name,
        page=found,
        facts=_facts(view) if view else None,
        asked=asked,
        before=request.query.get("before"),
        problem=problem,
        areas=sorted({verb.partition(".")[0] for verb in PROCESSING}),
        classes=sorted(set(PROCESSING.values())),
        may_export=may_export,
        exports=await _exports(request) if may_export else (),
        verification=request.app[VERIFICATIONS].get(name or ""),
    )


async def _exports(request: web.Request) -> tuple[Proposal, ...]:
    try:
        approvals = request.app[PORTS].approvals
    except DeploymentError:
        return ()
    return await asyncio.to_thread(exports_of, approvals, session_of(request).account)


async def entry(request: web.Request) -> web.Response:
    """One entry, and how it hangs in the signed tree."""
    name, seq = request.match_info["deployment"], _seq(request)
    view = await shelf_of(request).view(name)
    found = view.entry(seq)
    body = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
    proof: dict[str, Any] | None = None
    if view.signed is not None and view.signed.size > seq:
        proof = await asyncio.to_thread(_proof, view, seq)
    return render(
        request,
        "entry.html",
        name=name,
        entry=found,
        body=body,
        leaf=leaf_hash(view.body(seq)).hex(),
        proof=proof,
        newest=view.size - 1,
    )


async def entry_proof(request: web.Request) -> web.Response:
    """The entry alone with its inclusion proof and signed head, in C2SP tlog-proof."""
    name, seq = request.match_info["deployment"], _seq(request)
    view = await shelf_of(request).view(name)
    proof = str(prove_entry(view, seq, view.body(seq))).encode()
    await _record_left(request, view.origin, {"what": "tlog-proof", "entry": seq})
    return attachment(proof, "text/plain", f"lfr-{name}-entry-{seq}.tlog-proof")


async def copy_of_log(request: web.Request) -> web.Response:
    """The log with its heads, certificate and anchors: what anyone needs to verify it elsewhere."""
    name = request.match_info["deployment"]
    folder = shelf_of(request).folder(name)
    data, size = await asyncio.to_thread(_copied, folder)
    await _record_left(request, name, {"what": "log", "bytes": size})
    return attachment(data, "application/zip", f"lfr-{name}-log.zip")


async def verify_log(request: web.Request) -> web.Response:
    """Check every entry of a record now; the answer comes when that is done."""
    body = await read_body(request, VerifyBody)
    shelf = shelf_of(request)
    name = body.deployment or chosen(request, shelf, shelf.logs())
    if name is None:
        raise AuditError("audit_log_unknown", "there is no record yet", hint="start a deployment")
    folder = shelf.folder(name)
    running = request.app[VERIFICATIONS]
    job = running.get(name)
    if job is None or not job.running:
        entries = (await shelf.view(name)).size
        ports = request.app[PORTS]
        trust = Trust(witnesses=() if ports.witness is None else (ports.witness,))
        job = running[name] = Verification(folder, entries, ports.clock, trust)
        job.start()
    await job.wait()
    return web.json_response(job.to_json(spoken(request).said))


async def verification(request: web.Request) -> web.Response:
    """How far the check of a record has come."""
    job = request.app[VERIFICATIONS].get(request.query.get("deployment", ""))
    return web.json_response(
        job.to_json(spoken(request).said) if job else {"running": False, "done": 0, "of": 0}
    )


def _page(view: LogView, asked: Filter, before: int | None) -> Page:
    """Blocks: reads up to :data:`_SCANNED` entries, backwards from `before`."""
    start = view.size if before is None else max(0, min(before, view.size))
    found: list[Entry] = []
    seq = start
    while seq > 0 and len(found) < PAGE and start - seq < _SCANNED:
        seq -= 1
        one = view.entry(seq)
        if asked.takes(one):
            found.append(one)
    return Page(tuple(found), seq if seq > 0 else None, view.size)


def _facts(view: LogView) -> dict[str, Any]:
    signed = view.signed
    return {
        "origin": view.origin,
        "entries": view.size,
        "signed_size": signed.size if signed else 0,
        "root": signed.root.hex() if signed else "",
    }


def _proof(view: LogView, seq: int) -> dict[str, Any]:
    proof = prove_entry(view, seq, view.body(seq))
    head = proof.checkpoint.head
    try:
        device = VerifierKey.parse(view.folder.device_key.read_text(encoding="utf-8").strip())
        certificate = open_certificate(read_certificate(view.folder.certificate), device)
        holds = proof.holds(certificate.key)
        key = certificate.key.text
    except (AuditError, OSError, ValueError):
        holds, key = False, ""
    return {
        "holds": holds,
        "key": key,
        "path": tuple(node.hex() for node in proof.path),
        "size": head.size,
        "root": head.root.hex(),
        "origin": proof.checkpoint.origin,
    }


def _copied(folder: LogFolder) -> tuple[bytes, int]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _FILES:
            path = getattr(folder, name)
            if path.is_file():
                archive.write(path, path.name)
    data = out.getvalue()
    return data, len(data)


async def _record_left(request: web.Request, ref: str, data: dict[str, Any]) -> None:
    session = session_of(request)
    await record(request, "report.made", session.actor, ref, data, "console: audit page")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _seq(request: web.Request) -> int:
    seq = _number(request.match_info["seq"])
    if seq is None:
        raise web.HTTPNotFound
    return seq


ROUTES: Final = {
    "GET /audit": audit,
    "GET /audit/{deployment}/log.zip": copy_of_log,
    "GET /audit/{deployment}/{seq}": entry,
    "GET /audit/{deployment}/{seq}/proof": entry_proof,
    "POST /api/audit/verify": verify_log,
    "GET /api/audit/verify": verification,
}
