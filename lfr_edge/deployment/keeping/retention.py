"""How long each kind of data may stay: the one table that the code obeys and the printed annex shows.

The maxima are those of the law (domain.md 3). Settings may only shorten them: tests hold their bounds to this table,
the sweeper and the desk read their hours from it, and ``lfr-edge report retention`` prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lfr_edge.alerts.retention import LONGEST_H
from lfr_edge.deployment.report.document import Document, Section, Table
from lfr_edge.settings import Settings

DAY_H: Final = 24.0
# A list is compiled at most 24 h before its deployment, and gone at the latest 24 h after it (domain.md 3).
LIST_AGE_H: Final = 24.0
LIST_AFTER_H: Final = 24.0
ALERT_IMAGES_H: Final = float(LONGEST_H)
# A hold outlives the maxima; after a year somebody must give the reason again.
HOLD_D: Final = 366
# Claims: one year (Human Rights Act 1998 s7(5)), six years at most (Limitation Act 1980 s2).
REGISTER_D: Final = 6 * 366
RETENTION_FORMAT: Final = "lfr-edge/retention/v1"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of data. `maximum_h` None: bound to an event, not to hours; `field` names the setting, if any."""

    kind: str
    data: str
    maximum: str
    maximum_h: float | None
    field: str
    in_force: Callable[[Settings], str]
    erased_by: str
    recorded_as: tuple[str, ...]  # verbs of the record
    clause: str


def _always(text: str) -> Callable[[Settings], str]:
    return lambda _: text


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "face_without_alert",
        "Face and template that raised no alert",
        "none: erased in the same processing step, never written to disk",
        0.0,
        "",
        _always("erased in the same step"),
        "the recogniser overwrites the slot, then scrubs its libraries' memory",
        ("ledger.counted",),
        "domain.md 3, row 1; Home Office, 1 June 2026",
    ),
    Rule(
        "watchlist",
        "Watchlist: images and templates",
        "destroyed at the end of the deployment, at the latest 24 h after",
        LIST_AFTER_H,
        "",
        _always("at the end; the sweeper after 24 h if nobody did"),
        "memory overwritten; the sealed file and its key file overwritten, unlinked, looked for again",
        ("watchlist.destroyed", "watchlist.withdrawn", "material.erased"),
        "domain.md 3, row 2; Home Office, 1 June 2026",
    ),
    Rule(
        "import_copy",
        "Watchlist: import copies on the medium that brought it",
        "destroyed at the end of the deployment, at the latest 24 h after",
        LIST_AFTER_H,
        "",
        _always("at the end, where the officer names the medium"),
        "every file overwritten, unlinked, looked for again; a flash drive may keep blocks that no program reaches",
        ("material.erased",),
        "domain.md 3, row 2",
    ),
    Rule(
        "alert_images",
        "Alert images",
        "24 h by default, 31 days at most",
        ALERT_IMAGES_H,
        "retention.alert_images_h",
        lambda settings: f"{hours(settings.retention.alert_images_h)} from the alert",
        "the alert's own key overwritten and unlinked, then the pictures",
        ("alert.erased",),
        "domain.md 3, row 3",
    ),
    Rule(
        "alert_table",
        "Desk's table of alerts: looks, reasons, reference of the entry",
        "as long as a picture of its deployment; the signed log is the record",
        ALERT_IMAGES_H,
        "retention.alert_images_h",
        _always("with the last picture of its deployment"),
        "the table overwritten and unlinked once nothing of the deployment is left",
        ("material.erased",),
        "domain.md 3, row 3",
    ),
    Rule(
        "hold",
        "Alert images on hold: evidence, complaint, disclosure",
        f"reason, authoriser and expiry; placed anew after {HOLD_D} days",
        HOLD_D * DAY_H,
        "retention.hold_days",
        lambda settings: f"at most {settings.retention.hold_days} days a hold",
        "at release or expiry, as alert images are",
        ("alert.held", "alert.released", "alert.erased"),
        "domain.md 3, row 4",
    ),
    Rule(
        "register",
        "“Was I on a list?”: a keyed code of each reference, and the date",
        f"outside the biometric store; {REGISTER_D // 366} years, after which no claim can be brought",
        REGISTER_D * DAY_H,
        "retention.register_days",
        lambda settings: f"{settings.retention.register_days} days from the deployment",
        "the deployment's key in the register destroyed, its page overwritten and unlinked",
        ("material.erased",),
        "domain.md 3, row 5; HRA 1998 s7(5); Limitation Act 1980 s2",
    ),
    Rule(
        "log",
        "Signed audit log",
        "kept: it holds no image, no name, no template",
        None,
        "",
        _always("kept; entries are named by a code whose key is destroyed when the log closes"),
        "not erased",
        ("log.closed",),
        "DPA 2018 s62; reliability.md 1.10",
    ),
)
RULE: Final = {rule.kind: rule for rule in RULES}


