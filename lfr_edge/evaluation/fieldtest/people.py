"""Who takes part: a code, a consent, and what they said of themselves. No name, no picture, no date of birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, get_args

from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.columns import open_table
from lfr_edge.evaluation.fieldtest.plan import Plan

Role = Literal["listed", "decoy"]
_COLUMNS: Final = ("code", "role", "consent_reference", "consent_until")
_HINT: Final = (
    "columns code,role(listed|decoy),consent_reference,consent_until(YYYY-MM-DD), then the plan's groups"
)


@dataclass(frozen=True, slots=True)
class Participant:
    code: str  # the reference on the blue list, or of a decoy
    role: Role
    consent_reference: str
    consent_until: date
    groups: Mapping[str, str]  # as the person gave them; "" where they did not say


def read_participants(path: Path, plan: Plan, today: date) -> tuple[Participant, ...]:
    """Columns code,role(listed|decoy),consent_reference,consent_until, then the plan's groups.

    Raises:
        EvaluationError: ``fieldtest_participants_invalid``, ``fieldtest_consent_missing``.
    """
    columns = (*_COLUMNS, *plan.groups)
    with open_table(path, "fieldtest_participants_invalid", _HINT, columns) as table:
        people = tuple(_participant(row, plan, table.line_num) for row in table)
        if len({one.code for one in people}) != len(people) or not people:
            raise ValueError("every code stands once, and there is at least one")
    without = [one.code for one in people if not one.consent_reference or one.consent_until < today]
    if without:
        raise EvaluationError(
            "fieldtest_consent_missing",
            f"no consent that holds today: {', '.join(without[:10])}",
            hint="ask them again, or delete them: lfr-edge fieldtest delete FOLDER --participant CODE",
        )
    return people


def _participant(row: Mapping[str, str | None], plan: Plan, line: int) -> Participant:
    code, role, consent, until = ((row[name] or "").strip() for name in _COLUMNS)
    groups = {name: (row[name] or "").strip() for name in plan.groups}
    if not code or role not in get_args(Role):
        raise ValueError(f"line {line}: a code, and a role that is listed or decoy")
    for name, value in groups.items():
        if value and value not in plan.groups[name]:
            raise ValueError(f"line {line}: {value!a} is none of the plan's values of {name}")
    return Participant(code, role, consent, date.fromisoformat(until), groups)  # type: ignore[arg-type]
