"""When each camera came and went, as the record holds it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from lfr_edge.capture.keeper import CameraStatus
from lfr_edge.errors import AuditError
from lfr_edge.service.warden import Record


class CameraDiary:
    """**Thread rule:** one event loop."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._states: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = True

    def close(self) -> None:
        """What the end itself does to the cameras is no fault of theirs."""
        self._open = False

    def note(self, status: CameraStatus) -> None:
        """Record when a camera comes and goes, and once that it never came; the keeper reports every heartbeat."""
        if not self._open:
            return
        live = "connected" if status.state == "live" else "lost"
        before = self._states.get(status.camera)
        if live == before or (before is None and live == "lost" and not status.error_code):
            return
        self._states[status.camera] = live
        data: dict[str, Any] = {"camera": status.camera, "epoch": status.epoch}
        if live == "lost" and status.error_code:
            data["code"] = status.error_code
        if live == "connected":
            data["not_confined_by"] = list(status.unconfined)
        task = asyncio.get_running_loop().create_task(self._write(f"camera.{live}", data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Everything noted so far is durable, or the log has said why not."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _write(self, ev: str, data: dict[str, Any]) -> None:
        with contextlib.suppress(AuditError):  # on_failure has said so already
            await self._record(ev, data=data)
