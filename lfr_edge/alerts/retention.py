"""How long an alert's pictures may stay. Configuration shortens the law's maxima (domain.md 3), never lengthens."""

from __future__ import annotations

from typing import Final

from lfr_edge.alerts.alert import Alert

_HOUR_NS: Final = 3_600_000_000_000
LONGEST_H: Final = 31 * 24  # the law's maximum without a hold


def pictures_due(alert: Alert, wall_ns: int, lived_ns: int, kept_h: float) -> bool:
    """Whether the pictures must go now.

    Age is the larger of what the two clocks say (`lived_ns`: monotonic age since this process knows the alert),
    so a wall clock set back keeps no picture longer.
    """
    if alert.pictures_erased:
        return False
    if alert.hold is not None and wall_ns < alert.hold.expires_wall_ns:
        return False
    age_ns = max(wall_ns - alert.raised_wall_ns, lived_ns)
    return age_ns >= min(kept_h, LONGEST_H) * _HOUR_NS
