"""A camera whose pictures a test draws, and what a recogniser process is started with to look at it."""

from __future__ import annotations

import os

import cv2
import numpy as np

from lfr_edge.capture.slot import FrameSlot, FrameWriter
from lfr_edge.clock import SystemClock
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.recogniser.spec import CameraPlan, StartSpec
from lfr_edge.settings import MatchingSettings, ModelSettings, VisionSettings


class Street:
    """One camera's slot and bell, write side."""

    def __init__(self, camera: str) -> None:
        self.slot = FrameSlot.create(1280, 720)
        self.bell_read, self.bell_write = os.pipe()
        self.plan = CameraPlan(
            id=camera, slot_fd=self.slot.fd, bell_fd=self.bell_read, detector_side=960, max_frame_age_s=2
        )
        self._writer = FrameWriter(self.slot.fd)
        self._number = 0

    def show(self, bgr: np.ndarray) -> None:
        i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
        height, width = bgr.shape[:2]
        flat, luma, chroma = i420.reshape(-1), height * width, height * width // 4
        y = flat[:luma].reshape(height, width)
        u = flat[luma : luma + chroma].reshape(height // 2, width // 2)
        v = flat[luma + chroma :].reshape(height // 2, width // 2)
        clock = SystemClock()
        self._number += 1
        self._writer.publish(
            y, u, v, epoch=1, sequence=self._number,
            captured_ns=clock.monotonic_ns(), captured_wall_ns=clock.wall_ns(),
        )  # fmt: skip
        os.write(self.bell_write, b"!")

    def inodes(self) -> set[int]:
        """Of slot and bell: how a process that has them is known."""
        return {os.fstat(fd).st_ino for fd in (self.slot.fd, self.bell_read)}

    def close(self) -> None:
        self.slot.close()
        os.close(self.bell_read)
        os.close(self.bell_write)


def specification(pack: Pack, store: ModelStore, *plans: CameraPlan, recognisers: int = 1) -> StartSpec:
    models = ModelSettings(pack=pack.name, purpose="evaluation", store=store.root, recognisers=recognisers)
    return StartSpec(
        store=store.root, models=models, vision=VisionSettings(), matching=MatchingSettings(), threshold=0.45,
        cameras=plans,
    )  # fmt: skip
