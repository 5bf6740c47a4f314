"""``lfr-edge watchlist``: check a list, seal it, read what is in it, compare two, destroy it."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lfr_edge.cli.watchlist_bundle import register_bundle
from lfr_edge.cli.watchlist_compile import register_compile
from lfr_edge.cli.watchlist_keys import add_credential, credential
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.destroy import destroy_file, destroy_import
from lfr_edge.watchlist.diff import ListDiff, difference
from lfr_edge.watchlist.header import file_digest, inspect_header
from lfr_edge.watchlist.list_facts import list_facts

_EPILOG = """\
examples:
  lfr-edge watchlist check list                            every row and every picture, with reasons
  lfr-edge watchlist check list.zip --trust var/trust.json --purpose operational --faces-per-hour 2500 --hours 6
  lfr-edge watchlist seal list list.sealed --key-file /media/key/list.key
  lfr-edge watchlist inspect list.sealed                   what anybody can read of it
  lfr-edge watchlist inspect list.sealed --key-file /media/key/list.key
  lfr-edge watchlist diff old.sealed list.sealed --key-file /media/key/list.key --older-key-file old.key
  lfr-edge watchlist destroy list.sealed --key-file /media/key/list.key --import /media/usb/list

A list is a signed bundle, or a folder with watchlist.csv (reference, category, response, images, …) and pictures;
formats and an example are in watchlists/. One wrong row or picture refuses the list, and every reason is given at
once. Interrupted, `seal` goes on where it was when it is called again.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "watchlist",
        help="check, seal, inspect, compare and destroy lists of sought persons",
        description="Check, seal, inspect, compare and destroy lists of sought persons.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    register_compile(actions)
    _register_inspect(actions)
    _register_diff(actions)
    _register_destroy(actions)
    register_bundle(actions)


