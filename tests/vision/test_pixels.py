from __future__ import annotations

import contextlib
import struct
import zlib

import cv2
import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.vision.pixels import context_crop, decode_image, face_picture, hidden, image_size, jpeg, tile


@pytest.fixture(scope="module")
def small(group):
    return cv2.resize(group, (320, 220))


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds one byte of pixels."""
    body = b""
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0")),
        (b"IEND", b""),
    ):
        body += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + body


def with_exif(picture: np.ndarray, orientation: int) -> bytes:
    data = jpeg(picture, 95)
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def test_round_trip(small):
    np.testing.assert_array_equal(decode_image(png(small)), small)
    assert np.abs(decode_image(jpeg(small, 95)).astype(int) - small).mean() < 3
    assert image_size(jpeg(small)) == image_size(png(small)) == (320, 220)


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_orientation_is_applied(small, orientation, turn):
    found = decode_image(with_exif(small, orientation))
    assert np.abs(found.astype(int) - np.rot90(small, turn)).mean() < 3


def test_grey_and_transparent_pictures_become_three_channels(small):
    assert decode_image(png(small[..., 0])).shape == (220, 320, 3)
    assert decode_image(png(cv2.cvtColor(small, cv2.COLOR_BGR2BGRA))).shape == (220, 320, 3)
    assert decode_image(png(small.astype(np.uint16) * 257)).dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "vision_image_kind"),
        (b"GIF89a" + bytes(40), "vision_image_kind"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(40), "vision_image_kind"),
        (b"BM" + bytes(60), "vision_image_kind"),
        (b"II*\0" + bytes(60), "vision_image_kind"),
        (b"\x89PNG\r\n\x1a\n", "vision_image_kind"),
        (b"\xff\xd8\xff\xda" + bytes(40), "vision_image_kind"),  # pixels before a size
        (b"\xff\xd8\xff\xe0\0\0" + bytes(40), "vision_image_kind"),  # a segment without length
        (b"\xff\xd8" + b"\xff" * 60, "vision_image_kind"),
        (png_header(100_000, 100_000), "vision_image_size"),
        (png_header(8_000, 5_001), "vision_image_size"),
        (png_header(0, 10), "vision_image_size"),
        (png_header(7_000, 5_000), "vision_image_broken"),
        (bytes(51 * 1024 * 1024), "vision_image_size"),
    ],
)
def test_hostile_pictures(data, code):
    with pytest.raises(VisionError) as caught:
        decode_image(data)
    assert caught.value.code == code


def test_a_huge_picture_is_refused_before_it_is_decoded(monkeypatch):
    decoded = []
    monkeypatch.setattr(cv2, "imdecode", lambda *a: decoded.append(a))
    with pytest.raises(VisionError):
        decode_image(png_header(60_000, 60_000))
    assert decoded == []


def test_mutated_pictures_never_do_more_than_fail(small):
    """A seeded fuzz: the long one is a release job."""
    random = np.random.default_rng(5)
    for original in (jpeg(small), png(small)):
        for _ in range(150):
            data = bytearray(original[: random.integers(1, len(original) + 1)])
            for at in random.integers(0, len(data), random.integers(0, 6)):
                data[at] = random.integers(256)
            with contextlib.suppress(VisionError):
                assert decode_image(bytes(data)).dtype == np.uint8


def test_face_pictures_show_the_face_level_and_at_one_size(networks, group, frame_of):
    detector = networks.detector("scrfd", 0.6)
    faces = detector.detect([detector.canvas(group, 1280)])[0]
    turned = np.ascontiguousarray(np.rot90(group))
    for points in faces.points:
        # The same face lying on its side gives the same picture.
        lying = np.stack([points[:, 1], group.shape[1] - 1 - points[:, 0]], axis=1).astype(np.float32)
        upright, level = context_crop(group, points), context_crop(turned, lying)
        assert upright.shape == level.shape == (320, 320, 3)
        assert np.abs(upright.astype(int) - level).mean() < 4
        (found,) = detector.detect([detector.canvas(upright, 320)])
        nearest = found.boxes[np.argmin(np.abs((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - 160).sum(1))]
        assert 90 < nearest[3] - nearest[1] < 230
    data = face_picture(frame_of(group), faces.points[0])
    assert decode_image(data).shape == (320, 320, 3)


def test_hidden_faces_cannot_be_found_or_recognised(networks, group, frame_of):
    detector = networks.detector("scrfd", 0.3)
    frame = frame_of(group)
    (faces,) = detector.detect([detector.canvas(frame, 1280)])
    shown = decode_image(tile(frame, 960, np.zeros((0, 4), np.float32)))
    assert shown.shape[1] == 960
    assert (
        len(detector.detect([detector.canvas(shown, 960)])[0]) >= 6
    )  # the control: unhidden faces are found
    covered = decode_image(tile(frame, 960, faces.boxes))
    assert len(detector.detect([detector.canvas(covered, 960)])[0]) == 0


def test_a_hidden_face_depends_on_25_averages_only():
    """Two different faces with the same averages give the same tile: what is gone is gone."""
    random = np.random.default_rng(2)
    one = random.integers(100, 150, (200, 200, 3), dtype=np.uint8)
    box = np.array([[80, 80, 120, 120]], np.float32)
    # The grown box is 66..134; its cells are about 13.6 pixels: swap neighbours within cells.
    two = one.copy()
    two[70:76, 70:76] = one[70:76, 70:76][::-1, ::-1]
    difference = hidden(one, 200, box).astype(int) - hidden(two, 200, box)
    assert (one != two).any()
    assert not difference.any()


def test_boxes_at_and_beyond_the_edge(small):
    boxes = np.array(
        [[-50, -50, 20, 20], [310, 200, 400, 300], [1000, 1000, 1100, 1100], [5, 5, 5, 5]], np.float32
    )
    assert hidden(small, 160, boxes).shape == (110, 160, 3)
    assert hidden(small, 5000, boxes).shape == (220, 320, 3)  # never enlarged
