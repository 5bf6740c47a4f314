"""The identities result as one self-contained page: no script, no request, prints on paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from lfr_edge.evaluation.drawing import det, histogram, intervals, percent, rate, table
from lfr_edge.evaluation.page_groups import group_chapters
from lfr_edge.evaluation.series import KINDS

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
td:first-child { white-space: nowrap; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.axis { stroke: currentColor; fill: none; } .grid { stroke: #8884; }
.mated { stroke: #0b6e99; fill: #0b6e9944; } .nonmated { stroke: #b3541e; fill: #b3541e44; }
.curve { stroke: #0b6e99; fill: none; stroke-width: 2; }
.span { stroke: #0b6e99; stroke-width: 3; } .dot { fill: #0b6e99; }
"""


def page(result: dict[str, Any]) -> str:
    """HTML of what :func:`lfr_edge.evaluation.identities.report` returned."""
    model, n = result["model"], result["n"]
    parts = [
        f"<h1>Open-set identification: {escape(str(model['pack']))} {escape(str(model['version']))}</h1>",
        f"<p>{n['gallery_people']} people on the list, {n['mated']} searches for {n['mated_people']} of them, "
        f"{n['nonmated']} searches of {n['nonmated_people']} strangers. Failure to enrol "
        f"{percent(result['fte'])}, failure to acquire {percent(result['fta'])}, rank 1 "
        f"{percent(result['rank_1'])}. Intervals hold 95 % and resample whole persons.</p>",
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
            ("people", "FPIR measured", "FPIR by 1 − (1 − FMR)^N", "threshold at 1 %"),
            (
                (
                    row["n"],
                    percent(row["fpir"], 3),
                    percent(row["fpir_model"], 3),
                    f"{row['threshold_at_1_percent']:.4f}",
                )
                for row in result["by_list_size"]
            ),
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
        "<h2>Model</h2>",
        table(("field", "value"), ((name, value) for name, value in model.items())),
    ]
    title = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Evaluation</title>"
    )
    body = "\n".join(parts)
    return f"<!doctype html><html lang='en'><head>{title}<style>{_STYLE}</style></head><body>{body}</body></html>"


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
