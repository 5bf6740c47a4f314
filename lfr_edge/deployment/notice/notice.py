"""The notice as a value, out of the authority's closed words.

Free prose of the authority (objective, necessity, criteria) stays out: it is written for an auditor and may hold
intelligence. So do the names of officers and everything about the list but its categories and its largest size.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lfr_edge.deployment.authority.terms import Authority
from lfr_edge.deployment.authority.words import use_cases
from lfr_edge.deployment.keeping.retention import alert_images_h
from lfr_edge.sentences import say
from lfr_edge.settings import Settings
from lfr_edge.watchlist.entry import categories

_LOCAL: Final = "Europe/London"  # the public reads a clock, not UTC
_CONSENTING: Final = "blue_list"  # staff who consented: nobody is sought


@dataclass(frozen=True, slots=True)
class Notice:
    """`categories` are (title, meaning); times are local, with their zone's name."""

    force: str
    place: str
    zone: str
    day: str  # 22 November 2026
    start: str  # 10:00
    end: str  # 16:00 GMT
    use_case: str
    why: str
    legal_basis: str
    categories: tuple[tuple[str, str], ...]
    under_18: bool
    most_entries: int
    cameras: int
    alert_images_h: float
    contact: str
    url: str
    operation: str
    evaluation: bool

    @property
    def code(self) -> str:
        """What the poster's code holds: the address, or, where there is none, the notice in one line."""
        if self.url:
            return self.url
        asked = f" {self.contact}" if self.contact else ""
        return f"Live facial recognition: {self.place}, {self.day}, {self.start}-{self.end}.{asked}"[:300]


def notice_of(authority: Authority, settings: Settings) -> Notice:
    """The notice of the deployment that `authority` allows and `settings` runs."""
    use_case = use_cases()[authority.use_case]
    known = categories()
    sought = [known[code] for code in authority.watchlist.categories if code != _CONSENTING]
    start, end = _local(authority.start_ns), _local(authority.end_ns)
    last: str = f"{end:%H:%M %Z}"
    if start.date() != end.date():
        last = say("{day} {month} {time}", day=end.day, month=say(f"{end:%B}"), time=f"{end:%H:%M %Z}")
    return Notice(
        force=settings.notice.force,
        place=authority.place.name,
        zone=authority.place.zone,
        day=say("{day} {month} {year}", day=start.day, month=say(f"{start:%B}"), year=start.year),
        start=f"{start:%H:%M}",
        end=last,
        use_case=use_case.title,
        why=use_case.meaning,
        legal_basis=authority.legal_basis,
        categories=tuple((one.title, one.meaning) for one in sought),
        under_18=authority.watchlist.under_18,
        most_entries=authority.watchlist.maximum_size,
        cameras=len(authority.cameras),
        alert_images_h=alert_images_h(settings, float(authority.retention.alert_images_h)),
        contact=settings.notice.contact,
        url=settings.notice.url,
        operation=authority.operation,
        evaluation=authority.purpose == "evaluation",
    )


def _local(wall_ns: int) -> datetime:
    moment = datetime.fromtimestamp(wall_ns / 1e9, tz=UTC)
    try:
        return moment.astimezone(ZoneInfo(_LOCAL))
    except ZoneInfoNotFoundError:  # a bare machine without time zones: UTC, and it says so
        return moment
