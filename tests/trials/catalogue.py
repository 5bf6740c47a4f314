"""Every trial there is."""

from __future__ import annotations

from typing import Final

from tests.trials import calls, cameras, fuzzing, hostile, people, record, releases, simulated, whole
from tests.trials.trial import Trial

TRIALS: Final[tuple[Trial, ...]] = tuple(
    trial
    for room in (record, calls, people, releases, cameras, hostile, simulated, fuzzing, whole)
    for trial in room.TRIALS
)
