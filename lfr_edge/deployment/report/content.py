"""What stands in a report, section by section. Every figure is asked of a :class:`Period`, and defined beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lfr_edge.deployment.alert_cases import Ending, Finding
from lfr_edge.deployment.period import FACES, HEADLINE_FACES, Period
from lfr_edge.deployment.report import met
from lfr_edge.deployment.report.charts import charts
from lfr_edge.deployment.report.conduct import authority, custody, deployments
from lfr_edge.deployment.report.document import Document, Fact, Section, Table
from lfr_edge.deployment.report.provenance import notices, record
from lfr_edge.deployment.report.wording import (
    NOT_RECORDED,
    clock_time,
    cosine,
    energy,
    hours,
    interval,
    long_day,
    minutes,
    number,
    percent,
    rate,
    seconds,
)
from lfr_edge.deployment.statistics import Sum
from lfr_edge.deployment.verified import VerifiedLog

FACES_MEANING: Final = {
    "detections": "faces found by the detector, counted in every frame anew: one person counts many times",
    "passages": "unbroken tracks of one face through one camera's picture; a track that breaks counts twice",
    "probes": "templates computed; one passage may cost several",
    "opportunities": "passages with at least one probe that was compared with the list: the denominator of the rates",
}
FINDING_WORDS: Final = {
    Finding.TRUE_CONFIRMED: ("True, confirmed", met.DEFINITIONS["True Alerts Confirmed"]),
    Finding.TRUE_UNCONFIRMED: ("True, unconfirmed", met.DEFINITIONS["True Alerts Unconfirmed"]),
    Finding.FALSE_CONFIRMED: ("False, confirmed", met.DEFINITIONS["False Alerts Confirmed"]),
    Finding.FALSE_UNCONFIRMED: ("False, unconfirmed", met.DEFINITIONS["False Alerts Unconfirmed"]),
    Finding.UNDETERMINED: ("Undetermined", met.DEFINITIONS["Undetermined"]),
    Finding.UNREVIEWED: ("Unreviewed", met.DEFINITIONS["Unreviewed"]),
}
ENDING_WORDS: Final = {
    Ending.ARREST: "Arrest",
    Ending.OTHER_DISPOSAL: "Other disposal",
    Ending.NO_ACTION: "Engaged, no action",
    Ending.NOT_LOCATED: "Not located",
    Ending.NOT_ENGAGED: "Not engaged",
    Ending.NOT_RECORDED: "Outcome not recorded",
    Ending.UNREVIEWED: "Unreviewed",
}


def report_document(logs: Sequence[VerifiedLog], *, public: bool = False) -> Document:
    """The full report of one deployment, or of several together; `public` leaves out when each alert was."""
    period = Period.of([log.statistics for log in logs])
    one = period.deployments[0] if len(logs) == 1 else None
    title = f"Live facial recognition: {one.place or one.name}" if one else "Live facial recognition"
    subtitle = (
        f"Deployment {one.name} · {long_day(one.opened_us)}"
        if one
        else f"{len(logs)} deployments · {met.row(period)['Date']}"
    )
    sections = [
        Section("What happened", charts=charts(period, times=not public)),
        outcomes(period),
        errors(period),
        faces(period),
        people(period),
        cameras(period),
        running(period),
        custody(period),
        authority(logs),
        deployments(period),
    ]
    return Document(
        title=title,
        subtitle=subtitle,
        headline=headline(period),
        sections=tuple(section for section in sections if section.facts or section.tables or section.charts),
        record=record(logs),
        notices=notices(logs),
    )


def headline(period: Period) -> tuple[Fact, ...]:
    alerts = period.alerts
    return (
        Fact("Alerts", number(alerts.total), met.DEFINITIONS["Total Alerts"]),
        Fact("True alerts", number(alerts.true), "confirmed after engagement, or referred by adjudication"),
        Fact(
            "False alerts", number(alerts.false), "confirmed after engagement, or found false by adjudication"
        ),
        Fact("Arrests", number(alerts.where(endings={Ending.ARREST})), "whoever the person was"),
        Fact("Faces seen", _sum(period.faces(HEADLINE_FACES)), FACES_MEANING[HEADLINE_FACES]),
        Fact("Duration", hours(period.duration_ms), "from opening to closing"),
    )


def outcomes(period: Period) -> Section:
    alerts = period.alerts
    endings = [ending for ending in Ending if alerts.where(endings={ending})] or [Ending.NOT_ENGAGED]
    rows = []
    for finding in Finding:
        cells = [str(alerts.where({finding}, {ending})) for ending in endings]
        rows.append((FINDING_WORDS[finding][0], *cells, str(alerts.where({finding}))))
    totals = [str(alerts.where(endings={ending})) for ending in endings]
    rows.append(("All alerts", *totals, str(alerts.total)))
    table = Table(
        "Alerts by finding and ending; every row and column adds up",
        ("Finding", *(ENDING_WORDS[ending] for ending in endings), "All"),
        tuple(rows),
        frozenset(range(1, len(endings) + 2)),
    )
    facts = tuple(
        Fact(words, number(alerts.where({finding})), meaning)
        for finding, (words, meaning) in FINDING_WORDS.items()
    )
    return Section("Alerts and what became of them", facts=facts, tables=(table,))


def errors(period: Period) -> Section:
    alerts = period.alerts
    rows = []
    for words, events in (
        ("False alerts", alerts.false),
        ("Alerts not shown to be true (at most)", alerts.not_shown_true),
    ):
        for what, share in (
            ("per face seen", period.per_face(events)),
            ("per alert", period.per_alert(events)),
        ):
            value = NOT_RECORDED if share is None else "none" if share.value is None else ""
            if not value and share is not None and share.value is not None:
                value = f"{percent(share.value)} %"
            trials = NOT_RECORDED if share is None else number(share.trials)
            rows.append(
                (
                    words,
                    what,
                    number(events),
                    trials,
                    value,
                    interval(share) if share and share.trials else "–",
                )
            )
    text = (
        "The 95 % interval is Clopper and Pearson's: the rates under which this count is not surprising."
        " Few events make it wide; that is what the data can say.",
        "Faces seen here are recognition opportunities. Undetermined and unreviewed alerts are in the second pair"
        " of rows: were they all false, the rate would be that.",
    )
    columns = ("Rate", "Denominator", "Events", "Of", "Rate", "95 % interval")
    return Section(
        "Error rates",
        text,
        tables=(Table("Both denominators", columns, tuple(rows), frozenset({2, 3, 4, 5})),),
    )


def faces(period: Period) -> Section:
    rows = []
    for definition in FACES:
        total = period.faces(definition)
        whole = total.whole
        per_minute = (
            f"{whole / (period.duration_ms / 60_000):.1f}" if whole and period.duration_ms else NOT_RECORDED
        )
        rows.append(
            (
                definition.capitalize(),
                _sum(total),
                per_minute,
                rate(period.per_face(period.alerts.false, definition)),
                FACES_MEANING[definition],
            )
        )
    return Section(
        "Faces seen, four definitions",
        ("Published figures have meant different things by this. All four are given, always under the same name.",),
        facts=(
            Fact("Passages counted for", f"{minutes(period.counted_ms)} of {minutes(period.duration_ms)}",
                 "what lies outside is in no count of passages and opportunities"),
            Fact("Templates processed", _sum(period.processed), "fate decided"),
            Fact("Templates erased", _sum(period.erased), "overwritten in the same step; never written to a disk"),
            Fact("Templates retained", _sum(period.retained), "kept as the picture of an alert"),
        ),
        tables=(
            Table(
                "Faces seen",
                ("Definition", "Count", "A minute", "False alerts of these", "Meaning"),
                tuple(rows),
                frozenset({1, 2}),
            ),
        ),
    )  # fmt: skip


def people(period: Period) -> Section:
    took, (differed, twice) = period.took_ms, period.looked_twice
    right = sum(drill.right is True for drill in period.drills)
    decided = sum(drill.right is not None for drill in period.drills)
    middle = took[len(took) // 2] if took else None
    late = took[min(len(took) - 1, round(0.9 * len(took)))] if took else None
    facts = (
        Fact("Unreviewed alerts", number(period.unreviewed), met.DEFINITIONS["Unreviewed"]),
        Fact("Median time to decision", seconds(middle), "from offering the alert to the last look"),
        Fact("Nine in ten decided within", seconds(late), "from offering the alert to the last look"),
        Fact("Looks that disagreed", f"{differed} of {twice}", "alerts with two or more independent looks"),
        Fact(
            "Drills", f"{len(period.drills)}", "alerts with a known answer, mixed in; never counted as alerts"
        ),
        Fact("Drills answered rightly", f"{right} of {decided} decided", "the known answer was given"),
    )
    return Section("The people who decided", facts=facts)


def cameras(period: Period) -> Section:
    rows = []
    for one in period.deployments:
        for camera in one.cameras:
            share = camera.blind_ms / one.duration_ms if one.duration_ms else 0.0
            light, sharp = camera.median("light_e4"), camera.median("sharpness_e4")
            eye = camera.median("eye_px_e1")
            rows.append(
                (
                    camera.id if len(period.deployments) == 1 else f"{one.name}: {camera.id}",
                    f"{minutes(camera.blind_ms)} ({percent(min(1.0, share))} %)",
                    str(camera.lost),
                    number(camera.faces.passages),
                    NOT_RECORDED if eye is None else f"{eye / 10:.0f} px",
                    NOT_RECORDED if sharp is None else f"{sharp / 10_000:.2f}",
                    NOT_RECORDED if light is None else f"{light / 10_000:.2f}",
                )
            )
    columns = ("Camera", "Blind", "Times lost", "Passages", "Eye distance", "Sharpness", "Light")
    table = Table(
        "Minutes blind and picture quality, by camera", columns, tuple(rows), frozenset({1, 2, 3, 4, 5, 6})
    )
    text = (
        "Blind: opened and without a picture. Quality: medians of what was cut out, 0 to 1; eye distance in pixels.",
    )
    return Section("Cameras", text, tables=(table,) if rows else ())


def running(period: Period) -> Section:
    latency = period.latency
    ranks = [
        Fact(
            f"Latency p{round(share * 100)}",
            _edge(latency.at_most(share)) if latency.total else NOT_RECORDED,
            "from the frame to the alert durable and offered; upper edge of the bin",
        )
        for share in (0.5, 0.95, 0.99)
    ]
    facts = (
        *ranks,
        Fact("Paused", minutes(period.paused_ms), "recognition stopped by a person"),
        Fact(
            "Without a recogniser",
            minutes(period.down_ms),
            "starting, restarting after a fault, or ended early",
        ),
        Fact("Blind", minutes(period.blind_ms), "camera minutes without a picture, over all cameras"),
        Fact("Energy", energy(period.energy_j.whole), "of the box, where it can measure it"),
    )
    rows = [
        (
            one.name,
            clock_time(step.wall_us),
            cosine(step.threshold_e4),
            _VERBS.get(step.verb, step.verb),
            str(step.seq),
        )
        for one in period.deployments
        for step in one.thresholds
    ]
    columns = ("Deployment", "When", "Threshold", "How", "Entry")
    return Section(
        "How it ran",
        facts=facts,
        tables=(Table("Threshold history", columns, tuple(rows), frozenset({2, 4})),) if rows else (),
    )  # fmt: skip


_VERBS: Final = {"threshold.set": "set at a start", "threshold.changed": "changed by two persons"}


def _sum(total: Sum) -> str:
    if total.value is not None and total.whole is None:
        return f"{total.value:,} in {total.recorded} of {total.of} deployments; the others did not record it"
    return number(total.value)


def _edge(edge: int | None) -> str:
    return "more than 5,000 ms" if edge is None else f"≤ {edge:,} ms"
