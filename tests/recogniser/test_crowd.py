"""Many people at once: what one step does in several searches is what it does in one, and nobody is lost unsaid."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._crowd import FRAME_NS, ScriptedCrowd, scripted_stack
from benchmarks._material import drawn_index
from lfr_edge.capture.frame import Frame
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.twins.drawn import drawn_frame

FACES = 16
LOW = 0.09  # cosine that the best of 300 random entries sometimes reaches


class Street:
    """A recogniser in front of so many scripted cameras. The networks' outputs are drawn, everything else is real."""

    def __init__(self, cameras: int, moments: int) -> None:
        names = [f"cam{number}" for number in range(cameras)]
        self.crowd = ScriptedCrowd(names, FACES, moments)
        stack = scripted_stack(self.crowd)
        self.recogniser = Recogniser(
            stack, drawn_index(stack.dimension, 300), Judge(Policy(LOW)), VisionSettings(),
            dict.fromkeys(names, 640), timer=lambda: 0.0,  # no scrub between, which would draw other templates
        )  # fmt: skip
        self._pixels = drawn_frame(1280, 720, 1).pixels

    def walk(self, moments: int) -> list[tuple[str, int, str, float]]:
        """(camera, track, reference, score) of each alert, in order."""
        alerts = []
        for moment in range(moments):
            self.crowd.moment, at = moment, (moment + 1) * FRAME_NS
            frames = [
                Frame(name, 1, moment + 1, at, at, 1280, 720, self._pixels) for name in self.crowd.cameras
            ]
            hits = self.recogniser.step(frames)
            self.recogniser.idle(at)
            self.recogniser.reading()  # raises where a template is unaccounted for
            alerts += [(hit.camera, hit.track, hit.reference, hit.score) for hit in hits]
        return alerts


@pytest.mark.parametrize("together", [1, 5])
def test_searches_in_groups_find_the_same(together: int):
    whole, parts = Street(3, 12), Street(3, 12)
    parts.recogniser._slots.queries = together
    found, grouped = whole.walk(12), parts.walk(12)
    assert len(found) > 3, "a low threshold raises alerts"
    assert [one[:3] for one in grouped] == [one[:3] for one in found]
    assert np.allclose([one[3] for one in grouped], [one[3] for one in found], atol=1e-6)
    assert parts.recogniser.finish() == whole.recogniser.finish()


def test_many_cameras_have_room_for_their_people():
    """14 × 16 people are more than eight cameras' slots; whoever waits for one is counted, and comes next."""
    street = Street(14, 4)
    street.walk(4)
    loop = street.recogniser
    assert loop.description()["most_passages"] == loop.bounds.passages == 14 * 24
    views = loop.views(4 * FRAME_NS)
    assert sum(view["counts"]["passages"] for view in views.values()) >= 14 * FACES
    assert loop.reading().probes > 32 * 2
    assert loop.finish().held == 0
    assert loop.wipe() == 300, "the list; no slot held anything"
