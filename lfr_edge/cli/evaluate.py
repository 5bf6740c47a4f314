"""``lfr-edge evaluate``: is it accurate, and how sure are we?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, get_args

from lfr_edge.cli.evaluate_outcomes import register_outcomes
from lfr_edge.cli.packs import add_pack, progress_bar
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.calibrate import calibrate, strangers_of
from lfr_edge.evaluation.clip import Replay, gallery_of, replay_at_pace, replay_unhurried
from lfr_edge.evaluation.fairness import fairness
from lfr_edge.evaluation.identities import nonmated_tops, report, run_identities
from lfr_edge.evaluation.intervals import resolvable
from lfr_edge.evaluation.labels import read_label_errors
from lfr_edge.evaluation.openset import operating_points, threshold_at
from lfr_edge.evaluation.page import page
from lfr_edge.evaluation.passages import assess
from lfr_edge.evaluation.protocol import Protocol, draw_protocol, read_protocol
from lfr_edge.evaluation.series import KINDS, variants_of
from lfr_edge.evaluation.truth import read_truth
from lfr_edge.matching.judge import Policy
from lfr_edge.matching.threshold import choose, load_calibrations, save_calibrations
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.portraits import Degradation
from lfr_edge.vision.sessions import Provider
from lfr_edge.watchlist.keys import read_key_file

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
_CLIP = """\
examples:
  lfr-edge evaluate clip street.mp4 --truth street.json --watchlist people
  lfr-edge evaluate clip a.mp4 b.mp4 --truth a.json b.json --watchlist list.sealed --key-file list.key
  lfr-edge evaluate clip street.mp4 --truth street.json --watchlist people --identities faces --protocol p.csv
  lfr-edge evaluate clip street.mp4 --truth street.json --watchlist people --realtime --json

A passage of a listed person is an opportunity; it is recognised if an alert with the right reference shows that
person's face. Any other alert is false. Without --threshold or --identities the threshold that came with the
program for this pack and list size is used.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure recognition on pictures and clips with known truth",
        description="Measure recognition on pictures and clips with known truth, with the uncertainty of each figure.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    for kind in KINDS[1:]:
        usual = " ".join(f"{value:g}" for value in kind.usual)
        identities.add_argument(
            f"--{kind.name}",
            type=float,
            nargs="+",
            default=[],
            metavar="X",
            help=f"also with worse probes: {kind.unit.replace('%', '%%')}, for example {usual}",
        )
    identities.add_argument(
        "--series",
        action="store_true",
        help="also with worse probes of every kind: size, blur, compression, light",
    )
    identities.add_argument(
        "--gallery-px", type=int, nargs="+", default=[], metavar="PX", help="also enrol shrunk pictures"
    )
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
    add_pack_arguments(identities)
    identities.set_defaults(run=_run_identities)
    _register_clip(kinds)
    register_outcomes(kinds)


