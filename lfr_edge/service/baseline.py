"""What each camera usually sees, out of the record of deployments that people found good: bins, nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import Entry
from lfr_edge.deployment.reading import count_in, table_in
from lfr_edge.errors import MatchingError
from lfr_edge.recogniser.drift import MEASURES, Histograms
from lfr_edge.sentences import say

FORMAT: Final = 1


def baselines_of(entries: Iterable[Entry]) -> tuple[str, dict[str, dict[str, Counter[str]]]]:
    """Fingerprint of the networks, and histograms by camera: the sums of all minutes.

    Raises:
        MatchingError: ``baseline_empty``: nothing was recorded, or ``baseline_mixed``: of several networks.
    """
    cameras: dict[str, dict[str, Counter[str]]] = {}
    packs = set()
    for entry in entries:
        if entry.event.ev == "model.loaded":
            packs.add(entry.event.ref)
        if entry.event.ev != "statistics.counted":
            continue
        rows = table_in(entry.event.data, "cameras")
        for camera in rows:
            seen = table_in(table_in(rows, camera), "seen")
            for name in MEASURES:
                bins = table_in(seen, name)
                mine = cameras.setdefault(camera, {}).setdefault(name, Counter())
                mine.update({edge: count_in(bins, edge) or 0 for edge in bins})
    if not any(bins.get("quality") for bins in cameras.values()):
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
    return packs.pop(), cameras


def save_baselines(path: Path, fingerprint: str, cameras: Mapping[str, Histograms]) -> None:
    body = {"format": FORMAT, "fingerprint": fingerprint, "cameras": cameras}
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def read_baselines(path: Path, fingerprint: str) -> dict[str, Histograms]:
    """What ``lfr-edge calibrate baseline`` wrote: histograms by camera.

    Raises:
        MatchingError: ``baseline_invalid``, or ``baseline_model_mismatch`` for one of other networks.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ValueError("another format")
        found: dict[str, Histograms] = {
            str(camera): {
                name: {str(int(edge)): int(count) for edge, count in bins[name].items()}
                for name in MEASURES
                if name in bins
            }
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
