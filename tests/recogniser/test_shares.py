"""Every camera in exactly one share, and no thread promised twice."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.recogniser.shares import MOST_LIST_BYTES, how_many, shares
from lfr_edge.recogniser.spec import CameraPlan
from lfr_edge.settings import ModelSettings


def plans(*sides: int) -> list[CameraPlan]:
    return [
        CameraPlan(
            id=f"cam{at}", slot_fd=3 + 2 * at, bell_fd=4 + 2 * at, detector_side=side, max_frame_age_s=2
        )
        for at, side in enumerate(sides)
    ]


@pytest.mark.parametrize(
    ("cameras", "cpus", "settings", "expected"),
    [
        (1, 2, {}, 1),
        (2, 2, {}, 2),
        (3, 2, {}, 2),
        (2, 16, {}, 2),
        (8, 16, {"threads": 1}, 1),  # a box that lends this program one thread
        (8, 16, {"threads": 4}, 4),
        (8, 2, {"recognisers": 3}, 3),  # chosen by a person
        (2, 16, {"recognisers": 8}, 2),
        (8, 16, {"providers": ("cuda", "cpu")}, 1),  # one card, that all would share
        (8, 16, {"providers": ("tensorrt",), "recognisers": 4}, 4),
    ],
)
def test_how_many(cameras, cpus, settings, expected):
    assert how_many(ModelSettings(**settings), cameras, cpus=cpus, list_bytes=0) == expected


def test_a_long_list_is_not_copied_for_every_processor():
    models = ModelSettings()
    twenty_thousand, half_a_million = 20_000 * 704 * 4, 500_000 * 704 * 4
    assert (
        how_many(models, 64, cpus=64, list_bytes=twenty_thousand) == MOST_LIST_BYTES // twenty_thousand == 19
    )
    assert how_many(models, 64, cpus=64, list_bytes=half_a_million) == 1
    assert how_many(ModelSettings(recognisers=2), 64, cpus=64, list_bytes=half_a_million) == 2


def test_the_dearest_cameras_lie_apart():
    """Two cameras of 1280 and four of 640: one of each size twice would be a fifth more for one than for the other."""
    first, second = shares(plans(640, 1280, 640, 640, 1280, 640), ModelSettings(), cpus=2, list_bytes=0)
    assert [sorted(plan.detector_side for plan in share.cameras) for share in (first, second)] == [
        [640, 640, 1280]
    ] * 2
    assert (first.threads, second.threads) == (1, 1)


def test_one_recogniser_is_started_as_it_is_configured():
    (only,) = shares(plans(640, 1280), ModelSettings(recognisers=1), cpus=8, list_bytes=0)
    assert only.threads == 0
    assert [plan.id for plan in only.cameras] == ["cam0", "cam1"]


@given(
    st.lists(st.sampled_from([320, 640, 960, 1280, 1920]), min_size=1, max_size=20),
    st.integers(1, 32), st.integers(0, 32), st.integers(0, 20),
)  # fmt: skip
def test_every_camera_in_exactly_one_share_and_every_thread_once(sides, cpus, threads, recognisers):
    models = ModelSettings(threads=threads, recognisers=recognisers)
    cameras = plans(*sides)
    dealt = shares(cameras, models, cpus=cpus, list_bytes=0)
    assert sorted(plan.id for share in dealt for plan in share.cameras) == sorted(plan.id for plan in cameras)
    assert all(share.cameras for share in dealt)
    assert len(dealt) == how_many(models, len(sides), cpus=cpus, list_bytes=0)
    if len(dealt) > 1:
        assert all(share.threads >= 1 for share in dealt)
        assert sum(share.threads for share in dealt) == max(len(dealt), threads or cpus)
        work = [sum(plan.detector_side**2 for plan in share.cameras) for share in dealt]
        assert work == sorted(work, reverse=True), "the one with the most to do comes first"
        for (busier, idler), (more, less) in zip(pairwise(dealt), pairwise(work), strict=True):
            assert busier.threads >= idler.threads
            # Nobody's last camera would have been better off with somebody who has less to do.
            assert more - min(plan.detector_side**2 for plan in busier.cameras) <= less


@given(st.permutations(range(6)))
def test_what_a_share_is_started_with_is_the_specification_with_its_own_cameras(order):
    """The order of a configuration's cameras is kept within a share."""
    cameras = [plans(640, 640, 640, 640, 640, 640)[at] for at in order]
    for share in shares(cameras, ModelSettings(recognisers=2), cpus=2, list_bytes=0):
        places = [cameras.index(plan) for plan in share.cameras]
        assert places == sorted(places)
