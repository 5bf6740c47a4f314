"""docs/trials.md from the catalogue, the kept results and the list of what was found."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from tests.trials.catalogue import TRIALS
from tests.trials.results import RESULTS, kept
from tests.trials.running import REPOSITORY
from tests.trials.trial import Trial

PAGE: Final = REPOSITORY / "docs" / "trials.md"
FOUND: Final = Path(__file__).with_name("found.toml")
EXPLAINED: Final = Path(__file__).with_name("explained.toml")
_HEAD: Final = """\
# Trials

What this page says is made by `uv run trials page` from the results in `tests/trials/results/`, one JSON line for each
run; a test holds the two together. A result counts only with its control: the same attack on something sabotaged has to
fail, in the same run. No failure in n attempts bounds the rate at 3/n (95 %); that is the number to look at, not the
word *held*. It bounds what the trial can see: where a control counts every attempt (`service-memory`), those in which
it did not fail left nothing to find, or it was overlooked; most controls stop at their first failure. Promises and bars
are those of the design's `reliability.md`. A broken run is never taken back: the trial's line says so until the cause
is known, mended and held by a test, and counts only what came after it.

```sh
uv run trials list                        # every trial, and whether this machine can do it
uv run trials run NAME --n 300 --seed 7   # control first; progress; one JSON line; exit 0 only if both came out right
uv run trials run NAME --slice            # what CI does of it
uv run trials run NAME --keep             # keep the result for this page, which `trials page` then writes
uv run trials run service-soak --n 1440 --keep   # the soak of a release: 24 h, in minutes
```

`./scripts/setup dev` comes first; `./scripts/trials` is the same without uv. Exit code 1: the promise was broken, or
the control did not fail. 2: something was asked that is not there, or the result cannot be kept. 3: this machine lacks
what the trial needs (root, loop devices, strace …), and nothing was tried. 130: stopped by hand. `run all` does every
trial; what broke comes before what was not tried.

A seed decides what a trial draws: inputs, moments, order. It does not decide how fast the machine is, nor what is drawn
as a key or a token, so `simulation` tells the same story again to the last step, and a power cut at the same moment
meets the service somewhere else. (`desk-once` drew by n alone in the runs kept on 2026-11-22.) The trials are no part
of the product's wheel; sabotage is code of the trial, and the product has no switch for it.

## The promises and their last result
"""

_CI: Final = """\
The slices in CI took at most 402 s of tests together, side by side with the rest of the suite on two busy cores
(2026-11-22: the fourteen longest 327 s, twelve more under 6.3 s each); their bar is ten minutes.

