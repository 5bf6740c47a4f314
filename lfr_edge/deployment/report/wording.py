"""How figures are written: the same in every format, and *not recorded* where the log is silent."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from lfr_edge.deployment.intervals import Share

NOT_RECORDED: Final = "not recorded"
_SIGNIFICANT: Final = 2


def number(value: int | None) -> str:
    return NOT_RECORDED if value is None else f"{value:,}"


def counted(value: int, what: str) -> str:
    """``1 alert``, ``2 alerts``."""
    return f"{value:,} {what}{'' if value == 1 else 's'}"


def plain(value: int | None) -> str:
    """For tables that a program may read: no thousands separator."""
    return NOT_RECORDED if value is None else str(value)


def percent(value: float) -> str:
    """``12.5``, ``0.42``, ``0.0083``: at least two significant digits, never an exponent."""
    hundredfold = 100 * value
    if hundredfold == 0:
        return "0"
    places = max(1, _SIGNIFICANT - 1 - math.floor(math.log10(hundredfold)))
    return f"{hundredfold:.{places}f}" if hundredfold < 100 else "100"


def published_percent(share: Share | None) -> str:
    """As the Met prints its rate: three decimals, more where they would hide an event."""
    if share is None or share.value is None:
        return NOT_RECORDED
    text = f"{100 * share.value:.3f}"
    return f"{percent(share.value) if share.events and not float(text) else text} %"


def interval(share: Share | None) -> str:
    ends = share.interval if share else None
    return NOT_RECORDED if ends is None else f"{percent(ends[0])} to {percent(ends[1])} %"


def rate(share: Share | None) -> str:
    """``0.0083 % (95 %: 0.00021 to 0.046 %), 1 of 12,120``."""
    if share is None:
        return NOT_RECORDED
    if share.value is None:
        return "no rate: there were none"
    return f"{percent(share.value)} % (95 %: {interval(share)}), {share.events:,} of {share.trials:,}"


def cosine(score_e4: int | None) -> str:
    """``0.64``, ``0.3667``: two decimals, four where they are needed."""
    if score_e4 is None:
        return NOT_RECORDED
    return f"{score_e4 / 10_000:.2f}" if score_e4 % 100 == 0 else f"{score_e4 / 10_000:.4f}"


def minutes(duration_ms: int) -> str:
    if 0 < duration_ms < 60_000:
        return f"{duration_ms / 60_000:.1f} min"
    return f"{round(duration_ms / 60_000):,} min"


def hours(duration_ms: int) -> str:
    whole = round(duration_ms / 60_000)
    return f"{whole // 60} h {whole % 60:02d} min"


def seconds(duration_ms: int | None) -> str:
    return NOT_RECORDED if duration_ms is None else f"{duration_ms / 1000:.1f} s"


def day(wall_us: int) -> str:
    """As published: ``08/01/25``."""
    return _moment(wall_us).strftime("%d/%m/%y")


def long_day(wall_us: int) -> str:
    moment = _moment(wall_us)
    return f"{moment.day} {moment.strftime('%B %Y')}"


def clock_time(wall_us: int) -> str:
    return _moment(wall_us).strftime("%Y-%m-%d %H:%M:%S UTC")


def energy(joules: int | None) -> str:
    return NOT_RECORDED if joules is None else f"{joules / 3_600_000:.2f} kWh"


def _moment(wall_us: int) -> datetime:
    return datetime.fromtimestamp(wall_us // 1_000_000, tz=UTC)