def _register_inspect(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    look = actions.add_parser("inspect", help="what a sealed list holds; with its key, every entry")
    look.add_argument("sealed", type=Path, metavar="LIST", help="the sealed list")
    add_credential(look, ": also verify and show the entries")
    look.add_argument("--json", action="store_true", help="print one JSON object")
    look.set_defaults(run=_inspect)


def _register_diff(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = actions.add_parser(
        "diff",
        help="who came, who went, what changed between two sealed lists",
        description="Who came, who went, and which fields differ between two sealed lists; never a picture. Ends with "
        "1 where they differ.",
        epilog="example:\n"
        "  lfr-edge watchlist diff old.sealed list.sealed --key-file /media/key/list.key --older-key-file old.key\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("older", type=Path, metavar="OLDER", help="the sealed list that was")
    compare.add_argument("newer", type=Path, metavar="NEWER", help="the sealed list that is")
    add_credential(compare, ", where one opens both")
    compare.add_argument("--older-key-file", type=Path, metavar="FILE", help="where OLDER has another key")
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    compare.set_defaults(run=_diff)


def _register_destroy(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    end = actions.add_parser("destroy", help="overwrite and remove a sealed list and its key")
    end.add_argument("sealed", type=Path, metavar="LIST", help="the sealed list")
    end.add_argument("--key-file", type=Path, metavar="FILE", help="the key, destroyed first")
    end.add_argument(
        "--import",
        type=Path,
        metavar="PATH",
        dest="import_copy",
        help="also the copy that it was imported from: a file, or a folder with all below",
    )
    end.add_argument("--yes", action="store_true", help="do not ask")
    end.add_argument("--json", action="store_true", help="print one JSON object")
    end.set_defaults(run=_destroy)


def _inspect(args: argparse.Namespace) -> int:
    header = inspect_header(args.sealed)
    result: dict[str, Any] = {
        "entries": header.entries,
        "images": header.images,
        "templates": header.rows,
        "dimension": header.dimension,
        "fingerprint": header.fingerprint,
        "created": header.created,
        "sha256": file_digest(args.sealed),
        "opened_by": [name for name, wrapped in header.wrapped.items() if wrapped],
        "verified": False,
    }
    key = credential(args)
    if key is not None:
        with SealedWatchlist.open(args.sealed, key) as opened:
            opened.verify_images()
            result |= {
                "verified": True,
                "facts": list_facts(opened, datetime.now(UTC).date()).to_json(),
                "list": [
                    entry.to_json()
                    | {
                        "warnings": list(opened.warnings_of(entry.reference)),
                        "look_alikes": [list(near) for near in opened.look_alikes(entry.reference)],
                    }
                    for entry in opened.entries()
                ],
            }
    print(json.dumps(result, indent=2) if args.json else "\n".join(_inspect_lines(result)))
    return 0


def _inspect_lines(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['entries']} people, {result['images']} images, sealed {result['created']}"]
    lines.append(f"SHA-256 {result['sha256']}")
    if not result["verified"]:
        return [*lines, "not verified: give --key-file or --passphrase to open it"]
    facts = result["facts"]
    who = (
        f"issued by {facts['issuer']} (key {facts['issuer_key']})" if facts["issuer"] else "signed by nobody"
    )
    lines.append(f"verified with its key; {facts['purpose']}, compiled {facts['compiled_at']}, {who}")
    for entry in result["list"]:
        near = ", ".join(f"{other} {score:.2f}" for other, score in entry["look_alikes"])
        text = f"{entry['reference']:<20} {entry['requested_response']:<6} {entry['category']}"
        lines.append(text + (f"  looks like {near}" if near else ""))
    return lines


def _diff(args: argparse.Namespace) -> int:
    key = credential(args)
    if key is None:
        raise WatchlistError(
            "watchlist_no_credential",
            "nothing was named that opens the lists",
            hint="give --key-file FILE or --passphrase",
        )
    older_key = key
    if args.older_key_file:
        from lfr_edge.watchlist.keys import read_key_file

        older_key = read_key_file(args.older_key_file)
    with (
        _opened(args.newer, key, "--key-file") as newer,
        _opened(args.older, older_key, "--older-key-file") as older,
    ):
        found = difference(older, newer)
    print(json.dumps(found.to_json(), indent=2) if args.json else "\n".join(_diff_lines(found)))
    return 0 if not (found.added or found.removed or found.changed) else 1


def _opened(path: Path, credential: bytes | str, option: str) -> SealedWatchlist:
    """Lists of two deployments have two keys: a refusal says which one does not fit."""
    try:
        return SealedWatchlist.open(path, credential)
    except WatchlistError as error:
        if error.code != "watchlist_key_wrong":
            raise
        raise WatchlistError(
            error.code, f"{path}: {error.message}", hint=f"give the key that it was sealed with by {option}"
        ) from None


def _diff_lines(found: ListDiff) -> list[str]:
    lines = [f"+ {reference}" for reference in found.added]
    lines += [f"- {reference}" for reference in found.removed]
    lines += [f"~ {change.reference}: {', '.join(change.fields)}" for change in found.changed]
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed"
    lines.append(f"{counts}, {found.same} the same")
    if found.model_changed:
        lines.append("the two were enrolled with different model packs")
    return lines


def _destroy(args: argparse.Namespace) -> int:
    header = inspect_header(args.sealed)
    if not args.yes:
        if not sys.stdin.isatty():
            raise WatchlistError(
                "watchlist_not_confirmed", "destroying a list needs a confirmation", hint="repeat with --yes"
            )
        answer = input(f"destroy the list of {header.entries} people for good? Type 'destroy': ")
        if answer.strip() != "destroy":
            print("nothing was changed")
            return 1
    # The key first: without it the list is unreadable, whatever the medium keeps of overwritten blocks.
    key_bytes = destroy_file(args.key_file) if args.key_file else 0
    list_bytes = destroy_file(args.sealed)
    erased = destroy_import(args.import_copy) if args.import_copy else None
    result = {
        "entries": header.entries,
        "images": header.images,
        "templates": header.rows,
        "list_bytes": list_bytes,
        "key_destroyed": bool(key_bytes),
        "import_erased": erased and {"files": erased.files, "bytes": erased.size, "verified": True},
    }
    text = f"destroyed: {header.entries} people, {header.images} images, {list_bytes} bytes overwritten"
    text += ", and the key" if key_bytes else "; the key was not given and must be destroyed, too"
    if erased:
        text += f"; the import copy, too: {erased.files} files, read back and gone"
    print(json.dumps(result, indent=2) if args.json else text)
    return 0
