"""The identities result as one self-contained page: no script, no request, prints on paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from lfr_edge.evaluation.document import document
from lfr_edge.evaluation.drawing import counted, det, histogram, intervals, percent, rate, table
from lfr_edge.evaluation.page_groups import group_chapters
from lfr_edge.evaluation.series import KINDS

_MOST_FAILURES: Final = 50  # named on the page


def page(result: dict[str, Any]) -> str:
    """HTML of what :func:`lfr_edge.evaluation.identities.report` returned."""
    model, n = result["model"], result["n"]
    parts = [
        f"<h1>Open-set identification: {escape(str(model['pack']))} {escape(str(model['version']))}</h1>",
        f"<p>{counted(n['gallery_people'], 'person', 'people')} on the list,"
        f" {counted(n['mated'], 'search', 'searches')} for {n['mated_people']:,} of them,"
        f" {counted(n['nonmated'], 'search', 'searches')} of {counted(n['nonmated_people'], 'stranger', 'strangers')}."
        " Intervals hold 95 %, with whole "
        "persons as the unit.</p>",
        table(
            ("what", "rate (95 %)", "pictures"),
            (
                (title, rate(result[key]), result[key]["n"])
                for title, key in (
                    ("failure to enrol", "fte_interval"),
                    ("failure to acquire", "fta_interval"),
                    ("right person first (rank 1)", "rank_1_interval"),
                )
            ),
        ),
        "<h2>Recognition at a rate of false positives</h2>",
        _points(result["tpir_at_fpir"], result["threshold_at_fpir"]),
    ]
    if "without_label_errors" in result:
        parts += _without(result["without_label_errors"])
    parts += [
        "<h2>Detection error trade-off</h2>",
        det(result["det"]),
        "<h2>Scores of the first candidate</h2>",
        histogram(result["histograms"]),
        "<h2>Length of the list</h2>",
        table(
            ("people", "FPIR measured (95 %)", "FPIR by 1 − (1 − FMR)^N", "threshold at 1 %"),
            ((row["n"], rate(row["fpir_interval"], 2), *_modelled(row)) for row in result["by_list_size"]),
        ),
    ]
    parts += _series(result["by_condition"])
    parts += group_chapters(result.get("by_group", {}))
    parts += [
        "<h2>Strangers most like somebody listed</h2>",
        "<p>Read these before believing a small rate: one person under two names decides it.</p>",
        table(
            ("score", "stranger", "resembles", "picture"),
            (
                (row["score"], row["identity"], row["resembles"], row["path"])
                for row in result["highest_nonmated"]
            ),
        ),
        *_failures(result["failures"]),
        "<h2>Model and seeds</h2>",
        table(("field", "value"), _facts(result)),
    ]
    return document(f"Open-set identification: {model['pack']} {model['version']}", parts)


def _modelled(row: dict[str, Any]) -> tuple[str, str]:
    at = row["threshold_at_1_percent"]
    return percent(row["fpir_model"], 2), "cannot tell" if at is None else f"{at:.4f}"


def _failures(failures: Sequence[dict[str, str]]) -> list[str]:
    if not failures:
        return ["<h2>Pictures without a template</h2>", "<p>None: every picture gave one.</p>"]
    rest = len(failures) - _MOST_FAILURES
    rows = [(one["role"], one["path"], one["reason"]) for one in failures[:_MOST_FAILURES]]
    more = [f"<p>and {rest} more; the JSON result has them all.</p>"] if rest > 0 else []
    return ["<h2>Pictures without a template</h2>", table(("role", "picture", "why"), rows), *more]


def _facts(result: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        (
            name.replace("_", " "),
            ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value),
        )
        for name, value in result["model"].items()
    ]
    drawn = "none: the protocol was given" if result["seed"] is None else str(result["seed"])
    return [
        *facts,
        ("seed of the drawn protocol", drawn),
        ("seed of the resampling", str(result["bootstrap_seed"])),
    ]


def _points(tpir: dict[str, Any], thresholds: dict[str, Any]) -> str:
    rows = []
    for target, found in tpir.items():
        at = thresholds[target]
        shown = "–" if at["value"] is None else f"{at['value']:.4f} ({at['low']:.4f} to {at['high']:.4f})"
        rows.append((percent(float(target), 2), rate(found), shown))
    return table(("FPIR", "TPIR", "threshold (cosine)"), rows)


def _without(part: dict[str, Any]) -> list[str]:
    return [
        f"<h2>The same without {part['searches_left_out']} mislabelled searches</h2>",
        _points(part["tpir_at_fpir"], part["threshold_at_fpir"]),
        table(
            ("identity", "is", "reason"), ((e["identity"], e["same_as"], e["reason"]) for e in part["errors"])
        ),
    ]


def _series(rows: Sequence[dict[str, Any]]) -> list[str]:
    parts = []
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind.name]
        if not mine:
            continue
        told = list(mine[0]["at_native_threshold"])
        at = "0.01" if "0.01" in told else told[-1] if told else None
        parts.append(f"<h2>{kind.title}: what is left of recognition</h2>")
        if at is None:
            parts.append("<p>cannot tell: no threshold could be measured</p>")
            continue
        shown = [(f"{row['value']:g}", row["at_native_threshold"][at]) for row in mine]
        label = f"TPIR at the threshold of {percent(float(at), 2)} FPIR for pictures as they are"
        parts += [
            f"<p>{label}; faces found on the good picture. Values: {escape(kind.unit)}.</p>",
            intervals([(name, one["tpir"]) for name, one in shown], f"{kind.title}: {label}"),
            table(
                (
                    kind.unit,
                    "TPIR there",
                    "FPIR there",
                    f"TPIR at an own threshold for {percent(float(at), 2)}",
                ),
                (
                    (name, rate(one["tpir"]), rate(one["fpir"]), rate(row["tpir_at_fpir"][at]))
                    for (name, one), row in zip(shown, mine, strict=True)
                ),
            ),
        ]
    return parts
