"""``lfr-edge retention``: what is kept and until when, erasing what is over, and who was on a list."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lfr_edge.deployment.ending.receipts import Receipts
    from lfr_edge.deployment.keeping.register import Register
    from lfr_edge.deployment.keeping.sweeper import Sweeper
    from lfr_edge.deployment.session import BoxRecord
    from lfr_edge.errors import LfrError
    from lfr_edge.settings import Settings

_EPILOG: Final = """\
examples:
  lfr-edge retention status --config lfr.toml                 what lies here, until when, and what is on hold
  lfr-edge retention sweep --config lfr.toml                  erase what is over; for a box that is not in service
  lfr-edge retention was-listed W-0412 --why "SAR 12/2026" --config lfr.toml
  lfr-edge retention receipts 2026-11-22-1 --config lfr.toml  what was destroyed at the end of a deployment
  lfr-edge report retention --config lfr.toml                 the rules themselves, for the annex

A running service sweeps by itself. Exit status: 0 done, 1 refused, or something that should be gone is still there.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "retention",
        help="what is kept and until when; erase what is over",
        description="See what is kept, erase what is over, answer whether somebody was on a list.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    status = _action(actions, "status", "what lies here, until when, and what is on hold", _status)
    status.add_argument("--json", action="store_true", help="one JSON object")
    _action(actions, "sweep", "erase what is over, of every deployment", _sweep)
    asked = _action(actions, "was-listed", "was this reference on a list, and when", _was_listed)
    asked.add_argument(
        "reference", help="as it stood on the list; the force's records lead from a person to it"
    )
    asked.add_argument(
        "--why", required=True, help="case or request number: the question is recorded with it"
    )
    receipts = _action(actions, "receipts", "what was destroyed at the end of a deployment", _receipts)
    receipts.add_argument("deployment", help="its name, such as 2026-11-22-1")
    receipts.add_argument(
        "--format", choices=("text", "json", "html", "pdf"), default="text", help="default: text"
    )
    receipts.add_argument("--out", type=Path, help="file; default: standard output")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, function: object
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, help="the configuration (TOML)")
    parser.set_defaults(run=function)
    return parser


@contextmanager
def _box(settings: Settings) -> Iterator[BoxRecord]:
    """The box's log for one command.

    Raises:
        DeploymentError: ``retention_in_service`` beside a running service, ``retention_log_in_use`` beside another
            command.
    """
    from lfr_edge.clock import SystemClock
    from lfr_edge.deployment.session import BoxRecord
    from lfr_edge.errors import AuditError

    try:
        box = BoxRecord.open(settings, SystemClock())
    except AuditError as error:
        if error.code != "audit_log_in_use":
            raise
        raise _refusal(settings) from None
    try:
        yield box
    finally:
        box.close()


def _refusal(settings: Settings) -> LfrError:
    """Names what holds the log: an officer who is told of a service that does not run ends nothing and waits."""
    from lfr_edge.audit.folder import LogFolder
    from lfr_edge.deployment.keeping.holder import holder_of
    from lfr_edge.errors import DeploymentError

    holder = holder_of(LogFolder(settings.audit / "device").entries)
    if holder is not None and holder.is_service:
        return DeploymentError(
            "retention_in_service",
            f"the service runs ({holder.command}, process {holder.process}) and holds this box's log: "
            "without an entry nothing is erased or answered",
            hint="the running service sweeps by itself; end it for this command",
        )
    who = "another process" if holder is None else f"{holder.command} (process {holder.process})"
    return DeploymentError(
        "retention_log_in_use",
        f"{who} holds this box's log: without an entry nothing is erased or answered",
        hint="wait until it is done, and give this command again",
    )


def _register(settings: Settings) -> Register:
    from lfr_edge.audit.keys import FileKeyStore
    from lfr_edge.clock import SystemClock
    from lfr_edge.deployment.keeping.register import Register

    return Register(settings.data / "register", FileKeyStore(settings.data / "keys"), SystemClock())


def _sweeper(settings: Settings, record: Any) -> Sweeper:
    from lfr_edge.audit.keys import FileKeyStore
    from lfr_edge.clock import SystemClock
    from lfr_edge.deployment.keeping.sweeper import Sweeper

    keys = FileKeyStore(settings.data / "keys")
    return Sweeper(settings, SystemClock(), record, _register(settings), keys)


def _settings(args: argparse.Namespace) -> Settings:
    from lfr_edge.settings import load_settings

    return load_settings(args.config)


def _status(args: argparse.Namespace) -> int:
    """Reads only: it works beside a running service."""
    from lfr_edge.deployment.keeping.retention_status import as_json, as_text, status_of

    settings = _settings(args)
    standing = status_of(_sweeper(settings, None), _register(settings), settings)
    print(json.dumps(as_json(standing), indent=2) if args.json else as_text(standing))
    return 0 if not standing.overdue and not standing.unread else 1


def _sweep(args: argparse.Namespace) -> int:
    settings = _settings(args)
    with _box(settings) as box:
        swept = _sweeper(settings, box).sweep()
    for one in swept.erased:
        number = f" {one.number}" if one.number else ""
        print(f"erased       {one.what}{number}  {one.deployment}")
    for failure in swept.failed:
        print(f"NOT ERASED   {failure.what}  {failure.deployment}: {failure.reason}")
    print(
        f"{len(swept.erased)} erased, {swept.kept} within retention, {swept.held} on hold, {len(swept.failed)} failed"
    )
    return 0 if swept.clean else 1


def _was_listed(args: argparse.Namespace) -> int:
    """Recorded before it is answered: a consultation (DPA 2018 s62)."""
    settings = _settings(args)
    register = _register(settings)
    with _box(settings) as box:
        pages = len(register.pages())
        ref = box.reference(args.reference)
        box.record("watchlist.viewed", ref=ref, data={"register_pages": pages}, why=args.why[:500])
        found = register.ask(args.reference)
    for listing in found:
        print(f"{listing.day.isoformat()}  {listing.origin}")
    days = settings.retention.register_days
    print(f"{len(found)} of {pages} deployments in the register, which reaches back {days} days")
    return 0


def _receipts(args: argparse.Namespace) -> int:
    from lfr_edge.audit.view import LogView
    from lfr_edge.deployment.ending.receipts import receipts_of
    from lfr_edge.errors import DeploymentError

    settings = _settings(args)
    view = LogView.load(settings.audit / Path(args.deployment).name)
    entries = [entry for _, entry in view.entries()]
    receipts = receipts_of(args.deployment, entries)
    if not receipts.items and not any(entry.event.ev == "deployment.closed" for entry in entries):
        raise DeploymentError(
            "retention_not_ended",
            f"{args.deployment} has not ended: nothing of it was destroyed yet",
            hint="end it on the Deployment page; lfr-edge retention status says what lies here",
        )
    made = _shown(receipts, args.format)
    if args.out is None:
        sys.stdout.buffer.write(made)
        sys.stdout.buffer.flush()
    else:
        args.out.write_bytes(made)
        print(args.out)
    return 0 if receipts.complete else 1


def _shown(receipts: Receipts, form: str) -> bytes:
    from lfr_edge.deployment.report.html import page

    match form:
        case "text":
            return (receipts.text() + "\n").encode()
        case "json":
            return (json.dumps(receipts.to_json(), indent=2, ensure_ascii=False) + "\n").encode()
        case "html":
            return page(receipts.document()).encode()
        case _:
            from lfr_edge.deployment.report.pdf import pdf

            return pdf(receipts.document())
