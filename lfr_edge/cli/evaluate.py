"""``lfr-edge evaluate``: is it accurate, and how sure are we?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from lfr_edge.cli.evaluate_clip import register_clip
from lfr_edge.cli.evaluate_outcomes import register_outcomes
from lfr_edge.cli.evaluation_inputs import (
    FACE_PX,
    add_seed,
    add_whole,
    check_different,
    check_output,
    label_errors_of,
    protocol_of,
    real,
    whole,
    writing,
)
from lfr_edge.cli.evaluation_pack import add_pack_arguments, open_pack
from lfr_edge.cli.packs import add_box, counting_each, progress_bar
from lfr_edge.cli.verbs import add_verb
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.calibrate import Strangers, calibrate, strangers_of
from lfr_edge.evaluation.fairness import fairness
from lfr_edge.evaluation.identities import report, run_identities
from lfr_edge.evaluation.openset import operating_points
from lfr_edge.evaluation.page import page
from lfr_edge.evaluation.protocol import Role
from lfr_edge.evaluation.series import KINDS, variants_of
from lfr_edge.matching.threshold import save_calibrations
from lfr_edge.vision.portraits import Degradation

_EXAMPLES = """\
examples:
  lfr-edge evaluate identities faces --protocol faces/protocol.csv
  lfr-edge evaluate clip street.mp4 --truth street.json --watchlist people
  lfr-edge evaluate outcomes alerts.csv
"""
_IDENTITIES = """\
examples:
  lfr-edge evaluate identities faces --protocol faces/protocol.csv
  lfr-edge evaluate identities faces/lfw250 --seed 7 --json > result.json
  lfr-edge evaluate identities faces --protocol p.csv --face-px 64 48 32 24
  lfr-edge evaluate identities faces --protocol p.csv --series --html result.html
  lfr-edge evaluate identities faces --protocol p.csv --calibration calibration.json

The protocol is a CSV: role(gallery|mated|nonmated),path,identity, further columns are groups; paths count from
the folder. Without one the folder's own protocol.csv is taken; without that, half of the people with several
images are listed and the rest are strangers (--seed).
A rate that the sample cannot show is reported as "cannot tell", never as a number.
"""

# What a worse probe may be; without light there is no face, and with all of it the probe is no worse.
_CONDITIONS: Final = {
    "blur": real("--blur", 0, 100, open_ends=True),
    "compression": whole("--compression", 1, 100),
    "light": real("--light", 0, 1, open_ends=True),
}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_verb(
        commands,
        "evaluate",
        "measure recognition on pictures and clips with known truth",
        _EXAMPLES,
        description="Measure recognition on pictures and clips with known truth, with the uncertainty of each figure.",
    )
    kinds = parser.add_subparsers(title="kinds", metavar="KIND", required=True)
    _register_identities(kinds)
    register_clip(kinds)
    register_outcomes(kinds)


def _register_identities(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    identities = add_verb(kinds, "identities", "open-set 1:N over still pictures", _IDENTITIES)
    identities.add_argument("folder", type=Path, metavar="DIR", help="folder the protocol's paths count from")
    identities.add_argument("--protocol", type=Path, metavar="FILE", help="CSV; without it one is drawn")
    add_seed(identities, "of the drawn protocol and the bootstrap")
    several: dict[str, Any] = {"nargs": "+", "default": []}
    width = several | {"metavar": "PX"}
    add_whole(identities, "--face-px", *FACE_PX, **width, help="also with probes shrunk to these widths")
    for kind in KINDS[1:]:
        usual = " ".join(f"{value:g}" for value in kind.usual)
        identities.add_argument(
            f"--{kind.name}",
            type=_CONDITIONS[kind.name],
            metavar="X",
            **several,
            help=f"also with worse probes: {kind.unit.replace('%', '%%')}, for example {usual}",
        )
    identities.add_argument(
        "--series",
        action="store_true",
        help="also with worse probes of every kind: size, blur, compression, light",
    )
    add_whole(identities, "--gallery-px", *FACE_PX, **width, help="also enrol shrunk pictures")
    identities.add_argument(
        "--label-errors",
        type=Path,
        metavar="FILE",
        help="CSV of known label errors: also report without them",
    )
    identities.add_argument(
        "--calibration", type=Path, metavar="FILE", help="write thresholds for list sizes"
    )
    identities.add_argument("--html", type=Path, metavar="FILE", help="write a page with tables and curves")
    add_box(identities)
    add_pack_arguments(identities)
    identities.set_defaults(run=_run_identities)


def _run_identities(args: argparse.Namespace) -> int:
    outputs = (("--html", args.html), ("--calibration", args.calibration))
    check_different(outputs)
    for option, path in outputs:
        check_output(option, path)
    errors = label_errors_of(args)
    protocol = protocol_of(args.folder, args)
    _, vision, model = open_pack(args)
    with progress_bar() as bar:
        run = run_identities(
            vision,
            args.folder,
            protocol,
            gallery_variants=[Degradation(px) for px in args.gallery_px],
            probe_variants=variants_of(_asked(args)),
            progress=counting_each(bar, get_args(Role)),
        )
    result = report(run, model, seed=args.seed, label_errors=errors)
    searches = run.searches(run.scores())
    groups = fairness(run, searches, operating_points(searches, seed=args.seed), seed=args.seed)
    if groups:
        result["by_group"] = groups
    # First to whoever waits: what a full disk or too few strangers refuse must not take the result along.
    print(json.dumps(result, indent=2) if args.json else _summary(result))
    if args.html:
        with writing("--html", args.html):
            args.html.write_text(page(result), encoding="utf-8")
    if args.calibration:
        _calibrated(args, strangers_of(run, errors), model)
    return 0


def _calibrated(args: argparse.Namespace, strangers: Strangers, model: dict[str, Any]) -> None:
    made, refused = calibrate(
        strangers,
        model,
        measured=datetime.now(UTC).date(),
        material=str(args.protocol.name if args.protocol else args.folder.name),
        seed=args.seed,
    )
    if not made:
        raise EvaluationError(
            "calibration_impossible",
            f"no thresholds were written: {refused[0].reason}",
            hint="give more people who are not on the list",
        )
    with writing("--calibration", args.calibration):
        save_calibrations(args.calibration, made)


def _asked(args: argparse.Namespace) -> dict[str, Sequence[float]]:
    """The conditions that were asked for, by kind; ``--series`` fills in those that were not named."""
    named = {"size": args.face_px} | {kind.name: getattr(args, kind.name) for kind in KINDS[1:]}
    return {kind.name: named[kind.name] or (kind.usual if args.series else ()) for kind in KINDS}


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
    without = result.get("without_label_errors", {})
    for rate, tpir in without.get("tpir_at_fpir", {}).items():
        if tpir["value"] is not None:
            left_out = without["searches_left_out"]
            lines.append(f"{rate:<9} {100 * tpir['value']:.1f} % without {left_out} mislabelled searches")
    for column, body in result.get("by_group", {}).items():
        for name in ("false_negatives", "false_positives"):
            if name in body:
                lines.append(f"{column}, {name.replace('_', ' ')}: {body[name]['verdict']}")
    for row in result["by_condition"]:
        at = row["at_native_threshold"].get("0.01", {}).get("tpir", {"value": None})
        shown = (
            "cannot tell"
            if at["value"] is None
            else f"{100 * at['value']:.1f} % at the same threshold (1 % FPIR)"
        )
        lines.append(f"{row['kind']} {row['value']:g}: {shown}")
    return "\n".join(lines)
