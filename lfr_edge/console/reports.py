"""Reports: the published figures of a deployment, counted from its verified record while the page is made.

Nothing is cached beyond the record's next entry, and every page and file that leaves is itself on record.
"""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final, cast

from aiohttp import web

from lfr_edge.alerts.record import Plain
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS, RULES
from lfr_edge.console.pages import render
from lfr_edge.console.shelf import EVERY, chosen, shelf_of
from lfr_edge.deployment.period import Period
from lfr_edge.deployment.report import ie, met, spreadsheet
from lfr_edge.deployment.report.content import report_document
from lfr_edge.deployment.report.document import Document, Table
from lfr_edge.deployment.report.figures import as_json
from lfr_edge.deployment.report.foi import foi_document
from lfr_edge.deployment.report.html import page
from lfr_edge.deployment.report.made import report_made
from lfr_edge.deployment.report.packs import auditor_pack, public_pack
from lfr_edge.deployment.verified import VerifiedLog
from lfr_edge.errors import AuditError, LfrError

Logs = Sequence[VerifiedLog]
_AUDITOR_ROUTE: Final = "GET /reports/{deployment}/auditor-pack.zip"


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is made from the record on request. `make` blocks: it runs off the loop."""

    name: str
    kind: str
    make: Callable[[Logs], bytes]


def _pdf(document: Document) -> bytes:
    from lfr_edge.deployment.report.pdf import pdf  # reportlab takes half a second to import

    return pdf(document)


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            # A fixed date: the same record gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


_FILES: Final = (
    Download("met.csv", "text/csv", lambda logs: spreadsheet.published(logs, met).encode("utf-8-sig")),
    Download("ie.csv", "text/csv", lambda logs: spreadsheet.published(logs, ie).encode("utf-8-sig")),
    Download("figures.csv", "text/csv", lambda logs: spreadsheet.long_form(logs).encode("utf-8-sig")),
    Download("figures.json", "application/json", lambda logs: json.dumps(as_json(logs), indent=1).encode()),
    Download("report.html", "text/html", lambda logs: page(report_document(logs)).encode()),
    Download("report.pdf", "application/pdf", lambda logs: _pdf(report_document(logs))),
    Download("questions.html", "text/html", lambda logs: page(foi_document(logs)).encode()),
    Download("questions.pdf", "application/pdf", lambda logs: _pdf(foi_document(logs))),
    Download("public-pack.zip", "application/zip", lambda logs: zipped(public_pack(logs))),
)
_BY_NAME: Final = {file.name: file for file in _FILES}
_AUDITOR: Final = Download("auditor-pack.zip", "application/zip", lambda logs: zipped(auditor_pack(logs)))


async def reports(request: web.Request) -> web.Response:
    """The report of one deployment, or of all; who read it is on the record before it is shown."""
    names: tuple[str, ...] = ()
    name: str | None = None
    problem: LfrError | None = None
    document: Document | None = None
    tables: tuple[Table, ...] = ()
    try:
        shelf = shelf_of(request)
        names = shelf.names()
        name = chosen(request, shelf, (*names, EVERY))
        if name is None:
            raise AuditError(
                "audit_log_unknown", "there is no such record here", hint="choose one of the list"
            )
        if names:
            logs = await shelf.verified(name)
            document = await asyncio.to_thread(report_document, logs)
            tables = (_table("Metropolitan Police", logs, met), _table("Immigration Enforcement", logs, ie))
            await _record_made(request, "page", page(document).encode(), logs)
    except AuditError as error:
        if names:
            problem = error
    return render(
        request,
        "reports.html",
        names=names,
        chosen=name,
        every=EVERY,
        document=document,
        published=tables,
        problem=problem,
        files=_FILES,
        for_auditors=request.app[RULES][_AUDITOR_ROUTE].admits(session_of(request).role),
    )


async def download(request: web.Request) -> web.Response:
    """A file of the report."""
    made = _BY_NAME.get(request.match_info["file"])
    if made is None:
        raise web.HTTPNotFound
    return await _give(request, made)


async def download_auditor_pack(request: web.Request) -> web.Response:
    """The auditor's pack: chapters, entries and their proofs. It names accounts and reasons."""
    return await _give(request, _AUDITOR)


async def _give(request: web.Request, file: Download) -> web.Response:
    name = request.match_info["deployment"]
    logs = await shelf_of(request).verified(name)
    data = await asyncio.to_thread(file.make, logs)
    await _record_made(request, file.name, data, logs)
    return attachment(data, file.kind, f"lfr-{name}-{file.name}")


def attachment(data: bytes, kind: str, name: str) -> web.Response:
    """A file that the browser saves and never opens within the console."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=data, content_type=kind, headers=headers)


def _table(title: str, logs: Logs, module: ModuleType) -> Table:
    """A published table: one row a deployment, then their sum."""
    names: tuple[str, ...] = (*module.COLUMNS, *module.ADDED)
    periods = [Period.of([log.statistics]) for log in logs]
    if len(logs) > 1:
        periods.append(Period.of([log.statistics for log in logs]))
    rows = tuple(tuple(module.row(period)[column] for column in names) for period in periods)
    return Table(title, names, rows)


async def _record_made(request: web.Request, what: str, given: bytes, logs: Logs) -> None:
    """On record before it is shown or leaves (DPA 2018, section 62: disclosure)."""
    event = report_made(what, given, logs, session_of(request).actor, "console: reports page")
    await asyncio.to_thread(
        request.app[PORTS].recorder.record,
        event.ev,
        actor=event.actor,
        ref=event.ref,
        data=cast("dict[str, Plain]", event.data),
        why=event.why,
    )


ROUTES: Final = {
    "GET /reports": reports,
    _AUDITOR_ROUTE: download_auditor_pack,
    "GET /reports/{deployment}/{file}": download,
}
