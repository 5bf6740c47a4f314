"""Known-answer drills among the alerts of a running deployment, where the force has a pack of them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from lfr_edge.alerts.desk import AlertDesk
from lfr_edge.alerts.drills import DrillSchedule, Setting, read_drill_pack

if TYPE_CHECKING:
    from lfr_edge.service.run import Run


async def schedule_drills(run: Run, desk: AlertDesk) -> DrillSchedule | None:
    """None where no pack is configured. Raises AlertError ``drill_pack_*``: a broken pack refuses the start."""
    settings = run.settings.desk
    if settings.drill_pack is None:
        return None
    cases = await asyncio.to_thread(read_drill_pack, settings.drill_pack)
    desk.drills = DrillSchedule(desk, cases, settings.drills_per_hour, run.clock, lambda: _setting(run))
    return desk.drills


def _setting(run: Run) -> Setting | None:
    """What an alert could say now: a live camera and a listed entry. None while there could be no alert."""
    listing = run.listing
    live = [status.camera for status in run.cameras.statuses if status.state == "live"]
    if run.paused or run.failed.is_set() or listing is None or not live:
        return None
    listed = [entry for entry in listing.entries() if entry.reference not in listing.withdrawn]
    if not listed:
        return None
    chance = random.SystemRandom()
    entry = chance.choice(listed)
    return Setting(
        camera=chance.choice(live),
        category=entry.category,
        requested_response=entry.requested_response.value,
        candidate_source=entry.image_source,
        candidate_taken=entry.image_taken,
        look_alikes=len(listing.look_alikes(entry.reference)),
    )
