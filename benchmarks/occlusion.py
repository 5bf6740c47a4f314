"""Hidden eyes, mouths and faces: derives the coefficients of `lfr_edge/vision/occlusion.json`, and measures them.

python -m benchmarks.occlusion --write --keep

Learns from photographs of three fifths of the people of ../shared/faces and from things drawn before their faces, and
is tried on the other people, with things of other kinds. Photographs whose people wear or hold something before the
face themselves (`occluded_by_hand.csv`: named by a person who looked at every picture of the people it is tried on)
take no part in learning; those of the other people are the only real ones that it is tried on. What is drawn before
whom, and how, comes from one seed.
"""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import _line
from benchmarks._material import SHARED, pack
from benchmarks._occluders import cover
from benchmarks._styles import LEARNT, UNSEEN
from lfr_edge.capture.frame import UInt8Array
from lfr_edge.evaluation.intervals import binomial_rate
from lfr_edge.vision.occlusion import FEATURES, PARTS, features
from lfr_edge.vision.picture_quality import continued
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.enrol import choose_face

Float64Array = NDArray[np.float64]

_FACES: Final = SHARED / "faces" / "lfw250"
_BY_HAND: Final = Path(__file__).with_name("occluded_by_hand.csv")
_KEPT: Final = _line.REPOSITORY / "lfr_edge" / "vision" / "occlusion.json"
_STYLES: Final = {style.__name__: style for style in (*LEARNT, *UNSEEN)}
_SEED: Final = 11
_QUICK: Final = 60  # people
# Shares of a part: up to the first it counts as free, from the second on as hidden, between as neither.
_SHARES: Final[Mapping[str, tuple[float, float]]] = {
    "eyes": (0.1, 0.5),
    "mouth": (0.1, 0.5),
    "face": (0.13, 0.3),
}
_RIDGE: Final = 30.0
_FALSE: Final = (0.01, 0.05)
_REAL: Final = "as photographed"


