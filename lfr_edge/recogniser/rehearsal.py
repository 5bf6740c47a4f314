"""One match step on a drawn picture, so that the first real one meets nothing new."""

from __future__ import annotations

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import face_picture, tile
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.tracks import Tracker
from lfr_edge.watchlist.index import WatchlistIndex


def rehearse(
    vision: VisionStack, slots: ProbeSlots, index: WatchlistIndex, settings: VisionSettings
) -> bytes:
    """Go once through everything that a step can meet, on a drawn picture with a drawn face; the face as a JPEG.

    Libraries import and allocate when a function is first called; in the sealed process that would fail, and
    anywhere else the first real face would pay for it.
    """
    width, height = 640, 480
    noise = np.random.default_rng(1).integers(0, 255, (height * 3 // 2, width), np.uint8)
    frame = Frame("rehearsal", 1, 1, 1, 1, width, height, noise)
    points = np.array([[(280, 200), (340, 200), (310, 240), (285, 270), (335, 270)]], np.float32)
    faces = Faces(np.array([[250, 150, 370, 310]], np.float32), points, np.ones(1, np.float32))
    tracker = Tracker("rehearsal", settings)
    for moment in range(3):
        tracker.update(faces, moment * 40_000_000)
    tracker.update(Faces.none(), 10_000_000_000)
    vision.detector.detect([vision.detector.canvas(frame, width)])
    probes = slots.acquire(2)
    twice = faces[np.array([0, 0])]
    vision.align(frame, twice, slots, probes)
    vision.embedder.embed(slots, probes)
    slots.accumulate(probes[0], probes[1], 1.0)
    for count in (1, 2):
        index.search(slots.gather(probes[:count], fused=True))
    drawn = face_picture(frame, points[0])
    tile(frame, 160, faces.boxes)
    slots.wipe(probes)
    vision.scrub()
    index.scrub()
    return drawn
