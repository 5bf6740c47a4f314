"""What each network of the thorough pack finds alone, what they find together, and whether the weight is fitted.

    python -m benchmarks.fusion --json                 the shared protocol, about three CPU minutes
    python -m benchmarks.fusion --share 0.1

Every picture is embedded once; a fused template is its networks' parts side by side, so that every weighting is
computed from one run. For the halves people are dealt into two (seed 20261122), the weight that was best on one half is
used on the other, twenty times. Needs ../shared/faces and the pack thorough. Figures of docs/accuracy.md.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks import _line, _stills
from benchmarks._material import model_store
from benchmarks._stills import ROLES, searches
from lfr_edge.cli.packs import counting, progress_bar
from lfr_edge.errors import ModelError
from lfr_edge.evaluation.faces import Templates, embed_samples
from lfr_edge.evaluation.openset import operating_points, threshold_at
from lfr_edge.evaluation.protocol import Protocol, Role
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.pipeline import VisionStack

_TARGETS: Final = (0.01, 0.001)
_DEALS: Final = 20
_SEED: Final = 20261122
# Weights tried for the third network; the others have 1.
_OF_THIRD: Final = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)

Cosines = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""One network's cosines with the list: of mated and of non-mated probes; -1 where either has no template."""


def main(argv: list[str] | None = None) -> int:
    options = _stills.parser(__doc__, "all")
    args = options.parse_args(argv)
    report = _line.Report("fusion", args)
    share = _stills.share_of(args, options, 1.0)
    protocol = _stills.drawn(share, _SEED)
    if protocol is None:
        report.emit({"fused": {}, "skipped": "needs ../shared/faces"})
        return 0
    try:
        pack = model_store().load("thorough")
    except ModelError as why:
        report.emit({"fused": {}, "skipped": f"needs the pack thorough: {why}"})
        return 0
    templates = _embedded(VisionStack.open(pack, threads=args.threads), protocol)
    networks = [n for n in pack.manifest.networks if n.dimension]
    parts = _parts(templates, {n.id: int(n.dimension or 0) for n in networks})
    fused = {name: _found(_mixed(parts, weights), protocol) for name, weights in _weightings(list(parts))}
    for name, found in fused.items():
        report.say(f"{name}: {found['0.01']['value']} at 1 %, {found['0.001']['value']} at 0.1 %")
    halves = _halves(parts, protocol, report) if len(parts) == 3 else {}
    counts = {role: len(protocol.of(role)) for role in ROLES}
    report.emit({"fused": fused, "halves": halves, "n": counts, "seed": _SEED, "share": share})
    return 0


def _embedded(vision: VisionStack, protocol: Protocol) -> dict[Role, Templates]:
    found = {}
    with progress_bar() as bar:
        for role in ROLES:
            samples, told = protocol.of(role), counting(bar, role)
            settings = None if role == "gallery" else VisionSettings()
            found[role] = embed_samples(vision, _stills.FACES, samples, settings=settings, progress=told)
    return found


def _parts(templates: Mapping[Role, Templates], dimensions: Mapping[str, int]) -> dict[str, Cosines]:
    """By network: the fused template cut into its parts, each of unit length again."""
    ends = np.cumsum(list(dimensions.values()))
    parts = {}
    for name, end in zip(dimensions, ends, strict=True):
        rows = {}
        for role, one in templates.items():
            cut = one.matrix[0][:, end - dimensions[name] : end]
            rows[role] = cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-9)
        cosines = []
        for role in ("mated", "nonmated"):
            scores = rows[role] @ rows["gallery"].T
            scores[~templates[role].usable] = -1
            scores[:, ~templates["gallery"].usable] = -1
            cosines.append(np.asarray(scores, np.float32))
        parts[name] = (cosines[0], cosines[1])
    return parts


def _weightings(names: Sequence[str]) -> list[tuple[str, dict[str, float]]]:
    """Each alone, each two, all alike, and the third counting twice."""
    sets = [
        dict.fromkeys(some, 1.0)
        for k in range(1, len(names) + 1)
        for some in itertools.combinations(names, k)
    ]
    if len(names) == 3:
        sets.append({names[0]: 1.0, names[1]: 1.0, names[2]: 2.0})
    return [(" + ".join(f"{weight:g} {name}" for name, weight in one.items()), one) for one in sets]


def _mixed(parts: Mapping[str, Cosines], weights: Mapping[str, float]) -> Cosines:
    total = sum(weights.values())
    mated, nonmated = (
        sum(np.float32(w / total) * parts[name][side] for name, w in weights.items()) for side in (0, 1)
    )
    return np.asarray(mated, np.float32), np.asarray(nonmated, np.float32)


def _found(scores: Cosines, protocol: Protocol) -> dict[str, Any]:
    points = operating_points(searches(*scores, protocol), _TARGETS, seed=_SEED)
    return {f"{point.target_fpir:g}": point.tpir.to_json() for point in points}


def _halves(parts: Mapping[str, Cosines], protocol: Protocol, report: _line.Report) -> dict[str, Any]:
    """Mean TPIR on the half that chose nothing: of the other half's best weight, and of every weight tried."""
    names = list(parts)
    mixed = {w: _mixed(parts, {names[0]: 1, names[1]: 1, names[2]: w}) for w in _OF_THIRD}
    people = sorted({sample.identity for sample in protocol.samples})
    best: list[tuple[float, float]] = []
    every: dict[float, list[tuple[float, float]]] = {w: [] for w in _OF_THIRD}
    chosen = []
    generator = np.random.default_rng(_SEED)
    for _ in range(_DEALS):
        first = {people[i] for i in generator.permutation(len(people))[: len(people) // 2]}
        own = {w: _rates(mixed[w], protocol, first) for w in _OF_THIRD}
        chosen.append(max(_OF_THIRD, key=lambda w: own[w]))
        other = set(people) - first
        for w in _OF_THIRD:
            every[w].append(_rates(mixed[w], protocol, other))
        best.append(every[chosen[-1]][-1])
    rows = {"the other half's best": best} | {f"{w:g}": found for w, found in every.items()}
    means = {name: [round(float(rate), 4) for rate in np.mean(found, axis=0)] for name, found in rows.items()}
    report.say(f"halves: {means}")
    return {"tpir_at_0.01_and_0.001": means, "chosen": chosen}


def _rates(scores: Cosines, protocol: Protocol, people: set[str]) -> tuple[float, float]:
    kept = {
        role: np.array([sample.identity in people for sample in protocol.of(role)], np.bool_)
        for role in ROLES
    }
    part = Protocol(tuple(sample for sample in protocol.samples if sample.identity in people))
    mated, nonmated = (
        matrix[kept[role]][:, kept["gallery"]] for matrix, role in zip(scores, ROLES[1:], strict=True)
    )
    found = searches(mated, nonmated, part)
    first, second = (
        float((found.hits >= threshold_at(found.nonmated, target)).mean()) for target in _TARGETS
    )
    return first, second


if __name__ == "__main__":
    sys.exit(main())
