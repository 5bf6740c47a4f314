"""``lfr-edge authority``: write, check, sign and cancel the authority of a deployment (WAD)."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.errors import DeploymentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from lfr_edge.deployment.authority import Clause, Document, SignedAuthority

PASSPHRASE_MIN: Final = 12  # as for accounts
_EPILOG: Final = """\
examples:
  lfr-edge authority keygen ao.key                          once, for the Authorising Officer
  lfr-edge authority new op-117.json                        asks for every field
  lfr-edge authority new op-118.json --from op-117.json     the same words, new times: Enter keeps what is there
  lfr-edge authority new op-119.json --from op-117.json --no-questions --set end=2026-11-23T16:00:00Z
  lfr-edge authority check op-117.json                      gaps of a draft, clause by clause
  lfr-edge authority check op-117.json --config lfr.toml    against this box, its list and its clock
  lfr-edge authority sign op-117.json --key ao.key
  lfr-edge authority confirm op-117.json --key ao.key --by "Supt A. Example"    the writing an oral authority owes
  lfr-edge authority cancel op-117.json --key ao.key --by "Supt A. Example" --why "The intelligence was wrong."
  lfr-edge authority schema > authority.schema.json

A box believes the authority once ao.key.pub is enrolled on its Approvals page, by two persons. The private key stays
with the officer. Exit status of check: 0 every clause holds, 1 one does not.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "authority",
        help="why, where and when: write, check, sign and cancel an authority",
        description="Write, check, sign and cancel the authority of a deployment (WAD).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="write a draft, asking for every field")
    new.add_argument("out", type=Path, help="file to write; an existing one is never overwritten")
    new.add_argument("--from", dest="base", type=Path, metavar="FILE", help="start from an earlier authority")
    new.add_argument(
        "--set",
        dest="fields",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="such as place.name=…",
    )
    new.add_argument("--no-questions", action="store_true", help="ask nothing")
    new.set_defaults(run=_new)
    check = _on_file(actions, "check", "print the authority clause by clause, and what does not hold", _check)
    check.add_argument(
        "--config", type=Path, help="hold it against this configuration, its keys and its clock"
    )
    check.add_argument("--list-key", type=Path, metavar="KEY", help="open the list with this key file")
    check.add_argument(
        "--trust", type=Path, action="append", default=[], metavar="PUB", help="believe this key"
    )
    check.add_argument("--json", action="store_true", help="for programs")
    sign = _with_key(actions, "sign", "sign it, as the Authorising Officer", _sign)
    sign.add_argument("--yes", action="store_true", help="do not ask whether it is meant")
    confirm = _with_key(actions, "confirm", "confirm in writing what was authorised orally", _confirm)
    confirm.add_argument("--by", required=True, help="rank and name")
    cancel = _with_key(actions, "cancel", "end it before its time; this cannot be undone", _cancel)
    cancel.add_argument("--by", required=True, help="rank and name")
    cancel.add_argument("--why", required=True, help="one sentence for the record")
    actions.add_parser("schema", help="print the JSON Schema of the file").set_defaults(run=_schema)
    keygen = actions.add_parser("keygen", help="make the Authorising Officer's pair of keys")
    keygen.add_argument("out", type=Path, help="private key to write; the public one ends in .pub")
    keygen.add_argument("--no-passphrase", action="store_true", help="only for a key in a safe, or for tests")
    keygen.set_defaults(run=_keygen)


