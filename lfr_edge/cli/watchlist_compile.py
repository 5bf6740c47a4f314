"""``lfr-edge watchlist check`` and ``seal``: the compiler at a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from lfr_edge.cli.evaluation_inputs import real
from lfr_edge.cli.packs import add_pack, counting, progress_bar
from lfr_edge.cli.watchlist_keys import ask_passphrase
from lfr_edge.cli.watchlist_words import check_json, check_lines, seal_lines
from lfr_edge.errors import AccessError, WatchlistError
from lfr_edge.matching.forecast import Forecast, forecast, scale_for
from lfr_edge.matching.threshold import calibrations_of
from lfr_edge.sentences import say
from lfr_edge.watchlist.bundle import Limits as ArchiveLimits
from lfr_edge.watchlist.bundle import read_list
from lfr_edge.watchlist.destroy import destroy_import
from lfr_edge.watchlist.entry import Response, categories
from lfr_edge.watchlist.findings import Survey
from lfr_edge.watchlist.keys import new_key, read_key_file, write_key_file
from lfr_edge.watchlist.list_checks import Limits

if TYPE_CHECKING:
    from lfr_edge.models.store import Pack
    from lfr_edge.vision.pipeline import VisionStack
    from lfr_edge.watchlist.compiler import Compilation, Compiled
    from lfr_edge.watchlist.enrol import Rules
    from lfr_edge.watchlist.reports import EntryReport


def register_compile(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = actions.add_parser("check", help="look at every row and picture; nothing is written")
    _add_list(check)
    _add_networks(check)
    _add_deployment(check)
    check.add_argument("--rows-only", action="store_true", help="fields and files only, no networks")
    check.set_defaults(run=_check)
    make = actions.add_parser(
        "seal",
        aliases=["import"],
        help="check, enrol and encrypt a list",
        description="Check, enrol and encrypt a list, whole or not at all. Interrupted (Ctrl-C, a power cut), the "
        "same command goes on where it was.",
    )
    _add_list(make)
    make.add_argument("out", type=Path, metavar="OUT", help="the sealed list to write")
    make.add_argument("--key-file", type=Path, metavar="FILE", help="its key; made where it does not exist")
    make.add_argument(
        "--passphrase", action="store_true", help="ask for a passphrase that opens the list, too"
    )
    make.add_argument("--skip-refused", action="store_true", help="leave out people without a usable picture")
    make.add_argument(
        "--erase-import", action="store_true", help="then overwrite and remove LIST, and verify that"
    )
    _add_networks(make)
    _add_deployment(make)
    make.set_defaults(run=_seal)


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle",
        type=Path,
        metavar="LIST",
        help="a bundle (ZIP or folder), a folder with watchlist.csv, or a CSV",
    )
    parser.add_argument(
        "--category",
        choices=list(categories()),
        help="for a folder without CSV: one folder of pictures per person, all of this category",
    )
    parser.add_argument(
        "--response", type=Response, choices=list(Response), default=Response.AMBER, help="for the same"
    )
    parser.add_argument("--mapping", type=Path, metavar="FILE", help="how to read JSON of another system")
    parser.add_argument(
        "--purpose",
        choices=["operational", "evaluation"],
        default="evaluation",
        help="operational: signed, and nothing that the law asks for may be missing (default: evaluation)",
    )
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="FILE",
        help="the box's enrolled keys, for signed bundles (var/trust.json)",
    )
    parser.add_argument(
        "--authority", type=Path, metavar="FILE", help="the deployment's authority: its list is held to it"
    )
    parser.add_argument(
        "--most-files", type=int, default=ArchiveLimits().members, metavar="N", help="files a bundle may hold"
    )


def _add_networks(parser: argparse.ArgumentParser) -> None:
    add_pack(parser)
    parser.add_argument(
        "--several-faces",
        choices=["refuse", "central"],
        default="refuse",
        help="a picture with several faces of similar size: refuse it, or take the one in the middle",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_deployment(parser: argparse.ArgumentParser) -> None:
    crowd = parser.add_argument_group("the planned deployment", "for look-alikes and expected false alerts")
    crowd.add_argument(
        "--faces-per-hour",
        type=real("--faces-per-hour", 0, 100_000),
        metavar="N",
        help="people who will pass in an hour",
    )
    crowd.add_argument(
        "--hours", type=real("--hours", 0, 10_000), default=1.0, metavar="H", help="how long (default: 1)"
    )
    crowd.add_argument(
        "--threshold",
        type=real("--threshold", -1, 1, what="a cosine"),
        metavar="COSINE",
        help="default: the calibrated one",
    )
    crowd.add_argument(
        "--target-fpir",
        type=real("--target-fpir", 0, 1, open_ends=True, what="a rate"),
        default=0.01,
        metavar="SHARE",
        help="default: 0.01",
    )
    crowd.add_argument("--calibration", type=Path, metavar="FILE", help="default: the one that came along")


def _check(args: argparse.Namespace) -> int:
    told: list[EntryReport] = []
    with progress_bar() as bar:
        found = _survey(args, bar)
        compiled, expected = None, None
        if not found.problems and not args.rows_only:
            pack, compilation = _compilation(args, found, bar)
            compilation.on_report = told.append if args.json else None
            compiled = compilation.check()
            expected = _forecast(args, pack, compiled)
    usable = not found.problems and (compiled is None or compiled.usable)
    if args.json:
        print(json.dumps(check_json(found, compiled, expected, told) | {"usable": usable}, indent=2))
    else:
        print("\n".join(check_lines(found, compiled, expected)))
        print("this list can be sealed" if usable else "this list is refused as it stands")
    return 0 if usable else 1


def _seal(args: argparse.Namespace) -> int:
    if args.key_file is None and not args.passphrase:
        raise WatchlistError(
            "watchlist_no_credential",
            "nothing was named that opens the list",
            hint="give --key-file FILE on a medium that you take away, --passphrase, or both",
        )
    passphrase = ask_passphrase() if args.passphrase else None
    with progress_bar() as bar:
        found = _survey(args, bar).required()
        pack, compilation = _compilation(args, found, bar)
        key, made = _key(args.key_file)
        try:
            compiled = compilation.seal(args.out, key=key, passphrase=passphrase)
        except (KeyboardInterrupt, SystemExit):
            print("interrupted: the same command goes on from here", file=sys.stderr)
            raise
        except BaseException:
            if made:
                args.key_file.unlink()
            raise
    erased = destroy_import(args.bundle) if args.erase_import else None
    expected = _forecast(args, pack, compiled)
    assert compiled.header is not None
    verdicts = {verdict.value: count for verdict, count in compiled.verdicts.items()}
    result = {
        "sealed": str(args.out),
        "entries": compiled.header.entries,
        "images": compiled.header.images,
        "templates": compiled.header.rows,
        "left_out": verdicts.get("refuse", 0),
        "with_warnings": verdicts.get("warn", 0),
        "pack": pack.name,
        "created": compiled.header.created,
        "resumed": compiled.resumed,
        "findings": [finding.to_json() for finding in compiled.findings],
        "expected_false_alerts": expected and expected.to_json(),
        "import_erased": erased and {"files": erased.files, "bytes": erased.size, "verified": True},
    }
    print(json.dumps(result, indent=2) if args.json else "\n".join(seal_lines(result, compiled, expected)))
    return 0


def _key(path: Path | None) -> tuple[bytes | None, bool]:
    """The key, and whether its file was just made: before the compile, so that an interrupted one can go on."""
    if path is None:
        return None, False
    if path.exists():
        return read_key_file(path), False
    key = new_key()
    write_key_file(path, key)
    return key, True


def _compilation(args: argparse.Namespace, found: Survey, bar: Progress) -> tuple[Pack, Compilation]:
    from lfr_edge.watchlist.compiler import Compilation

    pack, (vision, *helpers) = _open_pack(args)
    scale = scale_for(
        calibrations_of(args.calibration),
        fingerprint=pack.fingerprint,
        provider="cpu",
        precision=pack.precision,
        list_size=len(found.entries),
        target_fpir=args.target_fpir,
        threshold=args.threshold,
    )
    compilation = Compilation(
        found,
        vision,
        _rules(args),
        scale,
        _limits(args),
        skip_refused=getattr(args, "skip_refused", False),
        progress=counting(bar, "pictures"),
        helpers=helpers,
    )
    return pack, compilation


def _limits(args: argparse.Namespace) -> Limits:
    """What the authority grants. Its signature and window are the deployment's business, not the compiler's."""
    if args.authority is None:
        return Limits()
    from lfr_edge.deployment.authority import read_document

    terms = read_document(args.authority).authority.watchlist
    return Limits(
        terms.maximum_size, frozenset(terms.categories), frozenset(terms.image_sources), terms.under_18
    )


def _forecast(args: argparse.Namespace, pack: Pack, compiled: Compiled) -> Forecast | None:
    threshold = compiled.resemblance.scale.look_alike
    if args.faces_per_hour is None:
        return None
    return forecast(
        calibrations_of(args.calibration),
        fingerprint=pack.fingerprint,
        provider="cpu",
        precision=pack.precision,
        list_size=compiled.facts.entries,
        threshold=threshold if threshold is not None else 1.0,
        faces_per_hour=args.faces_per_hour,
        hours=args.hours,
    )


def _survey(args: argparse.Namespace, bar: Progress) -> Survey:
    trusted: dict[str, bytes] = {}
    names: dict[str, str] = {}
    if args.trust is not None:
        from lfr_edge.deployment.control.trust import TrustStore

        if not args.trust.is_file():  # absent before the first key is enrolled, but then nobody names it
            raise AccessError(
                "trust_store_missing", say("there is no file {path}", path=args.trust),
                hint="name the box's trust.json, which lies in its data folder once a key is enrolled",
            )  # fmt: skip
        store = TrustStore(args.trust)
        trusted = store.keys("watchlist")
        names = {key.key_id: key.name for key in store.all()}
    return read_list(
        args.bundle,
        purpose=args.purpose,
        trusted=trusted,
        names=names,
        mapping=args.mapping,
        category=args.category,
        response=args.response,
        limits=replace(ArchiveLimits(), members=args.most_files),
        progress=counting(bar, "rows"),
    )


def _rules(args: argparse.Namespace) -> Rules:
    from lfr_edge.watchlist.enrol import Rules

    return Rules(several_faces=args.several_faces)


def _open_pack(args: argparse.Namespace) -> tuple[Pack, list[VisionStack]]:
    # Here and not above: `inspect` and `destroy` must not need the networks, nor load their libraries.
    from lfr_edge.models.store import ModelStore
    from lfr_edge.vision.pipeline import VisionStack
    from lfr_edge.watchlist.compiler import workers

    pack = ModelStore(args.store).load(args.pack)
    return pack, [VisionStack.open(pack, threads=1) for _ in range(workers())]
