"""Two bundles of files: one for everybody, one for the auditor.

The public pack holds sums and no times of alerts: nothing in it is about a person. The auditor's pack ties each
clause to entries of the log and carries their inclusion proofs; entries name accounts and reasons, so it is
disclosed, not published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import segno

from lfr_edge.audit.checkpoint import Checkpoint
from lfr_edge.deployment.period import HEADLINE_FACES, Period
from lfr_edge.deployment.report import ie, met, spreadsheet
from lfr_edge.deployment.report.content import headline, report_document
from lfr_edge.deployment.report.document import Document, Section, Table
from lfr_edge.deployment.report.figures import as_json
from lfr_edge.deployment.report.html import page, render
from lfr_edge.deployment.report.principles import CHAPTERS, Clause
from lfr_edge.deployment.report.provenance import notices, record
from lfr_edge.deployment.report.wording import hours, long_day
from lfr_edge.deployment.verified import VerifiedLog
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import say

Files = Mapping[str, bytes]
CITED: Final = 8  # entries of one clause that are proven: the first and the last ones; the rest is listed
_COLUMNS: Final = ("Asked", "Source", "The record shows", "Entries", "Proven in this pack")
_CONFIDENTIAL: Final = "This pack names accounts and reasons. It is for the auditor, not for publication."
_SLUG: Final = re.compile(r"[^A-Za-z0-9._-]+")


def public_pack(logs: Sequence[VerifiedLog], address: str = "") -> Files:
    """Files by name. `address` is where the force publishes them: the poster's code leads there."""
    document = report_document(logs, public=True)
    return {
        "index.html": page(document).encode(),
        "poster.html": poster(logs, address).encode(),
        "deployments-met.csv": spreadsheet.published(logs, met).encode("utf-8-sig"),
        "deployments-ie.csv": spreadsheet.published(logs, ie).encode("utf-8-sig"),
        "figures.csv": spreadsheet.long_form(logs).encode("utf-8-sig"),
        "figures.json": _json(_without_persons(as_json(logs))),
    }


def _without_persons(report: dict[str, Any]) -> dict[str, Any]:
    """Sums only. The moment and ending of one alert could name the person who was arrested then and there."""
    kept = [{name: value for name, value in one.items() if name != "alerts"} for one in report["deployments"]]
    return {**report, "deployments": kept}


def poster(logs: Sequence[VerifiedLog], address: str = "") -> str:
    """One sheet of A4 for a window: what was done here, what came of it, and where to read more."""
    period = Period.of([log.statistics for log in logs])
    ones = period.deployments
    code = address or "\n".join(f"{log.report.origin} {log.root}" for log in logs[:4])
    return render(
        "poster.html",
        place=ones[0].place or ones[0].name if len(ones) == 1 else "",
        days=long_day(ones[0].opened_us) if len(ones) == 1 else f"{len(ones)} deployments, {met.row(period)['Date']}",
        duration=hours(period.duration_ms),
        facts=headline(period)[:5],
        erased=period.erased.whole,
        exact=_exact(period),
        alerts=period.alerts.total,
        unreviewed=period.unreviewed,
        rated=period.per_face(period.alerts.false) is not None,
        limits=sorted({h for one in ones if (h := one.custody.alert_images_h) is not None}),
        false_rate=met.row(period, HEADLINE_FACES)["False Alert Rate"],
        evaluation=any(one.purpose == "evaluation" for one in ones),
        address=address,
        code=segno.make(code, error="m", micro=False).svg_inline(omitsize=True, border=2, svgclass=None),
        root=logs[0].root if len(logs) == 1 else "",
    )  # fmt: skip


def _exact(period: Period) -> bool:
    """Whether every deployment accounts for every template. A poster promises nothing that the record does not show."""
    done, erased, retained = period.processed.whole, period.erased.whole, period.retained.whole
    return None not in (done, erased, retained) and done == (erased or 0) + (retained or 0)


