"""The filled-in table → the True Recognition Rate, by group and by camera, with what cannot be told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.columns import open_table
from lfr_edge.evaluation.document import document
from lfr_edge.evaluation.drawing import counted, intervals, percent, rate, table
from lfr_edge.evaluation.fieldtest.people import Participant
from lfr_edge.evaluation.fieldtest.plan import Plan
from lfr_edge.evaluation.fieldtest.sheets import COLUMNS
from lfr_edge.evaluation.groups import Trials, chance_within, differential
from lfr_edge.evaluation.intervals import Rate, person_rate
from lfr_edge.evaluation.page_groups import outcome

# "no", "-" or "none" in the column of alerts would count as an alert.
_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2}[T ])?\d{1,2}[:.]\d{2}([:.]\d{2})?")


@dataclass(frozen=True, slots=True)
class Walked:
    """One passage that was walked."""

    participant: str
    camera: str
    alerted: bool


def read_passages(path: Path, plan: Plan, people: Sequence[Participant]) -> tuple[Walked, ...]:
    """Raises EvaluationError ``fieldtest_passages_missing`` or ``fieldtest_passages_invalid``."""
    if not path.exists():
        raise EvaluationError(
            "fieldtest_passages_missing",
            f"{path} is not there: no order was drawn",
            hint=f"draw it: lfr-edge fieldtest sheets {path.parent}",
        )
    known = {one.code for one in people}
    numbers: set[str] = set()
    hint = (
        "fill in walked_at, and alert_at where the desk showed this person's alert, as HH:MM or HH:MM:SS;"
        " change nothing else"
    )
    with open_table(path, "fieldtest_passages_invalid", hint, COLUMNS) as rows:
        walked = []
        for row in rows:
            if row["participant"] not in known:
                raise ValueError(f"line {rows.line_num}: {row['participant']!a} takes no part")
            if row["camera"] not in plan.cameras:
                raise ValueError(f"line {rows.line_num}: {row['camera']!a} is none of the plan's cameras")
            if row["passage"] in numbers:
                raise ValueError(f"line {rows.line_num}: passage {row['passage']!a} stands there twice")
            numbers.add(row["passage"])
            walked_at, alert_at = ((row[name] or "").strip() for name in ("walked_at", "alert_at"))
            for text in filter(None, (walked_at, alert_at)):
                if not _TIME.fullmatch(text):
                    raise ValueError(
                        f"line {rows.line_num}: {text!a} is no time; leave it empty if there is none"
                    )
            if alert_at and not walked_at:
                raise ValueError(f"line {rows.line_num}: an alert, and nobody walked")
            if walked_at:
                walked.append(Walked(row["participant"], row["camera"], bool(alert_at)))
    if not walked:
        raise EvaluationError(
            "fieldtest_passages_invalid", f"{path}: nobody has walked yet", hint="fill in walked_at"
        )
    return tuple(walked)


def analyse(plan: Plan, people: Sequence[Participant], walked: Sequence[Walked]) -> dict[str, Any]:
    """Rates are fractions; intervals 95 %, with whole persons as the unit. Nobody is named in the result."""
    by_code = {one.code: one for one in people}
    listed = [walk for walk in walked if by_code[walk.participant].role == "listed"]
    decoys = [walk for walk in walked if by_code[walk.participant].role == "decoy"]
    cameras = tuple(walk.camera for walk in listed)
    overall = person_rate(_events(listed), _people(listed))
    return {
        "name": plan.name,
        "planned": {"passages": plan.passages * plan.participants, "half_width": plan.half_width},
        "participants": len({walk.participant for walk in listed}),
        "passages": len(listed),
        "trr": overall.to_json(),
        "by_camera": {
            camera: person_rate(_events(mine), _people(mine)).to_json()
            for camera in plan.cameras
            if (mine := [walk for walk in listed if walk.camera == camera])
        },
        "reached_half_width": _half(overall),
        "cameras_differ": chance_within(_events(listed), _people(listed), cameras)
        if len(set(cameras)) > 1
        else None,
        "by_group": {
            column: differential(
                Trials(
                    ~_events(listed),
                    _people(listed),
                    tuple(by_code[walk.participant].groups[column] for walk in listed),
                )
            ).to_json()
            for column in plan.groups
        },
        "decoys": {
            "people": len({walk.participant for walk in decoys}),
            "passages": len(decoys),
            "false_alerts": person_rate(_events(decoys), _people(decoys)).to_json(),
        },
    }


def report(result: Mapping[str, Any]) -> str:
    """The result as one self-contained page."""
    rows = [("all cameras", result["trr"]), *result["by_camera"].items()]
    parts = [
        f"<h1>Field test: {escape(result['name'])}</h1>",
        f"<p>{counted(result['participants'], 'consenting person', 'consenting people')} on the list walked"
        f" {counted(result['passages'], 'time', 'times')}; {result['planned']['passages']:,} passages were planned."
        " Intervals hold 95 %, with whole persons as the unit. "
        f"{_precision(result)}</p>",
        "<h2>True Recognition Rate</h2>",
        intervals(rows, "True Recognition Rate by camera"),
        table(("camera", "TRR (95 %)", "passages"), ((name, rate(one), one["n"]) for name, one in rows)),
    ]
    chance = result["cameras_differ"]
    if chance is not None:
        parts.append(
            f"<p>So large a difference between cameras comes by chance {percent(chance)} of the time.</p>"
        )
    for column, body in result["by_group"].items():
        parts.append(f"<h2>By group: {escape(column)}</h2>")
        parts.append("<p>As the participants gave it; whoever gave none is left out of this chapter.</p>")
        parts += outcome("Differential outcome: false negatives (listed people missed)", body)
    decoys = result["decoys"]
    parts += [
        "<h2>False alerts</h2>",
        "<p>Passages of people who were not listed and for whom the desk showed an alert.</p>",
        table(
            ("decoys", "false alerts (95 %)", "passages"),
            [(decoys["people"], rate(decoys["false_alerts"]), decoys["passages"])],
        ),
    ]
    return document(f"Field test: {result['name']}", parts)


def _half(found: Rate) -> float | None:
    return None if found.low is None or found.high is None else (found.high - found.low) / 2


def _precision(result: Mapping[str, Any]) -> str:
    planned, reached = result["planned"]["half_width"], result["reached_half_width"]
    if reached is None:
        return "No passage of a listed person was walked."
    return f"Planned were ± {100 * planned:.1f} points; ± {100 * reached:.1f} were reached over all."


def _events(walks: Sequence[Walked]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([walk.alerted for walk in walks], np.bool_)


def _people(walks: Sequence[Walked]) -> np.ndarray[Any, np.dtype[np.intp]]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(walk.participant, len(numbers)) for walk in walks], np.intp)
