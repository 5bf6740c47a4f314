"""``lfr-edge watchlist``: check a list, seal it, read what is in it, destroy it."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.entry import Response, categories
from lfr_edge.watchlist.folder import Survey, survey
from lfr_edge.watchlist.header import inspect_header
from lfr_edge.watchlist.keys import new_key, read_key_file, write_key_file

if TYPE_CHECKING:
    from lfr_edge.models.store import Pack
    from lfr_edge.vision.pipeline import VisionStack

_EPILOG = """\
examples:
  lfr-edge watchlist check bundle                          every row and every picture, with reasons
  lfr-edge watchlist seal bundle list.sealed --key-file /media/key/list.key
  lfr-edge watchlist inspect list.sealed                   what anybody can read of it
  lfr-edge watchlist inspect list.sealed --key-file /media/key/list.key
  lfr-edge watchlist destroy list.sealed --key-file /media/key/list.key

A bundle is a folder with watchlist.csv (reference, category, response, images, …) and pictures; the format and an
example are in watchlists/. One wrong row or picture refuses the list, and every reason is given at once.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "watchlist",
        help="check, seal, inspect and destroy lists of sought persons",
        description="Check, seal, inspect and destroy lists of sought persons.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_check(actions)
    _register_seal(actions)
    _register_inspect(actions)
    _register_destroy(actions)


def _register_check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = actions.add_parser("check", help="look at every row and picture; nothing is written")
    _add_bundle(check)
    _add_networks(check)
    check.add_argument("--rows-only", action="store_true", help="fields and files only, no networks")
    check.set_defaults(run=_check)


