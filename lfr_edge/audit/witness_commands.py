"""``lfr-edge audit witness …`` and ``stamp``: heads held outside the box, or held here for other boxes."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lfr_edge.audit.disk import write_new
from lfr_edge.audit.exits import never_altered_by_accident
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.note import LOG_KEY, WITNESS_KEY, MemorySigner, VerifierKey, is_key_name, read_key_file
from lfr_edge.audit.timestamp import HttpStamper, stamp
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness import HttpWitness, deliver
from lfr_edge.audit.witness_server import WitnessBook, WitnessServer
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

_NOBODY_THERE: Final = frozenset({"audit_witness_unreachable", "audit_stamp_unreachable"})
_HELP: Final = """\
examples:
  lfr-edge audit witness new-key force.example/witness --store /var/lib/witness
  lfr-edge audit witness serve force.example/witness --store /var/lib/witness --trust van-3.vkey --port 8600
  lfr-edge audit witness deliver audit_logs/var --url http://witness.force.example:8600 --witness force.vkey

The public key that new-key prints goes to every van and to every auditor; it stays in the store as witness.vkey.
What a van has shown lies as *.note files in the store: give one to `audit verify --since` and no van can take it
back.
"""

_STAMP_HELP: Final = """\
example:
  lfr-edge audit stamp audit_logs/var --url http://tsa.force.example
  lfr-edge audit verify audit_logs/var --tsa tsa-ca.pem

