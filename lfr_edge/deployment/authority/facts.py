"""What the box is about to do, to be held against the authority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import asin, cos, radians, sin, sqrt
from typing import Final, Literal

from lfr_edge.deployment.authority.terms import Place

EARTH_M: Final = 6_371_008.8  # mean radius, IUGG


@dataclass(frozen=True, slots=True)
class Facts:
    """Configuration, list and clock at one moment."""

    purpose: Literal["operational", "evaluation"]
    wall_ns: int  # now
    place: str
    latitude: float | None  # degrees, WGS 84; None: the box does not know where it stands
    longitude: float | None
    cameras: tuple[str, ...]  # ids
    entries: int  # with those that joined, or would join, a live list
    categories: Mapping[str, int]  # code → entries
    threshold: float  # cosine
    alert_images_h: float
    sources: Mapping[str, int] = field(default_factory=dict)  # code → images; "" where none is recorded
    under_18: int = 0  # entries of people under 18 today
    added: int = 0  # of the entries: from lists that joined the activated one, or would join it
    list_compiled_wall_ns: int | None = None
    watchlist_h: float = 0.0  # hours that the list may outlive the deployment


def distance_m(place: Place, latitude: float, longitude: float) -> float:
    """Great-circle distance (haversine) from the middle of the place."""
    north, south = radians(place.latitude), radians(latitude)
    across = radians(longitude - place.longitude)
    half = sin((south - north) / 2) ** 2 + cos(north) * cos(south) * sin(across / 2) ** 2
    return 2 * EARTH_M * asin(sqrt(min(1.0, half)))