The memory limit of `service-back` is set by cgroup 2 or by cgroup 1, whichever has the memory controller. Every kept
run was under version 1: on that machine the controller is bound to it and in use by others, and a mount of version 2
offers `hugetlb` alone. The files of version 2 are read by a test (`tests/faults/test_whole.py`), and met no kernel yet.
"""


def page(folder: Path = RESULTS) -> str:
    results = kept(folder)
    parts = [_HEAD, _promises(results), _attacks(), _history(results), _explained(results), _found()]
    return "\n".join(parts).rstrip() + "\n"


def _promises(results: Sequence[dict[str, Any]]) -> str:
    lines = ["| Trial | Bar | Promise | Last result | n | 3/n | Control |", "|---|---|---|---|---|---|---|"]
    for trial in TRIALS:
        mine = [result for result in results if result["trial"] == trial.name]
        known = {one["seed"] for one in explanations() if one["trial"] == trial.name}
        last = added_up(mine, known) if trial.adds_up else telling(mine, known)
        broken = sum(result["verdict"] == "broken" for result in mine)
        lines.append(
            f"| `{trial.name}` | {trial.bar} | {trial.promise} | {_result(trial, last, known, broken)} |"
        )
    return "\n".join(lines) + "\n"


_RANK: Final = {"broken": 0, "blind": 1, "held": 2}


def explanations() -> list[dict[str, Any]]:
    """Runs that were broken, and why: see explained.toml."""
    return list(tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["run"])


def telling(results: Sequence[dict[str, Any]], known: Collection[int] = ()) -> dict[str, Any] | None:
    """The last run that was broken, as long as its seed is not among the `known` causes: no success hides it. Otherwise
    the largest run since the last one that was broken. A run whose control did not fail shows nothing, and hides none
    that does.
    """
    open_ones = [
        result for result in results if result["verdict"] == "broken" and result["seed"] not in known
    ]
    if open_ones:
        return open_ones[-1]
    since: list[dict[str, Any]] = []
    for result in results:
        since = [result] if result["verdict"] == "broken" else [*since, result]
    return max(since, key=_counts, default=None)


def _counts(result: dict[str, Any]) -> tuple[int, bool, int]:
    """The larger, the more it says: a result counts with its control."""
    return _RANK[result["verdict"]], result["control"] is not None, result["tried"]


def added_up(results: Sequence[dict[str, Any]], known: Collection[int] = ()) -> dict[str, Any] | None:
    """All runs since the last one that was broken as one, each seed once and each with its control."""
    last = telling(results, known)
    broken = max((n for n, result in enumerate(results) if result["verdict"] == "broken"), default=-1)
    held = {r["seed"]: r for r in results[broken + 1 :] if r["verdict"] == "held" and r["control"]}
    if last is None or last["verdict"] != "held" or len(held) < 2:
        return last
    runs = list(held.values())
    tried = sum(run["tried"] for run in runs)
    control = {name: sum(run["control"][name] for run in runs) for name in ("tried", "failures")}
    facts = runs[-1]["facts"] | in_time(runs)
    return {
        **runs[-1],
        "tried": tried,
        "bound_95": 3 / tried,
        "control": control,
        "runs": len(runs),
        "facts": facts,
    }


def in_time(runs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """``{"back within 2 s": "47 of 60"}``: what was timed, over all runs. A slow return on a machine that others kept
    busy breaks no promise and shows none either, so the number belongs beside the word *held*.
    """
    told: dict[str, tuple[int, int]] = {}
    for run in runs:
        for name, value in run["facts"].items():
            if found := re.fullmatch(r"(\d+) of (\d+)(?: timed)?", str(value)):
                met, timed = told.get(name, (0, 0))
                told[name] = met + int(found[1]), timed + int(found[2])
    return {name: f"{met:,} of {timed:,}" for name, (met, timed) in told.items()}


def _result(trial: Trial, result: dict[str, Any] | None, known: Collection[int], broken: int) -> str:
    """`broken`: runs that ever were."""
    if result is None:
        return "**not run in full yet** | | |"
    words = {"held": "held", "blind": "shows nothing: the control held", "broken": "**broken**"}
    said = f"{words[result['verdict']]}, {result['ran'][:10]}"
    if result["verdict"] == "broken":
        why = "mended, and not run again" if result["seed"] in known else "the cause is not known"
        said += f", seed {result['seed']}: {why}"
    elif broken:
        said += ", since a [broken run](#broken-runs-and-what-they-were)"
    if result["verdict"] == "held":
        for name, value in in_time([result]).items():
            met, timed = value.split(" of ")
            said += f"; {name}: {value} timed" + (", the others on a busy machine" if met != timed else "")
    bound = f"{result['bound_95']:.1g}" if result["bound_95"] else "–"
    n = f"{result['tried']:,} {trial.unit}" + (f" in {result['runs']} runs" if "runs" in result else "")
    n = f"{result['failures']} of {n}" if result["verdict"] == "broken" else n
    return f"{said} | {n} | {bound} | {_control(result)}"


def _control(result: dict[str, Any]) -> str:
    if result["control"] is None:
        return "**none in this run**"
    told = _failures(result["control"])
    return told if result["control"]["failures"] else f"**{told}: this run shows nothing**"


def _failures(control: dict[str, Any]) -> str:
    count = f"{control['failures']} failure{'s' * (control['failures'] != 1)}"
    return f"{count} in {control['tried']:,}" if control["tried"] else f"{count}, at once"


def _attacks() -> str:
    lines = ["## How each is attacked, and how its control is sabotaged\n", _CI]
    lines += ["| Trial | Attack | Sabotage | Slice in CI | Full | Needs |", "|---|---|---|---|---|---|"]
    for trial in TRIALS:
        needs = ", ".join(trial.needs) or "–"
        file, _, name = trial.ci.partition("::")
        in_ci = f"`{file}` `{name}`" if name else f"`{file}`"
        full = f"{trial.full:,} {trial.unit}, {trial.about}"
        lines.append(f"| `{trial.name}` | {trial.does} | {trial.sabotage} | {in_ci} | {full} | {needs} |")
    return "\n".join(lines) + "\n"


def _history(results: Sequence[dict[str, Any]]) -> str:
    lines = [
        "## Every kept run\n",
        "With a + behind the commit, files of `lfr_edge` differed from it; with none, nobody wrote it down.\n",
        "| Ended (UTC) | Trial | n | Failures | Control | Figures | Minutes | Seed | Commit |",
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for result in results:
        facts = ", ".join(
            f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
            for name, value in result["facts"].items()
        )
        lines.append(
            f"| {result['ran'][:16].replace('T', ' ')} | `{result['trial']}` | {result['tried']:,} "
            f"| {result['failures']} | {_control(result)} | {facts} | {result['took_s'] / 60:.1f} "
            f"| {result['seed']} | {result['commit'] or '–'} |"
        )
    return "\n".join(lines) + "\n"


def _explained(results: Sequence[dict[str, Any]]) -> str:
    """Broken runs: what was wrong, with the service or with the trial."""
    lines = [
        "## Broken runs, and what they were\n",
        "| Ended (UTC) | Trial | Seed | Failures | At fault | What it was | Mended in | Held by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    why = {(one["trial"], one["seed"]): one for one in explanations()}
    nothing = {"fault": "?", "what": "**The cause is not known.**", "commit": "–", "test": "–"}
    for result in results:
        if result["verdict"] == "broken":
            one = why.get((result["trial"], result["seed"]), nothing)
            lines.append(
                f"| {result['ran'][:16].replace('T', ' ')} | `{result['trial']}` | {result['seed']} "
                f"| {result['failures']} of {result['tried']:,} | {one['fault']} | {one['what']} | {one['commit']} "
                f"| `{one['test']}` |"
            )
    return "\n".join(lines) + "\n"


def _found() -> str:
    """What trials found in the product."""
    lines = [
        "## What the trials found\n",
        "| Found by | What was wrong | Mended | Held by |",
        "|---|---|---|---|",
    ]
    for bug in tomllib.loads(FOUND.read_text(encoding="utf-8"))["bug"]:
        lines.append(f"| `{bug['trial']}` | {bug['what']} | {bug['mended']} | `{bug['test']}` |")
    return "\n".join(lines) + "\n"
