"""Fields of an entry, read with suspicion: a verified log is unaltered, which does not make it well written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from lfr_edge.audit.entry import MONO_WRAP, Entry
from lfr_edge.audit.event import Event


def whole_in(data: Mapping[str, object], name: str) -> int | None:
    value = data.get(name)
    return value if type(value) is int else None


def count_in(data: Mapping[str, object], name: str) -> int | None:
    """An integer from 0 up; None where it is absent, negative or anything else."""
    value = whole_in(data, name)
    return value if value is not None and value >= 0 else None


def table_in(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = data.get(name)
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def whole(event: Event, name: str) -> int | None:
    return whole_in(event.data, name)


def count(event: Event, name: str) -> int | None:
    return count_in(event.data, name)


def word(event: Event, name: str) -> str:
    value = event.data.get(name)
    return value if isinstance(value, str) else ""


def words(event: Event, name: str) -> tuple[str, ...]:
    value = event.data.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


@dataclass(slots=True)
class Elapsed:
    """Milliseconds since the first entry: by the monotonic clock within a boot, by the wall clock across boots.

    A jump of the wall clock changes no duration; time never goes back.
    """

    _last: Entry | None = None
    _ns: int = 0

    def feed(self, entry: Entry) -> int:
        last, self._last = self._last, entry
        if last is not None and last.boot_id == entry.boot_id:
            step = (entry.t_mono_ns - last.t_mono_ns) % MONO_WRAP
            self._ns += step if step < MONO_WRAP // 2 else 0
        elif last is not None:
            self._ns += max(0, entry.t_wall_us - last.t_wall_us) * 1000
        return self._ns // 1_000_000
