"""How many processors this process may really use.

``os.cpu_count()`` names the machine's processors, not the container's share: a recogniser that starts 64 threads
on a quota of two is throttled by the kernel in every period. The answer here is the least of the scheduler's
affinity mask and every CPU quota between this process's control group and the root, in both cgroup versions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cpus(root: Path = Path("/")) -> int:
    """Whole processors available, at least 1. `root` is where ``proc`` and ``sys`` are looked for."""
    quotas = [quota for quota in _quotas(root) if quota > 0]
    return max(1, min([len(os.sched_getaffinity(0)), *(int(quota) for quota in quotas)]))


def _quotas(root: Path) -> Iterator[float]:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            for top in (mount, mount / "unified"):
                yield from _walk(top, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            for top in (mount / controllers, mount / "cpu"):
                yield from _walk(top, path, _quota_v1)


def _walk(top: Path, path: str, read: _Reader) -> Iterator[float]:
    """Every quota from the group up to the mount. A container often sees its own group as the mount itself,
    under a path that does not exist inside: then only the mount answers."""
    group = PurePosixPath(path)
    for ancestor in (group, *group.parents):
        quota = read(top / str(ancestor).lstrip("/"))
        if quota is not None:
            yield quota


class _Reader:
    """One cgroup version's way to say how many processors a group may use."""

    def __init__(self, quota_file: str, period_file: str | None) -> None:
        self.quota_file = quota_file
        self.period_file = period_file

    def __call__(self, group: Path) -> float | None:
        """Processors, or None where there is no limit or no such group."""
        try:
            fields = (group / self.quota_file).read_text(encoding="ascii").split()
            if self.period_file is not None:
                fields += (group / self.period_file).read_text(encoding="ascii").split()
            quota, period = int(fields[0]), int(fields[1])
        except (OSError, ValueError, IndexError):
            return None  # "max", a missing file or a missing group: no limit from here
        return quota / period if quota > 0 and period > 0 else None


_quota_v2 = _Reader("cpu.max", None)
_quota_v1 = _Reader("cpu.cfs_quota_us", "cpu.cfs_period_us")
