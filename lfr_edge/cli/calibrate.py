"""``lfr-edge calibrate``: which threshold keeps false alerts to one in how many faces, for this list?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lfr_edge.cli.evaluation_inputs import (
    MOST_LISTED,
    add_rate,
    add_seed,
    add_whole,
    check_output,
    crowd_of,
    label_errors_of,
    writing,
)
from lfr_edge.cli.evaluation_pack import add_pack_arguments, add_providers, open_pack
from lfr_edge.cli.packs import add_box, counting, progress_bar
from lfr_edge.cli.verbs import add_verb
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.calibrate import (
    LONG_SIZES,
    TARGETS,
    Refused,
    Strangers,
    calibrate,
    everybody_against_everybody,
)
from lfr_edge.evaluation.faces import Templates, embed_samples
from lfr_edge.evaluation.labels import LabelError
from lfr_edge.evaluation.parity import Parity, compare, enough
from lfr_edge.evaluation.protocol import Sample
from lfr_edge.matching.threshold import Calibration, load_calibrations, save_calibrations
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.pipeline import VisionStack

_EXAMPLES = """\
examples:
  lfr-edge calibrate faces faces --label-errors errors.csv --out calibration.json
  lfr-edge calibrate show calibration.json --list-size 16000
  lfr-edge calibrate drift faces --against default-fp16
  lfr-edge calibrate baseline audit_logs/var/2026-11-20-van-1 --out baseline.json
"""
_FACES = """\
examples:
  lfr-edge calibrate faces faces --out calibration.json
  lfr-edge calibrate faces faces --label-errors errors.csv --list-size 16000 --fpir 0.01 0.001 --out c.json --json

