"""The command line of the record: ``lfr-edge audit …``, and alone as ``python -m lfr_edge.audit``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final, TypeAlias

from lfr_edge.audit.anchor import printed_code, read_printed
from lfr_edge.audit.checkpoint import Checkpoint, head_text, parse_checkpoint, parse_checkpoints
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.erasure import prove_erasure, views_of
from lfr_edge.audit.exits import CheckParser, never_altered_by_accident
from lfr_edge.audit.keys import open_certificate, read_certificate
from lfr_edge.audit.note import LOG_KEY, WITNESS_KEY, encode64, read_key_file, read_text_file
from lfr_edge.audit.proof import parse_proof, prove_entry
from lfr_edge.audit.receipt_commands import add_receipt_command
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness_commands import add_stamp_command, add_witness_commands
from lfr_edge.clock import utc_text
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_VERIFY_HELP: Final = """\
examples:
  lfr-edge audit verify audit_logs/var                      a box: its device log and every deployment
  lfr-edge audit verify LOG --key device.vkey --json        one deployment, with the key you were given
  lfr-edge audit verify LOG --witness force.vkey            count the force's cosignatures as anchors
  lfr-edge audit verify LOG --since monday.checkpoint       is it the same log that we saw on Monday?
  lfr-edge audit verify LOG --code "ABCD EFGH …"            the code that the deployment officer signed
  lfr-edge audit verify LOG --tsa tsa-ca.pem                count the time stamps of an authority (RFC 3161)
  lfr-edge audit verify LOG --prove 17 > entry-17.tlog-proof

exit status:
  0 intact   1 altered (first bad entry and byte)   2 intact, but unanchored, undecided or unaccounted
  3 nothing was checked: not a log, or the command was not used rightly
"""


_CHECK_HELP: Final = """\
example:
  lfr-edge audit check-proof entry-17.tlog-proof --cert key.cert --key device.vkey

exit status: 0 the entry is in the signed log, 1 it is not
"""
_ERASE_HELP: Final = """\
example:
  lfr-edge audit erase-proof audit_logs/var --ref 4f1c9d20aa01b3c4d5e6 --store var > erased.json

exit status: 0 erased and the log is intact, 1 the log was altered, 2 not erased
"""
_CODE_HELP: Final = """\
example:
  lfr-edge audit code LOG        the deployment officer signs the paper; audit verify --code checks it
"""


_GROUP_HELP: Final = """\
examples:
  lfr-edge audit verify audit_logs/var           check the device log and every deployment of a box
  lfr-edge audit show LOG --ev alert.            read it
  lfr-edge audit witness --help                  hold heads outside the box