def auditor_pack(logs: Sequence[VerifiedLog]) -> Files:
    """Files by name: the chapters as a page and as JSON, the proofs, and what is needed to check them."""
    files: dict[str, bytes] = {}
    clauses: list[dict[str, Any]] = []
    sections: list[Section] = []
    for chapter in CHAPTERS:
        rows: list[tuple[str, ...]] = []
        for clause, log in ((clause, log) for clause in chapter.clauses for log in logs):
            found = clause.entries(log)
            cited = _cited(found)
            for seq in cited:
                files[_proof_name(log, seq)] = str(log.prove(seq)).encode()
            shown = (clause.asked, clause.source, clause.shown(log), str(len(found)))
            rows.append((*shown, _numbers(log, cited, found)))
            clauses.append(_clause_json(chapter.principle, clause, log, found, cited))
        table = Table("Clause, evidence, entries", _COLUMNS, tuple(rows), frozenset({3}))
        sections.append(Section(chapter.principle, tables=(table,)))
    for log in logs:
        files |= _keys(log)
    report = report_document(logs)
    document = Document(
        title="Live facial recognition: the auditor's pack",
        subtitle=report.subtitle,
        sections=(_how_to_check(logs), *sections),
        record=record(logs),
        notices=(_CONFIDENTIAL, *notices(logs)),
    )
    return files | {
        "index.html": page(document).encode(),
        "clauses.json": _json({"format": "lfr-edge/auditor-pack/v1", "clauses": clauses}),
        "report.json": _json(as_json(logs)),
        "report.html": page(report).encode(),
    }


def write_pack(files: Files, folder: Path) -> None:
    """Write into a new or empty `folder`.

    Raises:
        DeploymentError: ``pack_folder_taken`` or ``pack_unwritable``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DeploymentError(
                "pack_folder_taken",
                say("{folder} is not empty", folder=folder),
                hint="name a new folder: nothing is overwritten",
            )
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as error:
        raise DeploymentError(
            "pack_unwritable",
            say("{folder} cannot be written: {strerror}", folder=folder, strerror=error.strerror),
            hint="choose a folder that you may write",
        ) from None


def _cited(found: Sequence[int]) -> tuple[int, ...]:
    half = CITED // 2
    return tuple(found) if len(found) <= CITED else (*found[:half], *found[-half:])


def _numbers(log: VerifiedLog, cited: Sequence[int], found: Sequence[int]) -> str:
    if not found:
        return "no entry in the record"
    shown = [str(seq) for seq in cited]
    if len(found) > len(cited):
        shown.insert(len(shown) // 2, "…")
    return f"{log.statistics.name}: {', '.join(shown)}"


def _clause_json(
    principle: str, clause: Clause, log: VerifiedLog, found: Sequence[int], cited: Sequence[int]
) -> dict[str, Any]:
    return {
        "principle": principle,
        "asked": clause.asked,
        "source": clause.source,
        "origin": log.report.origin,
        "shown": clause.shown(log),
        "entries": list(found),
        "proofs": [_proof_name(log, seq) for seq in cited],
    }


def _folder(log: VerifiedLog) -> str:
    return _SLUG.sub("-", log.report.origin)


def _proof_name(log: VerifiedLog, seq: int) -> str:
    return f"proofs/{_folder(log)}/entry-{seq}.tlog-proof"


def _keys(log: VerifiedLog) -> dict[str, bytes]:
    """The certificate, the device's public key and the newest head: enough to check each proof alone."""
    base = f"proofs/{_folder(log)}"
    latest: Checkpoint | None = log.view.latest
    files = {f"{base}/checkpoint": str(latest).encode()} if latest else {}
    for source in (log.view.folder.certificate, log.view.folder.device_key):
        if source.exists():
            files[f"{base}/{source.name}"] = source.read_bytes()
    return files


def _how_to_check(logs: Sequence[VerifiedLog]) -> Section:
    base = f"proofs/{_folder(logs[0])}"
    return Section(
        "How to check this",
        (
            "Each number below is an entry of the signed log. Its file under proofs/ holds the entry, the path to the"
            " root, and the signed head: nothing else is needed, and nothing else is shown.",
            f"lfr-edge audit check-proof {base}/entry-0.tlog-proof --cert {base}/key.cert --key YOUR-DEVICE.vkey",
            "Use the device key that you were given on paper, not the one in this pack. C2SP tlog-proof and"
            " tlog-checkpoint are open formats: any other implementation checks them, too.",
        ),
    )


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
