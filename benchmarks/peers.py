"""Ours and the peers on the same clips, thread count and, where they can share them, networks: ratios.

    python -m benchmarks.peers --quick --json

``ratios {peer: ours ÷ peer}`` are throughputs in frames per CPU second (above 1: ours is faster), the median over
rounds in which every system runs the same seconds of the clip in turn. Each peer is compared with our loop on its
networks and picture size; what nobody can share is said in ``pairs``.

InsightFace is measured twice, and the two ratios are not the same figure: ``insightface`` runs the two networks that
ours runs, ``insightface_default`` its loop as people run it, which also gives every face to three networks that ours
does not have (the embedder's weights are random on both sides there). ``--quick`` leaves the second out; where it is
asked for by name it runs with small networks and gives no ratio.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import _line
from benchmarks._material import material, pack
from benchmarks._random_analysis import BESIDE
from benchmarks._systems import (
    Ours,
    Peer,
    System,
    UnavailableError,
    face_recognition,
    five_networks,
    gallery,
    insightface,
    opencv,
    scrfd_pack,
    uniface,
)

_PEOPLE: Final = 20_000  # on the list, for everybody
_QUICK: Final = ("insightface", "insightface_640", "opencv", "uniface", "face_recognition")
_NAMES: Final = (*_QUICK, "insightface_default")  # which takes a second or two a frame
_PACKAGES: Final = ("insightface", "uniface", "face-recognition", "dlib-bin", "opencv-python-headless")
# Seconds a frame: it would eat the run, so it sees the first frames of each round only.
_SLOW: Final = {"face_recognition": 12}


@dataclass(slots=True)
class Lane:
    """One system and what its rounds cost, CPU and wall milliseconds a frame."""

    system: System
    against: str  # the lane of ours that it is compared with; empty for ours
    frames: int = 0
    warm: tuple[int, int] = (0, 0)  # faces found and embedded before the first round
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    def warm_up(self, count: int) -> None:
        """First frames allocate and load: nobody's count."""
        self.system.run(count)
        self.warm = self.system.faces, self.system.embedded

    def turn(self, count: int) -> bool:
        wall, cpu = time.perf_counter(), time.process_time()
        done = self.system.run(count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if done < count:
            return False  # the clip is over: a short round would not be the same frames for all
        self.frames += done
        self.cpu_ms.append(1000 * cpu / done)
        self.wall_ms.append(1000 * wall / done)
        return True

    def figures(self) -> dict[str, Any]:
        return {
            "networks": self.system.networks,
            "frames": self.frames,
            "faces_found_per_frame": round((self.system.faces - self.warm[0]) / max(1, self.frames), 2),
            "faces_embedded_per_frame": round((self.system.embedded - self.warm[1]) / max(1, self.frames), 2),
            "cpu_ms_per_frame": _line.spread(self.cpu_ms, 1),
            "wall_ms_per_frame": _line.spread(self.wall_ms, 1),
        }


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument("--peers", nargs="+", choices=_NAMES, metavar="PEER")
    options.add_argument("--rounds", type=int, metavar="N", help="default: 3, quick: 2")
    options.add_argument("--frames", type=int, metavar="N", help="of a round (default: 50; quick: 6)")
    args = options.parse_args(argv)
    args.peers = args.peers or (_QUICK if args.quick else _NAMES)
    report = _line.Report("peers", args)
    rounds, count = args.rounds or (2 if args.quick else 3), args.frames or (6 if args.quick else 50)
    skipped: dict[str, str] = {}
    with ExitStack() as stack, material(most_people=1) as found:
        clip = found.clips[0]
        lanes = _lanes(args, clip, stack, skipped)
        for lane in lanes.values():
            lane.warm_up(1)
        for number in range(rounds):
            if number and not report.time_left(900):
                break
            for name in _turn(list(lanes), number):
                if not lanes[name].turn(min(count, max(1, count // _SLOW.get(name, 1)))):
                    break
            report.say(f"round {number + 1} of {rounds}")
    report.emit(
        _ratios(lanes)
        | {"skipped": skipped, "systems": {name: lane.figures() for name, lane in lanes.items()}},
        shapes={"frame": [1920, 1080], "list": _PEOPLE, "clip": clip.name, "round_frames": count},
    )
    return 0


def _lanes(args: Any, clip: Path, stack: ExitStack, skipped: dict[str, str]) -> dict[str, Lane]:
    default = pack(args.pack)
    threads, lanes = args.threads, {}
    ours = {"people": _PEOPLE, "threads": threads, "stack": stack}
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lfr-peers-")))
    lanes["ours"] = Lane(Ours(default, clip, side=1280, **ours), "")

    def peer(name: str, networks: str, dimension: int, make: Callable[[], Any], against: str) -> None:
        if name not in args.peers:
            return
        try:
            lanes[name] = Lane(Peer(networks, make(), clip, gallery(dimension, _PEOPLE)), against)
        except UnavailableError as why:
            skipped[name] = str(why)
        except Exception as why:  # a peer that breaks is the peer's finding, not this program's end
            skipped[name] = f"failed: {type(why).__name__}: {str(why)[:200]}"

    same = " + ".join(network.id for network in default.manifest.networks)
    peer("opencv", f"{same} at 1280, cv2.dnn", default.manifest.dimension,
         lambda: opencv(default, threads, 1280, scratch), "ours")  # fmt: skip
    peer(
        "face_recognition",
        "dlib HOG + dlib_resnet (its own; dlib cannot run ours)",
        128,
        face_recognition,
        "ours",
    )
    two = {"insightface", "insightface_640", "uniface"} & set(args.peers)
    five = {"insightface_default"} & set(args.peers)
    try:
        if two:
            shared, folder = stack.enter_context(scrfd_pack(default))
            lanes["ours_scrfd_640"] = Lane(Ours(shared, clip, side=640, **ours), "")
            width, files = shared.manifest.dimension, "scrfd_2.5g + mobilefacenet-192"
            peer("insightface", f"{files}, default sizes 128 and 640", width,
                 lambda: insightface(folder, threads, None), "ours_scrfd_640")  # fmt: skip
            peer("insightface_640", f"{files} at 640", width,
                 lambda: insightface(folder, threads, (640, 640)), "ours_scrfd_640")  # fmt: skip
            peer("uniface", f"{files} at 640", width, lambda: uniface(folder, threads), "ours_scrfd_640")
        if five:
            whole, place = stack.enter_context(five_networks(small=args.quick))
            lanes["ours_scrfd_r50_640"] = Lane(Ours(whole, clip, side=640, **ours), "")
            files = f"scrfd_2.5g + r50 (random weights), default sizes 128 and 640, and {BESIDE}"
            peer("insightface_default", files, whole.manifest.dimension,
                 lambda: insightface(place, threads, None), "" if args.quick else "ours_scrfd_r50_640")  # fmt: skip
            if args.quick:
                skipped["insightface_default"] = "no ratio: with --quick its networks are much too small"
    except UnavailableError as why:
        skipped.update({name: str(why) for name in two | five})
    return lanes


def _turn(names: list[str], number: int) -> list[str]:
    """Another one begins each round."""
    at = number % len(names)
    return names[at:] + names[:at]


def _ratios(lanes: dict[str, Lane]) -> dict[str, Any]:
    ratios: dict[str, float] = {}
    spreads: dict[str, Any] = {}
    pairs: dict[str, str] = {}
    for name, lane in lanes.items():
        if not lane.against or not lane.cpu_ms:
            continue
        ours = lanes[lane.against]
        cpu = [peer / own for peer, own in zip(lane.cpu_ms, ours.cpu_ms, strict=False)]
        wall = [peer / own for peer, own in zip(lane.wall_ms, ours.wall_ms, strict=False)]
        with contextlib.suppress(statistics.StatisticsError):
            ratios[name] = round(statistics.median(cpu), 2)
            spreads[name] = {"cpu": _line.spread(cpu, 2), "wall": _line.spread(wall, 2)}
            pairs[name] = f"{ours.system.networks} ÷ {lane.system.networks}"
    versions = {package: _line.version_of(package) for package in _PACKAGES}
    return {"ratios": ratios, "spread": spreads, "pairs": pairs, "peer_versions": versions}


if __name__ == "__main__":
    sys.exit(main())
