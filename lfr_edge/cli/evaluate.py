"""``lfr-edge evaluate``: is it accurate, and how sure are we?"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.calibrate import calibrations
from lfr_edge.evaluation.identities import report, run_identities
from lfr_edge.evaluation.protocol import draw_protocol, read_protocol
from lfr_edge.matching.threshold import save_calibrations
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.portraits import Degradation

_IDENTITIES = """\
examples:
  lfr-edge evaluate identities faces --protocol faces/protocol.csv
  lfr-edge evaluate identities faces/lfw250 --seed 7 --json > result.json
  lfr-edge evaluate identities faces --protocol p.csv --face-px 64 48 32 24
  lfr-edge evaluate identities faces --protocol p.csv --calibration calibration.json

The protocol is a CSV: role(gallery|mated|nonmated),path,identity, further columns are groups; paths count from
the folder. Without one, half of the people with several images are listed and the rest are strangers (--seed).
A rate that the sample cannot show is reported as "cannot tell", never as a number.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate", help="measure recognition on pictures and clips with known truth"
    )
    kinds = parser.add_subparsers(title="kinds", metavar="KIND", required=True)
    identities = kinds.add_parser(
        "identities",
        help="open-set 1:N over still pictures",
        epilog=_IDENTITIES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    identities.add_argument("folder", type=Path, metavar="DIR", help="folder the protocol's paths count from")
    identities.add_argument("--protocol", type=Path, metavar="FILE", help="CSV; without it one is drawn")
    identities.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the drawn protocol and the bootstrap"
    )
    identities.add_argument(
        "--face-px",
        type=int,
        nargs="+",
        default=[],
        metavar="PX",
        help="also with probes shrunk to these widths",
    )
    identities.add_argument(
        "--gallery-px", type=int, nargs="+", default=[], metavar="PX", help="also enrol shrunk pictures"
    )
    identities.add_argument(
        "--calibration", type=Path, metavar="FILE", help="write thresholds for list sizes"
    )
    add_pack_arguments(identities)
    identities.set_defaults(run=_run_identities)


def add_pack_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="0 takes what the machine grants")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def open_pack(args: argparse.Namespace) -> tuple[Pack, VisionStack, dict[str, Any]]:
    """The pack, its networks, and how both are named in a result."""
    store = ModelStore(args.store)
    if args.pack not in store.names():
        raise EvaluationError(
            "pack_missing",
            f"the pack {args.pack!r} is not installed in {args.store}",
            hint=f"lfr-edge models pull {args.pack} --store {args.store}",
        )
    pack = store.load(args.pack)
    vision = VisionStack.open(pack, threads=args.threads)
    model = {
        "pack": pack.name,
        "version": pack.manifest.version,
        "fingerprint": pack.fingerprint,
        "networks": [network.id for network in pack.manifest.networks],
        "dimension": vision.dimension,
        "provider": "cpu",
        "precision": "fp32",
    }
    return pack, vision, model


def progress_bar(args: argparse.Namespace) -> Progress:
    """On the error stream, so that --json can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())


def _run_identities(args: argparse.Namespace) -> int:
    protocol = read_protocol(args.protocol) if args.protocol else draw_protocol(args.folder, args.seed)
    _, vision, model = open_pack(args)
    with progress_bar(args) as bar:
        tasks = {role: bar.add_task(role) for role in ("gallery", "mated", "nonmated")}
        run = run_identities(
            vision,
            args.folder,
            protocol,
            gallery_variants=[Degradation(px) for px in args.gallery_px],
            probe_variants=[Degradation(px) for px in args.face_px],
            progress=lambda role, done, total: bar.update(tasks[role], completed=done, total=total),
        )
    result = report(run, model, seed=args.seed)
    if args.calibration:
        made = calibrations(
            run,
            model,
            measured=datetime.now(UTC).date(),
            material=str(args.protocol.name if args.protocol else args.folder.name),
            seed=args.seed,
        )
        save_calibrations(args.calibration, made)
    print(json.dumps(result, indent=2) if args.json else _summary(result))
    return 0


def _summary(result: dict[str, Any]) -> str:
    n = result["n"]
    lines = [
        f"model      {result['model']['pack']} {result['model']['version']} ({', '.join(result['model']['networks'])})",
        f"list       {n['gallery_people']} people, {n['gallery_images']} images",
        f"searches   {n['mated']} mated ({n['mated_people']} people), "
        f"{n['nonmated']} non-mated ({n['nonmated_people']} people)",
        f"FTE / FTA  {100 * result['fte']:.2f} % / {100 * result['fta']:.2f} %",
        f"rank 1     {100 * result['rank_1']:.1f} %",
        "",
        "FPIR      TPIR (95 %)              threshold",
    ]
    for rate, tpir in result["tpir_at_fpir"].items():
        if tpir["value"] is None:
            lines.append(f"{rate:<9} cannot tell: {tpir['note']}")
            continue
        threshold = result["threshold_at_fpir"][rate]["value"]
        shown = f"{100 * tpir['value']:.1f} % ({100 * tpir['low']:.1f} to {100 * tpir['high']:.1f})"
        lines.append(
            f"{rate:<9} {shown:<24} {threshold:.4f}" + (f"   {tpir['note']}" if "note" in tpir else "")
        )
    for row in result["by_face_px"]:
        at = row["tpir_at_fpir"]["0.01"]
        shown = "cannot tell" if at["value"] is None else f"{100 * at['value']:.1f} % at 1 % FPIR"
        lines.append(f"{row['face_px']} px     {shown}")
    return "\n".join(lines)
