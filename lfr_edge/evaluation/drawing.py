"""Tables and drawings of the evaluation pages: HTML and SVG, no script, prints on paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 640
_HEIGHT: Final = 320
_MARGIN: Final = 48
_TOP: Final = 28  # empty above the key of a drawing
_LABEL: Final = 26  # letters beside an interval; the table below has the whole name
_ENDS: Final = (
    0.004,
    0.008,
    0.02,
    0.04,
    0.08,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
)  # of an axis; their quarters are round


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def rate(body: Mapping[str, Any], digits: int = 1) -> str:
    """A share with its interval, or why there is none."""
    if body["value"] is None:
        return f"cannot tell: {body['note']}"
    between = f"{100 * body['low']:.{digits}f} to {100 * body['high']:.{digits}f}"
    text = f"{percent(body['value'], digits)} ({between})"
    return text + (f"; {body['note']}" if body.get("note") else "")


def intervals(rows: Sequence[tuple[str, Mapping[str, Any]]], label: str) -> str:
    """Rates one below the other, each a dot with its 95 % interval; those that cannot be told are named."""
    if not rows:
        return ""
    told = [body for _, body in rows if body["value"] is not None]
    reached = max((body["high"] for body in told), default=1.0)
    most = next((end for end in _ENDS if end >= reached), 1.0)
    height = 40 + 26 * len(rows)
    left, right = 190.0, _WIDTH - 60.0

    def across(share: float) -> float:
        return left + (right - left) * share / most

    parts = [f"<path class='axis' d='M{left} 10V{height - 24}H{right}'/>"]
    for step in range(5):
        at = most * step / 4
        parts.append(
            f"<line class='grid' x1='{across(at):.1f}' x2='{across(at):.1f}' y1='10' y2='{height - 24}'/>"
        )
        parts.append(f"<text x='{across(at):.1f}' y='{height - 8}' text-anchor='middle'>{percent(at)}</text>")
    for number, (name, body) in enumerate(rows):
        y = 26 + 26 * number
        shown = name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…"
        parts.append(f"<text x='{left - 8}' y='{y + 4}' text-anchor='end'>{escape(shown)}</text>")
        if body["value"] is None:
            parts.append(f"<text x='{left + 6}' y='{y + 4}'>cannot tell</text>")
            continue
        low, high, value = (across(body[key]) for key in ("low", "high", "value"))
        parts.append(f"<line class='span' x1='{low:.1f}' x2='{high:.1f}' y1='{y}' y2='{y}'/>")
        parts.append(f"<circle class='dot' cx='{value:.1f}' cy='{y}' r='4'/>")
    return _figure(f"0 0 {_WIDTH} {height}", "".join(parts), label)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Numbers stand to the right, under a head that does so, too; without a row it says so."""
    found = [tuple(row) for row in rows]
    if not found:
        return f"<p>Nothing to show: {escape(', '.join(head))}.</p>"
    right = [all(isinstance(row[at], int | float) for row in found) for at in range(len(head))]

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(
            f"<{tag}{' class=n' if number else ''}>{escape(str(cell))}</{tag[:2]}>"
            for number, cell in zip(right, row, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in found)
    top = cells("th scope='col'", head)
    # A table may be wider than a telephone; what scrolls must be reachable by the keyboard.
    label = f"role='group' tabindex='0' aria-label='table: {escape(', '.join(head), quote=True)}'"
    return (
        f"<div class='wide' {label}><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def det(curve: Sequence[dict[str, float]]) -> str:
    """FNIR over FPIR, both on a logarithmic scale from 0.01 % to 100 %."""

    def place(point: dict[str, float]) -> tuple[float, float]:
        return _log(point["fpir"]), _log(point["fnir"])

    shown = [place(point) for point in curve if point["fpir"] > 0 and point["fnir"] > 0]
    if len(shown) < 2:
        return "<p>No curve: strangers and listed people do not overlap, or there are too few of them.</p>"
    line = " ".join(f"{_x(across):.1f},{_y(up):.1f}" for across, up in shown)
    ticks = "".join(
        f"<line class='grid' x1='{_x(at):.0f}' x2='{_x(at):.0f}' y1='{_y(0)}' y2='{_y(1)}'/>"
        f"<line class='grid' x1='{_x(0)}' x2='{_x(1)}' y1='{_y(at):.0f}' y2='{_y(at):.0f}'/>"
        f"<text x='{_x(at):.0f}' y='{_y(0) + 16}' text-anchor='middle'>{label}</text>"
        f"<text x='{_x(0) - 6}' y='{_y(at) + 4:.0f}' text-anchor='end'>{label}</text>"
        for at, label in ((0, "0.01 %"), (0.25, "0.1 %"), (0.5, "1 %"), (0.75, "10 %"), (1, "100 %"))
    )
    names = f"<text x='{_x(0.5)}' y='{_HEIGHT - 4}' text-anchor='middle'>FPIR →</text>"
    names += f"<text x='{_x(0) + 6}' y='{_y(1) + 14}'>FNIR ↑</text>"
    return svg(f"{ticks}{names}<polyline class='curve' points='{line}'/>", "FNIR over FPIR, logarithmic")


def histogram(data: dict[str, Any]) -> str:
    edges = data["edges"]
    span = edges[-1] - edges[0]
    shapes = []
    for name in ("nonmated", "mated"):
        top = max(data[name]) or 1
        steps = [f"{_x(0):.1f},{_y(0)}"]
        for low, high, count in zip(edges[:-1], edges[1:], data[name], strict=True):
            up = _y(count / top)
            steps += [
                f"{_x((low - edges[0]) / span):.1f},{up:.1f}",
                f"{_x((high - edges[0]) / span):.1f},{up:.1f}",
            ]
        steps.append(f"{_x(1):.1f},{_y(0)}")
        shapes.append(f"<polygon class='{name}' points='{' '.join(steps)}'/>")
    ticks = "".join(
        f"<text x='{_x((score - edges[0]) / span):.0f}' y='{_y(0) + 16}' text-anchor='middle'>{score:.1f}</text>"
        for score in (-0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    )
    key = (
        f"<text x='{_x(0)}' y='{_y(1.06)}'>orange: strangers; blue: listed people, the right one first</text>"
    )
    return svg(f"{''.join(shapes)}{ticks}{key}", "distribution of scores, each scaled to its own peak")


def svg(inside: str, label: str) -> str:
    axes = f"<path class='axis' d='M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}'/>"
    return _figure(f"0 {_TOP} {_WIDTH} {_HEIGHT - _TOP}", axes + inside, label)


def _figure(box: str, inside: str, label: str) -> str:
    # Wide enough to be read on a telephone, so that it may scroll there.
    return (
        f"<figure tabindex='0' aria-label='{escape(label)}'>"
        f"<svg viewBox='{box}' role='img' aria-label='{escape(label)}'>{inside}</svg></figure>"
    )


def _log(rate: float) -> float:
    return (math.log10(max(rate, 1e-4)) + 4) / 4


def _x(share: float) -> float:
    return _MARGIN + share * (_WIDTH - 2 * _MARGIN)


def _y(share: float) -> float:
    return _HEIGHT - _MARGIN + 8 - share * (_HEIGHT - 2 * _MARGIN)
