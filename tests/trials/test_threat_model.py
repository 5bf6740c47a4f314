"""Every line of the threat model points to something that is there."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY
from tests.trials.catalogue import TRIALS

PAGE = (REPOSITORY / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| Who", "| Process"))
]
NAMES = {trial.name for trial in TRIALS}


def test_every_line_names_what_shows_it() -> None:
    assert len(ROWS) >= 18
    for row in ROWS:
        assert re.search(r"`tests/[a-z_/]+\.py`", row), row[:80]


def test_every_test_and_trial_that_is_named_is_there() -> None:
    for path in re.findall(r"`(tests/[^`]+)`", PAGE):
        assert (REPOSITORY / path).is_file(), path
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
        "model",
    ):
        assert who in PAGE, who
