"""A cable pulled for a moment, and one that loses packets; see the trials ``camera-cable`` and ``camera-loss``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.conftest import encode
from tests.faults.cable import camera_on_a_cable, lose_for, may_lay_cables, pull_and_plug
from tests.faults.stations import PATIENT, SLICE, Station, neighbour


@pytest.mark.timeout(120)
async def test_a_pulled_cable_is_seen_and_heals_and_the_other_camera_goes_on(tmp_path: Path) -> None:
    if not may_lay_cables():
        pytest.skip("NOT TESTED: no network namespaces here (root?), so no cable was pulled")
    clip = encode(tmp_path / "h264.mp4")
    async with neighbour(clip, **PATIENT) as yard:
        with camera_on_a_cable(clip) as cable:
            async with Station(cable.url, "gate") as gate:
                cycle = await pull_and_plug(cable, gate, yard, 0.2)
                lossy = may_lay_cables(losing=True)
                period = await lose_for(cable, gate, yard, 0.1, 1.5) if lossy else None
    assert not cycle.judged(SLICE)
    if period is None:
        pytest.skip("NOT TESTED: no iptables that drops at random, so no packet was lost")
    assert not period.judged(SLICE)
