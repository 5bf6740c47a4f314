"""Where an entry's time comes from: both clocks, the boot, and what set the wall clock."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import MONO_WRAP, Draft
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
    """Turns events of one log into its entries. **Thread rule:** any thread."""

    origin: str
    clock: Clock
    boot: str
    source: Callable[[], str]
    _asked: tuple[int, str] | None = None  # when the source was asked, and its answer

    def draft(self, event: Event) -> Draft:
        """Everything that can be done before the entry has its turn.

        Raises:
            AuditError: ``audit_event_invalid``.
        """
        now = self.clock.monotonic_ns()
        asked = self._asked
        if asked is None or now - asked[0] >= _ASKED_EVERY_NS:
            asked = self._asked = now, self.source()
        return Draft.of(self.origin, self.boot, asked[1], event)

    def entry(self, seq: int, draft: Draft) -> bytes:
        """The entry as it is now, number `seq`.

        Raises:
            AuditError: ``audit_entry_too_large``.
        """
        return draft.encode(seq, self.clock.monotonic_ns() % MONO_WRAP, self.clock.wall_ns() // 1000)