def hours(value: float) -> str:
    """``24 h``, ``0.5 h``, ``31 days``."""
    return f"{value / DAY_H:g} days" if value > 2 * DAY_H and value % DAY_H == 0 else f"{value:g} h"


def alert_images_h(settings: Settings, recorded_h: float | None = None) -> float:
    """Hours in force for alert images: the least of the law, the settings, and what a deployment recorded."""
    said = [ALERT_IMAGES_H, settings.retention.alert_images_h]
    return min(said if recorded_h is None else [*said, recorded_h])


def retention_rows(settings: Settings) -> tuple[tuple[str, str, str], ...]:
    """Data, maximum, value in force: what every annex prints."""
    return tuple((rule.data, rule.maximum, rule.in_force(settings)) for rule in RULES)


def retention_section(settings: Settings, title: str = "Retention and erasure") -> Section:
    """For the annexes to DPIA and appropriate policy document."""
    columns = ("Data", "At most", "In force here")
    return Section(title, tables=(Table("Retention", columns, retention_rows(settings)),))


def retention_document(settings: Settings) -> Document:
    """The retention annex on its own: ``lfr-edge report retention``."""
    how = tuple((rule.data, rule.erased_by, ", ".join(rule.recorded_as), rule.clause) for rule in RULES)
    return Document(
        title="Retention annex",
        subtitle=f"{settings.site} · generated from the table that the program obeys",
        sections=(
            retention_section(settings, "How long data are kept"),
            Section(
                "How they are erased, and how that is recorded",
                (
                    "An erasure is an entry of the signed log. lfr-edge audit erase-proof shows that an item is gone"
                    " and that the log still verifies.",
                ),
                tables=(Table("Erasure", ("Data", "How", "Recorded as", "Rule"), how),),
            ),
            Section(
                "What overwriting cannot do",
                (
                    "Flash media keep old blocks out of reach of any program. What makes encrypted data unreadable for"
                    " good is the loss of the key, 32 bytes; an import medium that was not encrypted is destroyed or"
                    " kept under lock like the pictures that were on it.",
                ),
            ),
        ),
    )


def retention_json(settings: Settings) -> dict[str, Any]:
    return {
        "format": RETENTION_FORMAT,
        "site": settings.site,
        "rules": [
            {
                "kind": rule.kind,
                "data": rule.data,
                "maximum": rule.maximum,
                "maximum_h": rule.maximum_h,
                "field": rule.field,
                "in_force": rule.in_force(settings),
                "erased_by": rule.erased_by,
                "recorded_as": list(rule.recorded_as),
                "clause": rule.clause,
            }
            for rule in RULES
        ],
    }


def retention_text(settings: Settings) -> str:
    """For a terminal."""
    lines = [f"Retention at {settings.site}", ""]
    for rule in RULES:
        lines += [
            rule.data,
            f"  at most      {rule.maximum}",
            f"  in force     {rule.in_force(settings)}" + (f"  ({rule.field})" if rule.field else ""),
            f"  erased       {rule.erased_by}",
            f"  recorded as  {', '.join(rule.recorded_as)}",
            f"  rule         {rule.clause}",
            "",
        ]
    return "\n".join(lines)
