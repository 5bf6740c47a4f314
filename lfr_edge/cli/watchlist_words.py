"""What a compile found, as lines for a terminal and as JSON for a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lfr_edge.matching.forecast import Forecast
from lfr_edge.watchlist.entry import categories
from lfr_edge.watchlist.findings import Problem, Survey

if TYPE_CHECKING:
    from lfr_edge.watchlist.compiler import Compiled
    from lfr_edge.watchlist.reports import EntryReport

_SHOWN: Final = 200  # lines of a kind at a terminal; --json has all


def seal_lines(result: dict[str, Any], compiled: Compiled, expected: Forecast | None) -> list[str]:
    lines = [f"{finding.verdict.value}: {finding.text}" for finding in compiled.findings]
    text = f"{result['sealed']}: {result['entries']} people, {result['images']} images sealed"
    text += f" for the pack {result['pack']}"
    if result["left_out"]:
        text += f"; {result['left_out']} people left out"
    if result["resumed"]:
        text += f"; {result['resumed']} were finished before the interruption"
    lines.append(text)
    if expected:
        lines.append(str(expected))
    if result["import_erased"]:
        lines.append(f"the import copy is erased and verified: {result['import_erased']['files']} files")
    return lines


def check_json(
    found: Survey, compiled: Compiled | None, expected: Forecast | None, told: list[EntryReport]
) -> dict[str, Any]:
    counted = dict.fromkeys(categories(), 0)
    for entry in found.entries:
        counted[entry.category] += 1
    result: dict[str, Any] = {
        "entries": len(found.entries),
        "problems": [_problem(problem) for problem in found.problems],
        "warnings": [_problem(problem) for problem in found.warnings],
        "verdicts": {},
        "by_category": {code: count for code, count in counted.items() if count},
        "expected_false_alerts": expected and expected.to_json(),
        "reports": [report.to_json() for report in told],
    }
    return result | (compiled.to_json() if compiled else {})


def check_lines(found: Survey, compiled: Compiled | None, expected: Forecast | None) -> list[str]:
    lines = _cut([str(problem) for problem in found.problems])
    lines += _cut([f"warning: {problem}" for problem in found.warnings])
    if compiled is None:
        return [*lines, f"{len(found.entries)} entries"]
    lines += _cut(
        [
            f"{image.verdict.value:<7} {report.reference}  {image.image}: {'; '.join(image.reasons)}"
            for report in compiled.reports
            for image in report.images
            if image.verdict.value != "pass"
        ]
    )
    lines += [f"{finding.verdict.value:<7} {finding.text}" for finding in compiled.findings]
    told = compiled.to_json()
    for what in ("categories", "sources"):
        shares = ", ".join(
            f"{name or 'none given'} {count} ({per:g} %)" for name, count, per in told["shares"][what]
        )
        lines.append(f"{what}: {shares}")
    if expected:
        lines.append(str(expected))
    counted = ", ".join(f"{count} {verdict.value}" for verdict, count in compiled.verdicts.items())
    return [*lines, f"{len(found.entries)} entries: {counted}"]


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= _SHOWN:
        return lines
    return [*lines[:_SHOWN], f"… and {len(lines) - _SHOWN} more; --json has all"]


def _problem(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "field": problem.field, "message": problem.message, "hint": problem.hint}
