"""What lies on this box, until when, and what is on hold: for the command line and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lfr_edge.clock import utc_text
from lfr_edge.deployment.keeping.register import Page, Register
from lfr_edge.deployment.keeping.sweeper import KeptAlert, Sweeper
from lfr_edge.deployment.session import POINTER
from lfr_edge.errors import AuditError
from lfr_edge.settings import Settings

FORMAT: Final = "lfr-edge/retention-status/v1"


@dataclass(frozen=True, slots=True)
class Standing:
    """`overdue` should be gone; `unread` are deployments with material whose log cannot be read."""

    stores: tuple[str, ...]
    open_deployment: str
    kept: tuple[KeptAlert, ...]
    overdue: tuple[KeptAlert, ...]
    list_due_wall_ns: int | None
    list_overdue: bool
    pages: tuple[Page, ...]
    unread: tuple[str, ...]


def status_of(sweeper: Sweeper, register: Register, settings: Settings) -> Standing:
    """Reads logs and folders, writes nothing."""
    kept = sweeper.kept()
    unread = []
    for name in sweeper.stores():
        try:
            sweeper.read(name)
        except AuditError:
            unread.append(name)
    now = sweeper.ageing.latest_ns()
    running = _open_deployment(settings)
    due = sweeper.list_due_ns(running or None)
    return Standing(
        stores=sweeper.stores(),
        open_deployment=running,
        kept=kept,
        overdue=tuple(one for one in kept if now >= one.due_wall_ns),
        list_due_wall_ns=due,
        list_overdue=due is not None and now >= due and settings.models.purpose == "operational",
        pages=register.pages(),
        unread=tuple(unread),
    )


def as_json(standing: Standing) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "open_deployment": standing.open_deployment or None,
        "stores": list(standing.stores),
        "alerts": [
            {
                "deployment": one.deployment,
                "number": one.alert.number,
                "alert": one.alert.token,
                "raised": utc_text(one.alert.raised_us * 1000),
                "due": utc_text(one.due_wall_ns),
                "overdue": one in standing.overdue,
                "hold": None
                if one.alert.hold is None
                else {
                    "reason": one.alert.hold.reason,
                    "requester": one.alert.hold.requester,
                    "authoriser": one.alert.hold.authoriser,
                    "expires": utc_text(one.alert.hold.expires_s * 10**9),
                },
            }
            for one in standing.kept
        ],
        "list_due": None if standing.list_due_wall_ns is None else utc_text(standing.list_due_wall_ns),
        "list_overdue": standing.list_overdue,
        "register": [
            {"deployment": page.deployment, "day": page.day.isoformat(), "entries": page.entries}
            for page in standing.pages
        ],
        "unread": list(standing.unread),
    }


def as_text(standing: Standing) -> str:
    lines = [f"open deployment   {standing.open_deployment or 'none'}"]
    free = [one for one in standing.kept if one.alert.hold is None]
    held = [one for one in standing.kept if one.alert.hold is not None]
    lines += [f"alert pictures    {len(free)} within retention, {len(held)} on hold"]
    lines += [_line(one, standing.overdue) for one in free]
    lines += ["holds" if held else "holds             none"]
    for one in held:
        hold = one.alert.hold
        assert hold is not None
        lines.append(_line(one, standing.overdue))
        lines.append(
            f"    {hold.reason} · asked by {hold.requester}, authorised by {hold.authoriser or 'nobody'}"
        )
    due = standing.list_due_wall_ns
    state = "none that is due" if due is None else f"gone by {_when(due)}"
    lines.append(f"sealed list       {state}{'  OVERDUE' if standing.list_overdue else ''}")
    entries = sum(page.entries for page in standing.pages)
    lines.append(f"register          {len(standing.pages)} deployments, {entries:,} entries")
    lines += [
        f"UNREADABLE        the log of {name}: its pictures go by the age of their files"
        for name in standing.unread
    ]
    if standing.overdue or standing.list_overdue:
        lines.append("OVERDUE: lfr-edge retention sweep, or see the service's log for why it cannot erase")
    return "\n".join(lines)


def _line(one: KeptAlert, overdue: Sequence[KeptAlert]) -> str:
    late = "  OVERDUE" if one in overdue else ""
    return f"  {one.deployment}  alert {one.alert.number:<4} until {_when(one.due_wall_ns)}{late}"


def _when(wall_ns: int) -> str:
    return utc_text(wall_ns)[:16].replace("T", " ") + " UTC"


def _open_deployment(settings: Settings) -> str:
    try:
        return (settings.data / POINTER).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
