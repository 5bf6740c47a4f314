"""The drawn street: who is where, and that the file is what a camera would send."""

from __future__ import annotations

import av
import numpy as np
import pytest

from lfr_edge.demo import clip
from lfr_edge.demo.clip import (
    FPS,
    HEIGHT,
    PUBLIC_BOXES,
    SOUGHT_BOX,
    WIDTH,
    Walk,
    cut_head,
    frames,
    paint,
    walks,
)


@pytest.fixture(scope="module")
def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Noise of the photographs' sizes: the scene does not care whose face it is."""
    rng = np.random.default_rng(1)
    return (
        rng.integers(0, 255, (512, 512, 3), dtype=np.uint8),
        rng.integers(0, 255, (886, 1280, 3), dtype=np.uint8),
    )


def test_seven_people_walk_and_several_at_once(photographs) -> None:
    people = walks(*photographs)
    assert len(people) == 1 + len(PUBLIC_BOXES)
    most = max(sum(walk.at(moment / 10) is not None for walk in people) for moment in range(120))
    assert 3 <= most <= 6
    for walk in people:
        assert walk.at(walk.enters_s - 0.1) is None
        assert walk.at(walk.enters_s + walk.lasts_s + 0.1) is None
        sizes = [walk.starts[2], walk.ends[2]]
        assert all(56 <= size <= 170 for size in sizes)


def test_a_head_is_cut_softly_and_inside_the_photograph(photographs) -> None:
    for photograph, box in ((photographs[0], SOUGHT_BOX), (photographs[1], PUBLIC_BOXES[4])):
        head = cut_head(photograph, box)
        assert head.pixels.shape[:2] == head.alpha.shape[:2]
        assert head.alpha[0, 0, 0] < 0.05
        assert head.alpha[head.alpha.shape[0] // 2, head.alpha.shape[1] // 2, 0] > 0.95


@pytest.mark.parametrize("place", [(-0.1, -0.1), (0.0, 0.5), (1.0, 1.0), (1.2, 0.5), (0.5, 1.3)])
def test_somebody_at_the_edge_is_painted_as_far_as_visible(photographs, place) -> None:
    head = cut_head(photographs[0], SOUGHT_BOX)
    walk = Walk(head, (10, 20, 30), 0.0, 1.0, (*place, 90.0), (*place, 90.0))
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    paint(picture, walk, 0.5)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    before = picture.copy()
    paint(picture, walk, 2.0)  # gone
    assert np.array_equal(before, picture)


def test_the_same_moment_gives_the_same_picture(photographs) -> None:
    first = next(iter(frames(*photographs, 0.04)))
    again = next(iter(frames(*photographs, 0.04)))
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(first, again)


def test_the_file_is_1080p25_h264_with_a_keyframe_a_second_and_no_b_frames(tmp_path, photographs) -> None:
    told: list[float] = []
    clip.write_clip(tmp_path / "street.mp4", *photographs, seconds=1.2, progress=told.append)
    assert told[-1] == pytest.approx(1.0)
    with av.open(str(tmp_path / "street.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", WIDTH, HEIGHT)
        assert stream.average_rate == FPS
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)
    assert [number for number, packet in enumerate(packets) if packet.is_keyframe] == [0, FPS]