def _register_seal(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    make = actions.add_parser("seal", aliases=["import"], help="check, enrol and encrypt a list")
    _add_bundle(make)
    make.add_argument("out", type=Path, metavar="OUT", help="the sealed list to write")
    make.add_argument(
        "--key-file", type=Path, required=True, metavar="FILE", help="its key; made where it does not exist"
    )
    make.add_argument(
        "--passphrase", action="store_true", help="ask for a passphrase that opens the list too"
    )
    make.add_argument("--skip-refused", action="store_true", help="leave out people without a usable picture")
    _add_networks(make)
    make.set_defaults(run=_seal)


def _register_inspect(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    look = actions.add_parser("inspect", help="what a sealed list holds; with its key, every entry")
    look.add_argument("sealed", type=Path, metavar="LIST", help="the sealed list")
    look.add_argument("--key-file", type=Path, metavar="FILE", help="also verify and show the entries")
    look.add_argument("--json", action="store_true", help="print one JSON object")
    look.set_defaults(run=_inspect)


def _register_destroy(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    end = actions.add_parser("destroy", help="overwrite and remove a sealed list and its key")
    end.add_argument("sealed", type=Path, metavar="LIST", help="the sealed list")
    end.add_argument("--key-file", type=Path, metavar="FILE", help="the key, destroyed first")
    end.add_argument("--yes", action="store_true", help="do not ask")
    end.add_argument("--json", action="store_true", help="print one JSON object")
    end.set_defaults(run=_destroy)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder with watchlist.csv, or the CSV")
    parser.add_argument(
        "--category",
        choices=list(categories()),
        help="for a folder without CSV: one folder of pictures per person, all of this category",
    )
    parser.add_argument(
        "--response", type=Response, choices=list(Response), default=Response.AMBER, help="for the same"
    )


def _add_networks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pack", default="default", metavar="NAME", help="installed model pack (default: default)"
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("var/models"),
        metavar="DIR",
        help="folder of packs (default: var/models)",
    )
    parser.add_argument(
        "--several-faces",
        choices=["refuse", "central"],
        default="refuse",
        help="a picture with several faces of similar size: refuse it, or take the one in the middle",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _check(args: argparse.Namespace) -> int:
    with _progress() as bar:
        found = _survey(args, bar)
        reports = []
        if not found.problems and not args.rows_only:
            from lfr_edge.watchlist.enrol import Enrolment

            _, vision = _open_pack(args)
            enrolment = Enrolment(
                found, vision, _rules(args), skip_refused=True, progress=_task(bar, "pictures")
            )
            for _ in enrolment.run():
                pass
            reports = enrolment.reports
    verdicts = Counter(report.verdict.value for report in reports)
    usable = not found.problems and not verdicts["refuse"]
    result = {
        "usable": usable,
        "entries": len(found.entries),
        "problems": [_problem(problem) for problem in found.problems],
        "warnings": [_problem(problem) for problem in found.warnings],
        "verdicts": dict(verdicts),
        "by_category": dict(Counter(entry.category for entry in found.entries)),
        "reports": [report.to_json() for report in reports],
    }
    print(json.dumps(result, indent=2) if args.json else _check_text(found, result))
    return 0 if usable else 1


def _check_text(found: Survey, result: dict[str, Any]) -> str:
    lines = [str(problem) for problem in found.problems]
    lines += [f"warning: {problem}" for problem in found.warnings]
    for report in result["reports"]:
        for image in report["images"]:
            if image["verdict"] != "pass":
                reasons = "; ".join(image["reasons"])
                lines.append(f"{image['verdict']:<7} {report['reference']}  {image['image']}: {reasons}")
    counted = ", ".join(f"{count} {verdict}" for verdict, count in result["verdicts"].items())
    lines.append(f"{result['entries']} entries" + (f": {counted}" if counted else ""))
    lines.append("this list can be sealed" if result["usable"] else "this list is refused as it stands")
    return "\n".join(lines)


def _seal(args: argparse.Namespace) -> int:
    from lfr_edge.watchlist.enrol import Enrolment

    passphrase = _ask_passphrase() if args.passphrase else None
    with _progress() as bar:
        found = _survey(args, bar).required()
        pack, vision = _open_pack(args)
        made = not args.key_file.exists()
        key = new_key() if made else read_key_file(args.key_file)
        enrolment = Enrolment(
            found, vision, _rules(args), skip_refused=args.skip_refused, progress=_task(bar, "pictures")
        )
        if made:
            write_key_file(args.key_file, key)
        try:
            header = seal(
                args.out,
                enrolment.run(),
                key=key,
                fingerprint=pack.fingerprint,
                dimension=vision.dimension,
                passphrase=passphrase,
            )
        except BaseException:
            if made:
                args.key_file.unlink()
            raise
    verdicts = Counter(report.verdict.value for report in enrolment.reports)
    result = {
        "sealed": str(args.out),
        "entries": header.entries,
        "images": header.images,
        "templates": header.rows,
        "left_out": verdicts["refuse"],
        "with_warnings": verdicts["warn"],
        "pack": pack.name,
        "created": header.created,
    }
    text = f"{args.out}: {header.entries} people, {header.images} images sealed for the pack {pack.name}"
    if verdicts["refuse"]:
        text += f"; {verdicts['refuse']} people left out"
    print(json.dumps(result, indent=2) if args.json else text)
    return 0


def _inspect(args: argparse.Namespace) -> int:
    header = inspect_header(args.sealed)
    result: dict[str, Any] = {
        "entries": header.entries,
        "images": header.images,
        "templates": header.rows,
        "dimension": header.dimension,
        "fingerprint": header.fingerprint,
        "created": header.created,
        "verified": False,
    }
    listed = []
    if args.key_file:
        with SealedWatchlist.open(args.sealed, read_key_file(args.key_file)) as opened:
            opened.verify_images()
            listed = [entry.to_json() for entry in opened.entries()]
        result |= {"verified": True, "list": listed}
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{header.entries} people, {header.images} images, sealed {header.created}")
    print("verified with its key" if args.key_file else "not verified: give --key-file to open it")
    for entry in listed:
        print(f"{entry['reference']:<20} {entry['requested_response']:<6} {entry['category']}")
    return 0


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
    result = {
        "entries": header.entries,
        "images": header.images,
        "templates": header.rows,
        "list_bytes": list_bytes,
        "key_destroyed": bool(key_bytes),
    }
    text = f"destroyed: {header.entries} people, {header.images} images, {list_bytes} bytes overwritten"
    text += ", and the key" if key_bytes else "; the key was not given and must be destroyed, too"
    print(json.dumps(result, indent=2) if args.json else text)
    return 0


def _survey(args: argparse.Namespace, bar: Progress) -> Survey:
    return survey(args.bundle, category=args.category, response=args.response, progress=_task(bar, "rows"))


def _rules(args: argparse.Namespace) -> Any:
    from lfr_edge.watchlist.enrol import Rules

    return Rules(several_faces=args.several_faces)


def _open_pack(args: argparse.Namespace) -> tuple[Pack, VisionStack]:
    # Here and not above: `inspect` and `destroy` must not need the networks, nor load their libraries.
    from lfr_edge.models.store import ModelStore
    from lfr_edge.vision.pipeline import VisionStack

    pack = ModelStore(args.store).load(args.pack)
    return pack, VisionStack.open(pack)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


def _task(bar: Progress, what: str) -> Any:
    task = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _problem(problem: Any) -> dict[str, Any]:
    return {"line": problem.line, "field": problem.field, "message": problem.message, "hint": problem.hint}


def _ask_passphrase() -> str:
    first = getpass.getpass("passphrase for the list: ")
    if len(first) < 12:
        raise WatchlistError(
            "watchlist_passphrase_short", "the passphrase is too short", hint="use at least 12 characters"
        )
    if getpass.getpass("once more: ") != first:
        raise WatchlistError("watchlist_passphrase_differs", "the two entries differ", hint="try again")
    return first
