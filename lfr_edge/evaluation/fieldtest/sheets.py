"""Who walks where and when, in an order that nobody chose: so that light, crowd and tiredness hit everybody alike."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from lfr_edge.evaluation.columns import open_table
from lfr_edge.evaluation.fieldtest.people import Participant
from lfr_edge.evaluation.fieldtest.plan import Plan

COLUMNS: Final = ("passage", "participant", "role", "camera", "walked_at", "alert_at", "remark")
_STYLE: Final = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; }
section { page-break-after: always; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; border: 1px solid #888; padding: .4rem; } td.blank { min-width: 7rem; }
"""


@dataclass(frozen=True, slots=True)
class Walk:
    """One planned passage."""

    passage: int  # place in the order of the whole test, from 1
    participant: str
    role: str
    camera: str


def draw(plan: Plan, people: Sequence[Participant]) -> tuple[Walk, ...]:
    """Rounds in which everybody walks once, in a new order each round; each passes every camera equally often (±1)."""
    generator = np.random.default_rng(plan.seed)
    routes = {}
    for one in people:
        times = -(-plan.passages // len(plan.cameras))
        cameras = [camera for _ in range(times) for camera in generator.permutation(plan.cameras)]
        routes[one.code] = [str(camera) for camera in cameras[: plan.passages]]
    walks: list[Walk] = []
    for turn in range(plan.passages):
        for at in generator.permutation(len(people)):
            one = people[int(at)]
            walks.append(Walk(len(walks) + 1, one.code, one.role, routes[one.code][turn]))
    return tuple(walks)


def write_passages(path: Path, walks: Sequence[Walk]) -> None:
    """The table that the observer fills in: `walked_at`, and `alert_at` where the desk showed an alert."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows((w.passage, w.participant, w.role, w.camera, "", "", "") for w in walks)


def read_walks(path: Path) -> tuple[Walk, ...]:
    """What was drawn, out of the table: sheets can be printed again when a participant has left.

    Raises:
        EvaluationError: ``fieldtest_passages_invalid``.
    """
    hint = "change nothing but the last three columns"
    with open_table(path, "fieldtest_passages_invalid", hint, COLUMNS) as rows:
        return tuple(
            Walk(int(row["passage"]), row["participant"], row["role"], row["camera"]) for row in rows
        )


def sheet(plan: Plan, walks: Sequence[Walk]) -> str:
    """One page for each participant, and one for the observer, for paper. The observer's shows nobody's role."""
    everybody = list(dict.fromkeys(walk.participant for walk in walks))
    parts = [_page(f"{plan.name}: observer", walks, ("participant", "camera"))]
    parts += [
        _page(f"{plan.name}: {code}", [w for w in walks if w.participant == code], ("camera",))
        for code in sorted(everybody)
    ]
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{escape(plan.name)}: sheets</title>"
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _page(title: str, walks: Sequence[Walk], shown: Sequence[str]) -> str:
    head = "".join(f"<th scope='col'>{name}</th>" for name in ("passage", *shown, "walked at", "remark"))
    rows = "".join(
        f"<tr><td>{walk.passage}</td>"
        + "".join(f"<td>{escape(str(getattr(walk, name)))}</td>" for name in shown)
        + "<td class='blank'></td><td class='blank'></td></tr>"
        for walk in walks
    )
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section><h1>{escape(title)}</h1>{body}</section>"
