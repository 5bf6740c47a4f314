"""Where the box stands, as a person types it: an authority names a place and a radius around it."""

from __future__ import annotations

import re
from typing import Final

from lfr_edge.errors import ConfigError
from lfr_edge.settings import Settings

_TYPED: Final = re.compile(
    r"([+-]?\d{1,2}(?:\.\d+)?)\s*°?\s*([NS]?)[\s,;]+([+-]?\d{1,3}(?:\.\d+)?)\s*°?\s*([EW]?)", re.IGNORECASE
)


def position_of(typed: str) -> dict[str, float]:
    """``deployment.latitude`` and ``longitude`` (degrees, WGS 84) of ``51.50722 -0.12750``, ``51.5N, 0.1W`` and so on.

    Raises:
        ConfigError: ``setup_position_invalid``. That they lie on the earth is the settings' to check.
    """
    found = _TYPED.fullmatch(typed.strip())
    if found is None:
        raise ConfigError(
            "setup_position_invalid",
            "a position is two numbers: degrees north, degrees east",
            hint="such as 51.50722 -0.12750; south and west are negative",
        )
    latitude, south, longitude, west = found.groups()
    return {
        "latitude": -float(latitude) if south.upper() == "S" else float(latitude),
        "longitude": -float(longitude) if west.upper() == "W" else float(longitude),
    }


def position_text(settings: Settings) -> str:
    """As it is typed; empty where the box does not know."""
    place = settings.deployment
    return "" if place.latitude is None or place.longitude is None else f"{place.latitude} {place.longitude}"
