"""Every trial there is."""

from __future__ import annotations

from typing import Final

from trials import people, record, releases, simulated
from trials.trial import Trial

TRIALS: Final[tuple[Trial, ...]] = (*record.TRIALS, *people.TRIALS, *releases.TRIALS, *simulated.TRIALS)
