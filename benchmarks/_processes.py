"""CPU time and memory of the processes that the service starts, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_ROLES: Final = {
    "lfr_edge.recogniser": "recogniser",
    "lfr_edge.capture.child": "capture",
    "lfr_edge.demo.rtsp_server": "street",
}


@dataclass(frozen=True, slots=True)
class Usage:
    role: str
    cpu_s: float  # user and system since the process began
    rss_mib: float
    descriptors: int | None  # None: it does not let us look


def family() -> dict[int, Usage]:
    """This process ("desk") and its direct children, by process id."""
    own = os.getpid()
    found: dict[int, Usage] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            usage = _usage(entry, own)
            if usage is not None:
                found[int(entry.name)] = usage
    return found


def _usage(entry: Path, own: int) -> Usage | None:
    try:
        fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        pid, parent = int(entry.name), int(fields[1])
        if own not in (pid, parent) or fields[0] == "Z":
            return None
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        role = "desk" if pid == own else next((_ROLES[word] for word in words if word in _ROLES), "other")
        resident = int((entry / "statm").read_text(encoding="ascii").split()[1])
        return Usage(
            role, (int(fields[11]) + int(fields[12])) * _TICK_S, resident * _PAGE / 2**20, _descriptors(entry)
        )
    except (OSError, IndexError, ValueError):
        return None  # it ended while we looked


def _descriptors(entry: Path) -> int | None:
    try:
        return len(list((entry / "fd").iterdir()))
    except OSError:
        return None  # sealed processes let nobody look but root


def spent(before: dict[int, Usage], after: dict[int, Usage]) -> dict[str, float]:
    """CPU seconds between two looks, by role."""
    total: dict[str, float] = {}
    for pid, usage in after.items():
        began = before[pid].cpu_s if pid in before else 0.0
        total[usage.role] = total.get(usage.role, 0.0) + usage.cpu_s - began
    return total


def memory(now: dict[int, Usage]) -> dict[str, float]:
    """MiB by role, summed over processes; shared pages count for each."""
    total: dict[str, float] = {}
    for usage in now.values():
        total[usage.role] = round(total.get(usage.role, 0.0) + usage.rss_mib, 1)
    return total
