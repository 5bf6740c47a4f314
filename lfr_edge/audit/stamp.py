"""Where an entry's time comes from: both clocks, the boot, and what set the wall clock."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import MONO_WRAP, Draft, canonical
from lfr_edge.audit.event import Event
from lfr_edge.clock import Clock

_ASKED_EVERY_NS: Final = 1_000_000_000  # the file system, about the source of time
_SYNCHRONISED: Final = "/run/systemd/timesync/synchronized"  # systemd-timesyncd makes it


def time_source() -> str:
    """What the wall clock follows, as far as the box can tell."""
    return "ntp" if os.path.exists(_SYNCHRONISED) else "rtc"  # noqa: PTH110  asked every second


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"process-{uuid.uuid4()}"


@dataclass(slots=True)
class Stamp:
    """Turns events of one log into its entries. **Thread rule:** :meth:`draft` any thread, :meth:`entry` one."""

    origin: str
    clock: Clock
    boot: str
    source: Callable[[], str]
    _asked_ns: int | None = None
    _source: str = ""  # its answer, as JSON

    def draft(self, event: Event) -> Draft:
        """Everything that can be done before the entry has its turn.

        Raises:
            AuditError: ``audit_event_invalid``.
        """
        return Draft.of(self.origin, self.boot, event)

    def entry(self, seq: int, draft: Draft) -> bytes:
        """The entry as it is now, number `seq`.

        Raises:
            AuditError: ``audit_entry_too_large``.
        """
        wall_us, mono_ns = self.clock.wall_ns() // 1000, self.clock.monotonic_ns()
        if self._asked_ns is None or mono_ns - self._asked_ns >= _ASKED_EVERY_NS:
            self._asked_ns, self._source = mono_ns, canonical(self.source())
        return draft.encode(seq, mono_ns % MONO_WRAP, self._source, wall_us)
