"""What is destroyed at the end of a deployment, with a receipt for each thing."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from lfr_edge.audit.event import Actor
from lfr_edge.deployment.ending.receipts import Receipts
from lfr_edge.deployment.ending.wipe import KeptPictures, WipePlan, wipe
from lfr_edge.errors import WatchlistError
from lfr_edge.service.kept_additions import folder_of
from lfr_edge.watchlist import kept

if TYPE_CHECKING:
    from lfr_edge.service.run import Run


def wipe_run(run: Run, actor: Actor) -> Receipts:
    """Wipe after recogniser and desk have stopped; the log is still open. Blocks on the disk; never raises LfrError.

    An evaluation may keep its list (``deployment.destroy_list``): then the templates and the box's own copies of
    lists that were added are receipted, and nothing else.
    """
    box, settings, listing = run.box, run.settings, run.listing
    ending = run.warden.ending
    destroy = settings.deployment.destroy_list
    if listing is not None and run.session.reference(listing.digest) != run.standing.list_ref:
        listing = None  # another list was unsealed after a crash, and never activated
    plan = WipePlan(
        deployment=run.session.deployment.id,
        origin=run.session.log.origin,
        list_ref=run.standing.list_ref,
        references=() if listing is None else tuple(entry.reference for entry in listing.entries()),
        # An end that was interrupted has these on record already.
        templates=run.standing.templates if listing is None or run.standing.ending else listing.templates,
        sealed=settings.watchlist.path if destroy else None,
        key_file=settings.watchlist.key_file if destroy else None,
        additions=_additions(run, destroy),
        overwritten=None if ending is None else ending.wiped,
        imports=settings.deployment.import_copies if run.erase_imports else (),
        pictures=_pictures(run) if destroy else None,
    )
    receipts = wipe(run.session, plan, box.register, box.keys, box.clock, actor)
    with contextlib.suppress(
        WatchlistError
    ):  # paths, nothing of anybody; until here a kill leads back to them
        kept.forget_sources(folder_of(run))
    return receipts


def _additions(run: Run, destroy: bool) -> tuple[Path, ...]:
    """Keys and copies that this box made, and, with the list, the files that they came from."""
    folder = folder_of(run)
    own = kept.files(folder)
    if not destroy:
        return own
    proposed = () if run.listing is None else run.listing.files
    return tuple(dict.fromkeys((*own, *proposed, *kept.sources(folder))))


def _pictures(run: Run) -> KeptPictures | None:
    """Alert pictures within their retention; None where the desk never opened."""
    if run.material is None:
        return None
    alerts = {alert.id.token: alert for alert in run.alerts_at_end}
    return KeptPictures(
        run.material,
        run.material.tokens(),
        frozenset(token for token, alert in alerts.items() if alert.hold),
        {token: alert.id.number for token, alert in alerts.items()},
    )
