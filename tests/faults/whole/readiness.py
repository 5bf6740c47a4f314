"""How soon a box is back after the power was, and whether that can be held against it (A1: ready again within 10 s).

The bar is of the wall clock. On a machine that somebody else keeps busy a slow start shows nothing, good or bad: such a
start is counted apart, and a run in which no start could be judged has not shown the promise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

READY_S: Final = 10.0
BUSY: Final = "no return could be judged: others kept the machine busy"
_OTHERS_SHARE: Final = 0.5  # of the machine's processor time in a slow start that may be somebody else's


@dataclass
class Readiness:
    """Every start that was timed: as a service manager starts it, imports and all."""

    ready_s: list[float] = field(default_factory=list)  # until the console's address is said
    recognising_s: list[float] = field(default_factory=list)  # until pictures are looked at again
    cpu_s: list[float] = field(default_factory=list)  # of the service's own processes, until ready
    bar_s: float = READY_S
    judged: int = 0
    disturbed: int = 0  # later than the bar, on a machine that others kept busy

    def judge(self, name: str, took_s: float, others_share: float) -> list[str]:
        """What is wrong with a start that took so long. `others_share`: 0…1 of the machine in that time."""
        if took_s > self.bar_s and others_share > _OTHERS_SHARE:
            self.disturbed += 1
            return []
        self.judged += 1
        if took_s <= self.bar_s:
            return []
        return [f"{name} after {took_s:.1f} s, {self.bar_s:g} are allowed"]

    def verdict(self) -> list[str]:
        """What is wrong with the run as a whole."""
        if self.disturbed and not self.judged:
            return [BUSY]
        return []

    def facts(self) -> dict[str, int | float | str]:
        timed = len(self.ready_s)
        within = sum(took_s <= self.bar_s for took_s in self.ready_s)
        median, slowest = _middle(self.ready_s), max(self.ready_s, default=0.0)
        return {
            f"ready again within {self.bar_s:g} s": f"{within} of {timed} timed",
            "ready again, wall s, median": round(median, 1),
            "ready again, wall s, slowest": round(slowest, 1),
            "ready again, CPU s, most": round(max(self.cpu_s, default=0.0), 1),
            "recognising again, wall s, median": round(_middle(self.recognising_s), 1),
            "recognising again, wall s, slowest": round(max(self.recognising_s, default=0.0), 1),
            "too slow, and the machine busy with others": self.disturbed,
            "load": round(os.getloadavg()[1], 1),
        }


class Stopwatch:
    """From now on; what the machine did besides. `own_cpu_s`: processor seconds of the service's processes so far."""

    def __init__(self, own_cpu_s: Callable[[], float]) -> None:
        self._own_cpu_s = own_cpu_s
        self._began, self._busy_s, self._own_s = time.monotonic(), _busy_s(), own_cpu_s()

    def read(self) -> tuple[float, float]:
        """(seconds since then, others' share of the machine's processor time in them)."""
        took_s = time.monotonic() - self._began
        others_s = _busy_s() - self._busy_s - max(0.0, self._own_cpu_s() - self._own_s)
        return took_s, max(0.0, others_s) / (took_s * (os.cpu_count() or 1))


def _busy_s() -> float:
    """Processor seconds of the whole machine since it started, and what its host took away."""
    fields = [
        int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    idle, waiting = fields[3:5]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
