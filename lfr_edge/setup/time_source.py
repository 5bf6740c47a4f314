"""Whose time the record will carry."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.setup.finding import Finding

_TIME_ERROR: Final = 5  # adjtimex(2): not synchronised
_WIDE_MS: Final = 1000.0  # the record orders events by this clock; a second is a whole look
# Command names as /proc has them (15 characters at most).
_KEEPERS: Final = {
    "chronyd": "chrony",
    "systemd-timesyn": "systemd-timesyncd",
    "ntpd": "ntpd",
    "ntpsec": "ntpsec",
    "ptp4l": "PTP",
    "phc2sys": "PTP hardware clock",
    "gpsd": "a GPS receiver",
}
_WORD: Final = 8  # a C long; struct timex of x86-64 and arm64 begins: modes, offset, freq, maxerror, esterror


@dataclass(frozen=True, slots=True)
class KernelClock:
    synchronised: bool
    most_error_ms: float  # what the kernel promises at most


def kernel_clock() -> KernelClock:
    buffer = ctypes.create_string_buffer(256)  # struct timex, zeroed: a query
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    error_us = int.from_bytes(buffer.raw[3 * _WORD : 4 * _WORD], "little", signed=True)
    return KernelClock(state not in (-1, _TIME_ERROR), error_us / 1000)


def examine_clock(kernel: KernelClock | None = None, root: Path = Path("/")) -> Iterator[Finding]:
    """Whether the clock is right, who keeps it so, and whether it survives being switched off."""
    kernel = kernel or kernel_clock()
    keepers = timekeepers(root)
    by = f" by {', '.join(keepers)}" if keepers else ""
    do = "run chrony or systemd-timesyncd, or a GPS receiver: the record carries this clock's time"
    if not kernel.synchronised:
        running = f"; {', '.join(keepers)} runs" if keepers else "; nothing here keeps it"
        yield Finding("clock", "warn", f"the kernel's clock is not synchronised{running}", do)
    elif kernel.most_error_ms > _WIDE_MS:
        yield Finding("clock", "warn", f"synchronised{by}, but only to {kernel.most_error_ms:.0f} ms", do)
    else:
        yield Finding("clock", "ok", f"synchronised{by} to {kernel.most_error_ms:.1f} ms")
    rtc = sorted((root / "sys/class/rtc").glob("rtc*"))
    yield Finding(
        "hardware clock", "ok" if rtc else "warn",
        f"{len(rtc)} real-time clock{'s' if len(rtc) > 1 else ''}" if rtc else "no real-time clock",
        "after a start without network or GPS the time is wrong: wait until it is set",
    )  # fmt: skip


def timekeepers(root: Path = Path("/")) -> tuple[str, ...]:
    """Programs that run here and set clocks."""
    found = set()
    for comm in (root / "proc").glob("[0-9]*/comm"):
        try:
            name = comm.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        if name in _KEEPERS:
            found.add(_KEEPERS[name])
    return tuple(sorted(found))
