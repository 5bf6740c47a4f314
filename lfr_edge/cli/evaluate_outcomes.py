"""``lfr-edge evaluate outcomes``: false alerts by group, from what officers recorded."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lfr_edge.cli.evaluation_inputs import add_seed, check_output, writing
from lfr_edge.cli.verbs import add_verb
from lfr_edge.evaluation.outcomes import false_alerts_by_group, read_outcomes
from lfr_edge.evaluation.page_groups import outcomes_page, ratio

_OUTCOMES = """\
examples:
  lfr-edge evaluate outcomes alerts.csv
  lfr-edge evaluate outcomes alerts.csv --json
  lfr-edge evaluate outcomes alerts.csv --html alerts.html

The table is the force's own: alert,identity(same_person|different_person|not_established), then one column for each
group that officers recorded. This product records nobody's group and infers none. Of the people who passed without
an alert nothing is known, so that shares of alerts are told, not rates of people.
"""


def register_outcomes(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    outcomes = add_verb(kinds, "outcomes", "false alerts by group, as officers recorded them", _OUTCOMES)
    outcomes.add_argument("table", type=Path, metavar="CSV", help="one line for each adjudicated alert")
    add_seed(outcomes, "of the resampling")
    outcomes.add_argument("--html", type=Path, metavar="FILE", help="write a page with tables and drawings")
    outcomes.add_argument("--json", action="store_true", help="print one JSON object")
    outcomes.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    check_output("--html", args.html)
    found = false_alerts_by_group(read_outcomes(args.table), seed=args.seed)
    if args.html:
        with writing("--html", args.html):
            args.html.write_text(outcomes_page(found), encoding="utf-8")
    print(json.dumps(found, indent=2) if args.json else _summary(found))
    return 0


def _summary(found: dict[str, Any]) -> str:
    lines = [f"{found['alerts']} alerts, {found['not_established']} of them not established and left out"]
    for column, body in found["by_group"].items():
        lines += ["", f"{column} ({body['unnamed']} without one)"]
        for name, rate in body["false_alerts"]["rates"].items():
            if rate["value"] is None:
                shown = f"cannot tell: {rate['note']}"
            else:
                between = f"{100 * rate['low']:.0f} to {100 * rate['high']:.0f}"
                shown = f"{100 * rate['value']:.0f} % ({between}) of {rate['n']} alerts are false"
            lines.append(f"  {name:<16} {shown}")
        ratios = dict.fromkeys(ratio(body["false_alerts"][key]) for key in ("worst_to_best", "worst_to_mean"))
        lines += [f"  {text}" for text in ratios if text]
        lines.append(f"  {body['false_alerts']['verdict']}; {body['false_alerts']['power']}")
    return "\n".join(lines)
