"""The twin finds what the plain path finds, whatever the picture's size and whatever is in it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_edge.errors import ModelError
from lfr_edge.models.fuse import COLUMNS, MOST_CANDIDATES, twin_of
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.letterbox import letterbox, place
from lfr_edge.vision.twins.detector import FrameCanvas, TwinDetector
from lfr_edge.vision.twins.drawn import drawn_frame, drawn_street
from lfr_edge.vision.twins.geometry import anchors, resamplers
from lfr_edge.vision.twins.proof import distance

DETECTORS = ("yunet-s", "scrfd", "centerface")


def same(plain: Faces, fast: Faces, pixels: float) -> None:
    assert len(plain) == len(fast) > 0
    assert distance(plain, fast) <= pixels
    np.testing.assert_allclose(np.sort(plain.scores), np.sort(fast.scores), atol=0.02)


@pytest.mark.parametrize("name", DETECTORS)
def test_pixels_twin_gives_the_same_faces(pairs, name):
    plain = pairs.plain(name)
    twin = pairs.twin(name, "pixels", plain)
    picture = drawn_street(960, 540)
    same(plain.detect([plain.canvas(picture, 480)])[0], twin.detect([twin.canvas(picture, 480)])[0], 0.01)


# 960 → 480: by area; → 640: linear. On a CPU a resampling by matrix products is slow, so the pictures are small.
@pytest.mark.parametrize(
    ("name", "side"), [("yunet-s", 480), ("yunet-s", 640), ("scrfd", 640), ("centerface", 480)]
)
def test_frames_twin_gives_the_same_faces(pairs, name, side):
    plain = pairs.plain(name)
    twin = pairs.twin(name, "frames", plain)
    frame = drawn_frame(960, 540)
    (found,) = plain.detect([plain.canvas(frame, side)])
    canvas = twin.canvas(frame, side)
    assert isinstance(canvas, FrameCanvas)
    assert len(twin.detect([canvas])[0]) == len(found) > 0
    assert distance(found, twin.candidates(canvas)[0]) <= 1


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(32, 400).map(lambda n: 2 * n),
    height=st.integers(32, 300).map(lambda n: 2 * n),
    side=st.sampled_from([320, 480, 640]),
    seed=st.integers(0, 9),
)
def test_any_frame_any_canvas(pairs, width, height, side, seed):
    """Every candidate above a low score: the same number of them, where both paths put them."""
    plain = pairs.plain("yunet-s", min_score=0.5)
    frame = drawn_frame(width, height, seed)
    (found,) = plain.detect([plain.canvas(frame, side)])
    for entry, pixels in (("pixels", 0.01), ("frames", 1.0)):
        twin = pairs.twin("yunet-s", entry, plain)
        canvas = twin.canvas(frame, side)
        assert distance(found, twin.candidates(canvas)[0]) <= pixels * max(1, max(width, height) / side)
        if entry == "pixels":
            assert len(twin.detect([canvas])[0]) == len(found)


@settings(max_examples=20, deadline=None)
@given(
    width=st.integers(4, 200).map(lambda n: 2 * n),
    height=st.integers(4, 200).map(lambda n: 2 * n),
    side=st.sampled_from([64, 128, 320]),
    seed=st.integers(0, 2**16),
)
def test_matrices_do_what_opencv_does(networks, width, height, side, seed):
    contract = networks.get("yunet-s")[0].input
    at = place(width, height, side, contract)
    matrices = resamplers(width, height, at)
    plane = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    mine = matrices["rows"] @ plane.astype(np.float32) @ matrices["columns"]
    method = cv2.INTER_AREA if width / at.inner_width >= 2 else cv2.INTER_LINEAR
    wanted = cv2.resize(plane, (at.inner_width, at.inner_height), interpolation=method)
    inner = mine[: at.inner_height, : at.inner_width]
    assert np.abs(np.floor(inner + 0.5) - wanted).max() <= 1
    assert not mine[at.inner_height :].any()
    assert not mine[:, at.inner_width :].any()


def test_a_wrong_matrix_is_seen(pairs, monkeypatch):
    """The comparison's positive control: a resampler that is half a pixel off moves boxes."""
    plain = pairs.plain("yunet-s")
    real = resamplers

    def shifted(*arguments):
        made = real(*arguments)
        return made | {"columns": np.roll(made["columns"], 2, axis=1)}

    monkeypatch.setattr("lfr_edge.vision.twins.detector.resamplers", shifted)
    twin = pairs.twin("yunet-s", "frames", plain)
    frame = drawn_frame(1280, 720)
    (found,) = plain.detect([plain.canvas(frame, 640)])
    assert distance(found, twin.candidates(twin.canvas(frame, 640))[0]) > 1


