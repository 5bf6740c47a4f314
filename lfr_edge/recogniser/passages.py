"""Who passes each camera now: faces joined to passages, and everything a passage leaves behind until it ends.

That is the weighted sum of its templates in one slot, overwritten when the passage ends or raises an alert. Which of
the faces are looked at, and what comes of it, is :mod:`.probes`' part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.matching.judge import Judge, TrackKey
from lfr_edge.recogniser.ledger import Ledger
from lfr_edge.recogniser.passage import NO_SLOT, Passage
from lfr_edge.recogniser.scrub import Scrubber
from lfr_edge.recogniser.view import View
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.pixels import tile
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.tracks import NO_TRACK, Tracker


@dataclass(slots=True)
class _Camera:
    tracker: Tracker
    side: int
    epoch: int = -1
    passages: dict[int, Passage] = field(default_factory=dict)
    view: View = field(default_factory=View)
    tile_width: int = 0  # > 0: somebody looks at this camera; make one tile of its next frame
    tile: bytes | None = None


class Passages:
    """Of every camera. **Thread rule:** the recogniser's only thread.

    **Lifetime:** a passage holds its slot from its first usable face to its end or its alert.

    Args:
        sides: longest side of the detector's picture for each camera.
        reserve: slots that stay free for the probes of one step.
    """

    def __init__(
        self,
        slots: ProbeSlots,
        ledger: Ledger,
        judge: Judge,
        scrubber: Scrubber,
        settings: VisionSettings,
        sides: Mapping[str, int],
        *,
        reserve: int,
    ) -> None:
        self.passed_over = 0  # faces that found no free slot
        self._slots = slots
        self._ledger = ledger
        self._judge = judge
        self._scrubber = scrubber
        self._settings = settings
        self._reserve = reserve
        self._cameras = {name: _Camera(Tracker(name, settings), side) for name, side in sides.items()}

    @property
    def held(self) -> int:
        """Templates in the sums of passages that are still going on."""
        passages = (p for camera in self._cameras.values() for p in camera.passages.values())
        return sum(passage.looks for passage in passages)

    def side(self, camera: str) -> int:
        """Longest side of the detector's picture."""
        return self._cameras[camera].side

    def view(self, camera: str) -> View:
        return self._cameras[camera].view

    def views(self, now_ns: int) -> dict[str, dict[str, Any]]:
        return {name: camera.view.to_json(now_ns) for name, camera in self._cameras.items()}

    def want_tile(self, camera: str, width: int) -> None:
        """Make a tile of this camera's next frame; :meth:`take_tile` fetches it."""
        if camera in self._cameras:
            self._cameras[camera].tile_width = width

    def take_tile(self, camera: str) -> bytes | None:
        plan = self._cameras.get(camera)
        if plan is None or plan.tile is None:
            return None
        made, plan.tile = plan.tile, None
        return made

    def follow(self, frame: Frame, faces: Faces) -> list[tuple[int, Passage]]:
        """Join the faces to passages; (row of `faces`, passage) of those that may be worth a template."""
        camera = self._cameras[frame.camera]
        if frame.epoch != camera.epoch:
            self._end(camera, list(camera.passages))
            camera.epoch = frame.epoch
            camera.tracker.restart()
        update = camera.tracker.update(faces, frame.captured_ns)
        self._end(camera, update.ended)
        camera.view.look(frame.captured_ns)
        camera.view.counts.frames += 1
        camera.view.counts.detections += len(faces)
        wanted: list[tuple[int, Passage]] = []
        eye_px = faces.eye_px
        shown = np.zeros(len(faces), np.bool_)
        for row, track in enumerate(update.track_ids):
            passage = self._passage(camera, int(track), float(eye_px[row]), frame.captured_ns)
            if passage is None:
                continue
            passage.last_seen_ns = frame.captured_ns
            shown[row] = passage.alerted
            if not passage.alerted and eye_px[row] >= self._settings.min_eye_px:
                wanted.append((row, passage))
        if camera.tile_width:
            # A face whose alert stands may be seen; everybody else is blurred before the pixels leave.
            camera.tile = tile(frame, camera.tile_width, faces.boxes[~shown])
            camera.tile_width = 0
        return wanted

    def alerted(self, passage: Passage, score: float) -> None:
        """It raised an alert: one look lives on as its picture, the templates of all looks are overwritten now."""
        passage.alerted = True
        counts = self.view(passage.key.camera).counts
        counts.ended(score)
        counts.passed(passage.shown_quality, passage.shown_score, None)
        self._ledger.retained(1)
        self._ledger.erased(passage.looks - 1)
        self._scrubber.left(passage.key)
        passage.looks = 0
        self._slots.wipe([passage.slot])
        passage.slot = NO_SLOT

    def end_lost(self, now_ns: int) -> None:
        """End what was not seen for the set time, also where no frame came (monotonic nanoseconds)."""
        lost_ns = int(self._settings.track_lost_s * 1e9)
        for camera in self._cameras.values():
            over = [p.key.number for p in camera.passages.values() if now_ns - p.last_seen_ns > lost_ns]
            self._end(camera, over)

    def end_all(self) -> None:
        for camera in self._cameras.values():
            self._end(camera, list(camera.passages))

    def _passage(self, camera: _Camera, track: int, eye_px: float, now_ns: int) -> Passage | None:
        if track == NO_TRACK:
            return None
        known = camera.passages.get(track)
        if known is not None or eye_px < self._settings.min_eye_px:
            return known
        if self._slots.capacity - self._slots.occupied <= self._reserve:
            self.passed_over += 1
            return None
        (slot,) = self._slots.acquire(1)
        passage = Passage(TrackKey(camera.tracker.camera, camera.epoch, track), slot, last_seen_ns=now_ns)
        camera.passages[track] = passage
        camera.view.passages.append(now_ns)
        camera.view.counts.passages += 1
        return passage

    def _end(self, camera: _Camera, tracks: Iterable[int]) -> None:
        """Passages are over: overwrite their slots, balance the ledger, let the judge forget them."""
        over = [passage for track in tracks if (passage := camera.passages.pop(track, None)) is not None]
        if not over:
            return
        self._slots.wipe([passage.slot for passage in over if passage.slot != NO_SLOT])
        for passage in over:
            self._ledger.erased(passage.looks)
            if passage.looks:
                camera.view.counts.ended(passage.score)
            if passage.shown_score and passage.slot != NO_SLOT:  # else it was counted with its alert
                stranger = passage.looks and not passage.alerted
                camera.view.counts.passed(
                    passage.shown_quality, passage.shown_score, passage.score if stranger else None
                )
            self._judge.forget(passage.key)
            self._scrubber.left(passage.key)
