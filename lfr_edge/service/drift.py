"""Every camera's drift, from the recogniser's pulses; what is said about it, and when."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from lfr_edge.console.ports import Trouble
from lfr_edge.errors import MatchingError
from lfr_edge.recogniser.drift import Baseline, Drift, DriftWatch, Level
from lfr_edge.sentences import say
from lfr_edge.service.baseline import read_baselines

log = logging.getLogger("lfr_edge.service")

_WORDS: Final = {
    "quality": say("the quality of faces"),
    "detector": say("how sure the detector is of faces"),
    "strangers": say("how much strangers resemble people on the list"),
}


class DriftWatches:
    """One watch for each camera. **Thread rule:** the event loop."""

    def __init__(
        self, baselines: Mapping[str, Baseline] | None = None, refused: MatchingError | None = None
    ) -> None:
        self._baselines = baselines or {}
        self._refused = refused  # why the configured baseline is not used
        self._watches: dict[str, DriftWatch] = {}
        self._said: dict[str, Level] = {}

    def update(self, cameras: Mapping[str, Mapping[str, Any]]) -> None:
        """The cameras of a pulse."""
        for camera, view in cameras.items():
            watch = self._watches.get(camera)
            if watch is None:
                watch = self._watches[camera] = DriftWatch(self._baselines.get(camera))
            drift = watch.update(view["counts"])
            if drift.level != self._said.get(camera, "steady"):
                self._said[camera] = drift.level
                worst = f"{drift.worst} {drift.values.get(drift.worst, 0.0):.2f}"
                log.warning("camera %s: drift is %s (PSI of %s)", camera, drift.level, worst)

    def of(self, camera: str) -> Drift:
        watch = self._watches.get(camera)
        return Drift(0) if watch is None else watch.now

    def troubles(self) -> Iterable[Trouble]:
        """What the banner says. A recogniser that sees something else than it was calibrated on says so."""
        if self._refused is not None:
            yield Trouble("degraded", self._refused.message, self._refused.hint)
        for camera, watch in self._watches.items():
            now = watch.now
            if now.level == "steady":
                continue
            what = _WORDS[now.worst]
            if now.level == "stop":
                text = say("camera {camera}: {what} has changed: stop and review", camera=camera, what=what)
            else:
                text = say("camera {camera}: {what} is changing", camera=camera, what=what)
            hint = say(
                "PSI {psi:.2f}: look at lens, light and aim; the threshold was calibrated on other pictures",
                psi=now.values[now.worst],
            )
            yield Trouble("degraded", text, hint)


def watches_for(path: Path | None, fingerprint: str) -> DriftWatches:
    """With the configured baseline; without one, or where it cannot be used, each camera's own beginning is one."""
    if path is None:
        return DriftWatches()
    try:
        return DriftWatches(read_baselines(path, fingerprint))
    except MatchingError as error:
        log.warning("no drift baseline: %s", error.message)
        return DriftWatches(refused=error)
