from __future__ import annotations

import csv
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.models.manifest import PackManifest
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import jpeg
from lfr_edge.vision.portraits import Degradation
from lfr_edge.vision.slots import ProbeSlots


@dataclass
class Handmade:
    """A pack without a store."""

    manifest: PackManifest
    files: dict[str, bytes]
    fingerprint: str = "0" * 64

    def read(self, network):
        return self.files[network.file]


@pytest.fixture(scope="module")
def stack(networks):
    return VisionStack.open(Handmade(*networks.pack("yunet-s", "mobilefacenet", "fr-feature")), threads=1)


def test_open(stack):
    assert stack.dimension == 704
    assert stack.providers == ("CPUExecutionProvider",)
    assert stack.degraded == ""
    stack.warm({640})


def test_opencv_keeps_to_the_callers_thread(networks):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        VisionStack.open(Handmade(*networks.pack("yunet-s", "mobilefacenet")))
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_degraded_is_said(networks):
    pack = Handmade(*networks.pack("yunet-s", "mobilefacenet"))
    assert "CUDA" in VisionStack.open(pack, providers=("cuda",), allow_cpu=True).degraded
    with pytest.raises(VisionError) as caught:
        VisionStack.open(pack, providers=("cuda",))
    assert caught.value.code == "vision_provider_missing"


def test_a_portrait(stack, group):
    portrait = stack.look(jpeg(group, 95))
    assert (portrait.width, portrait.height) == (1280, 886)
    assert len(portrait.found) == 6
    areas = [found.area for found in portrait.found]
    assert areas == sorted(areas, reverse=True)
    assert all(20 < found.eye_px < 90 for found in portrait.found)
    variants = (Degradation(48), Degradation(32, 60))
    rows = [stack.templates(portrait, face, variants) for face in range(3)]
    for face, own in enumerate(rows):
        assert own.shape == (3, 704)
        np.testing.assert_allclose(np.linalg.norm(own, axis=1), 1, atol=1e-5)
        assert own[0] @ own[1] > 0.5  # 48 px is worse, and still the same person
        assert own[0] @ own[1] > own[0] @ own[2] - 0.05
        others = np.concatenate([row for other, row in enumerate(rows) if other != face])
        assert (own[:2] @ others.T).max() < own[0] @ own[1]
    stills = stack._still_slots()
    assert stills.occupied == 0
    assert not any(array.any() for array in stills.memory.arrays)


def test_worse_pictures_of_one_face(stack, group):
    """Each kind moves the template, the worse the further; nothing moves it where nothing is asked."""
    portrait = stack.look(jpeg(group, 95))
    ways = (
        (Degradation(jpeg_quality=None), Degradation(jpeg_quality=None)),
        (Degradation(jpeg_quality=None, blur=1), Degradation(jpeg_quality=None, blur=5)),
        (Degradation(jpeg_quality=50), Degradation(jpeg_quality=6)),
        (Degradation(jpeg_quality=None, light=0.5), Degradation(jpeg_quality=None, light=0.01)),
    )
    for way in ways:
        own = stack.templates(portrait, 0, way)
        little, much = float(own[0] @ own[1]), float(own[0] @ own[2])
        if way is ways[0]:
            assert little == much == pytest.approx(1, abs=1e-5)
        else:
            assert much < little < 1.0001
            assert little > 0.8


def test_a_small_still_is_looked_at_twice_its_size_and_measured_in_its_own(stack, group):
    small = cv2.resize(group, (640, 443), interpolation=cv2.INTER_AREA)
    portrait = stack.look(jpeg(small, 95))
    (plain,) = stack.detect([small])
    assert len(portrait.found) == 6
    boxes = portrait.picture.faces.boxes
    assert np.abs(boxes[:, None] - plain.boxes[None]).max(axis=2).min(axis=1).max() < 6


def test_a_portrait_of_nobody(stack):
    assert stack.look(jpeg(np.full((200, 300, 3), 99, np.uint8))).found == ()


def test_a_picture_that_is_none(stack):
    with pytest.raises(VisionError) as caught:
        stack.look(b"no picture")
    assert caught.value.code == "vision_image_kind"


def test_scrub(stack, group):
    stack.look(jpeg(group))
    stack.scrub(thorough=True)
    assert not any(blob.any() for blob in stack.detector._blobs.values())
    assert not any(array.any() for network in stack.embedder._networks for array in network.memory.arrays)


def central(faces) -> int:
    """LFW's subject stands in the middle of 250 × 250."""
    centre = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    return int(np.argmin(np.linalg.norm(centre - 125, axis=1) / (faces.boxes[:, 2] - faces.boxes[:, 0])))


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(900)
def test_open_set_recognition_on_lfw(stack, shared):
    """TPIR at 1 % FPIR on protocol.csv. CenterFace's points give 92.5 % (../shared/faces/README.md)."""
    rows = list(csv.DictReader((shared / "faces/protocol.csv").open()))
    templates = np.zeros((len(rows), stack.dimension), np.float32)
    slots: ProbeSlots = stack.slots(1)
    for row, record in zip(templates, rows, strict=True):
        picture = cv2.imread(str(shared / "faces" / record["path"]))
        (faces,) = stack.detect([picture])
        assert len(faces), record["path"]
        slot = slots.acquire(1)
        best = central(faces)
        stack.embedder.align(picture, faces.points[best : best + 1], slots, slot)
        stack.embedder.embed(slots, slot)
        row[:] = slots.templates[slot[0]]
        slots.wipe(slot)
    role = np.array([record["role"] for record in rows])
    identity = np.array([record["identity"] for record in rows])
    gallery = templates[role == "gallery"]
    nonmated = (templates[role == "nonmated"] @ gallery.T).max(axis=1)
    threshold = np.sort(nonmated)[::-1][int(0.01 * len(nonmated))]
    scores = templates[role == "mated"] @ gallery.T
    right = identity[role == "gallery"][scores.argmax(axis=1)] == identity[role == "mated"]
    assert ((scores.max(axis=1) > threshold) & right).mean() >= 0.89
