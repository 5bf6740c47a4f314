"""Every figure as a row: for spreadsheets and programs, each with its unit, interval and definition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lfr_edge.deployment.alert_cases import Ending, Finding
from lfr_edge.deployment.intervals import Share
from lfr_edge.deployment.period import FACES, Period
from lfr_edge.deployment.report import ie, met
from lfr_edge.deployment.report.content import ENDING_WORDS, FACES_MEANING, FINDING_WORDS
from lfr_edge.deployment.report.wording import clock_time
from lfr_edge.deployment.statistics import Statistics
from lfr_edge.deployment.verified import VerifiedLog

FORMAT: Final = "lfr-edge/report/v1"


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` None is *not recorded*. `low` and `high` are the exact 95 % interval of a share."""

    key: str
    value: int | float | str | None
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    of: int | None = None


def figures(period: Period) -> tuple[Figure, ...]:
    """In the order of the report."""
    return (*_counts(period), *_rates(period), *_conduct(period))


def _counts(period: Period) -> Iterator[Figure]:
    alerts = period.alerts
    yield Figure("deployments", len(period.deployments), "", "logs that were counted")
    yield Figure("duration", round(period.duration_ms / 60_000), "min", met.DEFINITIONS["Duration"])
    yield Figure(
        "watchlist_size", max(period.list_sizes, default=None), "people", met.DEFINITIONS["Watchlist Size"]
    )
    yield Figure("alerts", alerts.total, "alerts", met.DEFINITIONS["Total Alerts"])
    for finding in Finding:
        yield Figure(f"finding.{finding}", alerts.where({finding}), "alerts", FINDING_WORDS[finding][1])
    for ending in Ending:
        yield Figure(f"ending.{ending}", alerts.where(endings={ending}), "alerts", ENDING_WORDS[ending])
    for definition in FACES:
        yield Figure(
            f"faces.{definition}", period.faces(definition).whole, "faces", FACES_MEANING[definition]
        )
    counted = round(period.counted_ms / 60_000, 1)
    yield Figure("faces.counted_for", counted, "min", "covered by the counts of passages and opportunities")
    for name in ("processed", "erased", "retained"):
        yield Figure(
            f"templates.{name}", getattr(period, name).whole, "templates", "processed = erased + retained"
        )


def _rates(period: Period) -> Iterator[Figure]:
    alerts = period.alerts
    for name, events, words in (
        ("false_alerts", alerts.false, "confirmed and unconfirmed false alerts"),
        (
            "not_shown_true",
            alerts.not_shown_true,
            "false, undetermined and unreviewed alerts: the rate at most",
        ),
    ):
        yield _share(f"rate.{name}.per_alert", period.per_alert(events), f"{words}, of alerts")
        for definition in FACES:
            share = period.per_face(events, definition)
            yield _share(f"rate.{name}.per_face.{definition}", share, f"{words}, of {definition}")


def _share(key: str, share: Share | None, meaning: str) -> Figure:
    low, high = (share.interval if share else None) or (None, None)
    return Figure(
        key, share.value if share else None, "share", meaning, low, high, share.trials if share else None
    )


def _conduct(period: Period) -> Iterator[Figure]:
    took, (differed, twice) = period.took_ms, period.looked_twice
    latency = period.latency
    yield Figure(
        "time_to_decision.median",
        took[len(took) // 2] if took else None,
        "ms",
        "from offering an alert at the desk to its last look",
    )
    yield Figure(
        "looks.disagreed", differed, "alerts", "two or more looks that did not agree", of=twice or None
    )
    yield Figure(
        "drills", len(period.drills), "drills", "alerts with a known answer; never counted as alerts"
    )
    yield Figure(
        "drills.right", sum(drill.right is True for drill in period.drills), "drills", "known answer given"
    )
    yield Figure("blind", round(period.blind_ms / 60_000, 1), "camera min", "opened and without a picture")
    yield Figure("paused", round(period.paused_ms / 60_000, 1), "min", "stopped by a person")
    yield Figure("down", round(period.down_ms / 60_000, 1), "min", "without a recogniser")
    for share in (0.5, 0.95, 0.99):
        edge = latency.at_most(share) if latency.total else None
        yield Figure(f"latency.p{round(share * 100)}", edge, "ms", "frame to desk; upper edge of the bin")
    yield Figure("energy", period.energy_j.whole, "J", "of the box, where it can measure it")


def as_json(logs: Sequence[VerifiedLog]) -> dict[str, Any]:
    """The whole report for a program: totals, each deployment, both published tables, definitions, proof of origin."""
    period = Period.of([log.statistics for log in logs])
    return {
        "format": FORMAT,
        "totals": _by_key(period),
        "deployments": [_deployment(log) for log in logs],
        "definitions": {figure.key: figure.meaning for figure in figures(period)},
        "met": {"columns": [*met.COLUMNS, *met.ADDED], "definitions": met.DEFINITIONS},
        "ie": {"columns": [*ie.COLUMNS, *ie.ADDED], "definitions": ie.DEFINITIONS},
    }


def _by_key(period: Period) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for figure in figures(period):
        if figure.unit == "share":
            table[figure.key] = {
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
                "of": figure.of,
            }
        else:
            table[figure.key] = figure.value
    return table


def _deployment(log: VerifiedLog) -> dict[str, Any]:
    one, report = log.statistics, log.report
    alone = Period.of([one])
    return {
        "origin": one.origin,
        "place": one.place,
        "opened": clock_time(one.opened_us),
        "closed": one.closed,
        "purpose": one.purpose,
        "use_case": one.use_case or None,
        "figures": _by_key(alone),
        "met": met.row(alone),
        "ie": ie.row(alone),
        "thresholds": [
            {"entry": step.seq, "at": clock_time(step.wall_us), "threshold_e4": step.threshold_e4, "how": step.verb}
            for step in one.thresholds
        ],
        "cameras": _cameras(one),
        "alerts": [
            {"entry": case.seq, "at_ms": case.at_ms, "camera": case.camera, "score_e4": case.score_e4,
             "finding": str(case.finding), "ending": str(case.ending), "took_ms": case.took_ms}
            for case in one.cases
        ],
        "latency_ms": [list(item) for item in one.latency.bins],
        "score_e4": [list(item) for item in one.scores.bins],
        "record": {
            "entries": log.signed,
            "root": report.heads.last_root,
            "device_key": report.heads.key,
            "reservations": [item.code for item in report.reservations],
        },
    }  # fmt: skip


def _cameras(one: Statistics) -> list[dict[str, Any]]:
    return [
        {
            "id": camera.id,
            "blind_ms": camera.blind_ms,
            "lost": camera.lost,
            "frames": camera.frames,
            "dropped": camera.dropped,
            **{name: getattr(camera.faces, name) for name in FACES},
            **{name: camera.median(name) for name in ("eye_px_e1", "sharpness_e4", "light_e4")},
        }
        for camera in one.cameras
    ]
