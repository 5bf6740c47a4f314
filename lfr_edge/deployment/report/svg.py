"""A chart as inline SVG: classes instead of colours, so that screen, dark screen and paper style it."""

from __future__ import annotations

from markupsafe import Markup

from lfr_edge.deployment.report.document import Bar, Chart, Lettering, Mark


def svg(chart: Chart, name: str) -> Markup:
    """Accessible by title and description; nothing is loaded, nothing runs. `name` is unique on the page."""
    body = Markup("").join(_mark(mark) for mark in chart.marks)
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t {name}-d">'
        '<title id="{name}-t">{title}</title><desc id="{name}-d">{told}</desc>{body}</svg>'
    ).format(
        width=_n(chart.width), height=_n(chart.height), name=name, title=chart.title, told=chart.told, body=body
    )  # fmt: skip


def _mark(mark: Mark) -> Markup:
    if isinstance(mark, Bar):
        return Markup('<rect class="i-{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            mark.ink, _n(mark.x), _n(mark.y), _n(mark.width), _n(mark.height)
        )
    if isinstance(mark, Lettering):
        return Markup('<text class="i-{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            mark.ink, _n(mark.x), _n(mark.y), mark.anchor, mark.text
        )
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in mark.points)
    dashes = Markup(' stroke-dasharray="6 4"') if mark.dashed else Markup("")
    return Markup('<polyline class="s-{}" points="{}" stroke-width="{}"{}/>').format(
        mark.ink, points, _n(mark.width), dashes
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
