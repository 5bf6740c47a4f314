"""A rotation, an erasure, an import and an upgrade whose system calls fail, some of them; ``syscalls`` walks all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.trials.calls import TRIALS
from tests.trials.calls import _disturb as disturb
from tests.trials.running import missing
from tests.trials.trial import Attempt


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    if "strace" in missing(TRIALS[0]):
        if os.environ.get("CI") == "true":
            pytest.fail("strace has to work in CI")
        pytest.skip("NOT TESTED: strace is absent or may not trace here")
    return tmp_path


@pytest.mark.timeout(180)
def test_an_act_is_disturbed_at_some_calls(traced: Path) -> None:
    walks = [
        ("rotate", "fsync", "error=EIO", True),
        ("erase", "openat", "error=EIO", True),
        ("import", "rename", "signal=KILL", False),
        ("upgrade", "rename", "signal=KILL", False),
    ]
    outcome = disturb(Attempt(len(walks), 5, traced), walks, hasty=False)
    assert outcome.failures == ()
    assert int(outcome.facts["faults met"]) >= 3, "control: there was something to survive"


@pytest.mark.timeout(180)
def test_a_box_that_acknowledges_first_is_found(traced: Path) -> None:
    walks = [("erase", "fdatasync", "signal=KILL", False)]
    outcome = disturb(Attempt(1, 5, traced), walks, hasty=True)
    assert outcome.failures
