"""The four drawings of a report, as marks on a plane: no library, no script, the same in HTML and in PDF."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from lfr_edge.deployment.alert_cases import FALSE_FINDINGS, TRUE_FINDINGS
from lfr_edge.deployment.period import Period
from lfr_edge.deployment.report.document import Bar, Chart, Ink, Lettering, Mark, Stroke
from lfr_edge.deployment.report.wording import cosine, counted
from lfr_edge.deployment.sightings import Histogram
from lfr_edge.deployment.statistics import Statistics
from lfr_edge.recogniser.view import SCORE_BIN_E4

LEFT: Final = 52.0
RIGHT: Final = 708.0
TOP: Final = 30.0
BOTTOM: Final = 180.0
_BINS: Final = 24  # over time: about fifteen minutes each of a six hour deployment
_KINDS: Final[tuple[Ink, ...]] = ("main", "warn", "quiet")
_SERIES: Final[tuple[Ink, ...]] = ("main", "second", "warn", "quiet")


def charts(period: Period, *, times: bool = True) -> tuple[Chart, ...]:
    """What the record can show; a drawing without data is left out.

    Without `times` nothing says when an alert was: the day and the place are public, the minute of an arrest is not.
    """
    one = period.deployments[0] if len(period.deployments) == 1 else None
    drawn = (
        (_over_time(one) if times else None) if one else _per_deployment(period),
        _scores(period),
        _latency(period.latency),
        _quality(one) if one else None,
    )
    return tuple(chart for chart in drawn if chart is not None)


def _over_time(one: Statistics) -> Chart | None:
    if not one.cases or not one.duration_ms:
        return None
    start_ms = min(case.at_ms for case in one.cases)
    span = max(one.duration_ms, max(case.at_ms for case in one.cases) + 1)
    kinds = [[0] * _BINS for _ in range(3)]
    for case in one.cases:
        kind = 0 if case.finding in TRUE_FINDINGS else 1 if case.finding in FALSE_FINDINGS else 2
        kinds[kind][min(_BINS - 1, case.at_ms * _BINS // span)] += 1
    hours = span / 3_600_000
    step = next((s for s in (0.25, 0.5, 1, 2, 4) if hours / s <= 10), 8)
    ticks = [(n * step / hours, f"{n * step:g} h") for n in range(math.floor(hours / step) + 1)]
    told = (
        f"{counted(len(one.cases), 'alert')} in {counted(round(span / 60_000), 'minute')},"
        f" the first after {counted(start_ms // 60_000, 'minute')}:"
        f" {sum(kinds[0])} true, {sum(kinds[1])} false, {sum(kinds[2])} undetermined or unreviewed."
    )
    return _stacked("Alerts over time", told, kinds, ("true", "false", "not determined"), ticks)


def _per_deployment(period: Period) -> Chart | None:
    ones = period.deployments
    if not period.alerts.total:
        return None
    kinds = [[one.alerts.true for one in ones], [one.alerts.false for one in ones]]
    kinds.append([one.alerts.total - one.alerts.true - one.alerts.false for one in ones])
    every = max(1, len(ones) // 8)
    ticks = [((n + 0.5) / len(ones), one.name) for n, one in enumerate(ones) if n % every == 0]
    alerts, deployments = counted(period.alerts.total, "alert"), counted(len(ones), "deployment")
    told = f"{alerts} in {deployments}, in the order of their opening."
    return _stacked("Alerts by deployment", told, kinds, ("true", "false", "not determined"), ticks)


def _stacked(
    title: str,
    told: str,
    kinds: Sequence[Sequence[int]],
    names: Sequence[str],
    ticks: Sequence[tuple[float, str]],
) -> Chart:
    number = len(kinds[0])
    most = max(1, *(sum(kind[index] for kind in kinds) for index in range(number)))
    marks, high = _frame(most, str)
    pitch = (RIGHT - LEFT) / number
    for index in range(number):
        base = BOTTOM
        for kind, ink in zip(kinds, _KINDS, strict=True):
            height = (BOTTOM - TOP) * kind[index] / high
            if height:
                marks.append(Bar(LEFT + index * pitch + pitch * 0.1, base - height, pitch * 0.8, height, ink))
            base -= height
    marks += _ticks(ticks) + _legend(list(zip(names, _KINDS, strict=True)))
    return Chart(title, told, tuple(marks))


def _scores(period: Period) -> Chart | None:
    """Alerts by score, with the threshold; behind them, where it was recorded, everybody else's best score."""
    scores = [case.score_e4 for case in period.cases if case.score_e4 is not None]
    alerts = Histogram.of((score // SCORE_BIN_E4 * SCORE_BIN_E4, 1) for score in scores)
    others = period.scores
    edges = [edge for edge, _ in (*alerts.bins, *others.bins) if edge is not None]
    thresholds = sorted({step.threshold_e4 for one in period.deployments for step in one.thresholds})
    if not edges:
        return None
    low, high = min(*edges, *thresholds, edges[0]), max(*edges, *thresholds, edges[0]) + SCORE_BIN_E4
    low, high = low - SCORE_BIN_E4, high + SCORE_BIN_E4
    scale = (RIGHT - LEFT) / (high - low)
    marks = _roots(((others, "quiet"), (alerts, "main")), low, scale)
    for threshold in thresholds:
        x = LEFT + (threshold - low) * scale
        marks.append(Stroke(((x, TOP - 6), (x, BOTTOM)), "warn", 2, dashed=True))
    every = max(1, round((high - low) / SCORE_BIN_E4 / 10))
    first = -(-low // SCORE_BIN_E4)
    ticks = [
        ((n * SCORE_BIN_E4 - low) / (high - low), cosine(n * SCORE_BIN_E4))
        for n in range(first, high // SCORE_BIN_E4 + 1, every)
    ]
    names: list[tuple[str, Ink]] = [("alerts", "main"), ("threshold", "warn")]
    if others.total:
        names.append(("best score of each passage", "quiet"))
    drawn = ", ".join(cosine(threshold) for threshold in thresholds) or "not recorded"
    told = (
        f"{counted(len(scores), 'alert')} by similarity; threshold {drawn}."
        " Heights are square roots of counts."
    )
    return Chart(
        "Similarity of alerts, and the threshold", told, tuple(marks + _ticks(ticks) + _legend(names))
    )


def _roots(histograms: Sequence[tuple[Histogram, Ink]], low: int, scale: float) -> list[Mark]:
    """Bars as high as the square root of their count: three alerts have to show beside thousands of passages."""
    most = max(number for histogram, _ in histograms for _, number in histogram.bins)
    marks: list[Mark] = []
    for tick in _round_ticks(most):
        y = BOTTOM - (BOTTOM - TOP) * math.sqrt(tick / most)
        marks.append(Stroke(((LEFT, y), (RIGHT, y)), "grid", 1))
        marks.append(Lettering(LEFT - 6, y + 4, f"{tick:,}", "end", "quiet"))
    for histogram, ink in histograms:
        for edge, number in histogram.bins:
            if edge is not None:
                height = (BOTTOM - TOP) * math.sqrt(number / most)
                x, width = LEFT + (edge - low) * scale, SCORE_BIN_E4 * scale
                marks.append(Bar(x + width * 0.08, BOTTOM - height, width * 0.84, height, ink))
    return marks


def _latency(latency: Histogram) -> Chart | None:
    if not latency.total:
        return None
    marks, high = _frame(max(number for _, number in latency.bins), str)
    pitch = (RIGHT - LEFT) / len(latency.bins)
    ticks = []
    for index, (edge, number) in enumerate(latency.bins):
        height = (BOTTOM - TOP) * number / high
        late = edge is None or edge > 1000  # the promise: within one second (domain.md 6)
        marks.append(
            Bar(
                LEFT + (index + 0.1) * pitch,
                BOTTOM - height,
                pitch * 0.8,
                height,
                "warn" if late else "main",
            )
        )
        ticks.append(((index + 0.5) / len(latency.bins), "over 5 s" if edge is None else f"≤ {edge}"))
    within = sum(number for edge, number in latency.bins if edge is not None and edge <= 1000)
    told = f"{within} of {latency.total} alerts stood on the desk within one second of the frame."
    marks += _ticks(ticks) + _legend([("within one second", "main"), ("later", "warn")])
    return Chart("From the frame to the desk, in milliseconds", told, tuple(marks))


def _quality(one: Statistics) -> Chart | None:
    """The distance between the eyes over time, by camera: what decides whether a face can be recognised."""
    lines = [
        (camera.id, [(span.at_ms, span.eye_px_e1) for span in camera.series if span.eye_px_e1 is not None])
        for camera in one.cameras
    ]
    lines = [(name, points) for name, points in lines if points][: len(_SERIES)]
    if not lines:
        return None
    most = max(value for _, points in lines for _, value in points) / 10
    marks, high = _frame(math.ceil(most), str)
    end = max(at for _, points in lines for at, _ in points) or 1
    start = min(at for _, points in lines for at, _ in points)
    for (_, points), ink in zip(lines, _SERIES, strict=False):
        placed = tuple(
            (
                LEFT + (RIGHT - LEFT) * (at - start) / max(1, end - start),
                BOTTOM - (BOTTOM - TOP) * value / 10 / high,
            )
            for at, value in points
        )
        marks.append(Stroke(placed if len(placed) > 1 else (*placed, (RIGHT, placed[0][1])), ink, 2))
    span_h = (end - start) / 3_600_000
    ticks = [(share, f"{span_h * share:.1f} h") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    told = "; ".join(
        f"{name}: {min(v for _, v in p) / 10:.0f} to {max(v for _, v in p) / 10:.0f} px" for name, p in lines
    )
    names = [(name, ink) for (name, _), ink in zip(lines, _SERIES, strict=False)]
    return Chart(
        "Distance between the eyes, by camera, in pixels",
        told + ".",
        tuple(marks + _ticks(ticks) + _legend(names)),
    )


def _round_ticks(most: int) -> list[int]:
    """0 and a few round numbers up to `most`."""
    powers = (base * 10**power for power in range(9) for base in (1, 2, 5))
    fitting = [number for number in powers if number <= most]
    return [0, *fitting[-1:-9:-2][:3][::-1]]


def _frame(most: int, write: Callable[[int], str]) -> tuple[list[Mark], int]:
    """Grid lines from 0 up, and the number at the top of the plane."""
    step = max(1, next(b * 10**p for p in range(12) for b in (1, 2, 5) if most / (b * 10**p) <= 4))
    high = math.ceil(most / step) * step
    marks: list[Mark] = []
    for value in range(0, high + 1, step):
        y = BOTTOM - (BOTTOM - TOP) * value / high
        marks.append(Stroke(((LEFT, y), (RIGHT, y)), "grid", 1))
        marks.append(Lettering(LEFT - 6, y + 4, write(value), "end", "quiet"))
    return marks, high


def _ticks(ticks: Sequence[tuple[float, str]]) -> list[Mark]:
    width = RIGHT - LEFT
    return [
        Lettering(LEFT + width * share, BOTTOM + 18, text, "end" if share > 0.97 else "middle", "quiet")
        for share, text in ticks
        if 0 <= share <= 1
    ]


def _legend(names: Sequence[tuple[str, Ink]]) -> list[Mark]:
    marks: list[Mark] = []
    x = LEFT
    for name, ink in names:
        marks += [Bar(x, 211, 12, 10, ink), Lettering(x + 18, 220, name)]
        x += 34 + 7 * len(name)
    return marks
