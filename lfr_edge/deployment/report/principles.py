"""Clause by clause: what is asked, what the record shows, and which entries show it.

The chapters are the eight principles of the National Police Chiefs' Council's AI strategy (domain.md 1). A clause
without an entry says so: a gap in the record is an answer, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lfr_edge.audit.event import TWO_PERSONS
from lfr_edge.deployment.period import Period
from lfr_edge.deployment.report.wording import cosine, energy, hours, minutes, number, rate
from lfr_edge.deployment.verified import VerifiedLog

Reading = Callable[[VerifiedLog], str]


@dataclass(frozen=True, slots=True)
class Clause:
    asked: str
    source: str
    verbs: tuple[str, ...]  # of the record; a test holds them to its list
    shown: Reading

    def entries(self, log: VerifiedLog) -> tuple[int, ...]:
        found = (seq for verb in self.verbs for seq in log.statistics.verbs.get(verb, ()))
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Chapter:
    principle: str
    clauses: tuple[Clause, ...]


def _authority(log: VerifiedLog) -> str:
    data = log.statistics.authority
    named = [
        f"{name} {data[name]}"
        for name in ("operation", "use_case", "policy", "legal_basis")
        if data.get(name)
    ]
    steps = [step.ev.removeprefix("deployment.") for step in log.report.authority if step.seq < log.signed]
    return "; ".join([*named, ", then ".join(steps)] if named else steps) or "no authority is on record"


def _erasure(log: VerifiedLog) -> str:
    duties = log.report.duties
    exact = "exact" if duties.processed == duties.erased + duties.retained else "NOT exact"
    return (
        f"{duties.processed:,} processed = {duties.erased:,} erased + {duties.retained:,} retained: {exact}"
    )


def _templates(log: VerifiedLog) -> str:
    kept = log.statistics.watchlist
    rest = kept.templates_in - kept.templates_out
    return f"{kept.templates_in:,} templates in, {kept.templates_out:,} out" + (
        f"; {rest:,} unaccounted" if rest else ""
    )


def _decisions(log: VerifiedLog) -> str:
    duties = log.report.duties
    return (
        f"{duties.alerts_raised} raised = {duties.alerts_decided} decided by a person + {duties.alerts_suppressed}"
        f" suppressed + {len(duties.undecided)} undecided"
    )


def _control(log: VerifiedLog) -> str:
    changes = log.report.control
    return (
        f"{sum(change.ok for change in changes)} of {len(changes)} changes were approved by a second person"
    )


def _faults(log: VerifiedLog) -> str:
    one = log.statistics
    blind = f"{minutes(one.blind_ms)} blind over {len(one.cameras)} camera(s)"
    return f"{blind}, {minutes(one.down_ms)} without a recogniser"


def _anchors(log: VerifiedLog) -> str:
    anchors = log.report.anchors
    if not anchors:
        return "nobody outside the box holds a head of this record"
    return "; ".join(f"{anchor.by} over {anchor.size} entries" for anchor in anchors)


def _accuracy(log: VerifiedLog) -> str:
    period = Period.of([log.statistics])
    false = period.alerts.false
    return f"per face seen {rate(period.per_face(false))}; per alert {rate(period.per_alert(false))}"


def _faces(log: VerifiedLog) -> str:
    seen = log.statistics.faces
    return (
        f"{number(seen.detections)} detections, {number(seen.passages)} passages, {number(seen.probes)} probes,"
        f" {number(seen.opportunities)} recognition opportunities"
    )


def _looks(log: VerifiedLog) -> str:
    period = Period.of([log.statistics])
    differed, twice = period.looked_twice
    looked = sum(bool(case.answers) for case in period.cases)
    return (
        f"{looked} of {len(period.cases)} alerts were looked at; {differed} of {twice} second looks disagreed"
    )


def _thresholds(log: VerifiedLog) -> str:
    steps = log.statistics.thresholds
    return ", then ".join(cosine(step.threshold_e4) for step in steps) or "no threshold is on record"


def _models(log: VerifiedLog) -> str:
    named = {f"{model.pack or 'unnamed'} ({model.fingerprint[:12]})" for model in log.statistics.models}
    return ", ".join(sorted(named)) or "no network is on record"


def _drills(log: VerifiedLog) -> str:
    drills = log.statistics.drills
    right = sum(drill.right is True for drill in drills)
    decided = sum(drill.right is not None for drill in drills)
    return f"{len(drills)} drills, {decided} decided, {right} of them rightly"


def _access(log: VerifiedLog) -> str:
    verbs = log.statistics.verbs
    return (
        f"{len(verbs.get('access.signed_in', ()))} sign-ins, {len(verbs.get('access.refused', ()))} refused"
    )


def _evidence(log: VerifiedLog) -> str:
    kept, verbs = log.statistics.custody, log.statistics.verbs
    return (
        f"{kept.viewed} views, {kept.exported} exports, {kept.break_glass} break-glass, each with its reason;"
        f" {len(verbs.get('receipt.issued', ()))} receipts, {len(verbs.get('report.made', ()))} reports"
    )


def _retention(log: VerifiedLog) -> str:
    kept = log.statistics.custody
    limit = "no limit on record" if kept.alert_images_h is None else f"limit {kept.alert_images_h} h"
    return f"{limit}; {kept.pictures_erased} erased, {kept.erased_late} of them late, {kept.held} on hold"


def _value(log: VerifiedLog) -> str:
    one = log.statistics
    return f"{hours(one.duration_ms)}, {one.alerts.total} alerts, {one.alerts.true} of them true"


def _processing(log: VerifiedLog) -> str:
    return f"{log.signed:,} signed entries; consultations and disclosures name person and justification"


def _energy(log: VerifiedLog) -> str:
    return energy(log.statistics.energy_j)


CHAPTERS: Final = (
    Chapter("Lawfulness", (
        Clause("Purpose, place, times and people are authorised in writing", "College of Policing APP; Bridges [2020]",
               ("deployment.authorised", "deployment.opened", "deployment.started", "deployment.cancelled",
                "deployment.closed"), _authority),
        Clause("Biometrics of everybody not matched are deleted at once", "Surveillance Camera Code 2021",
               ("ledger.counted", "recogniser.started", "recogniser.stopped"), _erasure),
        Clause("The watchlist is destroyed after the deployment", "Home Office, 1 June 2026",
               ("watchlist.imported", "watchlist.compiled", "watchlist.activated", "watchlist.withdrawn",
                "watchlist.destroyed"), _templates),
        Clause("Collection, alteration, consultation, disclosure, combination and erasure are logged",
               "Data Protection Act 2018, section 62", ("log.opened", "log.closed"), _processing),
    )),
    Chapter("Accountability", (
        Clause("A person decides before anything is done", "Surveillance Camera Code 2021",
               ("alert.raised", "alert.decided", "alert.suppressed", "alert.expired"), _decisions),
        Clause("Changes that matter need two persons", "lfr-edge, two-person rule",
               ("control.proposed", "control.approved", "control.refused", *sorted(TWO_PERSONS)),
               _control),
        Clause("Who used the system is known", "Data Protection Act 2018, section 62",
               ("access.signed_in", "access.signed_out", "access.refused", "access.account_changed"), _access),
    )),
    Chapter("Robustness", (
        Clause("Faults are seen, recorded and counted", "NPCC AI strategy",
               ("camera.connected", "camera.lost", "recogniser.stopped", "disk.full", "clock.jumped", "log.recovered",
                "recognition.paused", "recognition.resumed"), _faults),
        Clause("The record can be checked against what others hold", "lfr-edge, log format: anchors",
               ("anchor.witnessed", "anchor.printed", "anchor.confirmed"), _anchors),
    )),
    Chapter("Transparency", (
        Clause("Faces seen are published by a stated definition", "ICO opinions 2019/01 and 2021",
               ("statistics.counted",), _faces),
        Clause("Disclosures and reports are recorded", "Data Protection Act 2018, section 62",
               ("report.made", "evidence.exported", "evidence.viewed", "disclosure.sent", "receipt.issued"), _evidence),
    )),
    Chapter("Evidence-led", (
        Clause("Error rates are measured in the field, with their uncertainty", "ICO opinion 2021; Bridges [2020]",
               ("alert.outcome", "alert.engaged"), _accuracy),
    )),
    Chapter("Explainability", (
        Clause("Why an alert was raised: network and threshold", "EU AI Act, article 12(3), as a template",
               ("model.loaded", "model.changed", "threshold.set", "threshold.changed"),
               lambda log: f"{_models(log)}; threshold {_thresholds(log)}"),
        Clause("Why it was judged so: structured reasons of each look", "College of Policing APP",
               ("alert.looked",), _looks),
    )),
    Chapter("Responsibility", (
        Clause("Those who decide are tested with known answers", "lfr-edge, known-answer drills",
               ("drill.raised", "drill.answered", "briefing.acknowledged"), _drills),
        Clause("Pictures are kept no longer than allowed", "Home Office, 1 June 2026",
               ("alert.erased", "alert.held", "alert.released", "material.erased", "retention.changed"), _retention),
    )),
    Chapter("Value for money", (
        Clause("What the deployment gave", "NPCC AI strategy", ("deployment.closed", "alert.outcome"), _value),
        Clause("What it used", "NPCC AI strategy", ("statistics.counted",), _energy),
    )),
)  # fmt: skip