"""


def register(commands: Commands) -> None:
    """Add the group ``audit``."""
    group = commands.add_parser(
        "audit",
        help="verify and read audit logs",
        description="Verify and read audit logs, prove single entries, keep witness for other boxes.",
        epilog=_GROUP_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group.__class__ = (
        CheckParser  # the parser above makes plain ones, and a mistyped command is no verdict either
    )
    add_commands(
        group.add_subparsers(dest="audit_command", required=True, metavar="COMMAND", parser_class=CheckParser)
    )


def add_commands(commands: Commands) -> None:
    """Add verify, show, … to any parser."""
    check = _parser(commands, "verify", "check a log, or all logs of a box", _VERIFY_HELP)
    check.add_argument("path", type=Path, metavar="PATH", help="folder of a log, or the folder above several")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.add_argument(
        "--prove", type=int, metavar="SEQ", help="print one entry with its proof, nothing else"
    )
    check.add_argument("--since", type=Path, metavar="OLD_CHECKPOINT", help="a head kept from before")
    check.add_argument(
        "--code", action="append", default=[], metavar="CODE", help="a printed code, all of it"
    )
    check.add_argument(
        "--tsa", type=Path, metavar="FILE", help="certificates (PEM) of a time-stamp authority"
    )
    _add_keys(check)
    check.set_defaults(run=never_altered_by_accident(run_verify))

    show = _parser(commands, "show", "print entries", "example:\n  lfr-edge audit show LOG --ev alert.\n")
    show.add_argument("path", type=Path, metavar="PATH", help="folder of one log")
    show.add_argument("--seq", type=int, metavar="SEQ", help="one entry only")
    show.add_argument("--ev", default="", metavar="PREFIX", help="only verbs that begin with PREFIX")
    show.add_argument("--json", action="store_true", help="canonical JSON, one entry a line")
    show.set_defaults(run=never_altered_by_accident(run_show))
    add_receipt_command(commands)
    _add_proofs(commands)
    add_witness_commands(commands)
    add_stamp_command(commands)


def _add_proofs(commands: Commands) -> None:
    check = _parser(commands, "check-proof", "check one entry's proof, without the log", _CHECK_HELP)
    check.add_argument("proof", type=Path, metavar="PROOF", help="file made by audit verify --prove")
    check.add_argument("--cert", type=Path, required=True, metavar="FILE", help="key.cert of the log")
    check.add_argument("--key", type=Path, required=True, metavar="FILE", help="the device's public key")
    check.set_defaults(run=never_altered_by_accident(run_check_proof))

    erase = _parser(
        commands, "erase-proof", "show that an item is gone and the log still verifies", _ERASE_HELP
    )
    erase.add_argument("path", type=Path, metavar="PATH", help="folder of one log, or of a box")
    erase.add_argument("--ref", required=True, metavar="REF", help="the item's reference in the log")
    erase.add_argument(
        "--store", type=Path, action="append", default=[], metavar="FOLDER", help="where its material lay"
    )
    erase.set_defaults(run=never_altered_by_accident(run_erase_proof))

    code = _parser(commands, "code", "print the code of the last head, for paper", _CODE_HELP)
    code.add_argument("path", type=Path, metavar="PATH", help="folder of one log")
    code.set_defaults(run=never_altered_by_accident(run_code))


def _parser(commands: Commands, name: str, text: str, epilog: str) -> argparse.ArgumentParser:
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
    since = _kept(arguments.since) if arguments.since else None
    report = verify(
        arguments.path,
        device_key=read_key_file(arguments.key, LOG_KEY) if arguments.key else None,
        witnesses=[read_key_file(path, WITNESS_KEY) for path in arguments.witness],
        since=since,
        codes=[read_printed(code) for code in arguments.code],
        stampers=_authorities(arguments.tsa) if arguments.tsa else None,
    )
    result = report.to_json()
    mine = [log.path for log in report.logs if since is not None and log.origin == since.origin]
    if since is not None and report.intact and mine:
        result["since"] = _consistency(Path(mine[0]), since)
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(report.text() + "\n")
    return report.exit_code


def _kept(path: Path) -> Checkpoint:
    """The head in a file: one checkpoint, or the last one of a copy of a log's ``checkpoints``."""
    text = read_text_file(path)
    several = parse_checkpoints(text.encode()).whole
    if several:
        return several[-1]
    try:
        return parse_checkpoint(text)
    except AuditError as error:
        raise AuditError(
            error.code,
            say("{path} holds no checkpoint: {reason}", path=path, reason=error.message),
            hint="--since takes what was kept of the log before: a copy of its file checkpoints, or a witness's *.note",
        ) from None


def _authorities(path: Path) -> Path:
    """`path`, if certificates lie there: with any other file no time stamp would ever count, and nobody be told."""
    if "CERTIFICATE-----" not in read_text_file(path):
        raise AuditError(
            "audit_stamp_authority",
            say("{path} holds no certificate", path=path),
            hint="give the certificates of the time-stamp authority in PEM form",
        )
    return path


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


def run_check_proof(arguments: argparse.Namespace) -> int:
    proof = parse_proof(read_text_file(arguments.proof))
    device = read_key_file(arguments.key, LOG_KEY)
    read_text_file(arguments.cert)
    certificate = open_certificate(read_certificate(arguments.cert), device)
    if certificate.origin != proof.checkpoint.origin:
        raise AuditError(
            "audit_certificate_foreign",
            say(
                "the certificate is of {origin}, the proof of {other}",
                origin=certificate.origin,
                other=proof.checkpoint.origin,
            ),
            hint="give the key.cert that lies beside the entry's own log",
        )
    if not proof.holds(certificate.key):
        sys.stdout.write(f"NOT PROVED: entry {proof.index} is not in the log that this checkpoint signs.\n")
        return 1
    head = proof.checkpoint.head
    sys.stdout.write(entry_line(parse_entry(proof.body)) + "\n")
    sys.stdout.write(
        f"PROVED: entry {proof.index} of {certificate.origin}, among {head.size} signed entries.\n"
    )
    return 0


def run_erase_proof(arguments: argparse.Namespace) -> int:
    report = verify(arguments.path)
    proof = prove_erasure(views_of(arguments.path), arguments.ref, arguments.store)
    result = {**proof.to_json(), "verdict": report.verdict}
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    if not report.intact:
        return report.exit_code
    return 0 if proof.gone else 2


def run_code(arguments: argparse.Namespace) -> int:
    latest = LogView.load(arguments.path).latest
    if latest is None:
        raise AuditError("audit_entry_unsigned", "this log has no signed head", hint="close it first")
    code = printed_code(latest.origin, latest.head)
    sys.stdout.write(f"{head_text(latest.origin, latest.head)}\n{code}\n")
    return 0
