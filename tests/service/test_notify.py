"""systemd hears ready, alive and stopping; and hears nothing more once the pipeline stands still."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from lfr_edge.service.notify import Notifier, Progress, feed
from tests.fakes.box import ManualClock


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_states_are_told(tmp_path: Path, abstract: bool) -> None:
    name = f"lfr-notify-{os.getpid()}" if abstract else str(tmp_path / "notify")
    manager = Manager("\0" + name if abstract else name)
    notifier = Notifier({"NOTIFY_SOCKET": "@" + name if abstract else name})
    notifier.ready("in preparation")
    notifier.status("running")
    notifier.stopping()
    assert manager.heard() == ["READY=1\nSTATUS=in preparation", "STATUS=running", "STOPPING=1"]
    manager.close()


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready("")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).alive()


def test_only_the_process_that_is_watched_feeds_the_watchdog() -> None:
    mine = {"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(mine).watchdog_s == 15
    assert Notifier(mine | {"WATCHDOG_PID": "1"}).watchdog_s == 0


async def test_the_watchdog_starves_when_recognition_stands_still(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
    clock = ManualClock()
    frames, expected = 1, True
    progress = Progress(clock, lambda: frames, lambda: expected, patience_s=10)
    feeding = asyncio.create_task(feed(notifier, progress))
    await asyncio.sleep(0.05)
    assert "WATCHDOG=1" in manager.heard()

    clock.pass_s(11)  # no frame for longer than the patience
    await asyncio.sleep(0.03)
    manager.heard()
    await asyncio.sleep(0.05)
    assert manager.heard() == [], "a loop that turns without working is not alive"

    expected = False  # paused: nothing is expected, so nothing is missing
    await asyncio.sleep(0.05)
    assert "WATCHDOG=1" in manager.heard()
    feeding.cancel()
    manager.close()
