"""``lfr-edge report``: published tables, pages and packs out of the verified log, and annexes out of the settings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lfr_edge.audit.note import LOG_KEY, WITNESS_KEY, VerifierKey, read_key_file
from lfr_edge.deployment.period import FACES, HEADLINE_FACES
from lfr_edge.deployment.report import ie, met, spreadsheet
from lfr_edge.deployment.report.annexes import apd_annex, dpia_annex, model_card
from lfr_edge.deployment.report.content import report_document
from lfr_edge.deployment.report.figures import as_json
from lfr_edge.deployment.report.foi import foi_document
from lfr_edge.deployment.report.html import page
from lfr_edge.deployment.report.packs import auditor_pack, public_pack, write_pack
from lfr_edge.deployment.verified import VerifiedLog, read_verified
from lfr_edge.errors import AuditError, ConfigError, DeploymentError

if TYPE_CHECKING:
    from lfr_edge.deployment.report.document import Document

FORMATS: Final = ("met", "ie", "json", "csv", "html", "pdf", "text")
_PACKS: Final = {"public": "transparency", "auditor": "audit"}
_EPILOG: Final = """\
examples:
  lfr-edge report audit_logs/var/2026-11-22-1 --format met            the Met's published columns
  lfr-edge report audit_logs/var --format html --out report.html      every deployment of a box together
  lfr-edge report LOG LOG --format pdf --out november.pdf             several logs, one report
  lfr-edge report LOG --format csv --faces passages                   one figure a line
  lfr-edge report pack public LOG --out transparency --url https://force.example/lfr
  lfr-edge report pack auditor LOG --out audit --key device.vkey --witness force.vkey
  lfr-edge report foi LOG --format html --out questions.html
  lfr-edge report annexes --config lfr.toml --out annexes --format pdf
  lfr-edge report retention --config lfr.toml                         how long data stay, and what erases them

DEPLOYMENT is the folder of one log, or the folder above all logs of a box. The log is verified first: from an
altered one no figure is taken. What the log does not tell is "not recorded", never zero.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "report",
        help="tables, pages and packs from the audit log alone",
        description="Published tables, pages, packs and answers, every figure counted from the verified audit log.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="DEPLOYMENT",
        help="log folders; or 'pack public|auditor', 'foi', then log folders; or 'annexes', 'retention'",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="default: met; html for foi and annexes; text for retention"
    )
    parser.add_argument(
        "--out", type=Path, help="file (a folder for packs and annexes); default: standard output"
    )
    parser.add_argument(
        "--key", type=Path, help="the device key you were given, instead of the one beside the log"
    )
    parser.add_argument(
        "--witness", type=Path, action="append", default=[],
        help="the public key of a witness: its cosignatures count as heads held outside the box",
    )  # fmt: skip
    parser.add_argument(
        "--faces",
        choices=FACES,
        default=HEADLINE_FACES,
        help="what 'faces seen' means in the published tables (default: opportunities)",
    )
    parser.add_argument(
        "--url", default="", help="pack public: where it is published; the poster's code leads there"
    )
    parser.add_argument("--config", type=Path, help="annexes, retention: the configuration file")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    words: list[str] = args.words
    match words:
        case ["pack", *rest]:
            return _pack(args, rest)
        case ["foi", *rest]:
            logs = _logs(args, rest)
            return _document(args, foi_document(logs))
        case ["annexes", *rest]:
            return _annexes(args, rest)
        case ["retention", *rest]:
            return _retention(args, rest)
        case _:
            return _report(args, _logs(args, words))


def _report(args: argparse.Namespace, logs: Sequence[VerifiedLog]) -> int:
    match args.format or "met":
        case "met":
            _give(args.out, spreadsheet.published(logs, met, args.faces).encode())
        case "ie":
            _give(args.out, spreadsheet.published(logs, ie, args.faces).encode())
        case "csv":
            _give(args.out, spreadsheet.long_form(logs).encode())
        case "json":
            _give(args.out, (json.dumps(as_json(logs), indent=2, ensure_ascii=False) + "\n").encode())
        case "text":
            raise ConfigError(
                "report_format_unfit", "a report has no text form", hint="--format met, or html to read it"
            )
        case shown:
            _give(args.out, _render(report_document(logs), shown))
    return 0


