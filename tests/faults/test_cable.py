"""A cable pulled for a moment; the trial ``camera-cable`` pulls a hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.conftest import encode
from tests.faults.cable import camera_on_a_cable, may_lay_cables, pull_and_plug, two_stations
from tests.trials.cameras import local_camera


@pytest.mark.timeout(120)
async def test_a_pulled_cable_is_seen_and_heals_and_the_other_camera_goes_on(tmp_path: Path) -> None:
    if not may_lay_cables():
        pytest.skip("NOT TESTED: no network namespaces here (root?), so no cable was pulled")
    clip = encode(tmp_path / "h264.mp4")
    async with local_camera(clip) as other:
        with camera_on_a_cable(clip) as cable, two_stations(cable.url, other) as (gate, yard):
            async with gate, yard:
                cycle = await pull_and_plug(cable, gate, yard, 0.2)
    assert not cycle.wrong
