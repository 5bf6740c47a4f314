"""Immigration Enforcement's published columns, and those that make the row add up."""

from __future__ import annotations

from typing import Final

from lfr_edge.deployment.alert_cases import FALSE_FINDINGS, TRUE_FINDINGS, Ending, Finding
from lfr_edge.deployment.period import HEADLINE_FACES, Period
from lfr_edge.deployment.report import met
from lfr_edge.deployment.report.wording import NOT_RECORDED, cosine, interval, plain, published_percent

COLUMNS: Final = (
    "Deployment", "Date", "Deployment type", "Duration", "Number of cameras", "Watchlist number",
    "Threshold settings", "Total alerts", "Positive alerts", "Positive interventions", "Incorrect alerts",
    "Incorrect interventions", "Arrests or disposals", "Faces seen", "Incorrect alert rate",
)  # fmt: skip
ADDED: Final = (
    "Undetermined", "Unreviewed", "Incorrect alert rate 95 % interval", "Incorrect alerts per alert",
    "Incorrect alerts per alert 95 % interval",
)  # fmt: skip
# Positive, incorrect, undetermined and unreviewed alerts add up to the total, by construction.
FINDING_COLUMNS: Final = ("Positive alerts", "Incorrect alerts", "Undetermined", "Unreviewed")
DEFINITIONS: Final = {
    "Duration": met.DEFINITIONS["Duration"],
    "Watchlist number": met.DEFINITIONS["Watchlist Size"],
    "Threshold settings": "every similarity (cosine) that was in force; not comparable between algorithms",
    "Total alerts": met.DEFINITIONS["Total Alerts"],
    "Positive alerts": "true alerts, confirmed after engagement or referred by adjudication",
    "Positive interventions": "positive alerts after which somebody was engaged",
    "Incorrect alerts": "false alerts, confirmed after engagement or found false by adjudication",
    "Incorrect interventions": "incorrect alerts after which somebody was engaged",
    "Arrests or disposals": "engagements that ended in an arrest or another disposal, whoever the person was",
    "Undetermined": met.DEFINITIONS["Undetermined"],
    "Unreviewed": met.DEFINITIONS["Unreviewed"],
    "Faces seen": met.DEFINITIONS["Faces seen (estimate)"],
    "Incorrect alert rate": "incorrect alerts of faces seen; per alert beside it",
    "Incorrect alert rate 95 % interval": met.DEFINITIONS["False Alert Rate 95 % interval"],
}


def row(period: Period, faces: str = HEADLINE_FACES) -> dict[str, str]:
    """One line of the table, by column; for several deployments their sum."""
    alerts, one = period.alerts, period.deployments[0]
    several = len(period.deployments) > 1
    shared = met.row(period, faces)
    settings = sorted({step.threshold_e4 for item in period.deployments for step in item.thresholds})
    kind = one.authority.get("deployment_type")
    cameras = [item.cameras_listed for item in period.deployments]
    most = max((n for n in cameras if n is not None), default=None)
    per_face, per_alert = period.per_face(alerts.false, faces), period.per_alert(alerts.false)
    return {
        "Deployment": shared["Deployment Location"],
        "Date": shared["Date"],
        "Deployment type": "all"
        if several
        else (kind if isinstance(kind, str) else one.purpose) or NOT_RECORDED,
        "Duration": shared["Duration"],
        "Number of cameras": plain(most),
        "Watchlist number": shared["Watchlist Size"],
        "Threshold settings": "; ".join(cosine(value) for value in settings) or NOT_RECORDED,
        "Total alerts": str(alerts.total),
        "Positive alerts": str(alerts.true),
        "Positive interventions": str(alerts.engaged(TRUE_FINDINGS)),
        "Incorrect alerts": str(alerts.false),
        "Incorrect interventions": str(alerts.engaged(FALSE_FINDINGS)),
        "Arrests or disposals": str(alerts.where(endings={Ending.ARREST, Ending.OTHER_DISPOSAL})),
        "Faces seen": shared["Faces seen (estimate)"],
        "Incorrect alert rate": published_percent(per_face),
        "Undetermined": str(alerts.where({Finding.UNDETERMINED})),
        "Unreviewed": str(alerts.where({Finding.UNREVIEWED})),
        "Incorrect alert rate 95 % interval": interval(per_face),
        "Incorrect alerts per alert": published_percent(per_alert),
        "Incorrect alerts per alert 95 % interval": interval(per_alert),
    }