class _Batched:
    """A program that says it is on a card, so that the ladder is used; the CPU runs it."""

    def __init__(self, program) -> None:
        self._program = program
        self.inputs, self.outputs = program.inputs, program.outputs
        self.on_cpu = False
        self.batches: list[int] = []

    def bind(self, inputs, outputs, *, constant=()):
        self.batches.append(len(next(iter(outputs.values()))))
        return self._program.bind(inputs, outputs, constant=constant)


@pytest.mark.parametrize("entry", ["pixels", "frames"])
def test_frames_of_several_cameras_in_one_run(pairs, entry):
    plain = pairs.plain("yunet-s")
    manifest, data = pairs.network("yunet-s")
    program = _Batched(pairs.runtime.open_program(twin_of(manifest, data, entry), "yunet-s"))
    twin = TwinDetector(plain, program, most=4)
    frames = [drawn_frame(640, 360, seed) for seed in range(6)]
    apart = [twin.detect([twin.canvas(frame, 640)])[0] for frame in frames]
    together = twin.detect([twin.canvas(frame, 640) for frame in frames])
    assert program.batches == [1, 4, 2]
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    everything = twin.candidates(twin.canvas(frames[0], 640))  # of rungs 1, 2 and 4
    assert len(everything) == 7
    assert all(distance(apart[0], found) <= 0.01 for found in everything)
    (alone,) = twin.detect([twin.canvas(frames[0], 640)])  # nothing of the batch is left in it
    np.testing.assert_array_equal(alone.boxes, apart[0].boxes)


def test_sizes_may_be_mixed_and_stills_go_the_plain_way(pairs):
    plain = pairs.plain("yunet-s")
    twin = pairs.twin("yunet-s", "frames", plain)
    still, small, large = drawn_street(640, 480), drawn_frame(640, 360), drawn_frame(960, 540)
    found = twin.detect([twin.canvas(picture, 640) for picture in (still, small, large)])
    for picture, faces in zip((still, small, large), found, strict=True):
        (wanted,) = plain.detect([plain.canvas(picture, 640)])
        assert len(faces) == len(wanted) > 0
    np.testing.assert_array_equal(found[0].boxes, plain.detect([plain.canvas(still, 640)])[0].boxes)


def test_an_empty_street_has_no_faces(pairs):
    plain = pairs.plain("yunet-s", min_score=0.6)
    twin = pairs.twin("yunet-s", "pixels", plain)
    assert len(twin.detect([twin.canvas(np.zeros((64, 64, 3), np.uint8), 640)])[0]) == 0


def test_scrub_leaves_nothing(pairs):
    plain = pairs.plain("yunet-s")
    twin = pairs.twin("yunet-s", "frames", plain)
    twin.warm([(640, 384)])
    twin.detect([twin.canvas(drawn_frame(640, 360), 640)])
    rungs = list(twin._rungs.values())
    assert any(array.any() for rung in rungs for array in rung.varying)
    twin.scrub()
    assert not any(array.any() for rung in rungs for array in (*rung.varying, rung.found))


def test_anchors_end_with_empty_rows():
    table = anchors("scrfd", 64, 96)
    assert table.shape == (2 * (8 * 12 + 4 * 6 + 2 * 3) + MOST_CANDIDATES, 3)
    assert table[1].tolist() == [0, 0, 8]
    assert table[2].tolist() == [8, 0, 8]
    assert not table[-MOST_CANDIDATES:].any()
    assert COLUMNS == 1 + 4 + 10


def test_a_fixed_network_has_no_twin(networks):
    manifest, data = networks.get("yunet640")
    with pytest.raises(ModelError) as caught:
        twin_of(manifest, data, "pixels")
    assert caught.value.code == "model_twin_unsupported"
    sized = manifest.model_copy(update={"input": manifest.input.model_copy(update={"batch": True})})
    with pytest.raises(ModelError, match="its size is fixed"):
        twin_of(sized, data, "pixels")


def test_the_canvas_is_placed_as_the_letterbox_places_it(networks):
    contract = networks.get("yunet-s")[0].input
    frame = drawn_frame(1000, 562)
    canvas, at = letterbox(frame, 640, contract), place(1000, 562, 640, contract)
    assert canvas.pixels.shape[:2] == (at.height, at.width)
    assert (canvas.scale_x, canvas.scale_y) == (at.inner_width / 1000, at.inner_height / 562)
