"""Freedom of information: the questions that are always asked, answered from the log.

A question whose answer is not in the record says so, and who would know; nothing is made up to fill it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lfr_edge.deployment.alert_cases import ENGAGED, FALSE_FINDINGS, Ending, Finding
from lfr_edge.deployment.period import FACES, Period
from lfr_edge.deployment.report.content import FACES_MEANING, report_document
from lfr_edge.deployment.report.document import Document, Fact, Section
from lfr_edge.deployment.report.provenance import notices, record
from lfr_edge.deployment.report.wording import (
    NOT_RECORDED,
    cosine,
    energy,
    hours,
    long_day,
    minutes,
    number,
    rate,
)
from lfr_edge.deployment.verified import VerifiedLog


@dataclass(frozen=True, slots=True)
class Question:
    asked: str
    answer: Callable[[Period], str]


def foi_document(logs: Sequence[VerifiedLog]) -> Document:
    """Questions and answers for the given deployments together."""
    period = Period.of([log.statistics for log in logs])
    sections = [
        Section(title, facts=tuple(Fact(question.asked, question.answer(period)) for question in questions))
        for title, questions in QUESTIONS
    ]
    return Document(
        title="Live facial recognition: questions and answers",
        subtitle=report_document(logs).subtitle,
        sections=tuple(sections),
        record=record(logs),
        notices=notices(logs),
    )


def _places(period: Period) -> str:
    return "; ".join(
        f"{one.place or one.name}, {long_day(one.opened_us)}, {one.minutes} min" for one in period.deployments
    )


def _said(name: str) -> Callable[[Period], str]:
    """What the authorities on record say under `name`."""

    def answer(period: Period) -> str:
        found = dict.fromkeys(str(value) for one in period.deployments if (value := one.authority.get(name)))
        missing = sum(not one.authority.get(name) for one in period.deployments)
        text = "; ".join(found) or NOT_RECORDED
        return (
            f"{text} (not recorded for {missing} of {len(period.deployments)})" if found and missing else text
        )

    return answer


def _lists(period: Period) -> str:
    sizes = [
        f"{number(one.watchlist.entries)}" + (f" ({one.name})" if len(period.deployments) > 1 else "")
        for one in period.deployments
    ]
    return "; ".join(sizes)


def _categories(period: Period) -> str:
    table: dict[str, int] = {}
    for one in period.deployments:
        for name, people in one.watchlist.categories:
            table[name] = table.get(name, 0) + people
    return "; ".join(f"{name}: {people:,}" for name, people in sorted(table.items())) or NOT_RECORDED


def _destroyed(period: Period) -> str:
    rest = [
        one.watchlist.templates_in - one.watchlist.templates_out
        for one in period.deployments
        if one.watchlist.templates_in
    ]
    if not rest:
        return NOT_RECORDED
    open_ones = sum(left != 0 for left in rest)
    return "Yes: every template that was loaded is on record as destroyed or withdrawn" if not open_ones else (
        f"Not shown for {open_ones} of {len(rest)} deployments: {sum(rest):,} templates are unaccounted for"
    )  # fmt: skip


def _erased(period: Period) -> str:
    done, gone, kept = period.processed.whole, period.erased.whole, period.retained.whole
    if done is None or gone is None or kept is None:
        return NOT_RECORDED
    exact = "and the count is exact" if done == gone + kept else "and the count does NOT balance"
    return f"{gone:,} of {done:,} templates erased, {kept:,} kept as the picture of an alert, {exact}"


def _faces(period: Period) -> str:
    return "; ".join(
        f"{number(period.faces(name).whole)} {name} ({FACES_MEANING[name].split(':')[0].split(';')[0]})"
        for name in FACES
    )


def _retention(period: Period) -> str:
    limits = sorted({h for one in period.deployments if (h := one.custody.alert_images_h) is not None})
    late = sum(one.custody.erased_late for one in period.deployments)
    held = sum(one.custody.held for one in period.deployments)
    limit = " or ".join(f"{hour} hours" for hour in limits) or NOT_RECORDED
    return f"At most {limit}; {late} erased late, {held} on hold for evidence or a complaint"


def _thresholds(period: Period) -> str:
    values = sorted({step.threshold_e4 for one in period.deployments for step in one.thresholds})
    changed = sum(step.verb == "threshold.changed" for one in period.deployments for step in one.thresholds)
    return f"{', '.join(cosine(value) for value in values) or NOT_RECORDED}; changed {changed} times during deployments"


def _models(period: Period) -> str:
    named = dict.fromkeys(
        f"{model.pack or 'unnamed'} (fingerprint {model.fingerprint[:16]})"
        for one in period.deployments
        for model in one.models
    )
    return "; ".join(named) or NOT_RECORDED


def _stopped_wrongly(period: Period) -> str:
    alerts = period.alerts
    open_ones = alerts.where({Finding.TRUE_UNCONFIRMED}, ENGAGED | {Ending.NOT_RECORDED})
    text = f"{alerts.engaged(FALSE_FINDINGS)} on record as a different person"
    return f"{text}; for {open_ones} more nobody recorded whether it was the person" if open_ones else text


def _arrests(period: Period) -> str:
    alerts = period.alerts
    return (
        f"{alerts.where(endings={Ending.ARREST})} arrests, {alerts.where(endings={Ending.OTHER_DISPOSAL})} other"
        f" disposals, {alerts.where(endings={Ending.NO_ACTION})} without action"
    )


def _not_held(why: str) -> Callable[[Period], str]:
    return lambda _: why


QUESTIONS: Final = (
    ("Where, when and why", (
        Question("How often, where and for how long was it used?", _places),
        Question("How many hours in all?", lambda p: hours(p.duration_ms)),
        Question("For which purpose?", _said("use_case")),
        Question("Under which policy?", _said("policy")),
        Question("Who authorised it?", _said("ao_rank")),
        Question("Which data protection impact assessment covers it?", _said("dpia")),
        Question("Which equality impact assessment covers it?", _said("eia")),
    )),
    ("Who was looked for", (
        Question("How many people were on the watchlist?", _lists),
        Question("In which categories?", _categories),
        Question("Were there people under 18 on it?", _said("under_18s")),
        Question("Was the watchlist destroyed afterwards?", _destroyed),
    )),
    ("Who was seen", (
        Question("How many people had their faces scanned?", _faces),
        Question("What became of the biometrics of everybody else?", _erased),
        Question("Of what ethnicity, sex or age were those scanned?", _not_held(
            "Not held. The system infers none of these, of anybody, and has no code to do so.")),
        Question("Can the force find somebody who passed and raised no alert?", _not_held(
            "No. Nothing about them is kept; there is no search, no replay and no list of passers-by.")),
    )),
    ("What came of it", (
        Question("How many alerts were there?", lambda p: number(p.alerts.total)),
        Question("How many were right?", lambda p: (
            f"{p.alerts.where({Finding.TRUE_CONFIRMED})} confirmed after engagement,"
            f" {p.alerts.where({Finding.TRUE_UNCONFIRMED})} referred and not confirmed")),
        Question("How many were wrong?", lambda p: f"{p.alerts.false}; per alert {rate(p.per_alert(p.alerts.false))}"),
        Question("How many were wrong, of all faces?", lambda p: rate(p.per_face(p.alerts.false))),
        Question("How many people were stopped wrongly?", _stopped_wrongly),
        Question("How many arrests were there?", _arrests),
        Question("How many alerts did nobody decide?", lambda p: number(p.unreviewed)),
    )),
    ("How it works and what is kept", (
        Question("Which algorithm was used?", _models),
        Question("What was the threshold?", _thresholds),
        Question("How long are pictures kept?", _retention),
        Question("How often did people look at evidence, and how often was it exported?", lambda p: (
            f"{sum(one.custody.viewed for one in p.deployments)} views,"
            f" {sum(one.custody.exported for one in p.deployments)} exports; the log holds the reason of each")),
        Question("For how long did cameras see nothing?", lambda p: f"{minutes(p.blind_ms)} over all cameras"),
        Question("How much energy did it use?", lambda p: energy(p.energy_j.whole)),
        Question("What did it cost?", _not_held("Not in this record: the force's finance department holds it.")),
    )),
)  # fmt: skip
