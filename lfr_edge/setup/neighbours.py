"""Who else used the processors while something was measured, by the kernel's own account."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")
_IDLE: Final = frozenset({3, 4})  # idle, iowait (proc_stat(5)); guest time (8, 9) is within user time already
_COUNTED: Final = 8


class Neighbours:
    """From its making to :meth:`share`: what all others had of the processors, as a part of the whole machine.

    Time that a hypervisor kept for itself (steal) counts as theirs.
    """

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._began = self._now()

    def share(self) -> float | None:
        """0 to 1; None where the kernel does not say, or where hardly any time has passed."""
        began, now = self._began, self._now()
        if began is None or now is None or now[1] - began[1] <= 0:
            return None
        busy, whole, own = (later - earlier for earlier, later in zip(began, now, strict=True))
        return min(1.0, max(0.0, (busy - own) / whole))

    def _now(self) -> tuple[float, float, float] | None:
        """Seconds of all processors: busy, in all, and busy for this process."""
        try:
            words = self._stat.read_text(encoding="ascii").split("\n", 1)[0].split()
            ticks = [int(word) for word in words[1 : 1 + _COUNTED]]
        except (OSError, ValueError):
            return None
        if words[:1] != ["cpu"] or len(ticks) < _COUNTED:
            return None
        rate = os.sysconf("SC_CLK_TCK")
        idle = sum(count for place, count in enumerate(ticks) if place in _IDLE)
        return (sum(ticks) - idle) / rate, sum(ticks) / rate, time.process_time()
