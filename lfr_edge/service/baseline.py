"""What each camera usually sees, out of the record of deployments that people found good: bins, nothing else."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.deployment.reading import count_in, table_in
from lfr_edge.errors import MatchingError
from lfr_edge.recogniser.drift import BLOCK, MEASURES, Baseline, design_effect
from lfr_edge.sentences import say

FORMAT: Final = 1
_Block = dict[str, Counter[int]]


def baselines_of(entries: Iterable[Entry]) -> tuple[str, dict[str, Baseline]]:
    """Fingerprint of the networks, and by camera the sums of all minutes and how alike neighbouring passages are.

    Raises:
        MatchingError: ``baseline_empty``: nothing was recorded, or ``baseline_mixed``: of several networks.
    """
    cameras: dict[str, list[_Block]] = {}
    packs = set()
    for entry in entries:
        if entry.event.ev == "model.loaded":
            packs.add(entry.event.ref)
        if entry.event.ev != "statistics.counted":
            continue
        rows = table_in(entry.event.data, "cameras")
        for camera in rows:
            seen = table_in(table_in(rows, camera), "seen")
            minute = {}
            for name in MEASURES:
                bins = table_in(seen, name)
                minute[name] = Counter({int(edge): count_in(bins, edge) or 0 for edge in bins})
            _gather(cameras.setdefault(camera, []), minute)
    if not any(block["quality"] for blocks in cameras.values() for block in blocks):
        raise MatchingError(
            "baseline_empty",
            "these logs count no passages",
            hint="give the logs of deployments in which people passed",
        )
    if len(packs) != 1:
        raise MatchingError(
            "baseline_mixed",
            say("these logs are of {count} different networks", count=len(packs)),
            hint="give logs of deployments with the same pack",
        )
    return packs.pop(), {camera: _baseline(blocks) for camera, blocks in cameras.items()}


def save_baselines(path: Path, fingerprint: str, cameras: Mapping[str, Baseline]) -> None:
    body = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "cameras": {camera: one.bins for camera, one in cameras.items()},
        "effects": {camera: one.effects for camera, one in cameras.items() if one.effects},
    }
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def read_baselines(path: Path, fingerprint: str) -> dict[str, Baseline]:
    """What ``lfr-edge calibrate baseline`` wrote, by camera.

    Raises:
        MatchingError: ``baseline_invalid``, or ``baseline_model_mismatch`` for one of other networks.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ValueError("another format")
        effects = raw.get("effects", {})  # files of before 22 November 2026 have none
        found = {
            str(camera): Baseline(_bins(bins), _effects(effects.get(camera, {})))
            for camera, bins in raw["cameras"].items()
        }
        same = raw["fingerprint"] == fingerprint
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MatchingError(
            "baseline_invalid",
            say("{path} is no drift baseline: {error}", path=path, error=error),
            hint="make it again: lfr-edge calibrate baseline LOG --out FILE; or leave matching.drift_baseline empty",
        ) from None
    if not same:
        raise MatchingError(
            "baseline_model_mismatch",
            say("{path} is of other networks", path=path),
            hint="make one from a deployment with these networks, or leave matching.drift_baseline empty",
        )
    return found


def _gather(blocks: list[_Block], minute: _Block) -> None:
    """Minutes joined to blocks of at least as many passages as the watch moves by: the last one may be open."""
    if not blocks or blocks[-1]["quality"].total() >= BLOCK:
        blocks.append({name: Counter() for name in MEASURES})
    for name in MEASURES:
        blocks[-1][name].update(minute[name])


def _baseline(blocks: Sequence[_Block]) -> Baseline:
    sums = {name: sum((block[name] for block in blocks), Counter[int]()) for name in MEASURES}
    return Baseline(
        {name: {str(edge): count for edge, count in sorted(bins.items())} for name, bins in sums.items()},
        {name: round(design_effect([block[name] for block in blocks]), 3) for name in MEASURES},
    )


def _bins(raw: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {
        name: {str(int(edge)): int(count) for edge, count in raw[name].items()}
        for name in MEASURES
        if name in raw
    }


def _effects(raw: Mapping[str, float]) -> dict[str, float]:
    found = {name: float(raw[name]) for name in MEASURES if name in raw}
    if not all(math.isfinite(effect) and effect >= 1 for effect in found.values()):
        raise ValueError("a design effect is at least 1")
    return found
