from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.vision.align import similarity, warp
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.quality import _HEAD, _TO_POSE, assess, geometry, head_pose, share_inside

TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The generic head seen turned, in weak perspective: (5, 2) pixels."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    head = _HEAD - _HEAD.mean(axis=0)
    return ((about_z @ about_x @ about_y @ head.T).T[:, :2] * 1.7 + 300).astype(np.float32)


@pytest.mark.parametrize(
    "angles",
    [(0, 0, 0), (30, 0, 0), (-45, 0, 0), (0, 25, 0), (0, -20, 0), (0, 0, 40), (25, 15, -30), (-20, -10, 80)],
)
def test_pose_of_the_generic_head_is_exact(angles):
    found = [float(angle[0]) for angle in head_pose(turned(*angles)[None])]
    assert found == pytest.approx(angles, abs=0.1)


def test_signs_are_what_the_words_say():
    right = turned(30, 0, 0)
    assert right[2, 0] > right[:2, 0].mean()  # the nose points to the picture's right
    down = turned(0, 20, 0)
    frontal = turned(0, 0, 0)
    assert down[2, 1] - down[:2, 1].mean() > frontal[2, 1] - frontal[:2, 1].mean()
    clockwise = turned(0, 0, 20)
    assert clockwise[1, 1] > clockwise[0, 1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.tuples(*[st.floats(-50, 2000, width=32)] * 2), min_size=5, max_size=5), max_size=5)
)
def test_the_pitch_is_that_of_the_whole_cross_product(faces):
    points = np.array(faces, np.float32).reshape(-1, 5, 2)
    centred = points.astype(np.float64) - points.mean(axis=1, keepdims=True)
    rows = np.einsum("kj,njc->nck", _TO_POSE, centred)
    rows /= np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-9)
    forward = np.cross(rows[:, 0], rows[:, 1])
    wanted = np.degrees(np.arcsin(np.clip(-forward[:, 1], -1, 1))).astype(np.float32)
    np.testing.assert_array_equal(head_pose(points)[1], wanted)


def test_share_inside():
    boxes = np.array([[10, 10, 20, 20], [-5, 0, 5, 10], [95, 45, 105, 55], [200, 0, 210, 10]], np.float32)
    np.testing.assert_allclose(share_inside(boxes, 100, 50), [1, 0.5, 0.25, 0], atol=1e-6)


@pytest.fixture
def measured(networks, group):
    """Quality of the six faces after the picture was changed."""
    detector = networks.detector("yunet-s", 0.6)
    faces = detector.detect([detector.canvas(group, 1280)])[0]

    def measure(picture=group, faces=faces):
        crops = np.zeros((len(faces), 112, 112, 3), np.uint8)
        for matrix, crop in zip(similarity(faces.points, TEMPLATE), crops, strict=True):
            warp(picture, matrix, crop)
        return assess(geometry(faces, picture.shape[1], picture.shape[0]), crops, range(len(faces)))

    return measure


def test_good_faces_need_no_words(measured):
    """Four people look at the camera, one half past it, one stands in profile."""
    quality = measured()
    assert len(quality) == 6
    order = np.argsort(quality.overall)
    assert [quality.explain(i) for i in order[2:]] == [()] * 4
    assert quality.overall[order[2]] > 0.8
    for i in order[:2]:
        assert quality.explain(i)[0].startswith("turned ")
    assert abs(quality.yaw_deg[order[0]]) > abs(quality.yaw_deg[order[1]]) > 25
    assert set(quality.measures(0)) >= {"overall", "eye_px", "yaw_deg", "sharpness"}
    assert len(quality[quality.overall > 2]) == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: cv2.GaussianBlur(p, (0, 0), 5), "blurred"),
        (lambda p: (p * 0.1).astype(np.uint8), "too dark"),
        (lambda p: cv2.convertScaleAbs(p, alpha=0.4, beta=190), "too bright"),
        (lambda p: cv2.convertScaleAbs(p, alpha=0.08, beta=110), "too little contrast"),
    ],
)
def test_a_worse_picture_is_worse_and_says_why(measured, group, change, word):
    before, after = measured(), measured(change(group))
    assert np.all(after.overall < before.overall)
    assert sum(word in after.explain(i) for i in range(6)) >= 5


def face(points: np.ndarray, score: float = 0.9) -> Faces:
    box = np.concatenate([points.min(0) - 20, points.max(0) + 20])[None].astype(np.float32)
    return Faces(box, points[None].astype(np.float32), np.array([score], np.float32))


def grey() -> np.ndarray:
    return np.random.default_rng(1).integers(60, 200, (1, 112, 112, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("faces", "word"),
    [
        (face(turned(-50, 0, 0)), "turned 50° to the picture's left"),
        (face(turned(0, 45, 0)), "looking 45° down"),
        (face(turned(0, 0, 0) / 6), "too small: 10 px between the eyes"),
        (face(turned(0, 0, 0) - (300, 0)), "cut off by the edge of the picture"),
        (face(turned(0, 0, 0), 0.35), "the detector is not sure that this is a face"),
    ],
)
def test_words(faces, word):
    assert assess(geometry(faces, 640, 480), grey(), [0]).explain(0)[0] == word


def test_nothing_makes_up_for_a_hopeless_component():
    good, profile = (assess(geometry(face(turned(yaw, 0, 0)), 640, 480), grey(), [0]) for yaw in (0, 70))
    assert profile.pose[0] == 0
    assert 0 < profile.overall[0] < 0.5 * good.overall[0]


def test_nobody():
    quality = assess(geometry(Faces.none(), 640, 480), grey(), [])
    assert len(quality) == 0
    assert quality.overall.shape == (0,)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.floats(-80, 80), st.floats(-60, 60), st.floats(-90, 90)),
    st.floats(0.2, 8),
    st.floats(0, 1),
    st.integers(0, 255),
    st.integers(0, 120),
    st.integers(0, 2**16),
)
def test_no_crop_makes_a_face_better_than_its_geometry_allows(angles, shrink, score, mean, contrast, seed):
    """What keeps a face from being cut out must never keep one that is worth a look."""
    known = geometry(face(turned(*angles) / np.float32(shrink), score), 640, 480)
    noise = np.random.default_rng(seed).normal(mean, contrast, (1, 112, 112, 3))
    crop = np.clip(noise, 0, 255).astype(np.uint8)
    assert assess(known, crop, [0]).overall[0] <= known.most[0]


def test_a_perfect_crop_reaches_the_bound():
    known = geometry(face(turned(0, 0, 0) / 2), 640, 480)
    crop = np.random.default_rng(1).integers(40, 220, (1, 112, 112, 3), dtype=np.uint8)
    assert assess(known, crop, [0]).overall[0] == pytest.approx(float(known.most[0]))