Everybody in the folder (one folder per person, or the protocol's identities) is searched for among everybody else.
Lists no longer than that are measured; longer ones, and rarer rates, follow from the tail of the highest scores,
with its 95 % interval. What the faces cannot tell is left out and said. Put the file into matching.calibration.
"""
_SHOW = """\
examples:
  lfr-edge calibrate show calibration.json
  lfr-edge calibrate show calibration.json --list-size 16000 --json
"""
_DRIFT = """\
examples:
  lfr-edge calibrate drift faces --against default-fp16
  lfr-edge calibrate drift faces --against default --against-providers cuda cpu

The same faces go through the reference (--pack, --providers) and through the other. Exit status 1: a threshold does
not mean the same on both. In use a threshold is refused on another pack, provider or precision in any case;
this says how much lies between them, before anybody calibrates anew.
"""
_BASELINE = """\
examples:
  lfr-edge calibrate baseline audit_logs/var/2026-11-20-van-1 --out baseline.json
  lfr-edge calibrate baseline LOG1 LOG2 --out baseline.json

Sums, for each camera, how good faces were, how sure the detector was and how much strangers resembled people on the
list: counts in bins, nothing about anybody. Name the file in matching.drift_baseline. Where the list has another
length than in these deployments, the third histogram moves with it.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_verb(
        commands,
        "calibrate",
        "find the threshold that keeps false alerts to a rate, for a list's length",
        _EXAMPLES,
        description="Find the threshold that keeps false alerts to a wanted rate, for a list of a given length.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    faces = add_verb(actions, "faces", "measure thresholds on pictures of many people", _FACES)
    _faces_arguments(faces)
    add_box(faces)
    sizes = {"nargs": "+", "default": list(LONG_SIZES), "help": "lengths of lists (default: 10 to 50,000)"}
    add_whole(faces, "--list-size", 1, MOST_LISTED, **sizes)
    shares = "shares of strangers that may raise an alert (default: 0.1 to 0.0001)"
    add_rate(faces, "--fpir", nargs="+", default=list(TARGETS), help=shares)
    faces.add_argument("--out", type=Path, required=True, metavar="FILE", help="write the thresholds here")
    faces.set_defaults(run=_run_faces)
    show = add_verb(actions, "show", "say what a file of thresholds holds", _SHOW)
    show.add_argument("file", type=Path, metavar="FILE", help="of lfr-edge calibrate faces")
    add_whole(show, "--list-size", 1, MOST_LISTED, help="only what holds for a list of this length")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(run=_run_show)
    drift = add_verb(actions, "drift", "compare another precision or provider with the reference", _DRIFT)
    _faces_arguments(drift)
    add_rate(drift, "--fpir", default=0.01, help="compare at (default: 0.01)")
    drift.add_argument(
        "--against", required=True, metavar="PACK", help="the other installed pack, or the same"
    )
    add_providers(drift, "--against-providers", "of the other")
    drift.set_defaults(run=_run_drift)
    baseline = add_verb(
        actions, "baseline", "make the drift watch's baseline out of good deployments", _BASELINE
    )
    baseline.add_argument("logs", type=Path, nargs="+", metavar="LOG", help="folders of audit logs")
    baseline.add_argument("--out", type=Path, required=True, metavar="FILE", help="write the histograms here")
    baseline.set_defaults(run=_run_baseline)


def _faces_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="one folder per person, or with a protocol.csv"
    )
    parser.add_argument("--protocol", type=Path, metavar="FILE", help="CSV of who is on which picture")
    add_seed(parser, "of the lists that are dealt")
    parser.add_argument("--label-errors", type=Path, metavar="FILE", help="CSV of one person under two names")
    add_providers(parser, "--providers", "of the pack")
    add_pack_arguments(parser)


def _run_faces(args: argparse.Namespace) -> int:
    check_output("--out", args.out)
    errors = label_errors_of(args)
    samples = crowd_of(args.folder, args)
    _, vision, model = open_pack(args, args.pack, args.providers)
    _, strangers = _searched(args, vision, samples, errors)
    made, refused = calibrate(
        strangers,
        model,
        measured=datetime.now(UTC).date(),
        material=f"{args.folder.name}: everybody against everybody",
        sizes=args.list_size,
        targets=sorted(args.fpir, reverse=True),
        seed=args.seed,
    )
    if not made:
        raise EvaluationError(
            "calibration_impossible",
            f"{strangers.people} people cannot tell any of these rates: {refused[0].reason}",
            hint="give more people, shorter lists or higher rates",
        )
    with writing("--out", args.out):
        save_calibrations(args.out, made)
    closest = strangers.closest()
    if args.json:
        body = {"model": model, "people": strangers.people, "searches": len(strangers.seekers)}
        body |= {"calibrations": [one.to_json() for one in made], "closest": closest}
        print(json.dumps(body | {"cannot_tell": [one.to_json() for one in refused]}, indent=2))
        return 0
    print(_table(made))
    print(_cannot(refused))
    print("\nmost alike (one person under two names? then --label-errors):")
    print("\n".join(f"  {row['score']:.3f}  {row['identity']} / {row['resembles']}" for row in closest[:8]))
    return 0


def _run_show(args: argparse.Namespace) -> int:
    found = load_calibrations(args.file)
    if not found:
        raise EvaluationError(
            "calibration_empty",
            f"{args.file} holds no threshold",
            hint="measure some: lfr-edge calibrate faces DIR --out FILE",
        )
    if args.list_size is not None:
        long_enough = sorted({one.list_size for one in found if one.list_size >= args.list_size})
        if not long_enough:
            longest = max(one.list_size for one in found)
            raise EvaluationError(
                "calibration_list_too_large",
                f"cannot tell: the longest list that {args.file} covers has {longest} people",
                hint="calibrate with --list-size: lfr-edge calibrate faces DIR --list-size N --out FILE",
            )
        found = tuple(one for one in found if one.list_size == long_enough[0])
    if args.json:
        print(json.dumps({"calibrations": [one.to_json() for one in found]}, indent=2))
        return 0
    for fingerprint, provider, precision in dict.fromkeys(
        (c.fingerprint, c.provider, c.precision) for c in found
    ):
        mine = [
            c for c in found if (c.fingerprint, c.provider, c.precision) == (fingerprint, provider, precision)
        ]
        print(
            f"pack {fingerprint[:16]}… on {provider} in {precision}, {mine[0].people} people, {mine[0].measured}"
        )
        print(_table(mine))
    return 0


def _run_drift(args: argparse.Namespace) -> int:
    errors = label_errors_of(args)
    samples = crowd_of(args.folder, args)
    enough(len(samples))
    # Both are opened before either works: a pack that is not there must not be noticed half way.
    opened = [
        open_pack(args, pack, providers)
        for pack, providers in ((args.pack, args.providers), (args.against, args.against_providers))
    ]
    sides = [_searched(args, vision, samples, errors) for _, vision, _ in opened]
    models = [model for _, _, model in opened]
    found = compare(sides[0], sides[1], args.fpir)
    if args.json:
        print(json.dumps(found.to_json() | {"reference": models[0], "candidate": models[1]}, indent=2))
    else:
        print(_parity(found, models))
    return 1 if found.problems else 0


def _run_baseline(args: argparse.Namespace) -> int:
    from lfr_edge.deployment.verified import read_verified
    from lfr_edge.service.baseline import baselines_of, save_baselines

    check_output("--out", args.out)
    logs = [log for path in args.logs for log in read_verified(path)]
    fingerprint, cameras = baselines_of(entry for log in logs for _, entry in log.view.entries())
    with writing("--out", args.out):
        save_baselines(args.out, fingerprint, cameras)
    for camera, one in cameras.items():
        passages = sum(one.bins["quality"].values())
        worth = passages / max(one.effects.values())
        print(f"{camera}: {passages:,} passages, worth {worth:,.0f} that share nothing")
    return 0


def _searched(
    args: argparse.Namespace,
    vision: VisionStack,
    samples: Sequence[Sample],
    errors: tuple[LabelError, ...],
) -> tuple[Templates, Strangers]:
    with progress_bar() as bar:
        progress = counting(bar, "faces", len(samples))
        templates = embed_samples(vision, args.folder, samples, settings=VisionSettings(), progress=progress)
    return templates, everybody_against_everybody(templates, samples, errors)


def _table(found: Sequence[Calibration]) -> str:
    lines = ["list up to   FPIR      one false alert in   threshold (95 %)            how"]
    for one in found:
        between = f"{one.threshold:.4f} ({one.low:.4f} to {one.high:.4f})"
        how = "counted" if one.method == "counted" else f"tail, reach {one.reach:.2g}"
        rate = f"{one.target_fpir:g}"
        lines.append(f"{one.list_size:>10,}   {rate:<8}  {one.one_in:>10,} faces     {between:<27} {how}")
    return "\n".join(lines)


def _cannot(refused: Sequence[Refused]) -> str:
    if not refused:
        return ""
    lines = ["", "cannot tell:"]
    lines += [f"{one.list_size:>10,}   {one.target_fpir:<8g}  {one.reason}" for one in refused]
    return "\n".join(lines)


def _parity(found: Parity, models: Sequence[dict[str, Any]]) -> str:
    names = [f"{m['pack']} {m['version']} on {m['provider']} in {m['precision']}" for m in models]
    lines = [
        f"reference   {names[0]}",
        f"candidate   {names[1]}",
        f"templates   {found.faces} faces of {found.people} people; alike {found.cosine_p50:.4f} in the middle,"
        f" {found.cosine_p1:.4f} at 1 %",
        f"scores      moved by {found.score_p50:.4f} in the middle, {found.score_p99:.4f} at 99 %",
        f"threshold   {found.threshold:.4f} at FPIR {found.target_fpir:g} ({found.threshold_low:.4f} to"
        f" {found.threshold_high:.4f}); the candidate's own {found.shift:+.4f}",
        f"false       {found.fpir:.2%} of searches ({found.fpir_low:.2%} to {found.fpir_high:.2%}) reach that threshold"
        f" on the candidate; {found.risen} risen above it, {found.fallen} fallen below",
    ]
    if not found.problems:
        return "\n".join([*lines, "in step     a threshold means the same on both"])
    return "\n".join([*lines, *(f"drifted     {problem}" for problem in found.problems)])
