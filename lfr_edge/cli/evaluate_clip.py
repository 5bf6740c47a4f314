"""``lfr-edge evaluate clip``: recorded video with known passages, as a deployment would see it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from lfr_edge.cli.evaluation_inputs import (
    MOST_LISTED,
    add_rate,
    add_seed,
    add_whole,
    invalid,
    protocol_of,
    real,
    whole,
)
from lfr_edge.cli.evaluation_pack import add_pack_arguments, open_pack, runs_of
from lfr_edge.cli.packs import add_box, box_of, counting, counting_each, progress_bar
from lfr_edge.cli.verbs import add_verb
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.clip import Replay, check_clips, gallery_of, replay_at_pace, replay_unhurried
from lfr_edge.evaluation.identities import nonmated_tops, run_identities
from lfr_edge.evaluation.intervals import resolvable
from lfr_edge.evaluation.openset import threshold_at
from lfr_edge.evaluation.passages import assess
from lfr_edge.evaluation.protocol import Protocol, Role
from lfr_edge.evaluation.truth import read_truth
from lfr_edge.matching.judge import Policy
from lfr_edge.matching.threshold import calibrations_of, choose
from lfr_edge.recogniser.shares import how_many, threads_of
from lfr_edge.settings import MatchingSettings, VisionSettings
from lfr_edge.settings.recognition import MOST_RECOGNISERS
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.threads import available_cpus
from lfr_edge.watchlist.keys import read_key_file

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


def register_clip(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    clip = add_verb(
        kinds, "clip", "recorded video with known passages, through the recogniser's own loop", _CLIP
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
    clip.add_argument(
        "--threshold",
        type=real("--threshold", -1, 1, what="a cosine"),
        metavar="X",
        help="cosine; otherwise the calibrated one",
    )
    add_rate(clip, "--fpir", default=0.01, help="to calibrate to (default: 0.01)")
    clip.add_argument("--identities", type=Path, metavar="DIR", help="measure the threshold on these faces")
    listed = "list length the threshold is for (default: the watchlist's)"
    add_whole(clip, "--list-size", 1, MOST_LISTED, help=listed)
    clip.add_argument("--protocol", type=Path, metavar="FILE", help="of --identities")
    add_seed(clip, "of a drawn protocol")
    agreement = "looks that must agree (default: the configuration's, without one 2)"
    add_whole(clip, "--agreement", 1, 100, help=agreement)
    clip.add_argument(
        "--side",
        type=_side,
        default=1280,
        metavar="PX",
        help="detector's picture, a multiple of 32 from 320 to 3840 (default: 1280)",
    )
    clip.add_argument("--realtime", action="store_true", help="also at the cameras' pace on this machine")
    recognisers = (
        "of --realtime (default: the configuration's models.recognisers, without one 0: as many as fit here)"
    )
    add_whole(clip, "--recognisers", 0, MOST_RECOGNISERS, help=recognisers)
    add_box(clip)
    add_pack_arguments(clip)
    clip.set_defaults(run=_run_clip)


def _run_clip(args: argparse.Namespace) -> int:
    if len(args.clips) != len(args.truth):
        raise EvaluationError(
            "truth_count", "there must be one --truth file for each clip", hint="name them in the same order"
        )
    cameras = [f"cam{number}" for number in range(1, len(args.clips) + 1)]
    truths = dict(zip(cameras, map(read_truth, args.truth), strict=True))
    clips = dict(zip(cameras, args.clips, strict=True))
    check_clips(clips, truths)
    if not args.watchlist.exists():
        raise EvaluationError(
            "gallery_missing",
            f"{args.watchlist} does not exist",
            hint="name a folder of pictures or a sealed list",
        )
    protocol = _protocol(args)
    key = read_key_file(args.key_file) if args.key_file else None
    _, vision, model = open_pack(args)
    gallery = gallery_of(args.watchlist, vision, key=key)
    threshold, source = _threshold(args, vision, model, len(gallery.references), protocol)
    box = box_of(args)
    rules, seen = (box.matching, box.vision) if box else (MatchingSettings(), VisionSettings())
    policy = Policy(threshold, args.agreement or rules.agreement, rules.margin, rules.cooldown_s)
    replay = Replay(clips, truths, policy, seen, side=args.side)
    with progress_bar() as bar:
        run = replay_unhurried(vision, gallery, replay, progress=counting(bar, "frames"))
    listed = set(gallery.references)
    unhurried = assess(run, truths, listed)
    result = unhurried
    if args.realtime:
        with progress_bar() as bar:
            progress = counting(bar, "frames at the cameras' pace")
            stacks = _stacks(args, vision, len(clips))
            at_pace = replay_at_pace(stacks, gallery, replay, progress=progress)
        result = assess(at_pace, truths, listed)
        result["unhurried"] = {
            name: unhurried[name] for name in ("recognised", "trr", "false_alerts", "frames")
        }
        result["recognisers"] = len(stacks)
        result["lost_to_drops"] = unhurried["recognised"] - result["recognised"]
    result |= {"threshold": threshold, "threshold_source": source, "list_size": len(listed), "model": model}
    print(json.dumps(result, indent=2) if args.json else _clip_summary(result))
    return 0


def _stacks(args: argparse.Namespace, vision: VisionStack, clips: int) -> list[VisionStack]:
    """As many as a deployment with so many cameras has recognisers here, each with its part of the threads."""
    runs, cpus = runs_of(args), available_cpus()
    if args.recognisers is not None:
        runs = runs.model_copy(update={"recognisers": args.recognisers})
    count = how_many(runs, clips, cpus=cpus, list_bytes=0)
    if count == 1:
        return [vision]
    return [open_pack(args, threads=threads)[1] for threads in threads_of(runs.threads or cpus, count)]


def _protocol(args: argparse.Namespace) -> Protocol | None:
    """Of the faces that the threshold is to be measured on, if it is: too few are refused before they are embedded."""
    if args.identities is None or args.threshold is not None:
        return None
    found = protocol_of(args.identities, args)
    why = resolvable(args.fpir, len(found.of("nonmated")))
    if why:
        raise EvaluationError("rate_unresolved", why, hint="give more faces, or a higher --fpir")
    return found


def _threshold(
    args: argparse.Namespace,
    vision: VisionStack,
    model: dict[str, Any],
    list_size: int,
    protocol: Protocol | None,
) -> tuple[float, str]:
    """The one given, the one measured now, the configured one, or the one calibrated for it; and which."""
    if args.threshold is not None:
        return args.threshold, "given"
    box = box_of(args)
    if protocol is None and box and box.matching.threshold is not None:
        return box.matching.threshold, "configured"
    if protocol is None:
        found = choose(
            calibrations_of(box.matching.calibration if box else None),
            fingerprint=model["fingerprint"],
            provider=model["provider"],
            precision=model["precision"],
            list_size=args.list_size or list_size,
            target_fpir=args.fpir,
        )
        return (
            found.threshold,
            f"calibrated for lists of up to {found.list_size} people at FPIR {args.fpir:g}",
        )
    with progress_bar() as bar:
        progress = counting_each(bar, get_args(Role))
        run = run_identities(vision, args.identities, protocol, progress=progress)
    scores = run.scores()
    # A threshold belongs to a list size: strangers are searched for in random lists of this one's length.
    size = min(args.list_size or list_size, len(scores.people))
    tops = nonmated_tops(scores, size, seed=args.seed)
    threshold = threshold_at(tops.ravel(), args.fpir)
    return threshold, f"measured on {args.identities} for a list of {size} people at FPIR {args.fpir:g}"


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
            f"unhurried  {result['unhurried']['recognised']} recognised; {result['lost_to_drops']} lost "
            f"with {result['recognisers']} recogniser{'s' if result['recognisers'] > 1 else ''}"
        )
    lines += [f"missed     {item['identity']} ({item['face_px']} px)" for item in result["missed"]]
    for item in result["alerts"]:
        if not item["true"]:
            lines.append(f"false      {item['reference']} at {item['time_s']} s, score {item['score']}")
    return "\n".join(lines)


def _side(text: str) -> int:
    side = whole("--side", 320, 3840)(text)
    if side % 32:
        raise invalid("--side", text, "a multiple of 32")
    return side
