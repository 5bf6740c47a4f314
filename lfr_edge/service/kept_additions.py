"""Lists that joined the live one come back after a crash, or the record says that they are gone."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from lfr_edge.clock import utc_day
from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import kept
from lfr_edge.watchlist.list_facts import list_facts

if TYPE_CHECKING:
    from lfr_edge.service.live_list import LiveList
    from lfr_edge.service.run import Run

log = logging.getLogger("lfr_edge.service")


def folder_of(run: Run) -> Path:
    return run.session.folder / "additions"


async def restore(run: Run, listing: LiveList) -> None:
    """Open what joined the list before the restart; call it before anybody is looked for.

    What cannot be opened exactly as it was approved is recorded as destroyed, so that the count of templates stays
    true, and said on every page: whoever asked for those people must ask again.

    Raises:
        AuditError: that could not be recorded.
    """
    if run.standing.list_ref != run.session.reference(listing.digest):
        return  # another list: it leads to no addition of the former one, which the start accounts for
    if run.standing.ending:
        return  # destroyed with the list on the record, and their files go with its
    folder = folder_of(run)
    found = {run.session.reference(digest): digest for digest in kept.digests(folder)}
    for ref, templates in tuple(run.standing.added.items()):
        try:
            digest = found.pop(ref, None)
            if digest is None:
                raise WatchlistError("watchlist_missing", "its file is gone", hint="add the list again")
            sealed = await asyncio.to_thread(
                kept.reopen, folder, listing.sealed, digest, fingerprint=run.pack.fingerprint
            )
            listing.join(sealed, await asyncio.to_thread(list_facts, sealed, utc_day(run.clock.wall_ns())))
        except WatchlistError as error:
            await _lost(run, ref, templates, error)
    listing.files += await asyncio.to_thread(kept.sources, folder)
    for digest in found.values():  # the power went before its approval was used: nobody was looked for by it
        await asyncio.to_thread(kept.forget, folder, digest)


async def _lost(run: Run, ref: str, templates: int, error: WatchlistError) -> None:
    data = {"templates": templates, "where": "lost in a restart"}
    await run.record("watchlist.destroyed", ref=ref, data=data, why=f"{error.code}: {error.message}"[:500])
    run.standing.templates -= run.standing.added.pop(ref)
    run.lost.append(f"{templates} added templates are not looked for since the restart: {error.message}")
    log.error("an added list is lost: %s", error)
