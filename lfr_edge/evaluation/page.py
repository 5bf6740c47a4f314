"""The identities result as one self-contained page: no script, no request, prints on paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 640
_HEIGHT: Final = 320
_MARGIN: Final = 48
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
td:first-child { white-space: nowrap; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.axis { stroke: currentColor; fill: none; } .grid { stroke: #8884; }
.mated { stroke: #0b6e99; fill: #0b6e9944; } .nonmated { stroke: #b3541e; fill: #b3541e44; }
.curve { stroke: #0b6e99; fill: none; stroke-width: 2; }
"""


def page(result: dict[str, Any]) -> str:
    """HTML of what :func:`lfr_edge.evaluation.identities.report` returned."""
    model, n = result["model"], result["n"]
    parts = [
        f"<h1>Open-set identification: {escape(str(model['pack']))} {escape(str(model['version']))}</h1>",
        f"<p>{n['gallery_people']} people on the list, {n['mated']} searches for {n['mated_people']} of them, "
        f"{n['nonmated']} searches of {n['nonmated_people']} strangers. Failure to enrol "
        f"{_percent(result['fte'])}, failure to acquire {_percent(result['fta'])}, rank 1 "
        f"{_percent(result['rank_1'])}. Intervals hold 95 % and resample whole persons.</p>",
        "<h2>Recognition at a rate of false positives</h2>",
        _points(result["tpir_at_fpir"], result["threshold_at_fpir"]),
    ]
    if "without_label_errors" in result:
        parts += _without(result["without_label_errors"])
    parts += [
        "<h2>Detection error trade-off</h2>",
        _det(result["det"]),
        "<h2>Scores of the first candidate</h2>",
        _histogram(result["histograms"]),
        "<h2>Length of the list</h2>",
        _table(
            ("people", "FPIR measured", "FPIR by 1 − (1 − FMR)^N", "threshold at 1 %"),
            (
                (
                    row["n"],
                    _percent(row["fpir"], 3),
                    _percent(row["fpir_model"], 3),
                    f"{row['threshold_at_1_percent']:.4f}",
                )
                for row in result["by_list_size"]
            ),
        ),
    ]
    if result["by_face_px"]:
        parts += ["<h2>Size of the face</h2>", _sizes(result["by_face_px"])]
    parts += [
        "<h2>Strangers most like somebody listed</h2>",
        "<p>Read these before believing a small rate: one person under two names decides it.</p>",
        _table(
            ("score", "stranger", "resembles", "picture"),
            (
                (row["score"], row["identity"], row["resembles"], row["path"])
                for row in result["highest_nonmated"]
            ),
        ),
        "<h2>Model</h2>",
        _table(("field", "value"), ((name, value) for name, value in model.items())),
    ]
    title = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Evaluation</title>"
    )
    body = "\n".join(parts)
    return f"<!doctype html><html lang='en'><head>{title}<style>{_STYLE}</style></head><body>{body}</body></html>"


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _rate(rate: dict[str, Any]) -> str:
    if rate["value"] is None:
        return f"cannot tell: {rate['note']}"
    text = f"{_percent(rate['value'])} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"
    return text + (f"; {rate['note']}" if rate.get("note") else "")


def _points(tpir: dict[str, Any], thresholds: dict[str, Any]) -> str:
    rows = []
    for rate, found in tpir.items():
        at = thresholds[rate]
        shown = "–" if at["value"] is None else f"{at['value']:.4f} ({at['low']:.4f} to {at['high']:.4f})"
        rows.append((_percent(float(rate), 2), _rate(found), shown))
    return _table(("FPIR", "TPIR", "threshold (cosine)"), rows)


def _without(part: dict[str, Any]) -> list[str]:
    return [
        f"<h2>The same without {part['searches_left_out']} mislabelled searches</h2>",
        _points(part["tpir_at_fpir"], part["threshold_at_fpir"]),
        _table(
            ("identity", "is", "reason"), ((e["identity"], e["same_as"], e["reason"]) for e in part["errors"])
        ),
    ]


def _sizes(rows: Sequence[dict[str, Any]]) -> str:
    rates = list(rows[0]["tpir_at_fpir"])
    return _table(
        ("width of the face", *(f"TPIR at {_percent(float(rate), 2)} FPIR" for rate in rates)),
        ((f"{row['face_px']} px", *(_rate(row["tpir_at_fpir"][rate]) for rate in rates)) for row in rows),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=n' if isinstance(cell, int | float) else ''}>{escape(str(cell))}</td>"
            for cell in row
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _det(curve: Sequence[dict[str, float]]) -> str:
    """FNIR over FPIR, both on a logarithmic scale from 0.01 % to 100 %."""

    def place(point: dict[str, float]) -> tuple[float, float]:
        return _log(point["fpir"]), _log(point["fnir"])

    shown = [place(point) for point in curve if point["fpir"] > 0 and point["fnir"] > 0]
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
    return _svg(f"{ticks}{names}<polyline class='curve' points='{line}'/>", "FNIR over FPIR, logarithmic")


def _histogram(data: dict[str, Any]) -> str:
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
    return _svg(f"{''.join(shapes)}{ticks}{key}", "distribution of scores, each scaled to its own peak")


def _svg(inside: str, label: str) -> str:
    axes = f"<path class='axis' d='M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}'/>"
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='{escape(label)}'>{axes}{inside}</svg>"
    )


def _log(rate: float) -> float:
    return (math.log10(max(rate, 1e-4)) + 4) / 4


def _x(share: float) -> float:
    return _MARGIN + share * (_WIDTH - 2 * _MARGIN)


def _y(share: float) -> float:
    return _HEIGHT - _MARGIN + 8 - share * (_HEIGHT - 2 * _MARGIN)
