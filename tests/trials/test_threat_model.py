"""Every line of the threat model points to something that is there."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY
from tests.trials.catalogue import TRIALS

PAGE = (REPOSITORY / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| Who", "| Process", "| What |"))
]
FAULTS = PAGE.partition("## What breaks by itself")[2].partition("## Not covered")[0]
NAMES = {trial.name for trial in TRIALS}


def test_every_line_names_what_shows_it() -> None:
    assert len(ROWS) >= 33
    for row in ROWS:
        assert re.search(r"`tests/[a-z_/]+\.py(::test_\w+)?`", row), row[:80]
        assert all(cell.strip() for cell in row.strip("|").split("|")), row[:80]


def test_every_test_and_trial_that_is_named_is_there() -> None:
    for path, _, name in (named.partition("::") for named in re.findall(r"`(tests/[^`]+)`", PAGE)):
        assert (REPOSITORY / path).is_file(), path
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name or 'test_'}", text, re.MULTILINE), f"{path} has no {name}"
    named = set()
    for names in re.findall(r"trials? ((?:`[a-z-]+`(?:, )?)+)", PAGE):
        named.update(re.findall(r"`([a-z-]+)`", names))
    assert named <= NAMES, named - NAMES
    assert len(named) > 12, "the control: names are found"


def test_whoever_the_design_names_is_there() -> None:
    for who in (
        "steals the box",
        "controls a camera",
        "bundle",
        "one role",
        "two insiders",
        "sits between",
        "on the console's network",
        "shows a camera a picture",
        "model",
    ):
        assert who in PAGE, who


def test_every_fault_of_the_design_is_brought_about_by_a_test() -> None:
    """reliability.md 5 and issue 7, point 6: one row each, and the row names tests and not files."""
    rows = [line for line in FAULTS.splitlines() if line.startswith("| ") and not line.startswith("| What |")]
    for what in (
        "wall clock", "disk is full", "memory runs out", "event loop stalls", "recogniser hangs", "recogniser dies",
        "capture process hangs or dies", "uplink is gone", "flood of alerts", "slow, or vanishes", "power goes",
    ):  # fmt: skip
        (row,) = (row for row in rows if what in row.split("|")[1])
        assert re.search(r"`tests/[a-z_/]+\.py::test_\w+`", row.split("|")[3]), what
    assert {"service-power", "service-soak", "service-back"} <= set(re.findall(r"`([a-z]+-[a-z-]+)`", FAULTS))
