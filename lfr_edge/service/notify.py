"""What systemd is told: ready, alive, stopping (sd_notify(3)). Without systemd nothing is said and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

from lfr_edge.clock import Clock

_MICROSECONDS: Final = 1_000_000
_BEATS: Final = 3  # signs of life within one watchdog time: one may be late


class Notifier:
    """One datagram socket to the service manager. **Thread rule:** any thread; never blocks."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        # WATCHDOG_PID: the variables are inherited, and only the main process is watched.
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / _MICROSECONDS if mine and usec.isdigit() else 0.0

    def ready(self, status: str) -> None:
        self._say(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._say(f"STATUS={status}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # "@": the abstract namespace, spelt with a NUL.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.setblocking(False)
            speaker.sendto(text.encode(), address)


class Progress:
    """Whether work goes on: recognition where there is recognition to do.

    `frames` counts what the recogniser has looked at; `expected` says whether it should be growing now (running,
    not paused, a camera live). A loop that turns while nobody is looked at is not alive.
    """

    def __init__(
        self, clock: Clock, frames: Callable[[], int], expected: Callable[[], bool], patience_s: float
    ) -> None:
        self._clock, self._frames, self._expected = clock, frames, expected
        self._patience_ns = round(patience_s * 1e9)
        self._seen = frames()
        self._since_ns = clock.monotonic_ns()

    def goes_on(self) -> bool:
        frames, now = self._frames(), self._clock.monotonic_ns()
        if frames != self._seen or not self._expected():
            self._seen, self._since_ns = frames, now
        return now - self._since_ns <= self._patience_ns


async def feed(notifier: Notifier, progress: Progress) -> None:
    """Tell the watchdog as long as there is progress; its silence lets systemd restart the service."""
    while notifier.watchdog_s > 0:
        if progress.goes_on():
            notifier.alive()
        await asyncio.sleep(notifier.watchdog_s / _BEATS)