def _register_clip(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    clip = kinds.add_parser(
        "clip",
        help="recorded video with known passages, through the recogniser's own loop",
        epilog=_CLIP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    clip.add_argument(
        "clips", type=Path, nargs="+", metavar="CLIP", help="one or several, each as one camera"
    )
    clip.add_argument(
        "--truth", type=Path, nargs="+", required=True, metavar="FILE", help="one for each clip"
    )
    clip.add_argument(
        "--watchlist", type=Path, required=True, metavar="DIR", help="folder of pictures, or a sealed list"
    )
    clip.add_argument("--key-file", type=Path, metavar="FILE", help="of a sealed list")
    clip.add_argument("--threshold", type=float, metavar="X", help="cosine; otherwise the calibrated one")
    clip.add_argument(
        "--fpir", type=float, default=0.01, metavar="RATE", help="to calibrate to (default: 0.01)"
    )
    clip.add_argument("--identities", type=Path, metavar="DIR", help="measure the threshold on these faces")
    clip.add_argument(
        "--list-size",
        type=int,
        metavar="N",
        help="list length the threshold is for (default: the watchlist's)",
    )
    clip.add_argument("--protocol", type=Path, metavar="FILE", help="of --identities")
    clip.add_argument("--seed", type=int, default=0, metavar="N", help="of a drawn protocol")
    clip.add_argument(
        "--agreement", type=int, default=2, metavar="N", help="looks that must agree (default: 2)"
    )
    clip.add_argument(
        "--side", type=int, default=1280, metavar="PX", help="detector's picture (default: 1280)"
    )
    clip.add_argument("--realtime", action="store_true", help="also at the cameras' pace on this machine")
    add_pack_arguments(clip)
    clip.set_defaults(run=_run_clip)


def add_pack_arguments(parser: argparse.ArgumentParser) -> None:
    add_pack(parser)
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="0 takes what the machine grants")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_providers(parser: argparse.ArgumentParser, name: str, of: str) -> None:
    parser.add_argument(
        name,
        nargs="+",
        choices=get_args(Provider),
        default=["cpu"],
        metavar="NAME",
        help=f"cpu, cuda or tensorrt, in order of preference, {of} (default: cpu)",
    )


def open_pack(
    args: argparse.Namespace, name: str = "", providers: Sequence[Provider] = ("cpu",)
) -> tuple[Pack, VisionStack, dict[str, Any]]:
    """The pack, its networks, and how both are named in a result."""
    store, wanted = ModelStore(args.store), name or args.pack
    if wanted not in store.names():
        raise EvaluationError(
            "pack_missing",
            f"the pack {wanted!r} is not installed in {args.store}",
            hint=f"lfr-edge models pull {wanted} --store {args.store}",
        )
    pack = store.load(wanted)
    vision = VisionStack.open(pack, providers=providers, threads=args.threads)
    model = {
        "pack": pack.name,
        "version": pack.manifest.version,
        "fingerprint": pack.fingerprint,
        "networks": [network.id for network in pack.manifest.networks],
        "dimension": vision.dimension,
        "provider": providers[0],
        "precision": pack.precision,
    }
    return pack, vision, model


def _run_identities(args: argparse.Namespace) -> int:
    protocol = protocol_of(args.folder, args)
    _, vision, model = open_pack(args)
    with progress_bar() as bar:
        tasks = {role: bar.add_task(role) for role in ("gallery", "mated", "nonmated")}
        run = run_identities(
            vision,
            args.folder,
            protocol,
            gallery_variants=[Degradation(px) for px in args.gallery_px],
            probe_variants=variants_of(_asked(args)),
            progress=lambda role, done, total: bar.update(tasks[role], completed=done, total=total),
        )
    errors = read_label_errors(args.label_errors) if args.label_errors else ()
    result = report(run, model, seed=args.seed, label_errors=errors)
    searches = run.searches(run.scores())
    groups = fairness(run, searches, operating_points(searches, seed=args.seed), seed=args.seed)
    if groups:
        result["by_group"] = groups
    if args.calibration:
        made, _ = calibrate(
            strangers_of(run, errors),
            model,
            measured=datetime.now(UTC).date(),
            material=str(args.protocol.name if args.protocol else args.folder.name),
            seed=args.seed,
        )
        save_calibrations(args.calibration, made)
    if args.html:
        args.html.write_text(page(result), encoding="utf-8")
    print(json.dumps(result, indent=2) if args.json else _summary(result))
    return 0


def _asked(args: argparse.Namespace) -> dict[str, Sequence[float]]:
    """The conditions that were asked for, by kind; ``--series`` fills in those that were not named."""
    named = {"size": args.face_px} | {kind.name: getattr(args, kind.name) for kind in KINDS[1:]}
    return {kind.name: named[kind.name] or (kind.usual if args.series else ()) for kind in KINDS}


def _run_clip(args: argparse.Namespace) -> int:
    if len(args.clips) != len(args.truth):
        raise EvaluationError(
            "truth_count", "there must be one --truth file for each clip", hint="name them in the same order"
        )
    cameras = [f"cam{number}" for number in range(1, len(args.clips) + 1)]
    truths = dict(zip(cameras, map(read_truth, args.truth), strict=True))
    _, vision, model = open_pack(args)
    gallery = gallery_of(args.watchlist, vision, key=read_key_file(args.key_file) if args.key_file else None)
    threshold, source = _threshold(args, vision, model, len(gallery.references))
    clips = dict(zip(cameras, args.clips, strict=True))
    replay = Replay(clips, truths, Policy(threshold, args.agreement), side=args.side)
    with progress_bar() as bar:
        task = bar.add_task("frames", total=None)
        run = replay_unhurried(
            vision,
            gallery,
            replay,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    listed = set(gallery.references)
    unhurried = assess(run, truths, listed)
    result = unhurried
    if args.realtime:
        result = assess(replay_at_pace(vision, gallery, replay), truths, listed)
        result["unhurried"] = {
            name: unhurried[name] for name in ("recognised", "trr", "false_alerts", "frames")
        }
        result["lost_to_drops"] = unhurried["recognised"] - result["recognised"]
    result |= {"threshold": threshold, "threshold_source": source, "list_size": len(listed), "model": model}
    print(json.dumps(result, indent=2) if args.json else _clip_summary(result))
    return 0


def _threshold(
    args: argparse.Namespace, vision: VisionStack, model: dict[str, Any], list_size: int
) -> tuple[float, str]:
    """The one given, the one measured now, or the one that came with the program; and which."""
    if args.threshold is not None:
        return args.threshold, "given"
    if args.identities is None:
        with as_file(files("lfr_edge.matching") / "calibrations.json") as shipped:
            found = choose(
                load_calibrations(shipped),
                fingerprint=model["fingerprint"],
                provider=model["provider"],
                precision=model["precision"],
                list_size=list_size,
                target_fpir=args.fpir,
            )
        return (
            found.threshold,
            f"calibrated for lists of up to {found.list_size} people at FPIR {args.fpir:g}",
        )
    protocol = protocol_of(args.identities, args)
    with progress_bar() as bar:
        tasks = {role: bar.add_task(role) for role in ("gallery", "mated", "nonmated")}
        run = run_identities(
            vision,
            args.identities,
            protocol,
            progress=lambda role, done, total: bar.update(tasks[role], completed=done, total=total),
        )
    scores = run.scores()
    why = resolvable(args.fpir, len(scores.nonmated))
    if why:
        raise EvaluationError("rate_unresolved", why, hint="give more faces, or a higher --fpir")
    # A threshold belongs to a list size: strangers are searched for in random lists of this one's length.
    size = min(args.list_size or list_size, len(scores.people))
    tops = nonmated_tops(scores, size, seed=args.seed)
    threshold = threshold_at(tops.ravel(), args.fpir)
    return threshold, f"measured on {args.identities} for a list of {size} people at FPIR {args.fpir:g}"


def protocol_of(folder: Path, args: argparse.Namespace) -> Protocol:
    """The one that was named, the one that lies in the folder, or one drawn with the seed."""
    named = args.protocol or folder / "protocol.csv"
    return read_protocol(named) if args.protocol or named.is_file() else draw_protocol(folder, args.seed)


def _clip_summary(result: dict[str, Any]) -> str:
    trr = result["trr"]
    shown = "cannot tell" if trr["value"] is None else f"{100 * trr['value']:.0f} %"
    if trr["value"] is not None:
        shown += f" ({100 * trr['low']:.0f} to {100 * trr['high']:.0f})"
    latency = result["latency_ms"]
    lines = [
        f"threshold  {result['threshold']:.4f}, {result['threshold_source']}",
        f"recognised {result['recognised']} of {result['opportunities']} passages, TRR {shown}",
        f"alerts     {result['true_alerts']} true, {result['false_alerts']} false",
        f"latency    p50 {latency['p50']} ms, p95 {latency['p95']} ms",
        f"frames     {result['frames']} looked at, {result['drops']} dropped",
    ]
    if "unhurried" in result:
        lines.append(
            f"unhurried  {result['unhurried']['recognised']} recognised; {result['lost_to_drops']} lost"
        )
    lines += [f"missed     {item['identity']} ({item['face_px']} px)" for item in result["missed"]]
    for item in result["alerts"]:
        if not item["true"]:
            lines.append(f"false      {item['reference']} at {item['time_s']} s, score {item['score']}")
    return "\n".join(lines)


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
