"""Any list, whatever its format: the one call for the compiler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from lfr_edge.models.licence import Purpose
from lfr_edge.watchlist.bundle.archive import Limits
from lfr_edge.watchlist.bundle.mapped import read_mapped
from lfr_edge.watchlist.bundle.mapping import read_mapping
from lfr_edge.watchlist.bundle.read import is_bundle, read_bundle
from lfr_edge.watchlist.entry import Response
from lfr_edge.watchlist.findings import Problem, Progress, Survey
from lfr_edge.watchlist.folder import survey


def read_list(
    path: Path,
    *,
    purpose: Purpose,
    trusted: Mapping[str, bytes] | None = None,
    names: Mapping[str, str] | None = None,
    mapping: Path | None = None,
    category: str | None = None,
    response: Response = Response.AMBER,
    limits: Limits | None = None,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Survey:
    """A bundle (ZIP or folder), a folder with a CSV, or, with `mapping`, JSON of another system.

    Only a bundle is signed: of any other, an operational survey has the problem ``signature``.

    Args:
        trusted: key id → 32 bytes of each enrolled issuing authority's public key; `names` says who they are.
        category: for a folder of folders without a CSV, with `response`.

    Raises:
        WatchlistError: those of :func:`~lfr_edge.watchlist.bundle.read.read_bundle`,
            :func:`~lfr_edge.watchlist.folder.survey` and
            :func:`~lfr_edge.watchlist.bundle.mapped.read_mapped`.
    """
    at = now or datetime.now(UTC)
    if mapping is None and is_bundle(path):
        return read_bundle(
            path, trusted or {}, purpose=purpose, names=names, now=at, limits=limits, progress=progress
        )
    if purpose == "operational":
        return _unsigned(read_unsigned(path, purpose, mapping, category, response, progress, at.date()))
    return read_unsigned(path, purpose, mapping, category, response, progress, at.date())


def read_unsigned(
    path: Path,
    purpose: Purpose,
    mapping: Path | None = None,
    category: str | None = None,
    response: Response = Response.AMBER,
    progress: Progress | None = None,
    today: date | None = None,
) -> Survey:
    """What an issuing authority's tool reads before it signs. Raises as :func:`read_list`."""
    if mapping is not None:
        return read_mapped(path, read_mapping(mapping), purpose=purpose, today=today, progress=progress)
    return survey(path, category=category, response=response, progress=progress, today=today, purpose=purpose)


def _unsigned(found: Survey) -> Survey:
    problem = Problem(
        None,
        "signature",
        "nobody signed this list",
        "the issuing authority signs it: lfr-edge watchlist bundle make",
    )
    return replace(found, problems=(problem, *found.problems))
