"""The sections of a report that are about the force's own conduct: custody, authority, and the list of deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lfr_edge.deployment.period import Period
from lfr_edge.deployment.report.document import Fact, Section, Table
from lfr_edge.deployment.report.wording import NOT_RECORDED, clock_time, cosine, long_day, number
from lfr_edge.deployment.verified import VerifiedLog

_STEPS: Final = {
    "deployment.authorised": "authorised",
    "deployment.started": "started",
    "deployment.cancelled": "cancelled",
}


def custody(period: Period) -> Section:
    kept = [one.custody for one in period.deployments]
    limits = sorted({item.alert_images_h for item in kept if item.alert_images_h is not None})
    lists = [one.watchlist for one in period.deployments]
    facts = (
        Fact("Alert pictures kept for", ", ".join(f"{h} h" for h in limits) or NOT_RECORDED, "at most"),
        Fact("Alert pictures erased", number(sum(item.pictures_erased for item in kept)), "key destroyed"),
        Fact("Erased late", number(sum(item.erased_late for item in kept)), "beyond the limit and not on hold"),
        Fact("On hold", number(sum(item.held for item in kept)), "evidence, complaint or disclosure"),
        Fact("Templates of lists, in and out",
             f"{sum(item.templates_in for item in lists):,} in, {sum(item.templates_out for item in lists):,} out",
             "every template that went in leaves by withdrawal or destruction"),
        Fact("Entries withdrawn while live", number(sum(item.withdrawn for item in lists)), "taken off the list"),
        Fact("Evidence viewed, exported", f"{sum(i.viewed for i in kept)}, {sum(i.exported for i in kept)}",
             "each with person and justification in the log"),
        Fact("Break-glass access", number(sum(item.break_glass for item in kept)), "emergency access by two persons"),
    )  # fmt: skip
    return Section("Retention and watchlists", facts=facts)


def authority(logs: Sequence[VerifiedLog]) -> Section:
    """Under which authority each deployment ran, from the first to the last step."""
    rows = [
        (
            str(step.seq),
            _step(step.ev, "" if len(logs) == 1 else log.statistics.name),
            clock_time(step.at_us),
            step.operation,
            "" if step.until_us is None else clock_time(step.until_us),
            # In groups of sixteen digits, which a narrow column may break.
            " ".join(step.sha256[start : start + 16] for start in range(0, len(step.sha256), 16)),
        )
        for log in logs
        for step in log.report.authority
        if step.seq < log.signed
    ]
    columns = ("Entry", "Step", "When", "Operation", "Until", "SHA-256 of the authority")
    text = (
        "An extension is a new authority. The document stays with the force; its SHA-256 ties it to this.",
    )
    table = Table("Authorised, started, extended, cancelled", columns, tuple(rows))
    return Section("Authority", text, tables=(table,) if rows else ())


def _step(verb: str, deployment: str) -> str:
    said = _STEPS.get(verb, verb)
    return f"{deployment}: {said}" if deployment else said


def deployments(period: Period) -> Section:
    rows = [
        (
            one.place or one.name,
            long_day(one.opened_us),
            f"{one.minutes}" + ("" if one.closed else " (not closed)"),
            one.use_case or NOT_RECORDED,
            number(one.watchlist.entries),
            cosine(one.lowest_threshold_e4),
            number(one.alerts.total),
            number(one.alerts.false),
            number(one.faces.opportunities),
        )
        for one in period.deployments
    ]
    columns = ("Place", "Date", "Minutes", "Use case", "List", "Threshold", "Alerts", "False", "Faces seen")
    return Section(
        "Deployments",
        tables=(Table("What was deployed", columns, tuple(rows), frozenset({2, 4, 5, 6, 7, 8})),),
    )