Optional, beside a witness: an authority remembers nothing, but its certificate is one that a court knows.
"""


def add_witness_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser(
        "witness",
        help="keep witness for other boxes, or find one",
        description="Heads held outside the box: the only thing its owner cannot rewrite.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = group.add_subparsers(dest="witness_command", required=True, metavar="COMMAND")

    new_key = actions.add_parser("new-key", help="make a witness's key and print its public half")
    new_key.add_argument("name", metavar="NAME", help="such as force.example/witness")
    new_key.add_argument("--store", type=Path, required=True, metavar="FOLDER", help="where the key is kept")
    new_key.set_defaults(run=never_altered_by_accident(run_new_key))

    serve = actions.add_parser("serve", help="run a witness")
    serve.add_argument("name", metavar="NAME", help="the name given to new-key")
    serve.add_argument("--store", type=Path, required=True, metavar="FOLDER", help="key and memory")
    serve.add_argument(
        "--trust", type=Path, action="append", required=True, metavar="FILE", help="a box's device.vkey"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=int, default=8600, help="port, 0 takes a free one (%(default)s)")
    serve.set_defaults(run=never_altered_by_accident(run_serve))

    send = actions.add_parser("deliver", help="have the newest heads of this box cosigned")
    send.add_argument("path", type=Path, metavar="PATH", help="folder of a log, or the folder above several")
    send.add_argument("--url", required=True, help="the witness's address")
    send.add_argument("--witness", type=Path, required=True, metavar="FILE", help="the witness's public key")
    send.set_defaults(run=never_altered_by_accident(run_deliver))


def add_stamp_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    send = commands.add_parser(
        "stamp",
        help="have the newest heads of this box stamped by a time-stamp authority",
        description="RFC 3161 time stamps of the newest signed heads; only their SHA-256 leaves the box.",
        epilog=_STAMP_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    send.add_argument("path", type=Path, metavar="PATH", help="folder of a log, or the folder above several")
    send.add_argument("--url", required=True, help="the authority's address")
    send.set_defaults(run=never_altered_by_accident(run_stamp))


def run_new_key(arguments: argparse.Namespace) -> int:
    _refuse_no_name(arguments.name)
    store = FileKeyStore(arguments.store)
    if store.read("witness") is not None:
        raise AuditError(
            "audit_key_exists", f"{arguments.store} holds a key already", hint="use another folder"
        )
    seed = secrets.token_bytes(32)
    signer = MemorySigner(arguments.name, seed, WITNESS_KEY)
    store.write("witness", seed)
    line = signer.verifier.text + "\n"
    write_new(_public_key(arguments.store), line.encode())
    sys.stdout.write(line)
    return 0


def run_serve(arguments: argparse.Namespace) -> int:
    _refuse_no_name(arguments.name)
    seed = FileKeyStore(arguments.store).read("witness")
    if seed is None:
        raise AuditError("audit_key_missing", f"{arguments.store} holds no key", hint="make one with new-key")
    signer = MemorySigner(arguments.name, seed, WITNESS_KEY)
    _refuse_another_name(arguments.store, signer.verifier)
    trusted = tuple(read_key_file(path, LOG_KEY) for path in arguments.trust)
    book = WitnessBook(arguments.store, signer, trusted)
    with _listening(arguments.host, arguments.port, book) as server:
        sys.stdout.write(f"witness {signer.verifier.name} at http://{arguments.host}:{server.server_port}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            sys.stdout.write("stopped\n")
    return 0


def _refuse_no_name(name: str) -> None:
    if not is_key_name(name):
        raise AuditError(
            "audit_witness_name",
            say("{name} cannot be a witness's name", name=repr(name)),
            hint="without white space and +, such as force.example/witness",
        )


def _public_key(store: Path) -> Path:
    return store / "witness.vkey"


def _refuse_another_name(store: Path, key: VerifierKey) -> None:
    """The name is part of the key: under another one nobody who holds the public key would know its cosignatures."""
    if not _public_key(store).exists():
        write_new(_public_key(store), f"{key.text}\n".encode())  # a store of before this file was kept
        return
    made = read_key_file(_public_key(store), WITNESS_KEY)
    if made != key:
        raise AuditError(
            "audit_witness_name",
            say("the key in {store} was made for {name}", store=store, name=made.name),
            hint="serve it under that name, or make another key in another folder",
        )


def _listening(host: str, port: int, book: WitnessBook) -> WitnessServer:
    try:
        return WitnessServer((host, port), book)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AuditError(
            "audit_witness_address",
            say("{host}:{port} cannot be listened on: {reason}", host=host, port=port, reason=reason),
            hint="another --port, or --host with an address of this machine",
        ) from None


def run_deliver(arguments: argparse.Namespace) -> int:
    witness = HttpWitness(arguments.url, read_key_file(arguments.witness, WITNESS_KEY))

    def cosigned(folder: Path, view: LogView) -> str:
        return "cosigned now" if deliver(folder, view, witness) else "nothing new"

    return _each_log(arguments.path, cosigned)


def run_stamp(arguments: argparse.Namespace) -> int:
    stamper = HttpStamper(arguments.url)

    def stamped(folder: Path, view: LogView) -> str:
        return "stamped now" if stamp(folder, view, stamper) else "nothing new"

    return _each_log(arguments.path, stamped)


def _each_log(path: Path, send: Callable[[Path, LogView], str]) -> int:
    """Send every log's head; what is wrong with one log keeps no other from being anchored.

    Raises:
        AuditError: at once where nobody answers; else, at the end, the worst of what was wrong.
    """
    wrong: list[AuditError] = []
    for folder in _logs_in(path):
        try:
            view = LogView.load(folder)
            done = send(folder, view)
        except AuditError as error:
            if error.code in _NOBODY_THERE:
                raise
            wrong.append(error)
            sys.stdout.write(f"{folder}  not sent: {error.message}\n")
        else:
            size = view.latest.head.size if view.latest else 0
            sys.stdout.write(f"{view.origin}  {size} entries  {done}\n")
    if wrong:
        raise min(wrong, key=lambda error: error.code != "audit_witness_contradicts")
    return 0


def _logs_in(path: Path) -> list[Path]:
    """The folder of one log itself, or those of every log of a box."""
    if LogFolder(path).is_log():
        return [path]
    found = sorted(entries.parent for entries in path.glob("*/entries.lfr"))
    if not found:
        raise AuditError("audit_log_unreadable", f"{path} holds no log", hint="give the audit folder")
    return found
