"""What the supervisor counts: latencies, the lag of the event loop, and the ledger across restarts."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lfr_edge.clock import Clock

_REMEMBERED: Final = 4096  # alerts; a deployment raises one to five an hour
_LAG_PERIOD_S: Final = 0.1
_LAG_WINDOW: Final = 100  # ten seconds
_LEDGER: Final = ("frames", "faces", "probes", "held", "processed", "erased", "retained")


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest rank; None where nothing was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass(slots=True)
class Latencies:
    """Milliseconds from the frame's capture to the alert being durable and offered, and to it being painted."""

    offered: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    painted: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def summary(self) -> dict[str, float | None]:
        ranks = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        table = {name: percentile(self.offered, share) for name, share in ranks.items()}
        return {name: None if value is None else round(value, 1) for name, value in table.items()}


@dataclass(slots=True)
class Totals:
    """The ledger of this deployment: the running recogniser's numbers and those of its predecessors."""

    before: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_LEDGER, 0))
    now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_LEDGER, 0))

    def update(self, ledger: dict[str, Any]) -> None:
        self.now = {name: int(ledger[name]) for name in _LEDGER}

    def died(self) -> None:
        """The process is gone. What it held went with its memory: erased, though not by its own hand."""
        self.now |= {
            "erased": self.now["erased"] + self.now["held"],
            "processed": self.now["probes"],
            "held": 0,
        }

    def restarted(self) -> None:
        """Another one counts from zero."""
        self.before = {name: self[name] for name in _LEDGER}
        self.now = dict.fromkeys(_LEDGER, 0)

    def __getitem__(self, name: str) -> int:
        return self.before[name] + self.now[name]


class LoopLag:
    """How late the event loop wakes up: heavy work on it would show here. **Thread rule:** the loop's own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: deque[float] = deque(maxlen=_LAG_WINDOW)

    @property
    def worst_ms(self) -> float:
        return max(self._lags, default=0.0)

    async def watch(self) -> None:
        while True:
            before = self._clock.monotonic_ns()
            await asyncio.sleep(_LAG_PERIOD_S)
            late_ms = (self._clock.monotonic_ns() - before) / 1e6 - _LAG_PERIOD_S * 1000
            self._lags.append(max(0.0, late_ms))
