"""False alerts by group in the field: only of alerts that officers adjudicated, only by groups that they recorded.

The product itself records nobody's group and infers none (domain.md 9). A force that records groups with its
engagements brings them as a table; people who passed without an alert are in no table, so that only shares of
alerts can be told, never rates of the people who passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lfr_edge.evaluation.columns import open_table
from lfr_edge.evaluation.groups import Trials, differential

_COLUMNS: Final = ("alert", "identity")
_IDENTITIES: Final = ("same_person", "different_person", "not_established")


def read_outcomes(path: Path) -> list[Mapping[str, str]]:
    """Columns alert, identity, then groups.

    Raises:
        EvaluationError: ``outcomes_invalid``, with the line.
    """
    hint = "columns alert,identity(same_person|different_person|not_established),group…"
    with open_table(path, "outcomes_invalid", hint) as table:
        columns = tuple(table.fieldnames or ())
        if columns[:2] != _COLUMNS or len(columns) < 3:
            raise ValueError("the first line must be alert,identity and at least one group")
        rows: list[Mapping[str, str]] = []
        for row in table:
            if row["identity"] not in _IDENTITIES:
                raise ValueError(f"line {table.line_num}: identity is none of {', '.join(_IDENTITIES)}")
            rows.append({name: (row[name] or "").strip() for name in columns})
        if len({row["alert"] for row in rows}) != len(rows) or not rows:
            raise ValueError("each alert stands in one line, and there is at least one")
    return rows


def false_alerts_by_group(rows: list[Mapping[str, str]], *, seed: int = 0) -> dict[str, Any]:
    """Of the alerts whose identity was established, the share that was false, by each group column."""
    known = [row for row in rows if row["identity"] != "not_established"]
    events = np.array([row["identity"] == "different_person" for row in known], np.bool_)
    alerts = np.arange(len(known), dtype=np.intp)
    columns = [name for name in rows[0] if name not in _COLUMNS]
    return {
        "alerts": len(rows),
        "not_established": len(rows) - len(known),
        "by_group": {
            name: {
                "unnamed": sum(not row[name] for row in known),
                "false_alerts": differential(
                    Trials(events, alerts, tuple(row[name] for row in known)), seed=seed
                ).to_json(),
            }
            for name in columns
        },
    }
