"""The similarity at which this deployment alerts."""

from __future__ import annotations

from importlib.resources import as_file, files

from lfr_edge.matching.threshold import choose, load_calibrations
from lfr_edge.settings import Settings


def threshold_for(settings: Settings, fingerprint: str, list_size: int) -> float:
    """The configured one, or the one that was measured for this pack, provider and list size.

    Raises:
        MatchingError: nothing was measured for them.
    """
    matching, models = settings.matching, settings.models
    if matching.threshold is not None:
        return matching.threshold
    with as_file(files("lfr_edge.matching") / "calibrations.json") as shipped:
        calibrations = load_calibrations(matching.calibration or shipped)
    return choose(
        calibrations,
        fingerprint=fingerprint,
        provider=models.providers[0],
        precision="fp32",
        list_size=list_size,
        target_fpir=matching.target_fpir,
    ).threshold
