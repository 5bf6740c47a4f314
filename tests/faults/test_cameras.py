"""One of each fault of a camera, for a moment; the trials ``camera-…`` go on for long."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lfr_edge.capture.frame import Frame
from lfr_edge.demo.rtsp_server import RtspServer
from tests.capture.conftest import encode
from tests.faults import failing
from tests.faults.cable import Cycle, Period
from tests.faults.door import Door
from tests.faults.stations import PATIENT, SLICE, Sequences, Station, neighbour
from tests.trials.cameras import beside


@pytest.mark.timeout(180)
async def test_a_camera_that_goes_silent_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    clip = encode(tmp_path / "h264.mp4")
    server = RtspServer()
    await server.start()
    server.add(failing.PATH, clip)
    try:
        async with neighbour(clip, **PATIENT) as yard, Door(server.port) as door:
            camera = failing.Moody(door)
            async with Station(door.url(failing.PATH), "gate", stall_s=1.0) as gate:
                cycle = await failing.fall_silent(camera, gate, yard, "gives half of an answer", 0.0)
    finally:
        await server.stop()
    assert not cycle.judged(SLICE)


@pytest.mark.timeout(120)
async def test_a_camera_reboots_as_another_one(tmp_path: Path) -> None:
    small = encode(tmp_path / "small.mp4")
    large = encode(tmp_path / "large.mp4", codec="libx265", width=640, height=480)
    async with beside(small, other=PATIENT) as (server, gate, yard):
        cycle = await failing.reboot(server, gate, yard, large, (640, 480), random.Random(1))
        assert not cycle.judged(SLICE)
        assert gate.status.codec == "hevc"


def test_a_slice_waits_longer_than_the_trial_and_not_for_ever() -> None:
    late = failing.Silence(6.0, 1.0, 12.0, "")
    assert "6.0 s" in late.wrong
    assert not late.judged(SLICE)
    assert "seen" in failing.Silence(float("inf"), 1.0, 1.0, "").judged(SLICE)
    assert "pictures came" in Cycle(1.0, float("inf"), "").judged(SLICE)
    assert Cycle(1.0, 1.0, "another camera lost 1 pictures").judged(SLICE)
    assert "passed for live" in Period(11.0, 1.0, 1.0, 0, "").judged(SLICE)


def test_a_lost_picture_of_another_camera_is_seen() -> None:
    """The control of every trial that says that no other camera lost one."""
    import numpy as np

    def frame(sequence: int, shown: int, epoch: int = 1) -> Frame:
        pixels = np.full((48, 32), 20 + 4 * (shown % 50), np.uint8)
        return Frame("yard", epoch, sequence, 0, 0, 32, 32, pixels)

    sequences = Sequences()
    for sequence, shown in ((1, 48), (2, 49), (4, 51), (5, 52)):  # the slot kept the newest: nothing is lost
        sequences.saw(frame(sequence, shown))
    assert sequences.lost == 0
    sequences.saw(frame(6, 54))
    assert sequences.lost == 1
    sequences.saw(frame(1, 7, epoch=2))
    assert sequences.lost == 1
