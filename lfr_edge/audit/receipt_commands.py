"""``lfr-edge audit receipt``: from the code on a stopped person's receipt to everything the record says."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final, TypeAlias

from lfr_edge.audit.exits import never_altered_by_accident
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.receipt import entries_of, read_code
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.clock import utc_text
from lfr_edge.errors import AuditError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_HELP: Final = """\
examples:
  lfr-edge audit receipt K7QM-2XRD-9FTT audit_logs/var           every deployment of a box
  lfr-edge audit receipt "k7qm 2xrd 9ftt" LOG --json             one deployment

The code leads to the alert's whole record: when and where, category, score, each look with its reasons, who
decided, who took it, what came of it, when the pictures were erased. No face and no name is in it.

exit status: 0 found in a log that verifies, 1 a log is altered, 2 found, but see the log's reservations,
3 not found
"""


def add_receipt_command(commands: Commands) -> None:
    """Add ``receipt``."""
    parser = commands.add_parser(
        "receipt",
        help="find the record behind a receipt's code",
        description="Find the record behind the code on a stopped person's receipt.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "code", metavar="CODE", help="as on the receipt; case, spaces and dashes do not matter"
    )
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="folder of a log, or the folder above several"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=never_altered_by_accident(run_receipt))


def run_receipt(arguments: argparse.Namespace) -> int:
    code = read_code(arguments.code)
    for folder in _logs(arguments.path):
        view = LogView.load(folder)
        entries = entries_of((view.entry(seq) for seq in range(view.size)), code)
        if not entries:
            continue
        report = verify(folder)
        if arguments.json:
            told = {
                "code": code,
                "log": str(folder),
                "verdict": report.verdict,
                "entries": [json.loads(view.body(entry.seq)) for entry in entries],
            }
            sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
            return report.exit_code
        sys.stdout.write(f"receipt {code} · log {folder} · {report.verdict}\n")
        for entry in entries:
            event = entry.event
            data = " ".join(f"{name}={value}" for name, value in sorted(event.data.items()))
            who = f"{event.actor.account} ({event.actor.role})"
            line = [f"{entry.seq:>7}", utc_text(entry.t_wall_us * 1000), f"{event.ev:<16}", who, data]
            sys.stdout.write("  ".join(line) + (f"  “{event.why}”" if event.why else "") + "\n")
        return report.exit_code
    for folder in _logs(arguments.path):
        if verify(folder).exit_code == 1:  # what cannot be read is not "not there"
            sys.stdout.write(f"receipt {code} · not found, but log {folder} is altered: see audit verify\n")
            return 1
    raise AuditError(
        "audit_receipt_unknown",
        f"no log under {arguments.path} issued this receipt",
        hint="the code is well formed: ask which force and day it is from, and look in that box's logs",
    )


def _logs(path: Path) -> list[Path]:
    """Newest first: a person asks soon after."""
    if LogFolder(path).is_log():
        return [path]
    below = sorted(
        (file.parent for file in path.glob("*/key.cert") if LogFolder(file.parent).is_log()), reverse=True
    )
    if not below:
        raise AuditError(
            "audit_log_missing", f"{path} holds no log", hint="give a log's folder, or the one above"
        )
    return below
