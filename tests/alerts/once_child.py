"""A desk with its console and record in a process of its own, for a test that kills it.

``python -m tests.alerts.once_child FOLDER TOTAL``: raises alerts until TOTAL are raised, writes its address to
FOLDER/url, and serves until it is killed. A later start goes on with the same record.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from lfr_edge.alerts.alert import DeskPolicy
from lfr_edge.alerts.record import LogRecorder
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog
from lfr_edge.clock import SystemClock
from lfr_edge.console.door import accounts as accounts_room
from tests.fakes.box import house, raised

ORIGIN = "van-3.force.example/2026-11-22-1"
TWO_LOOKS = "missing child"
POLICY = DeskPolicy(looks_by_category=((TWO_LOOKS, 2),), disagreement="third_look", max_open=30)


def the_log(folder: Path) -> AuditLog:
    clock, store = SystemClock(), FileKeyStore(folder / "keys")
    keys = deployment_keys(store, device_keys(store, "van-3.force.example/device", clock), ORIGIN, clock)
    there = (folder / "log").exists()
    return (AuditLog.open if there else AuditLog.create)(folder / "log", ORIGIN, keys, clock)


async def serve(folder: Path, total: int) -> None:
    accounts_room._HASHER = accounts_room.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    log = the_log(folder)
    entries = (entry for _, entry in log.entries())
    async with house(folder, policy=POLICY, recorder=LogRecorder(log), entries=entries) as box:
        fresh = folder / "url.new"
        fresh.write_text(box.url)
        fresh.replace(folder / "url")
        while box.desk.counts().raised < total:
            if len(box.desk.open_alerts()) >= 12:
                await asyncio.sleep(0.005)
                continue
            number = box.desk.counts().raised + 1
            changes = {"category": TWO_LOOKS} if number % 5 == 0 else {}
            await box.desk.raise_alert(raised(number, probe_jpeg=b"probe", candidate_jpeg=b"list", **changes))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
