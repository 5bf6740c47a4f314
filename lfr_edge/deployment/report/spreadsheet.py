"""CSV that a spreadsheet reads as figures and never as formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Final

from lfr_edge.deployment.period import HEADLINE_FACES, Period
from lfr_edge.deployment.report.content import FACES_MEANING
from lfr_edge.deployment.report.figures import figures
from lfr_edge.deployment.report.wording import NOT_RECORDED
from lfr_edge.deployment.verified import VerifiedLog

# A spreadsheet runs a cell that begins like this (OWASP, CSV injection); full-width forms are folded by some.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_FACES: Final = ("Faces seen (estimate)", "Faces seen")
TOTAL: Final = "all deployments"


def cell(value: object) -> str:
    """The text of one cell, with an apostrophe before anything that could be run. Numbers stay numbers."""
    text = NOT_RECORDED if value is None else str(value)
    if text.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def rows_to_csv(rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180, with the line ends that it asks for."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def published(logs: Sequence[VerifiedLog], table: ModuleType, faces: str = HEADLINE_FACES) -> str:
    """A published table (:mod:`.met` or :mod:`.ie`): one line a deployment, their sum, then the definitions."""
    columns: tuple[str, ...] = (*table.COLUMNS, *table.ADDED)
    definitions: Mapping[str, str] = {**table.DEFINITIONS, **dict.fromkeys(_FACES, FACES_MEANING[faces])}
    periods = [Period.of([log.statistics]) for log in logs]
    if len(logs) > 1:
        periods.append(Period.of([log.statistics for log in logs]))
    rows: list[Sequence[object]] = [columns]
    for period in periods:
        made = table.row(period, faces)
        rows.append([made[column] for column in columns])
    rows += [[], ["Column", "Definition"]]
    rows += [[column, definitions[column]] for column in columns if column in definitions]
    rows += [[], ["Log", "Signed entries", "Root"]]
    # A word before it: a root may begin with a plus sign, and an apostrophe in it would make it another root.
    rows += [[log.report.origin, log.signed, f"sha256 {log.root}"] for log in logs]
    return rows_to_csv(rows)


def long_form(logs: Sequence[VerifiedLog]) -> str:
    """One figure a line: what a program or a statistician wants."""
    rows: list[Sequence[object]] = [
        ("deployment", "figure", "value", "unit", "low_95", "high_95", "of", "definition")
    ]
    subjects = [(log.report.origin, Period.of([log.statistics])) for log in logs]
    if len(logs) > 1:
        subjects.append((TOTAL, Period.of([log.statistics for log in logs])))
    for name, period in subjects:
        rows += [
            (
                name,
                one.key,
                one.value,
                one.unit,
                _blank(one.low),
                _blank(one.high),
                _blank(one.of),
                one.meaning,
            )
            for one in figures(period)
        ]
    return rows_to_csv(rows)


def _blank(value: float | None) -> float | str:
    return "" if value is None else value
