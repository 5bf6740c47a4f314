"""What a deployment's record says of its present state: what a restart must go on with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lfr_edge.audit.entry import Entry
from lfr_edge.deployment.ending.wipe import MEMORY


@dataclass(slots=True)
class Standing:
    """The deployment as its log leaves it. References are those of the record, thresholds cosine × 10⁴."""

    started: bool = False  # recognition ran, and nobody ended it
    started_wall_us: int = 0
    ending: bool = False  # somebody ended it, and what there was to destroy has begun to go
    list_ref: str = ""  # of the list that was activated last
    templates: int = 0  # activated or added, and neither withdrawn nor destroyed
    withdrawn: set[str] = field(default_factory=set)
    added: dict[str, int] = field(
        default_factory=dict
    )  # lists that joined it → their templates that are left
    paused: bool = False
    threshold_e4: int | None = None  # as set or changed last
    alert_images_h: int | None = None  # as changed last
    pack: str = ""  # fingerprint of the networks that were loaded or changed to last
    authority: str = ""  # SHA-256 of the authority it runs under
    briefed: dict[str, str] = field(
        default_factory=dict
    )  # account → role, of those who acknowledged the briefing
    last_wall_us: int = 0  # of the last entry: the wall clock was there


def standing_of(entries: Iterable[Entry]) -> Standing:
    now = Standing()
    for entry in entries:
        _take(now, entry)
    return now


def _take(now: Standing, entry: Entry) -> None:
    event = entry.event
    count = int(str(event.data.get("templates", 0)))
    now.last_wall_us = max(now.last_wall_us, entry.t_wall_us)
    match event.ev:
        case "deployment.started":
            now.started, now.started_wall_us = True, entry.t_wall_us
        case "deployment.authorised":
            now.authority = str(event.data.get("sha256", ""))
        case "watchlist.activated":
            now.templates += count
            now.list_ref = event.ref
        case "watchlist.added":
            now.templates += count
            now.added[event.ref] = count
        case "watchlist.withdrawn":
            now.templates -= count
            now.withdrawn.add(event.ref)
            if (joined := str(event.data.get("list", ""))) in now.added:
                now.added[joined] -= count
        case "watchlist.destroyed":
            now.templates -= count
            now.added.pop(event.ref, None)
            # Of the three that write this verb, only the end destroys the live list out of memory.
            now.ending |= event.ref == now.list_ref and event.data.get("where") == MEMORY
        case "recognition.paused" | "recognition.resumed":
            now.paused = event.ev == "recognition.paused"
        case "threshold.set" | "threshold.changed":
            now.threshold_e4 = int(str(event.data["threshold_e4"]))
        case "retention.changed":
            now.alert_images_h = int(str(event.data["alert_images_h"]))
        case "model.loaded" | "model.changed":
            now.pack = event.ref
        case "briefing.acknowledged":
            now.briefed[event.actor.account] = event.actor.role
        case _:
            pass
