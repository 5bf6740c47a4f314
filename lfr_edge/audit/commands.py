"""The command line of the record: ``lfr-edge audit …``, and alone as ``python -m lfr_edge.audit``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from lfr_edge.audit.checkpoint import Checkpoint, parse_checkpoint
from lfr_edge.audit.entry import Entry
from lfr_edge.audit.note import VerifierKey, encode64
from lfr_edge.audit.proof import prove_entry
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.clock import utc_text
from lfr_edge.errors import AuditError

_VERIFY_HELP: Final = """\
examples:
  lfr-edge audit verify audit_logs/var                      a box: its device log and every deployment
  lfr-edge audit verify LOG --key device.vkey --json        one deployment, with the key you were given
  lfr-edge audit verify LOG --witness force.vkey            count the force's cosignatures as anchors
  lfr-edge audit verify LOG --since monday.checkpoint       is it the same log that we saw on Monday?
  lfr-edge audit verify LOG --code "ABCD EFGH …"            the code that the deployment officer signed
  lfr-edge audit verify LOG --prove 17 > entry-17.tlog-proof

exit status:
  0 intact   1 altered (first bad entry and byte)   2 intact, but unanchored, undecided or unaccounted
  3 unreadable
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the group ``audit``."""
    group = commands.add_parser(
        "audit",
        help="verify and read audit logs",
        description="Verify and read audit logs, prove single entries, keep witness for other boxes.",
    )
    add_commands(group.add_subparsers(dest="audit_command", required=True, metavar="COMMAND"))


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add verify, show, … to any parser."""
    check = _parser(commands, "verify", "check a log, or all logs of a box", _VERIFY_HELP)
    check.add_argument("path", type=Path, metavar="PATH", help="folder of a log, or the folder above several")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.add_argument(
        "--prove", type=int, metavar="SEQ", help="print one entry with its proof, nothing else"
    )
    check.add_argument("--since", type=Path, metavar="OLD_CHECKPOINT", help="a checkpoint kept from before")
    check.add_argument("--code", action="append", default=[], metavar="CODE", help="a printed code")
    _add_keys(check)
    check.set_defaults(run=run_verify)

    show = _parser(commands, "show", "print entries", "example:\n  lfr-edge audit show LOG --ev alert.\n")
    show.add_argument("path", type=Path, metavar="PATH", help="folder of one log")
    show.add_argument("--seq", type=int, metavar="SEQ", help="one entry only")
    show.add_argument("--ev", default="", metavar="PREFIX", help="only verbs that begin with PREFIX")
    show.add_argument("--json", action="store_true", help="canonical JSON, one entry a line")
    show.set_defaults(run=run_show)


def _parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="the device's public key, from another source"
    )
    parser.add_argument(
        "--witness", type=Path, action="append", default=[], metavar="FILE", help="a witness's public key"
    )


def run_verify(arguments: argparse.Namespace) -> int:
    if arguments.prove is not None:
        view = LogView.load(arguments.path)
        sys.stdout.write(str(prove_entry(view, arguments.prove, view.body(arguments.prove))))
        return 0
    since = read_checkpoint_file(arguments.since) if arguments.since else None
    report = verify(
        arguments.path,
        device_key=read_key_file(arguments.key) if arguments.key else None,
        witnesses=[read_key_file(path) for path in arguments.witness],
        since=since,
        codes=arguments.code,
    )
    result = report.to_json()
    if since is not None and report.intact:
        result["since"] = _consistency(arguments.path, since)
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(report.text() + "\n")
    return report.exit_code


def _consistency(path: Path, since: Checkpoint) -> dict[str, object]:
    """The consistency proof from the older checkpoint to the newest head, for whoever wants to check it too."""
    view = LogView.load(path)
    assert view.latest is not None, "a log without a signed head is never intact to an older checkpoint"
    size = view.latest.head.size
    path_nodes = [encode64(node) for node in view.consistency(since.head.size, size)]
    return {"old_size": since.head.size, "size": size, "proof": path_nodes, "checkpoint": str(view.latest)}


def run_show(arguments: argparse.Namespace) -> int:
    view = LogView.load(arguments.path)
    numbers = range(view.size) if arguments.seq is None else [arguments.seq]
    for seq in numbers:
        body = view.body(seq)
        entry = view.entry(seq)
        if entry.event.ev.startswith(arguments.ev):
            sys.stdout.write((body.decode() if arguments.json else entry_line(entry)) + "\n")
    return 0


def entry_line(entry: Entry) -> str:
    """One line for a person."""
    event = entry.event
    data = json.dumps(event.data, ensure_ascii=False, sort_keys=True) if event.data else ""
    parts = [
        f"{entry.seq:>7}",
        utc_text(entry.t_wall_us * 1000),
        f"{event.ev:<24}",
        f"{event.actor.account} ({event.actor.role})",
        event.ref,
        data,
        f"“{event.why}”" if event.why else "",
    ]
    return "  ".join(part for part in parts if part)


def read_key_file(path: Path) -> VerifierKey:
    """A file with one vkey.

    Raises:
        AuditError: ``audit_file_unreadable`` or ``audit_key_invalid``.
    """
    return VerifierKey.parse(_read_text(path))


def read_checkpoint_file(path: Path) -> Checkpoint:
    return parse_checkpoint(_read_text(path))


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise AuditError("audit_file_unreadable", f"{path}: {reason}", hint="check the name") from None
