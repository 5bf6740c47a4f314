"""The similarity at which this deployment alerts, and how often it will be wrong."""

from __future__ import annotations

from lfr_edge.errors import MatchingError
from lfr_edge.matching.standing import Standing, standing
from lfr_edge.matching.threshold import calibrations_of, choose
from lfr_edge.models.store import Pack
from lfr_edge.settings import Settings


def threshold_for(settings: Settings, pack: Pack, list_size: int) -> float:
    """The configured one, or the one that was measured for this pack, its precision, provider and list size.

    Raises:
        MatchingError: nothing was measured for them.
    """
    matching, models = settings.matching, settings.models
    if matching.threshold is not None:
        return matching.threshold
    return choose(
        calibrations_of(settings.matching.calibration),
        fingerprint=pack.fingerprint,
        provider=models.providers[0],
        precision=pack.precision,
        list_size=list_size,
        target_fpir=matching.target_fpir,
    ).threshold


def standing_of(
    settings: Settings, pack: Pack, threshold: float, list_size: int, *, on_cpu: bool = False
) -> Standing:
    """What was calibrated for them; nothing where the file cannot be read: the page Accuracy says why.

    `on_cpu`: the recogniser fell back to the CPU (``models.allow_cpu``), whose numbers are not its first provider's.
    """
    try:
        known = calibrations_of(settings.matching.calibration)
    except MatchingError:
        known = ()
    return standing(
        known,
        fingerprint=pack.fingerprint,
        provider="cpu" if on_cpu else settings.models.providers[0],
        precision=pack.precision,
        threshold=threshold,
        list_size=list_size,
    )
