"""One slot, one bell and one keeper for each camera: what joins a capture child to the recogniser."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from lfr_edge.capture.keeper import CameraKeeper, CameraStatus
from lfr_edge.capture.slot import FrameSlot
from lfr_edge.capture.source import require_address
from lfr_edge.clock import Clock
from lfr_edge.recogniser.spec import CameraPlan
from lfr_edge.settings import CameraSettings


@dataclass(frozen=True, slots=True)
class _Line:
    settings: CameraSettings
    slot: FrameSlot
    bell_read: int
    bell_write: int
    keeper: CameraKeeper


class CameraBank:
    """All cameras of the deployment. The desk owns slots and bells, so both children may die and come back.

    **Thread rule:** one event loop.
    """

    def __init__(
        self, cameras: tuple[CameraSettings, ...], clock: Clock, on_status: Callable[[CameraStatus], None]
    ) -> None:
        """Raises CameraError ``camera_address_invalid``."""
        for settings in cameras:
            require_address(settings.url)
        self._clock, self._on_status = clock, on_status
        self._lines: list[_Line] = []
        self._last: tuple[CameraStatus, ...] = ()
        for settings in cameras:
            slot = FrameSlot.create()
            read, write = os.pipe()
            os.set_blocking(write, False)
            keeper = CameraKeeper(settings, slot, write, clock, on_status)
            self._lines.append(_Line(settings, slot, read, write, keeper))

    @property
    def plans(self) -> tuple[CameraPlan, ...]:
        return tuple(
            CameraPlan(
                id=line.settings.id,
                slot_fd=line.slot.fd,
                bell_fd=line.bell_read,
                detector_side=line.settings.detector_side,
                max_frame_age_s=line.settings.max_frame_age_s,
            )
            for line in self._lines
        )

    @property
    def statuses(self) -> tuple[CameraStatus, ...]:
        """What each keeper knows; after :meth:`stop`, what it knew last."""
        return self._last or tuple(line.keeper.status for line in self._lines)

    async def start(self) -> None:
        for line in self._lines:
            await line.keeper.start()

    async def reach(self, settings: CameraSettings) -> None:
        """Reach the camera of this id in another way from now on; the recogniser keeps its slot and its bell."""
        for number, line in enumerate(self._lines):
            if line.settings.id == settings.id:
                await line.keeper.stop()
                keeper = CameraKeeper(
                    settings,
                    line.slot,
                    line.bell_write,
                    self._clock,
                    self._on_status,
                    after=line.keeper.status,
                )
                self._lines[number] = replace(line, settings=settings, keeper=keeper)
                await keeper.start()

    async def stop(self) -> None:
        """Kill every capture child and give the frames' memory back."""
        await asyncio.gather(*(line.keeper.stop() for line in self._lines))
        self._last = self.statuses
        for line in self._lines:
            line.slot.close()
            os.close(line.bell_read)
            os.close(line.bell_write)
        self._lines.clear()
