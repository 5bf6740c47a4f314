"""``trials list``, ``trials run NAME``, ``trials page``."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.trials.catalogue import TRIALS
from tests.trials.page import PAGE, page
from tests.trials.results import keep, kept, may_keep
from tests.trials.running import carry_out, missing
from tests.trials.trial import NotHereError, Trial

HELD, BROKEN, WRONG, NOT_HERE, STOPPED = 0, 1, 2, 3, 130  # exit codes; 2 is argparse's too
_SAY = Console(stderr=True, highlight=False)


def main(argv: list[str] | None = None) -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    args = _parser().parse_args(argv)
    if args.action == "list":
        return _list(as_json=args.json)
    if args.action == "page":
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    names = [trial.name for trial in TRIALS] if args.name == "all" else [args.name]
    chosen = [trial for trial in TRIALS if trial.name in names]
    if not chosen:
        _SAY.print(f"trials: there is no trial {args.name!r}; `trials list` names them", markup=False)
        return WRONG
    try:
        if args.keep:
            may_keep()
    except OSError as error:
        return _not_kept(error)
    try:
        codes = {_run(trial, args) for trial in chosen}
    except KeyboardInterrupt:
        _SAY.print("STOPPED by hand: of this trial nothing is told and nothing is kept", markup=False)
        return STOPPED
    return next(code for code in (BROKEN, WRONG, NOT_HERE, HELD) if code in codes)  # nothing hides what broke


def _not_kept(error: OSError) -> int:
    _SAY.print(f"NOT KEPT: {error}", style="bold red", markup=False)
    return WRONG


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it has to be a number from 1 on, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="trials",
        description="Attack the promises of reliability.md, each with a control that has to fail.",
        epilog="example: trials run audit-power --n 300 --keep",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every trial, its promise, its control, its figures")
    listing.add_argument("--json", action="store_true", help="as JSON")
    run = actions.add_parser("run", help="run one trial (or all), control first; prints one JSON line")
    run.add_argument("name", metavar="NAME", help="a trial's name, or: all")
    run.add_argument("--n", type=_count, metavar="N", help="how often (default: the full figure)")
    run.add_argument(
        "--seed", type=int, metavar="N", help="repeat an earlier run (default: a new one, printed)"
    )
    run.add_argument("--slice", action="store_true", help="the short n that CI runs")
    run.add_argument("--no-control", action="store_true", help="skip the control; the result says so")
    run.add_argument("--keep", action="store_true", help="keep the result in tests/trials/results/")
    actions.add_parser("page", help="write docs/trials.md from the kept results")
    return made


def _list(*, as_json: bool) -> int:
    if as_json:
        rows = [
            {name: getattr(trial, name) for name in trial.__slots__ if name not in {"run", "control"}}
            | {"missing_here": missing(trial)}
            for trial in TRIALS
        ]
        print(json.dumps(rows, indent=2))
        return 0
    table = Table(box=None, pad_edge=False)
    for title in ("trial", "bar", "promise", "slice", "full", "here"):
        table.add_column(title, overflow="fold", no_wrap=title == "trial")
    for trial in TRIALS:
        lacking = missing(trial)
        here = f"no: {', '.join(lacking)}" if lacking else "yes"
        unit = trial.unit
        table.add_row(
            trial.name,
            trial.bar,
            trial.promise,
            f"{trial.slice:,}",
            f"{trial.full:,} {unit}, {trial.about}",
            here,
        )
    Console(highlight=False).print(table)
    return 0


def _run(trial: Trial, args: argparse.Namespace) -> int:
    n = args.n or (trial.slice if args.slice else trial.full)
    seed = secrets.randbelow(2**31) if args.seed is None else args.seed
    _SAY.print(f"{trial.name}: {n:,} {trial.unit}, seed {seed}", markup=False)
    try:
        with _progress(trial, n) as step:
            result = carry_out(trial, n, seed, step, control=not args.no_control)
    except NotHereError as error:
        _SAY.print(f"NOT TRIED: {error}", style="bold red", markup=False)
        return NOT_HERE
    print(json.dumps(result, separators=(",", ":")), flush=True)
    _say(trial, result)
    code = HELD if result["verdict"] == "held" else BROKEN
    if args.keep:
        try:
            path = keep(result)
        except OSError as error:
            wrong = _not_kept(error)
            return wrong if code == HELD else code
        _SAY.print(f"kept in {path}; {len(kept())} results in all: now `trials page`", markup=False)
    return code


@contextmanager
def _progress(trial: Trial, n: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_SAY, transient=True) as bar:
        task = bar.add_task(trial.name, total=n)
        yield lambda done: bar.advance(task, done)


def _say(trial: Trial, result: dict[str, object]) -> None:
    words = {
        "held": "the promise held",
        "broken": "THE PROMISE WAS BROKEN",
        "blind": "THE CONTROL DID NOT FAIL: this trial shows nothing"
        if result["tried"]
        else "NOTHING WAS TRIED: this run shows nothing",
    }
    _SAY.print(f"{result['tried']:,} {trial.unit}: {words[str(result['verdict'])]}", markup=False)
    bound = result["bound_95"]
    if isinstance(bound, float) and bound < 1:
        _SAY.print(f"rate of failure below {bound:.2g} (3/n, 95 %)", markup=False)
    for failure in result["failed"] if isinstance(result["failed"], list) else ():
        _SAY.print(f"  {failure}", markup=False)
    _SAY.print(f"again: trials run {trial.name} --n {result['asked']} --seed {result['seed']}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
