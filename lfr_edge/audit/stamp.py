"""Where an entry's time comes from: both clocks, the boot, and what set the wall clock."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.entry import MONO_WRAP, Entry
from lfr_edge.audit.event import Event
from lfr_edge.clock import Clock

_SYNCHRONISED: Final = "/run/systemd/timesync/synchronized"  # systemd-timesyncd makes it


def time_source() -> str:
    """What the wall clock follows, as far as the box can tell."""
    return "ntp" if os.path.exists(_SYNCHRONISED) else "rtc"  # noqa: PTH110  asked at every entry


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"process-{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Turns events of one log into its entries. **Thread rule:** any thread."""

    origin: str
    clock: Clock
    boot: str
    source: Callable[[], str]

    def entry(self, seq: int, event: Event) -> Entry:
        return Entry(
            dep=self.origin,
            seq=seq,
            boot_id=self.boot,
            t_wall_us=self.clock.wall_ns() // 1000,
            t_mono_ns=self.clock.monotonic_ns() % MONO_WRAP,
            t_src=self.source(),
            event=event,
        )
