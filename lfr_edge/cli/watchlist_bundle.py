"""``lfr-edge watchlist bundle``: sign a list, check a signature, print the schema."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.bundle import Label, Limits, read_bundle, read_unsigned, write_bundle
from lfr_edge.watchlist.bundle.archive import MOST_MEMBERS
from lfr_edge.watchlist.bundle.manifest import schema
from lfr_edge.watchlist.bundle.signature import key_id, new_private_key, read_private_key, read_public_key
from lfr_edge.watchlist.findings import Survey
from lfr_edge.watchlist.table import table

_KEY = "lfr-edge watchlist bundle key issuer.pem issuer.pub.pem --passphrase"
_MAKE = (
    "lfr-edge watchlist bundle make list list.zip --key issuer.pem --list-id L-1 --operation OP-1 "
    '--issued-by "A Force"'
)
_MAPPED = (
    "lfr-edge watchlist bundle make export out --mapping ours.toml --key issuer.pem --list-id L-1 --operation OP-1 "
    '--issued-by "A Force"'
)
_VERIFY = "lfr-edge watchlist bundle verify list.zip --public issuer.pub.pem"
_TABLE = "lfr-edge watchlist bundle table list.zip --public issuer.pub.pem > list.csv"
_SCHEMA = "lfr-edge watchlist bundle schema"
_PURPOSE = "what the list may be used for (default: operational)"

_Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def register_bundle(actions: _Actions) -> None:
    bundle = _parser(
        actions,
        "bundle",
        "sign a list for a box, or check who signed one",
        _KEY,
        _MAKE,
        _VERIFY,
        _TABLE,
        _SCHEMA,
    )
    steps = bundle.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_key(steps)
    _register_make(steps)
    _register_verify(steps)
    _register_table(steps)
    _parser(steps, "schema", "print the JSON Schema of manifest.json", _SCHEMA).set_defaults(run=_schema)


def _parser(actions: _Actions, name: str, what: str, *examples: str) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _register_key(steps: _Actions) -> None:
    key = _parser(steps, "key", "make a signing key and its public half, which is enrolled on each box", _KEY)
    key.add_argument("private", type=Path, metavar="PRIVATE", help="the key to write; it signs lists")
    key.add_argument("public", type=Path, metavar="PUBLIC", help="its public half to write")
    key.add_argument("--passphrase", action="store_true", help="ask for a passphrase that locks the key")
    key.set_defaults(run=_key)


def _register_make(steps: _Actions) -> None:
    make = _parser(steps, "make", "check a list, give it a manifest and sign it", _MAKE, _MAPPED)
    make.add_argument("list", type=Path, metavar="LIST", help="folder with a CSV, or JSON with --mapping")
    make.add_argument("out", type=Path, metavar="OUT", help="a folder, or a file that ends in .zip")
    make.add_argument("--key", type=Path, required=True, metavar="FILE", help="the issuing authority's key")
    make.add_argument("--list-id", required=True, metavar="ID", help="a reference of this compilation")
    make.add_argument("--operation", required=True, metavar="ID", help="reference of the operation")
    make.add_argument("--issued-by", required=True, metavar="TEXT", help="the issuing authority, for people")
    make.add_argument("--mapping", type=Path, metavar="FILE", help="how to read JSON of another system")
    make.add_argument(
        "--purpose", choices=["operational", "evaluation"], default="operational", help=_PURPOSE
    )
    _add_members(make)
    make.set_defaults(run=_make)


def _register_verify(steps: _Actions) -> None:
    verify = _parser(steps, "verify", "check signature, fields and every picture of a bundle", _VERIFY)
    _add_signed(verify)
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.set_defaults(run=_verify)


def _register_table(steps: _Actions) -> None:
    rows = _parser(steps, "table", "print a signed list as CSV, for the officer who decides about it", _TABLE)
    _add_signed(rows)
    rows.set_defaults(run=_table)


def _add_signed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a ZIP file, or the folder")
    parser.add_argument(
        "--public", type=Path, required=True, action="append", metavar="FILE", help="a public key to trust"
    )
    parser.add_argument(
        "--purpose", choices=["operational", "evaluation"], default="operational", help=_PURPOSE
    )
    _add_members(parser)


def _add_members(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--most-files",
        type=int,
        default=Limits().members,
        metavar="N",
        help=f"pictures that a bundle may hold (default: {Limits().members}, at most {MOST_MEMBERS})",
    )


def _make(args: argparse.Namespace) -> int:
    key = read_private_key(args.key, _passphrase_of(args.key))
    found = read_unsigned(args.list, "operational", args.mapping)  # a manifest leaves nothing unsaid
    label = Label(args.list_id, args.operation, args.issued_by, args.purpose, datetime.now(UTC))
    digest = write_bundle(args.out, found, label, key, _limits(args))
    print(f"{args.out}: {len(found.entries)} people, manifest {digest}")
    print(f"signed by key {key_id(key.public_key().public_bytes_raw())}")
    return 0


def _signed(args: argparse.Namespace) -> Survey:
    keys = [read_public_key(path) for path in args.public]
    trusted = {key_id(key): key for key in keys}
    return read_bundle(args.bundle, trusted, purpose=args.purpose, limits=_limits(args))


def _table(args: argparse.Namespace) -> int:
    print(table(_signed(args).required().entries), end="")
    return 0


def _verify(args: argparse.Namespace) -> int:
    found = _signed(args)
    result = {
        "intact": not found.problems,
        "entries": len(found.entries),
        "key_id": found.issuer.key_id if found.issuer else None,
        "issued_by": found.issuer.name if found.issuer else None,
        "operation": found.operation,
        "compiled_at": found.compiled_at and found.compiled_at.isoformat(),
        "manifest_sha256": found.bundle_sha256,
        "problems": [str(problem) for problem in found.problems],
    }
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            "\n".join([*map(str, found.problems), *map(str, found.warnings)]), end="\n" * bool(found.problems)
        )
        print(f"{len(found.entries)} people for {found.operation}, signed by {result['issued_by']}")
        print("complete and unaltered" if result["intact"] else "refused as it stands")
    return 0 if result["intact"] else 1


def _key(args: argparse.Namespace) -> int:
    passphrase = _new_passphrase() if args.passphrase else None
    private, public, name = new_private_key(passphrase)
    _write_new(args.private, private, 0o600)
    _write_new(args.public, public, 0o644)
    print(f"key {name}: keep {args.private} with the issuing authority, enrol {args.public} on each box")
    return 0


def _new_passphrase() -> bytes:
    """Asked twice: a slip of the fingers would lock the key away for good."""
    first = getpass.getpass("passphrase for the key: ")
    if getpass.getpass("once more: ") != first:
        raise WatchlistError("watchlist_passphrase_differs", "the two entries differ", hint="try again")
    return first.encode()


def _schema(_args: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return 0


def _limits(args: argparse.Namespace) -> Limits:
    try:
        return Limits(members=args.most_files)
    except ValueError:
        raise WatchlistError(
            "watchlist_limit_refused",
            f"--most-files {args.most_files} is not possible",
            hint=f"give 1 to {MOST_MEMBERS}",
        ) from None


def _passphrase_of(path: Path) -> bytes | None:
    try:
        locked = b"ENCRYPTED" in path.read_bytes()[:200]
    except OSError:
        return None  # reading the key says what is wrong
    return getpass.getpass("passphrase of the key: ").encode() if locked else None


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise WatchlistError(
            "watchlist_unwritable", f"{path}: {error.strerror}", hint="choose a name that is free"
        ) from None