def _document(args: argparse.Namespace, document: Document) -> int:
    shown = args.format or "html"
    if shown not in {"html", "pdf"}:
        raise ConfigError(
            "report_format_unfit", f"this is a text: it has no {shown}", hint="--format html or pdf"
        )
    _give(args.out, _render(document, shown))
    return 0


def _pack(args: argparse.Namespace, words: Sequence[str]) -> int:
    kind, paths = (words[0], words[1:]) if words else ("", [])
    if kind not in _PACKS:
        raise ConfigError(
            "report_pack_unknown",
            f"there is no pack {kind!r}" if kind else "which pack?",
            hint="lfr-edge report pack public LOG, or lfr-edge report pack auditor LOG",
        )
    logs = _logs(args, paths)
    made = public_pack(logs, args.url) if kind == "public" else auditor_pack(logs)
    folder: Path = args.out or Path(_PACKS[kind])
    write_pack(made, folder)
    print(f"{folder}: {len(made)} files; open {folder / 'index.html'}")
    return 0


def _annexes(args: argparse.Namespace, words: Sequence[str]) -> int:
    from lfr_edge.matching.threshold import calibrations_of
    from lfr_edge.models.store import ModelStore
    from lfr_edge.settings import load_settings

    if words or args.config is None:
        raise ConfigError(
            "report_annexes_config",
            "annexes are made from the configuration",
            hint="lfr-edge report annexes --config lfr.toml --out annexes",
        )
    shown = args.format or "html"
    if shown not in {"html", "pdf"}:
        raise ConfigError("report_format_unfit", f"an annex has no {shown}", hint="--format html or pdf")
    settings = load_settings(args.config)
    pack = ModelStore(settings.models.store).load(settings.models.pack)
    documents: dict[str, Document] = {
        "model-card": model_card(settings, pack, calibrations_of(settings.matching.calibration)),
        "dpia-annex": dpia_annex(settings, pack),
        "apd-annex": apd_annex(settings),
    }
    folder: Path = args.out or Path("annexes")
    write_pack({f"{name}.{shown}": _render(document, shown) for name, document in documents.items()}, folder)
    print(f"{folder}: {', '.join(documents)}")
    return 0


def _retention(args: argparse.Namespace, words: Sequence[str]) -> int:
    """The table that the program obeys, for people and for programs."""
    from lfr_edge.deployment.keeping.retention import retention_document, retention_json, retention_text
    from lfr_edge.settings import load_settings

    if words or args.config is None:
        raise ConfigError(
            "report_annexes_config",
            "the retention annex is made from the configuration",
            hint="lfr-edge report retention --config lfr.toml",
        )
    settings = load_settings(args.config)
    match args.format or "text":
        case "text":
            _give(args.out, retention_text(settings).encode())
        case "json":
            _give(
                args.out, (json.dumps(retention_json(settings), indent=2, ensure_ascii=False) + "\n").encode()
            )
        case _:
            return _document(args, retention_document(settings))
    return 0


def _render(document: Document, shown: str) -> bytes:
    if shown == "html":
        return page(document).encode()
    from lfr_edge.deployment.report.pdf import pdf

    return pdf(document)


def _logs(args: argparse.Namespace, paths: Sequence[str]) -> tuple[VerifiedLog, ...]:
    """Every log once, in the order of opening."""
    if not paths:
        raise ConfigError("report_no_deployment", "no deployment is named", hint="give the folder of a log")
    key: VerifierKey | None = read_key_file(args.key, LOG_KEY) if args.key else None
    witnesses = [read_key_file(path, WITNESS_KEY) for path in args.witness]
    read: list[VerifiedLog] = [
        log for path in paths for log in read_verified(Path(path), device_key=key, witnesses=witnesses)
    ]
    found = {log.report.origin: log for log in read}
    for log in read:
        if log.root != found[log.report.origin].root:
            raise AuditError(
                "audit_report_ambiguous",
                f"two different logs were given as {log.report.origin}",
                hint="one is older or another's; give the newest only",
            )
    return tuple(sorted(found.values(), key=lambda log: (log.statistics.opened_us, log.report.origin)))


def _give(out: Path | None, data: bytes) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise DeploymentError(
            "report_unwritable",
            f"{out} cannot be written: {error.strerror}",
            hint="choose another place with --out",
        ) from None
    print(out)
