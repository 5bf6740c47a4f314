"""Reads the box for the readiness list and for the authority's clauses."""

from __future__ import annotations

import ctypes
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lfr_edge.deployment.authority import Facts
from lfr_edge.deployment.readiness import ListReading, Readings
from lfr_edge.errors import LfrError
from lfr_edge.models.licence import require_permission
from lfr_edge.service.threshold import standing_of

if TYPE_CHECKING:
    from lfr_edge.service.run import Run
    from lfr_edge.watchlist.list_facts import ListFacts

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised


def facts_of(run: Run) -> Facts:
    """What the box is about to do. While the list is sealed, its clauses are met by a list that fits."""
    place, now_ns = run.settings.deployment, run.clock.wall_ns()
    facts = Facts(
        purpose=run.settings.models.purpose,
        wall_ns=now_ns,
        place=place.place,
        latitude=place.latitude,
        longitude=place.longitude,
        cameras=tuple(camera.id for camera in run.settings.cameras),
        entries=0,
        categories={},
        threshold=0.0,
        alert_images_h=run.alert_images_h,
    )
    listing, signed = run.listing, run.warrant.signed
    if listing is None or run.threshold is None:
        category = signed.authority.watchlist.categories[:1] if signed else ()
        floor = signed.authority.threshold.floor if signed else 1.0
        categories = dict.fromkeys(category, 1)
        return replace(facts, entries=1, categories=categories, threshold=floor, list_compiled_wall_ns=now_ns)
    # The list is compiled at most 24 h before the deployment, however long that is extended.
    started_ns = run.started_wall_ns or run.standing.started_wall_us * 1000
    running_ns = max(0, now_ns - started_ns) if started_ns else 0
    compiled_ns = _wall_ns(listing.facts.compiled_at) + running_ns
    facts = replace(
        with_list(facts, listing.facts), threshold=run.threshold, list_compiled_wall_ns=compiled_ns
    )
    for joined in listing.added_facts:
        facts = with_addition(facts, joined)
    return facts


def with_addition(facts: Facts, more: ListFacts) -> Facts:
    """What the box is about to do once `more` has joined its list. Who was withdrawn since still counts."""
    return replace(with_list(facts, more), added=facts.added + more.entries)


def with_list(facts: Facts, more: ListFacts) -> Facts:
    return replace(
        facts,
        entries=facts.entries + more.entries,
        categories=Counter(facts.categories) + Counter(more.categories),
        sources=Counter(facts.sources) + Counter(more.sources),
        under_18=facts.under_18 + more.under_18,
    )


def readings_of(run: Run) -> Readings:
    """The box at this moment. Blocks on the disk."""
    settings, listing = run.settings, run.listing
    models: LfrError | None = None
    try:
        require_permission(run.pack, settings.models.purpose, settings.models.licence_reference)
    except LfrError as error:
        models = error
    reading = None if listing is None else list_reading(listing.facts, approved=run.approved())
    return Readings(
        purpose=settings.models.purpose,
        wall_ns=run.clock.wall_ns(),
        clauses=run.warrant.clauses(facts_of(run)),
        refusal=run.warrant.refusal,
        listing=reading,
        cameras={status.camera: str(status.state) for status in run.cameras.statuses},
        models=models,
        clock_in_step=clock_in_step(),
        free=min(shutil.disk_usage(folder).free for folder in (settings.data, settings.audit)),
        log=run.failure,
        briefed=dict(run.standing.briefed),
        standing=None
        if listing is None or run.threshold is None
        else standing_of(settings, run.pack, run.threshold, len(listing), on_cpu=bool(run.warden.degraded)),
        resuming=run.resuming,
    )


def list_reading(facts: ListFacts, *, approved: bool) -> ListReading:
    return ListReading(
        entries=facts.entries,
        compiled_wall_ns=_wall_ns(facts.compiled_at),
        approved=approved,
        unlawful=max(facts.missing_fields.values(), default=0),
        past_review=facts.past_review,
    )


def clock_in_step() -> bool:
    """Whether the kernel calls its clock synchronised."""
    buffer = ctypes.create_string_buffer(256)  # struct timex, zeroed: a query
    return ctypes.CDLL(None, use_errno=True).adjtimex(buffer) not in (-1, _TIME_ERROR)


def _wall_ns(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1e9)
