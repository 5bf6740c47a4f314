"""The chapters on groups of the evaluation page, in the terms of ISO/IEC 19795-10."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from lfr_edge.evaluation.document import document
from lfr_edge.evaluation.drawing import counted, intervals, percent, rate, table

_RATES: Final = (
    ("false_negatives", "Differential outcome: false negatives (listed people missed)"),
    ("false_positives", "Differential outcome: false positives (strangers who raise an alert)"),
    ("failure_to_enrol", "Failure to enrol"),
    ("failure_to_acquire", "Failure to acquire"),
)


def group_chapters(columns: Mapping[str, Any]) -> list[str]:
    """One chapter for each group column of the protocol."""
    return [part for name, body in columns.items() for part in _chapter(name, body)]


def _chapter(name: str, body: Mapping[str, Any]) -> list[str]:
    at = body["at"]
    held = (
        "No rate can be told at all."
        if at is None
        else f"One threshold for all: {at['threshold']:.4f}, at which {percent(at['target_fpir'])} of all"
        " strangers raise an alert."
    )
    parts = [
        f"<h2>By group: {escape(name)}</h2>",
        f"<p>Groups are those that the protocol names; nobody's group was inferred. {held} "
        f"{body['unnamed']} pictures name no group and are left out of this chapter. "
        "Terms are those of ISO/IEC 19795-10: <em>differential outcome</em> is a difference of error rates at the "
        "threshold in force, <em>differential performance</em> one of the scores, whatever the threshold.</p>",
    ]
    for key, title in _RATES:
        if key in body:
            parts += outcome(title, body[key])
    parts.append("<h3>Differential performance: shift of the mean score</h3>")
    parts += [_shifts(kind, body["differential_performance"][kind]) for kind in ("mated", "nonmated")]
    return parts


def outcome(title: str, body: Mapping[str, Any]) -> list[str]:
    """One error rate over the groups: a drawing, a table, the verdict, and what could have been seen."""
    rows = list(body["rates"].items())
    chance = (
        ""
        if body["chance"] is None
        else f" So large a difference comes by chance {percent(body['chance'])} of the time."
    )
    # Where neither can be given, the reason is the same and is said once.
    ratios = dict.fromkeys(escape(ratio(body[name])) for name in ("worst_to_best", "worst_to_mean"))
    return [
        f"<h3>{escape(title)}</h3>",
        intervals(rows, title),
        table(("group", "rate (95 %)", "trials"), ((name, rate(one), one["n"]) for name, one in rows)),
        f"<p><strong>{escape(body['verdict'].capitalize())}.</strong>{chance} {' '.join(ratios)}"
        f" Power: {escape(body['power'])}.</p>",
    ]


def ratio(body: Mapping[str, Any]) -> str:
    """One sentence: the worst group against another measure, or why there is no ratio."""
    if body["value"] is None:
        return f"{body['note'][:1].upper()}{body['note'][1:]}." if body["note"] else ""
    against = "the mean of the groups" if body["against"] == "mean" else body["against"]
    return f"{body['worst']} to {against}: {body['value']:.2f} ({body['low']:.2f} to {body['high']:.2f})."


def outcomes_page(found: Mapping[str, Any]) -> str:
    """What :func:`lfr_edge.evaluation.outcomes.false_alerts_by_group` told, as a page."""
    parts = [
        "<h1>False alerts by group, as officers recorded them</h1>",
        f"<p>{counted(found['alerts'], 'alert', 'alerts')}, of which {found['not_established']} were not established"
        " and are left out. Groups are those that officers recorded; nobody's was inferred. Of the people who passed"
        " without an alert nothing is known: these are shares of alerts, not rates of people. Terms are those of"
        " ISO/IEC 19795-10; intervals hold 95 %.</p>",
    ]
    for name, body in found["by_group"].items():
        parts += [
            f"<h2>By group: {escape(name)}</h2>",
            f"<p>{counted(body['unnamed'], 'alert names', 'alerts name')} no group.</p>",
            *outcome("Differential outcome: share of alerts that were false", body["false_alerts"]),
        ]
    return document("False alerts by group", parts)


def _shifts(kind: str, shifts: Mapping[str, Mapping[str, Any]]) -> str:
    def cells(name: str, one: Mapping[str, Any]) -> tuple[Any, ...]:
        if one["shift"] is None:
            return name, one["people"], f"cannot tell: {one['note']}", "–"
        between = f"{one['shift']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f})"
        return name, one["people"], between, f"{one['deviations']:+.2f}"

    words = {"mated": "listed people", "nonmated": "strangers"}[kind]
    head = (f"group of {words}", "people", "shift of the mean (cosine)", "in standard deviations")
    return table(head, (cells(name, one) for name, one in shifts.items()))