@dataclass(frozen=True, slots=True)
class Job:
    path: str  # of a photograph, from the folder of faces
    styles: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture: as it is, made worse, or with something drawn before the face."""

    path: str
    style: str  # empty for the photograph itself
    shares: tuple[float, ...]  # of PARTS
    measured: NDArray[np.float32] | None  # None: no face was found in it


@dataclass(frozen=True, slots=True)
class Table:
    """Pictures in rows."""

    x: Float64Array  # (n, FEATURES)
    style: NDArray[np.str_]
    shares: Float64Array  # (n, 3)
    by_hand: NDArray[np.str_]  # what somebody saw in the photograph; empty: nothing
    original: NDArray[np.bool_]  # the photograph itself, nothing drawn and nothing made worse
    lost: Mapping[str, int]  # style → pictures without a face

    def labels(self, part: str) -> NDArray[np.int64]:
        """1 hidden, 0 free, -1 neither."""
        free, hidden = _SHARES[part]
        share = self.shares[:, PARTS.index(part)]
        found = np.where(share >= hidden, 1, np.where(share <= free, 0, -1))
        found[self.by_hand != ""] = -1
        return found


def main(argv: list[str] | None = None) -> int:
    made = _line.parser(__doc__)
    made.add_argument("--keep", action="store_true", help="write the coefficients into the product")
    made.add_argument("--people", type=int, metavar="N", help="only so many people (default: all)")
    args = made.parse_args(argv)
    report = _line.Report("occlusion", args)
    if args.keep and (args.quick or args.people):
        made.error("--keep needs all people: coefficients of a few would be worse")
    learn, trial = _plan(_QUICK if args.quick else args.people)
    report.say(f"{len(learn)} photographs to learn from, {len(trial)} to be tried on")
    learnt, tried = _table(learn, args.pack), _table(trial, args.pack)
    report.say(f"{len(learnt.x)} and {len(tried.x)} pictures measured")
    heads = {part: fit(learnt, part) for part in PARTS}
    result = {part: measure(tried, part, *heads[part]) for part in PARTS}
    if args.keep:
        _KEPT.write_text(_written(heads), encoding="utf-8")
    shapes = {"learnt_from": len(learnt.x), "tried_on": len(tried.x), "features": FEATURES}
    report.emit({"parts": result, "no_face_found": tried.lost}, shapes=shapes)
    return 0


# -- pictures --------------------------------------------------------------------------------------------------------


def _plan(people: int | None) -> tuple[list[Job], list[Job]]:
    """What is drawn before whom: decided before anything is looked at."""
    folders = sorted(path for path in _FACES.iterdir() if path.is_dir()) if _FACES.exists() else []
    if not folders:
        raise SystemExit(f"{_FACES} holds no pictures: this benchmark needs ../shared")
    chance = np.random.default_rng(_SEED)
    learnt, unseen = ([style.__name__ for style in styles] for styles in (LEARNT, UNSEEN))
    learn: list[Job] = []
    trial: list[Job] = []
    for folder in folders[:people]:
        held_out = hashlib.sha256(folder.name.encode()).digest()[0] % 5 >= 3
        for number, path in enumerate(sorted(folder.glob("*.jpg"))):
            name, seed = path.relative_to(_FACES).as_posix(), int(chance.integers(1 << 30))
            if held_out and number < 4:
                drawn = [str(chance.choice(learnt)), str(chance.choice(unseen))] if number == 0 else []
                trial.append(Job(name, tuple(drawn), seed))
            elif not held_out and number < 6:
                many = (2, 1, 1)[number] if number < 3 else 0
                learn.append(Job(name, tuple(map(str, chance.choice(learnt, many, replace=False))), seed))
    return learn, trial


def _table(jobs: Sequence[Job], pack_name: str) -> Table:
    with multiprocessing.get_context("spawn").Pool(2, _open, (pack_name,)) as pool:
        seen = [one for many in pool.imap(_look, jobs, chunksize=16) for one in many]
    noted = by_hand()
    found = [one for one in seen if one.measured is not None]
    lost: dict[str, int] = {}
    for one in seen:
        if one.measured is None:
            lost[one.style or _REAL] = lost.get(one.style or _REAL, 0) + 1
    return Table(
        np.stack([one.measured for one in found if one.measured is not None]).astype(np.float64),
        np.array([one.style.removesuffix(" worse") for one in found]),
        np.array([one.shares for one in found]),
        np.array([noted.get(one.path, "") for one in found]),
        np.array([one.style == "" for one in found]),
        lost,
    )


_vision: VisionStack | None = None  # of one worker process


def _open(pack_name: str) -> None:
    global _vision
    cv2.setNumThreads(1)
    _vision = VisionStack.open(pack(pack_name), threads=1)


def _look(job: Job) -> list[Seen]:
    chance = np.random.default_rng(job.seed)
    data = (_FACES / job.path).read_bytes()
    found = _find(data)
    none = (0.0,) * len(PARTS)
    if found is None:
        return [Seen(job.path, "", none, None)]
    measured, points = found
    seen = [Seen(job.path, "", none, measured)]
    picture = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    if chance.random() < 0.5:
        worse = _find(_worse(picture, chance))
        seen.append(Seen(job.path, " worse", none, worse and worse[0]))
    for name in job.styles:
        drawn = cover(picture, points, _STYLES[name], chance)
        again = _find(_worse(drawn.picture, chance))
        shares = tuple(drawn.shares[part] for part in PARTS)
        seen.append(Seen(job.path, name, shares, again and again[0]))
    return seen


def _find(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Measures and five points of the face in the middle, on the product's own way."""
    assert _vision is not None
    portrait = _vision.look(data)
    chosen, _ = choose_face(portrait, "central")
    if chosen is None:
        return None
    points = portrait.picture.faces.points[chosen]
    return features(continued(portrait.picture.pixels, points)), points


def _worse(picture: UInt8Array, chance: np.random.Generator) -> bytes:
    """Smaller and harder compressed, often."""
    if chance.random() < 0.4:
        scale = chance.uniform(0.45, 1)
        picture = np.asarray(
            cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(chance.integers(45, 96))])
    return bytes(data)


