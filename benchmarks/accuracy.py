"""Ours and the peers on the same stills: how many listed people each finds at a rate of false alerts.

    python -m benchmarks.accuracy --share 0.25 --seed 1 --json

Open-set 1:N on a part of the shared protocol (``../shared/faces``), drawn by person with a seed: each system finds the
faces by itself, takes the one nearest the middle and compares its template with the list's, as its own example does.
A picture in which it finds nobody is a miss. ``systems {name: {"tpir_at_fpir": …}}`` as ``evaluate identities`` has it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import cv2
import numpy as np

from benchmarks import _line, _stills
from benchmarks._material import model_store, pack
from benchmarks._systems import UnavailableError, analysis, scrfd_pack
from lfr_edge.cli.packs import progress_bar
from lfr_edge.errors import ModelError
from lfr_edge.evaluation.openset import operating_points, rank_one
from lfr_edge.evaluation.protocol import Protocol, Sample
from lfr_edge.evaluation.series import rate_key
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.enrol import choose_face

Look = Callable[[bytes], Float32Array | None]
"""A picture file → the template of the person in it, or None where no face was found."""

_SHARE: Final = 0.25  # face_recognition needs a tenth of a second a picture
_TARGETS: Final = (0.1, 0.01, 0.001)


def main(argv: list[str] | None = None) -> int:
    options = _stills.parser(__doc__, f"{_SHARE:g}")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="of who is drawn (default: 1)")
    options.add_argument("--packs", nargs="+", default=["default", "thorough"], metavar="NAME", help="ours")
    args = options.parse_args(argv)
    report = _line.Report("accuracy", args)
    share = _stills.share_of(args, options, _SHARE)
    drawn = _stills.drawn(share, args.seed)
    if drawn is None:
        report.emit({"systems": {}, "skipped": {"all": "needs ../shared/faces"}})
        return 0
    skipped: dict[str, str] = {}
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        for name, make in _systems(args, stack, skipped):
            try:
                look = make()
            except (UnavailableError, ModelError) as why:
                skipped[name] = str(why)
                continue
            with progress_bar() as bar:
                task = bar.add_task(name, total=len(drawn.samples))
                figures[name] = _measured(look, drawn, args.seed, partial(bar.advance, task))
            at = figures[name]["tpir_at_fpir"]["0.01"]
            report.say(f"{name}: {at.get('note') if at['value'] is None else at['value']}")
    counts = {role: len(drawn.of(role)) for role in _stills.ROLES}
    report.emit({"systems": figures, "skipped": skipped, "n": counts, "seed": args.seed, "share": share})
    return 0


def _systems(args: Any, stack: ExitStack, skipped: dict[str, str]) -> list[tuple[str, Callable[[], Look]]]:
    found: list[tuple[str, Callable[[], Look]]] = [
        (f"ours_{name}", partial(_ours, name, args.threads)) for name in args.packs
    ]
    try:
        _, folder = stack.enter_context(scrfd_pack(pack("default")))
        found.append(("insightface_640", lambda: _insightface(folder, args.threads)))
    except UnavailableError as why:
        skipped["insightface_640"] = str(why)
    return [*found, ("face_recognition", _face_recognition)]


def _ours(name: str, threads: int) -> Look:
    loaded = pack(name) if name == "default" else model_store().load(name)
    vision = VisionStack.open(loaded, threads=threads)

    def look(data: bytes) -> Float32Array | None:
        portrait = vision.look(data)
        chosen, _ = choose_face(portrait, "central")
        return None if chosen is None else vision.templates(portrait, chosen)[0]

    return look


def _insightface(folder: Any, threads: int) -> Look:
    app = analysis(folder, threads, (640, 640))

    def look(data: bytes) -> Float32Array | None:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        faces = app.get(picture)
        chosen = _central([face.bbox for face in faces], picture.shape[:2])
        return None if chosen is None else np.asarray(faces[chosen].normed_embedding, np.float32)

    return look


def _face_recognition() -> Look:
    try:
        import face_recognition as library
    except (ImportError, SystemExit) as error:
        raise UnavailableError(f"not installed (extra 'peers'): {error}") from None

    def look(data: bytes) -> Float32Array | None:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        rgb = np.ascontiguousarray(picture[:, :, ::-1])
        places = library.face_locations(rgb)
        chosen = _central([(left, top, right, bottom) for top, right, bottom, left in places], rgb.shape[:2])
        if chosen is None:
            return None
        return np.asarray(library.face_encodings(rgb, [places[chosen]])[0], np.float32)

    return look


def _central(boxes: Sequence[Sequence[float]], size: tuple[int, ...]) -> int | None:
    height, width = size
    if not boxes:
        return None
    return min(
        range(len(boxes)),
        key=lambda i: abs(boxes[i][0] + boxes[i][2] - width) + abs(boxes[i][1] + boxes[i][3] - height),
    )


def _measured(look: Look, drawn: Protocol, seed: int, done: Callable[[], None]) -> dict[str, Any]:
    began = time.process_time()
    parts = {role: _embed(look, drawn.of(role), done) for role in _stills.ROLES}
    cpu_s = time.process_time() - began
    mated, others = (_scores(parts[role], parts["gallery"]) for role in _stills.ROLES[1:])
    searches = _stills.searches(mated, others, drawn)
    points = operating_points(searches, _TARGETS, seed=seed)
    missed = sum(template is None for part in parts.values() for template in part)
    return {
        "tpir_at_fpir": {rate_key(point.target_fpir): point.tpir.to_json() for point in points},
        "rank_1": rank_one(searches),
        "no_face_found": missed,
        "cpu_ms_per_picture": round(1000 * cpu_s / len(drawn.samples), 1),
    }


def _embed(look: Look, samples: Sequence[Sample], done: Callable[[], None]) -> list[Float32Array | None]:
    found = []
    for sample in samples:
        found.append(look((_stills.FACES / sample.path).read_bytes()))
        done()
    return found


def _scores(probes: Sequence[Float32Array | None], gallery: Sequence[Float32Array | None]) -> Any:
    """(probes, listed) minus the Euclidean distance: for unit vectors the same order as the cosine."""
    width = next((len(template) for template in (*gallery, *probes) if template is not None), 1)
    rows = np.array([np.zeros(width) if one is None else one for one in gallery], np.float64)
    out = np.full((len(probes), len(gallery)), -np.inf)
    for at, probe in enumerate(probes):
        if probe is not None:
            out[at] = -np.sqrt(((rows - probe) ** 2).sum(axis=1))
    out[:, [one is None for one in gallery]] = -np.inf
    return out


if __name__ == "__main__":
    sys.exit(main())
