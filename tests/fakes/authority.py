"""An authority in which every clause holds, the facts that fit it, and the key that signed it. All of it invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.deployment.authority import Authority, Facts, SignedAuthority
from lfr_edge.deployment.authority.document import Document, believe, parse_document, signed
from lfr_edge.deployment.authority.signing import key_id, public_bytes
from lfr_edge.deployment.authority.words import instant_ns, instant_text

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "authority" / "example.json"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TRUSTED = {key_id(public_bytes(KEY)): public_bytes(KEY)}
HOUR_NS = 3_600_000_000_000


def example() -> Authority:
    return parse_document(EXAMPLE.read_bytes()).authority


def authority(**changes: Any) -> Authority:
    """The example, changed: ``authority(end="2026-11-22T12:00:00Z", watchlist={"maximum_size": 5})``."""
    base = example()
    for name, value in changes.items():
        if isinstance(value, dict):
            value = replace(getattr(base, name), **value)
        base = replace(base, **{name: value})
    return base


def signed_authority(granted: Authority | None = None) -> SignedAuthority:
    return believe(signed(Document(granted or example()), KEY), TRUSTED)


def authority_now(wall_ns: int, hours: float = 6, **changes: Any) -> Authority:
    """An authority that began a minute before `wall_ns`."""
    start = wall_ns - 60 * 10**9
    times = {"start": instant_text(start), "end": instant_text(start + int(hours * HOUR_NS))}
    granted = replace(example().officer, granted=instant_text(start - HOUR_NS))
    return authority(**{**times, "officer": granted, **changes})


def fitting(granted: Authority, **changes: Any) -> Facts:
    """Facts of a box that does exactly what the authority allows, ten minutes after its start."""
    now = instant_ns(granted.start) + 600 * 10**9
    facts = Facts(
        purpose=granted.purpose,
        wall_ns=now,
        place=granted.place.name,
        latitude=granted.place.latitude,
        longitude=granted.place.longitude,
        cameras=granted.cameras,
        entries=3,
        categories={granted.watchlist.categories[0]: 3},
        threshold=granted.threshold.floor,
        alert_images_h=granted.retention.alert_images_h,
        sources={granted.watchlist.image_sources[0]: 4},
        under_18=0,
        list_compiled_wall_ns=now - HOUR_NS,
        watchlist_h=0,
    )
    return replace(facts, **changes)