@cache
def by_hand() -> Mapping[str, str]:
    """Photograph → what somebody saw in it: `eyes` or `mouth` hidden, or `part`: neither hidden nor free."""
    with _BY_HAND.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["seen"] for row in csv.DictReader(file)}


# -- coefficients ----------------------------------------------------------------------------------------------------


def fit(table: Table, part: str) -> tuple[Float64Array, float]:
    """Weights for the measures as they are, and the bias."""
    labels = table.labels(part)
    known = labels >= 0
    x, y = table.x[known], labels[known].astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    found = logistic((x - mean) / spread, y, _RIDGE)
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ mean)


def logistic(x: Float64Array, y: Float64Array, ridge: float) -> Float64Array:
    """Coefficients, the bias last, of the ridge-penalised logistic regression, by Newton's method."""
    design = np.hstack([x, np.ones((len(x), 1))])
    penalty = np.eye(design.shape[1]) * ridge
    penalty[-1, -1] = 1e-6
    found = np.zeros(design.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        slope = design.T @ (y - p) - penalty @ found
        curve = (design * np.maximum(p * (1 - p), 1e-6)[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        found += step
        if np.abs(step).max() < 1e-4:
            break
    return found


def _written(heads: Mapping[str, tuple[Float64Array, float]]) -> str:
    """One line for each part; four digits are more than the figures can tell apart."""
    lines = [f'  "made_by": "python -m benchmarks.occlusion --keep", "seed": {_SEED}']
    for part, (weights, bias) in heads.items():
        numbers = ",".join(f"{value:.4g}" for value in weights)
        lines.append(f'  "{part}": {{"bias": {bias:.4f}, "weights": [{numbers}]}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


# -- figures ---------------------------------------------------------------------------------------------------------


def measure(table: Table, part: str, weights: Float64Array, bias: float) -> dict[str, Any]:
    """Rates on people and kinds of things that nothing was learnt from."""
    scores = 1 / (1 + np.exp(-np.clip(table.x @ weights + bias, -30, 30)))
    labels = table.labels(part)
    clean = scores[table.original & (table.by_hand == "")]
    elsewhere = (labels == 0) & (table.style != "")
    ladder = {f"{p:g}": _rate(clean > p) for p in (0.5, 0.8, 0.9, 0.95, 0.99)}
    result: dict[str, Any] = {
        "photographs_without": len(clean),
        "highest_of_those": round(float(clean.max()), 5),
        "false_at": ladder,
    }
    for share in _FALSE:
        limit = float(np.quantile(clean, 1 - share))
        hidden = (labels == 1) & (table.style != "")
        result[f"at_{share:g}"] = {
            "limit": round(limit, 4),
            "unseen_styles": _rate(scores[hidden & _any(table, UNSEEN)] > limit),
            "learnt_styles": _rate(scores[hidden & _any(table, LEARNT)] > limit),
            "something_elsewhere": _rate(scores[elsewhere] > limit),
            "really_hidden": _rate(scores[table.original & (table.by_hand == part)] > limit),
            "really_in_part": _rate(scores[table.original & (table.by_hand == "part")] > limit),
            "by_style": dict(_by_style(table, scores > limit, hidden)),
        }
    return result


def _any(table: Table, styles: Sequence[Any]) -> NDArray[np.bool_]:
    return np.isin(table.style, [style.__name__ for style in styles])


def _by_style(table: Table, told: NDArray[np.bool_], hidden: NDArray[np.bool_]) -> Iterator[tuple[str, Any]]:
    for name in _STYLES:
        these = hidden & (table.style == name)
        if these.sum() >= 10:
            yield name, _rate(told[these])


def _rate(told: NDArray[np.bool_]) -> dict[str, Any]:
    rate = binomial_rate(int(told.sum()), len(told))
    return {
        key: round(value, 4) if isinstance(value, float) else value for key, value in rate.to_json().items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
