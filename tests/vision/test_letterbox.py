from __future__ import annotations

import cv2
import numpy as np
import pytest

from lfr_edge.models.manifest import InputContract
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.letterbox import canvas_size, fill_blob, letterbox, picture_size, region_bgr, to_bgr

FREE = InputContract(height=None, stride=32, colour="bgr", mean=0, scale=1, batch=True)
FIXED = InputContract(height=640, width=640, colour="bgr", mean=0, scale=1, batch=False)


@pytest.fixture(scope="module")
def street():
    """A smooth colourful picture, 1920 × 1080: chroma subsampling costs it little."""
    random = np.random.default_rng(7)
    noise = random.integers(60, 190, (27, 48, 1)) + random.integers(-30, 30, (27, 48, 3))
    return cv2.resize(noise.astype(np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ("width", "height", "side", "expected"),
    [
        (1920, 1080, 1280, (1280, 736)),  # not 1280 × 1280
        (1920, 1080, 640, (640, 384)),
        (1080, 1920, 1280, (736, 1280)),
        (640, 480, 1280, (640, 480)),  # a small picture is not enlarged
        (250, 250, 1280, (256, 256)),
        (1280, 886, 1280, (1280, 960)),
        (1000, 100, 1280, (1024, 576)),  # thinner than the ladder: its longest rung
        (1024, 1023, 320, (320, 320)),
    ],
)
def test_canvas_size(width, height, side, expected):
    assert canvas_size(width, height, side, FREE) == expected


def test_a_fixed_network_gets_its_own_size(street):
    canvas = letterbox(street, 1280, FIXED)
    assert canvas.pixels.shape == (640, 640, 3)
    assert canvas.pixels[360:].max() == 0
    assert canvas.pixels[:360].min(axis=(0, 1)).max() >= 0


@pytest.mark.parametrize("side", [1920, 1280, 960, 640, 320])
def test_i420_agrees_with_converting_first(street, frame_of, side):
    frame = frame_of(street)
    fast = letterbox(frame, side, FREE)
    plain = letterbox(to_bgr(frame), side, FREE)
    assert (fast.scale_x, fast.scale_y) == (plain.scale_x, plain.scale_y)
    # In luma: chroma is shrunk from a quarter of the pixels and differs along coloured edges.
    luma = [cv2.cvtColor(canvas.pixels, cv2.COLOR_BGR2GRAY).astype(int) for canvas in (fast, plain)]
    difference = np.abs(luma[0] - luma[1])
    assert difference.mean() < 0.6
    assert np.percentile(difference, 99.9) <= 6


def test_faces_go_back_to_the_picture(street):
    canvas = letterbox(street, 1280, FREE)
    faces = Faces(
        np.array([[0, 0, 1280, 720]], np.float32), np.full((1, 5, 2), 64, np.float32), np.ones(1, np.float32)
    )
    back = canvas.to_picture(faces)
    np.testing.assert_allclose(back.boxes, [[0, 0, 1920, 1080]], rtol=1e-6)
    np.testing.assert_allclose(back.points, 96, rtol=1e-6)
    assert len(canvas.to_picture(Faces.none())) == 0


def test_region_of_i420_is_the_region_of_the_whole(street, frame_of):
    frame = frame_of(street)
    assert picture_size(frame) == (1920, 1080)
    whole = to_bgr(frame)
    # OpenCV's wide and narrow loops round differently by one.
    difference = region_bgr(frame, 102, 40, 322, 300).astype(int) - whole[40:300, 102:322]
    assert np.abs(difference).max() <= 2
    assert region_bgr(whole, 3, 4, 9, 8).shape == (4, 6, 3)


@pytest.mark.parametrize(("colour", "mean", "scale"), [("bgr", 0, 1), ("rgb", 127.5, 128)])
def test_blob(colour, mean, scale):
    contract = InputContract(height=None, colour=colour, mean=mean, scale=scale, batch=True)
    pixels = np.random.default_rng(3).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    out = np.full((3, 32, 64), np.nan, np.float32)
    fill_blob(pixels, contract, out)
    plain = cv2.dnn.blobFromImage(pixels, 1 / scale, None, (mean,) * 3, swapRB=colour == "rgb")[0]
    np.testing.assert_allclose(out, plain, atol=1e-6)
