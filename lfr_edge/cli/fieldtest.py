"""``lfr-edge fieldtest``: how many of the people who are on the list does this place recognise?"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from lfr_edge.audit.disk import write_new
from lfr_edge.cli.evaluation_inputs import add_rate, add_seed, add_whole, check_output, real
from lfr_edge.cli.verbs import add_verb
from lfr_edge.errors import EvaluationError
from lfr_edge.evaluation.drawing import counted, rate
from lfr_edge.evaluation.fieldtest.analysis import analyse, read_passages, report
from lfr_edge.evaluation.fieldtest.deletion import delete_everybody, delete_participant
from lfr_edge.evaluation.fieldtest.people import Participant, read_participants
from lfr_edge.evaluation.fieldtest.plan import Plan, load_plan, make_plan, save_plan
from lfr_edge.evaluation.fieldtest.sheets import draw, read_walks, sheet, write_passages

_EXAMPLES = """\
examples:
  lfr-edge fieldtest plan spring --camera north south --group side=a,b --half-width 0.1
  lfr-edge fieldtest sheets spring
  lfr-edge fieldtest analyse spring --json
  lfr-edge fieldtest delete spring --participant B07
  lfr-edge fieldtest delete spring --everybody

Consenting people are put on the list (category blue_list) and walk past the cameras in a drawn order; decoys walk,
too, and are not on it. The folder holds plan.json, participants.csv (yours: code,role,consent_reference,
consent_until and the plan's groups), passages.csv and sheets.html (drawn, then filled in), result.json and .html.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = add_verb(
        commands,
        "fieldtest",
        "plan, run and analyse a field test with consenting people",
        _EXAMPLES,
        description="Plan, run and analyse a field test with consenting people on a blue list.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_plan(actions)
    _action(actions, "sheets", "draw the order and print the sheets").set_defaults(run=_run_sheets)
    analysis = _action(actions, "analyse", "the rate, by camera and by group, from the filled-in table")
    analysis.add_argument("--json", action="store_true", help="print one JSON object")
    analysis.set_defaults(run=_run_analyse)
    delete = _action(actions, "delete", "destroy what names a participant, with a receipt")
    whom = delete.add_mutually_exclusive_group(required=True)
    whom.add_argument("--participant", metavar="CODE", help="one person, who takes the consent back")
    whom.add_argument("--everybody", action="store_true", help="when the test is over")
    delete.set_defaults(run=_run_delete)


def _register_plan(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    plan = _action(actions, "plan", "how many people, how often")
    plan.add_argument(
        "--camera", nargs="+", required=True, metavar="NAME", help="cameras that are walked past"
    )
    plan.add_argument(
        "--group",
        nargs="+",
        default=[],
        metavar="NAME=A,B",
        help="groups whose rates must be known as closely",
    )
    add_rate(plan, "--expect", default=0.8, help="believed rate (default: 0.8)")
    plan.add_argument(
        "--half-width",
        type=real("--half-width", 0.005, 0.4, what="half of an interval"),
        default=0.1,
        metavar="X",
        help="of the 95 %% interval (default: 0.1)",
    )
    add_whole(plan, "--passages", 1, 1000, default=6, help="of each person (default: 6)")
    add_whole(plan, "--decoys", 0, 10_000, default=10, help="people not listed (default: 10)")
    add_seed(plan, "of the order of walking")
    plan.set_defaults(run=_run_plan)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, line: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=line)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the test")
    return parser


def _run_plan(args: argparse.Namespace) -> int:
    plan = make_plan(
        args.folder.name,
        args.camera,
        _groups(args.group),
        expected=args.expect,
        half_width=args.half_width,
        passages=args.passages,
        decoys=args.decoys,
        seed=args.seed,
    )
    save_plan(args.folder, plan)
    evenly = " and over ".join(f"{name} ({', '.join(values)})" for name, values in plan.groups.items())
    people = counted(plan.participants, "person", "people")
    print(f"{people} on the blue list{f', evenly over {evenly}' if evenly else ''}")
    print(f"{counted(plan.decoys, 'decoy', 'decoys')}, {_passages(plan.passages)} each")
    every = (plan.participants + plan.decoys) * plan.passages
    print(f"{_passages(every)} in all; ± {plan.half_width:g} at each camera")
    print(
        f"now write {args.folder / 'participants.csv'} and draw the sheets: lfr-edge fieldtest sheets {args.folder}"
    )
    return 0


def _run_sheets(args: argparse.Namespace) -> int:
    plan, people = _read(args.folder)
    table, sheets = args.folder / "passages.csv", args.folder / "sheets.html"
    check_output("sheets.html", sheets)
    if table.exists():
        if sheets.exists():
            raise EvaluationError(
                "fieldtest_sheets_drawn",
                f"{table} exists: the order is drawn once",
                hint="move both away to begin again; what was walked would be lost",
            )
        write_new(sheets, sheet(plan, read_walks(table)).encode())
        print(f"the order was drawn before; {sheets} is printed again for those who still take part")
        return 0
    walks = draw(plan, people)
    write_passages(table, walks)
    write_new(sheets, sheet(plan, walks).encode())
    listed = sum(one.role == "listed" for one in people)
    decoys = counted(len(people) - listed, "decoy", "decoys")
    print(f"{_passages(len(walks))} of {counted(listed, 'listed person', 'listed people')} and {decoys}")
    if listed < plan.participants:
        print(f"only {listed} of {plan.participants} planned people: the interval will be wider than planned")
    return 0


def _run_analyse(args: argparse.Namespace) -> int:
    plan, people = _read(args.folder)
    for name in ("result.json", "result.html"):
        check_output(name, args.folder / name)
    result = analyse(plan, people, read_passages(args.folder / "passages.csv", plan, people))
    write_new(args.folder / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    write_new(args.folder / "result.html", report(result).encode())
    if args.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"TRR {rate(result['trr'])}, {_passages(result['trr']['n'])}")
    decoys = result["decoys"]
    walked = _passages(decoys["false_alerts"]["n"])
    print(f"decoys: {rate(decoys['false_alerts'])} raised a false alert, {walked}")
    for column, body in result["by_group"].items():
        print(f"{column}: {body['verdict']}; {body['power']}")
    print(f"the rest is in {args.folder / 'result.html'}")
    return 0


def _run_delete(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    if args.everybody:
        receipt = delete_everybody(args.folder, now)
    else:
        receipt = delete_participant(args.folder, args.participant, now)
    print(json.dumps(receipt, indent=2))
    return 0


def _passages(number: int) -> str:
    return counted(number, "passage", "passages")


def _read(folder: Path) -> tuple[Plan, tuple[Participant, ...]]:
    plan = load_plan(folder)
    return plan, read_participants(folder / "participants.csv", plan, datetime.now(UTC).date())


def _groups(texts: list[str]) -> dict[str, list[str]]:
    groups = {}
    for text in texts:
        name, _, values = text.partition("=")
        if name in groups:
            raise EvaluationError(
                "fieldtest_plan_invalid", f"{name!a} is given twice", hint="name all its values at once"
            )
        groups[name] = [value for value in values.split(",") if value]
        if not name or len(set(groups[name])) < 2 or len(set(groups[name])) != len(groups[name]):
            raise EvaluationError(
                "fieldtest_plan_invalid", f"{text!a} names no groups", hint="--group NAME=first,second"
            )
    return groups
