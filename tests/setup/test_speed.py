"""The measurement, with the real pack: figures of this machine are not tested, only that they are figures."""

from __future__ import annotations

import pytest

from lfr_edge.errors import ModelError
from lfr_edge.models.store import ModelStore
from lfr_edge.setup.capacity import judge
from lfr_edge.setup.speed import measure


@pytest.mark.network
def test_larger_pictures_cost_more(default_pack):
    told = []
    small, large = measure(default_pack, (320, 960), seconds=0, decoding=0.2, say=told.append)
    assert (small.side, large.side) == (320, 960)
    assert 0 < small.look.cpu_ms < large.look.cpu_ms
    assert small.embed == large.embed
    assert small.scrub.wall_ms > 0
    assert (small.decoding, small.decoding_measured) == (0.2, True)
    assert judge(small).cameras >= judge(large).cameras
    assert told[0] == "loading the networks"
    assert len(told) >= 4


def test_a_pack_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError):
        measure(ModelStore(tmp_path).load("default"), (640,), seconds=0)
