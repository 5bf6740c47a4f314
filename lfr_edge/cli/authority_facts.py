"""What this box would do, read from its configuration, its keys and its list, for ``lfr-edge authority check``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lfr_edge.clock import SystemClock
from lfr_edge.deployment.authority import Facts, SignedAuthority
from lfr_edge.deployment.authority.signing import key_id, read_public_key
from lfr_edge.deployment.control.trust import TrustStore
from lfr_edge.models.store import ModelStore
from lfr_edge.service.threshold import threshold_for
from lfr_edge.settings import Settings, load_settings
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.keys import read_key_file
from lfr_edge.watchlist.list_facts import list_facts

NOT_OPENED = (
    "The list was not opened: clauses 17 and 19 to 23 are judged by the document alone. Give --list-key."
)


def believed_keys(config: Path | None, more: Sequence[Path]) -> dict[str, bytes]:
    """The keys that two persons enrolled on this box, and those named on the command line."""
    enrolled = TrustStore(load_settings(config).data / "trust.json").keys("authority") if config else {}
    named = [read_public_key(path) for path in more]
    return {**enrolled, **{key_id(public): public for public in named}}


def facts_for(config: Path, list_key: Path | None, signed: SignedAuthority) -> tuple[Facts, tuple[str, ...]]:
    """The facts of the box as configured, and remarks about what could not be read."""
    settings = load_settings(config)
    key = list_key or settings.watchlist.key_file
    if key is None or not key.exists() or not settings.watchlist.path.exists():
        return _facts(settings, _fitting_list(signed)), (NOT_OPENED,)
    configured, pack = settings.matching.threshold, None
    if configured is None:  # the calibrated one, which hangs on the networks that would run, as does the list
        pack = ModelStore(settings.models.store).load(settings.models.pack)
    fingerprint = pack.fingerprint if pack else None
    sealed = SealedWatchlist.open(settings.watchlist.path, read_key_file(key), fingerprint=fingerprint)
    try:
        found = list_facts(sealed, datetime.now(UTC).date())
        threshold = threshold_for(settings, pack, len(sealed)) if pack else configured
    finally:
        sealed.close()
    listed = {
        "entries": found.entries,
        "categories": found.categories,
        "sources": found.sources,
        "under_18": found.under_18,
        "list_compiled_wall_ns": int(found.compiled_at.timestamp()) * 10**9,
        "threshold": threshold,
    }
    return _facts(settings, listed), ()


def _fitting_list(signed: SignedAuthority) -> dict[str, object]:
    """A list that meets every clause which the document itself meets."""
    terms = signed.authority.watchlist
    return {
        "entries": 1,
        "categories": dict.fromkeys(terms.categories[:1], 1) or {"": 1},
        "sources": {},
        "under_18": 0,
        "list_compiled_wall_ns": SystemClock().wall_ns(),
        "threshold": signed.authority.threshold.floor,
    }


def _facts(settings: Settings, listed: dict[str, object]) -> Facts:
    where = settings.deployment
    return Facts(
        purpose=settings.models.purpose,
        wall_ns=SystemClock().wall_ns(),
        place=where.place,
        latitude=where.latitude,
        longitude=where.longitude,
        cameras=tuple(camera.id for camera in settings.cameras),
        alert_images_h=settings.retention.alert_images_h,
        **listed,  # type: ignore[arg-type]  # the list's fields of Facts, as read above
    )
