"""The Metropolitan Police's published columns (2025), and those that make the row add up."""

from __future__ import annotations

from typing import Final

from lfr_edge.deployment.alert_cases import ENGAGED, FALSE_FINDINGS, Ending, Finding
from lfr_edge.deployment.period import HEADLINE_FACES, Period
from lfr_edge.deployment.report.wording import (
    NOT_RECORDED,
    cosine,
    day,
    interval,
    plain,
    published_percent,
)

COLUMNS: Final = (
    "Deployment Location", "Date", "Duration", "LFR Use Case", "Watchlist Size", "Min Threshold Setting",
    "Total Alerts", "True Alerts Confirmed", "True Alerts Unconfirmed", "False Alerts Confirmed",
    "False Alerts Unconfirmed", "False Alert Rate", "Outcome Arrest", "Outcome Other", "No action",
    "Faces seen (estimate)",
)  # fmt: skip
ADDED: Final = (
    "Undetermined", "Unreviewed", "Not engaged", "Not located", "Engaged after a false alert",
    "Outcome not recorded", "Unreviewed at the end",
    "False Alert Rate 95 % interval", "False alerts per alert", "False alerts per alert 95 % interval",
)  # fmt: skip
# Each set of columns adds up to Total Alerts, in every row, by construction.
FINDING_COLUMNS: Final = (
    "True Alerts Confirmed", "True Alerts Unconfirmed", "False Alerts Confirmed", "False Alerts Unconfirmed",
    "Undetermined", "Unreviewed",
)  # fmt: skip
ENDING_COLUMNS: Final = (
    "Outcome Arrest", "Outcome Other", "No action", "Not engaged", "Not located", "Engaged after a false alert",
    "Outcome not recorded", "Unreviewed at the end",
)  # fmt: skip
DEFINITIONS: Final = {
    "Duration": "minutes from opening to closing, by the monotonic clock",
    "Watchlist Size": "people on the largest list that was active",
    "Min Threshold Setting": "lowest similarity (cosine) in force at any time; not comparable between algorithms",
    "Total Alerts": "candidates at or above the threshold that were raised; drills are not alerts",
    "True Alerts Confirmed": "after engagement, recorded as the same person",
    "True Alerts Unconfirmed": "referred by adjudication; identity not established on the street",
    "False Alerts Confirmed": "after engagement, recorded as a different person",
    "False Alerts Unconfirmed": "by adjudication without engagement, a different person",
    "Undetermined": "reviewed, but those who looked disagreed or could not judge",
    "Unreviewed": "nobody decided: expired, suppressed or open when the log ended",
    "False Alert Rate": "false alerts, confirmed and unconfirmed, of faces seen",
    "Outcome Arrest": "with No action and Other: engaged, and not found to be a false alert",
    "Engaged after a false alert": "somebody was engaged who was not the person sought, whatever came of it",
    "Not engaged": "adjudication ended without a referral",
    "Faces seen (estimate)": "recognition opportunities: passages with at least one probe compared with the list;"
    " one person who passes twice, or two cameras, counts twice",
    "False Alert Rate 95 % interval": "Clopper and Pearson's exact interval, here and per alert",
}


def row(period: Period, faces: str = HEADLINE_FACES) -> dict[str, str]:
    """One line of the table, by column; for several deployments their sum."""
    alerts, one = period.alerts, period.deployments[0]
    several = len(period.deployments) > 1
    per_face, per_alert = period.per_face(alerts.false, faces), period.per_alert(alerts.false)
    lowest = [e4 for item in period.deployments if (e4 := item.lowest_threshold_e4) is not None]
    not_false = frozenset(Finding) - FALSE_FINDINGS
    return {
        "Deployment Location": f"{len(period.deployments)} deployments"
        if several
        else one.place or NOT_RECORDED,
        "Date": _dates(period) if several else day(one.opened_us),
        "Duration": str(round(period.duration_ms / 60_000)),
        "LFR Use Case": "all" if several else one.use_case or NOT_RECORDED,
        "Watchlist Size": plain(max(period.list_sizes, default=None)),
        "Min Threshold Setting": cosine(min(lowest, default=None)),
        "Total Alerts": str(alerts.total),
        "True Alerts Confirmed": str(alerts.where({Finding.TRUE_CONFIRMED})),
        "True Alerts Unconfirmed": str(alerts.where({Finding.TRUE_UNCONFIRMED})),
        "False Alerts Confirmed": str(alerts.where({Finding.FALSE_CONFIRMED})),
        "False Alerts Unconfirmed": str(alerts.where({Finding.FALSE_UNCONFIRMED})),
        "False Alert Rate": published_percent(per_face),
        "Outcome Arrest": str(alerts.where(not_false, {Ending.ARREST})),
        "Outcome Other": str(alerts.where(not_false, {Ending.OTHER_DISPOSAL})),
        "No action": str(alerts.where(not_false, {Ending.NO_ACTION})),
        "Faces seen (estimate)": plain(period.faces(faces).whole),
        "Undetermined": str(alerts.where({Finding.UNDETERMINED})),
        "Unreviewed": str(alerts.where({Finding.UNREVIEWED})),
        "Not engaged": str(alerts.where(endings={Ending.NOT_ENGAGED})),
        "Not located": str(alerts.where(endings={Ending.NOT_LOCATED})),
        "Engaged after a false alert": str(alerts.where(FALSE_FINDINGS, ENGAGED)),
        "Outcome not recorded": str(alerts.where(endings={Ending.NOT_RECORDED})),
        "Unreviewed at the end": str(alerts.where(endings={Ending.UNREVIEWED})),
        "False Alert Rate 95 % interval": interval(per_face),
        "False alerts per alert": published_percent(per_alert),
        "False alerts per alert 95 % interval": interval(per_alert),
    }


def _dates(period: Period) -> str:
    days = sorted(one.opened_us for one in period.deployments)
    return f"{day(days[0])} to {day(days[-1])}"