def _on_file(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, function: object
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser.add_argument("file", type=Path, help="file of the authority")
    parser.set_defaults(run=function)
    return parser


def _with_key(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, function: object
) -> argparse.ArgumentParser:
    parser = _on_file(actions, name, text, function)
    parser.add_argument("--key", type=Path, required=True, help="the officer's private key (PEM)")
    return parser


def _new(args: argparse.Namespace) -> int:
    from lfr_edge.cli.authority_prompts import blank, document_of, fill_in, set_field
    from lfr_edge.clock import SystemClock
    from lfr_edge.deployment.authority import clauses, draft, read_document
    from lfr_edge.deployment.authority.document import write_document
    from lfr_edge.deployment.authority.terms import to_json

    if args.out.exists():
        raise DeploymentError(
            "authority_file_exists", f"{args.out} exists; it is not overwritten", hint="choose another name"
        )
    now_ns = SystemClock().wall_ns()
    raw = blank(now_ns)
    if args.base:
        raw = json.loads(json.dumps(to_json(read_document(args.base).authority)))
    for field in args.fields:
        name, _, text = field.partition("=")
        set_field(raw, name, text, now_ns)
    if not args.no_questions:
        fill_in(raw, input, print, now_ns)
    document = document_of(raw)
    write_document(args.out, document)
    gaps = [clause for clause in clauses(draft(document), None) if not clause.ok]
    print(f"{args.out}: a draft. What is left before anybody may run under it:")
    _print(gaps)
    return 0


def _check(args: argparse.Namespace) -> int:
    from lfr_edge.cli.authority_facts import believed_keys, facts_for
    from lfr_edge.deployment.authority import clauses, draft, read_document
    from lfr_edge.deployment.authority.document import believe

    document = read_document(args.file)
    trusted = believed_keys(args.config, args.trust)
    signed = draft(document)
    if document.signature is not None and (args.config or args.trust):
        signed = believe(document, trusted)
    facts, remarks = facts_for(args.config, args.list_key, signed) if args.config else (None, ())
    found = clauses(signed, facts)
    if args.json:
        print(json.dumps(_as_json(signed, found), indent=2, ensure_ascii=False))
    else:
        print(f"{signed.authority.operation}  sha256 {signed.sha256}")
        _print(found)
        for remark in remarks:
            print(remark)
    return 0 if all(clause.ok for clause in found) else 1


def _sign(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from lfr_edge.deployment.authority import clauses, draft, read_document, refuse
    from lfr_edge.deployment.authority.document import signed, write_document
    from lfr_edge.deployment.authority.signing import key_id, public_bytes

    document = read_document(args.file)
    key = _key(args.key)
    found = clauses(replace(draft(document), key_id=key_id(public_bytes(key))), None)
    refuse(found)
    _print(found)
    if not args.yes and input("Sign this? yes/no: ").strip().lower() != "yes":
        raise DeploymentError("authority_not_meant", "nothing was signed", hint="answer yes, or give --yes")
    write_document(args.file, signed(document, key))
    print(f"{args.file}: signed by {key_id(public_bytes(key))}, sha256 {document.authority.sha256}")
    return 0


def _confirm(args: argparse.Namespace) -> int:
    from lfr_edge.clock import SystemClock
    from lfr_edge.deployment.authority.document import confirmed, write_document

    document = _signed_document(args.file)
    if document.authority.urgent is None:
        raise DeploymentError(
            "authority_not_oral", "this authority was given in writing: there is nothing to confirm"
        )
    write_document(args.file, confirmed(document, _key(args.key), by=args.by, at_ns=SystemClock().wall_ns()))
    print(f"{args.file}: confirmed in writing by {args.by}")
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from lfr_edge.clock import SystemClock
    from lfr_edge.deployment.authority.document import cancelled, write_document

    document = _signed_document(args.file)
    now_ns = SystemClock().wall_ns()
    write_document(args.file, cancelled(document, _key(args.key), by=args.by, why=args.why, at_ns=now_ns))
    print(f"{args.file}: cancelled. A box that runs under it stops as soon as it reads this file.")
    return 0


def _schema(_: argparse.Namespace) -> int:
    from lfr_edge.deployment.authority import schema

    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0


def _keygen(args: argparse.Namespace) -> int:
    from lfr_edge.deployment.authority.signing import key_id, make_key, public_bytes, public_path

    passphrase = None if args.no_passphrase else _new_passphrase()
    identifier = key_id(public_bytes(make_key(args.out, passphrase)))
    print(f"{args.out}: the private key {identifier}; keep it, and give it to nobody")
    print(f"{public_path(args.out)}: the public key; two persons enrol it on the Approvals page of each box")
    return 0


def _signed_document(path: Path) -> Document:
    from lfr_edge.deployment.authority import read_document

    document = read_document(path)
    if document.signature is None:
        raise DeploymentError(
            "authority_unsigned",
            f"{path} is a draft: nobody has signed it",
            hint="change or delete the draft",
        )
    return document


def _key(path: Path) -> Ed25519PrivateKey:
    from lfr_edge.deployment.authority.signing import read_private_key

    try:
        return read_private_key(path)
    except DeploymentError as error:
        if error.code != "authority_key_locked":
            raise
    return read_private_key(path, getpass.getpass(f"passphrase of {path}: ").encode())


def _new_passphrase() -> bytes:
    first = getpass.getpass("passphrase for the new key: ")
    if len(first) < PASSPHRASE_MIN:
        raise DeploymentError(
            "authority_passphrase_short",
            f"the passphrase needs at least {PASSPHRASE_MIN} characters",
            hint="three random words do",
        )
    if getpass.getpass("once more: ") != first:
        raise DeploymentError("authority_passphrase_differs", "the two entries differ", hint="try again")
    return first.encode()


def _print(found: tuple[Clause, ...] | list[Clause]) -> None:
    for clause in found:
        print(f"{'ok' if clause.ok else 'NO':3}{clause.number:3}  {clause.title:24}{clause.text}")
        if clause.hint:
            print(f"{'':8}→ {clause.hint}")
    sys.stdout.flush()


def _as_json(signed: SignedAuthority, found: tuple[Clause, ...]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "operation": signed.authority.operation,
        "sha256": signed.sha256,
        "key_id": signed.key_id,
        "holds": all(clause.ok for clause in found),
        "clauses": [asdict(clause) for clause in found],
    }
