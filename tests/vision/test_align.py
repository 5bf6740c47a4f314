from __future__ import annotations

import warnings
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.vision.align import _ALIASING, _corners, _pre_shrink, _region, similarity, warp
from lfr_edge.vision.letterbox import region_bgr, to_bgr
from lfr_edge.vision.twins.drawn import drawn_frame

street = cache(drawn_frame)

TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def umeyama(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The published algorithm (Umeyama 1991), one face, float64, with its singular value decomposition."""
    source, target = points.astype(np.float64), np.asarray(template, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    p, q = source - source_mean, target - target_mean
    u, d, vt = np.linalg.svd(q.T @ p / len(p))
    sign = np.ones(2)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        sign[-1] = -1
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / p.var(0).sum()
    return np.column_stack([scale * rotation, target_mean - scale * rotation @ source_mean])


coordinate = st.integers(0, 2000)
five = st.lists(st.tuples(coordinate, coordinate), min_size=5, max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.lists(five, min_size=1, max_size=8))
def test_closed_form_is_umeyama(faces):
    points = np.array(faces, np.float32)
    # Where the points are nearly one point, or nearly a mirror image, the best turn is not defined.
    for row, matrix in zip(points, similarity(points, TEMPLATE), strict=True):
        p = row.astype(np.float64) - row.mean(0)
        if np.abs(matrix[0, :2]).max() < 1e-4 or p.var(0).sum() < 1:
            continue
        np.testing.assert_allclose(matrix, umeyama(row, TEMPLATE), rtol=1e-6, atol=1e-6)


def test_a_turned_face_comes_back_exactly():
    angle, scale = np.radians(25), 3.1
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (np.array(TEMPLATE) @ turn.T + (400, 250)).astype(np.float32)
    (matrix,) = similarity(points[None], TEMPLATE)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-3)


def test_five_equal_points_give_a_black_crop():
    (matrix,) = similarity(np.full((1, 5, 2), 40, np.float32), TEMPLATE)
    assert np.all(matrix[:, :2] == 0)
    out = np.full((112, 112, 3), 9, np.uint8)
    warp(np.full((90, 90, 3), 200, np.uint8), matrix, out)
    assert out.max() == 0


def test_agrees_with_skimage():
    transform = pytest.importorskip("skimage.transform", reason="NOT TESTED: the peers extra is absent")
    points = (np.array(TEMPLATE) * 2.5 + np.random.default_rng(4).normal(0, 6, (5, 2)) + 90).astype(
        np.float32
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skimage 0.26 deprecates the method that insightface calls
        plain = transform.SimilarityTransform()
        plain.estimate(points, np.array(TEMPLATE))
    np.testing.assert_allclose(similarity(points[None], TEMPLATE)[0], plain.params[:2], rtol=1e-5, atol=1e-4)


@pytest.fixture
def faces(networks, group):
    detector = networks.detector("scrfd", 0.6)
    return detector.detect([detector.canvas(group, 1280)])[0]


def test_crops_agree_with_insightface(group, faces):
    face_align = pytest.importorskip("insightface.utils.face_align", reason="NOT TESTED: no peers extra")
    for points, matrix in zip(faces.points, similarity(faces.points, TEMPLATE), strict=True):
        out = np.empty((112, 112, 3), np.uint8)
        warp(group, matrix, out)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain = face_align.norm_crop(group, points)
        # OpenCV steps through the source at 1/32 pixel from the region's corner.
        assert np.abs(out.astype(int) - plain).mean() < 0.7


def test_the_region_of_interest_changes_nothing(group, faces):
    for matrix in similarity(faces.points, TEMPLATE):
        out = np.empty((112, 112, 3), np.uint8)
        warp(group, matrix, out)
        whole = cv2.warpAffine(group, matrix, (112, 112))
        assert np.abs(out.astype(int) - whole).mean() < 0.7


def test_crops_of_a_cameras_frame(group, faces, frame_of):
    frame = frame_of(group)
    colours = to_bgr(frame)
    for matrix in similarity(faces.points, TEMPLATE):
        fast, plain = np.empty((2, 112, 112, 3), np.uint8)
        warp(frame, matrix, fast)
        warp(colours, matrix, plain)
        assert np.abs(fast.astype(int) - plain).mean() < 0.7


@pytest.mark.parametrize(
    "shift", [(-60, 0), (0, -60), (1240, 0), (0, 850), (-500, -500), (5000, 5000), (1e9, 0)]
)
def test_a_face_at_the_edge_is_black_beyond_it(group, frame_of, shift):
    points = (np.array(TEMPLATE) + shift).astype(np.float32)
    (matrix,) = similarity(points[None], TEMPLATE)
    whole = cv2.warpAffine(group, matrix, (112, 112))
    for picture in (group, frame_of(group)):
        out = np.full((112, 112, 3), 77, np.uint8)
        warp(picture, matrix, out)
        assert np.abs(out.astype(int) - whole).mean() < 6  # one row of 112 at the edge may differ, and chroma
        assert (out.max() > 0) == (whole.max() > 0)


def test_points_that_are_no_numbers_give_a_black_crop(group):
    (matrix,) = similarity(np.full((1, 5, 2), np.nan, np.float32), TEMPLATE)
    out = np.full((112, 112, 3), 77, np.uint8)
    warp(group, matrix, out)
    assert out.max() == 0


def test_a_big_face_is_shrunk_without_aliasing():
    """A chequerboard finer than the crop's pixels must become grey, not moiré."""
    board = np.indices((1600, 1600)).sum(0) % 2 * 255
    picture = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    points = (np.array(TEMPLATE) * 9 + 100).astype(np.float32)
    (matrix,) = similarity(points[None], TEMPLATE)
    out = np.empty((112, 112, 3), np.uint8)
    warp(picture, matrix, out)
    assert out.std() < 8
    assert cv2.warpAffine(picture, matrix, (112, 112)).std() > 40  # the plain way shows it


def test_pre_shrinking_moves_nothing(group, faces):
    """A smooth picture at nine times the crop's size: the same crop with and without."""
    big = cv2.resize(cv2.GaussianBlur(group, (0, 0), 6), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    for matrix in similarity(faces.points * 4 + 1.5, TEMPLATE):
        out = np.empty((112, 112, 3), np.uint8)
        warp(big, matrix, out)
        assert np.abs(out.astype(int) - cv2.warpAffine(big, matrix, (112, 112))).max() <= 4


def plain_region(matrix: np.ndarray, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Corners by numpy's inverse, bounds by its floor and ceil."""
    corners = np.array([(0, 0), (112, 0), (112, 112), (0, 112)], np.float64)
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    low, high = np.floor(seen.min(axis=0)) - 2, np.ceil(seen.max(axis=0)) + 2
    x1, y1 = (int(max(0, value)) & ~1 for value in np.minimum(low, (width, height)))
    x2 = int(max(0, min(width, high[0] + high[0] % 2)))
    y2 = int(max(0, min(height, high[1] + high[1] % 2)))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


@settings(max_examples=200, deadline=None)
@given(five)
def test_the_region_in_plain_numbers_is_numpys(points):
    (matrix,) = similarity(np.array([points], np.float32), TEMPLATE)
    if np.abs(matrix[0, :2]).max() < 1e-4:
        return  # nearly one point: the inverse means nothing
    corners = _corners(matrix, 112, 112)
    found = _region(np.zeros((1080, 1920, 3), np.uint8), corners)
    wanted = plain_region(matrix, 1920, 1080)
    # A corner that lies on a whole pixel may be rounded either way.
    assert (found is None) == (wanted is None)
    if found is not None:
        assert np.abs(np.subtract(found, wanted)).max() <= 2


def test_a_matrix_that_maps_to_nothing_has_no_corners():
    assert _corners(np.zeros((2, 3)), 112, 112) is None


def warped_in_three_channels(frame, matrix, out):
    """The plain reference: the region in BGR, warped straight into the crop."""
    height, width = out.shape[:2]
    box = _region(frame, _corners(matrix, width, height))
    if box is None:
        out[:] = 0
        return
    source, whole = region_bgr(frame, *box), matrix.copy()
    whole[:, 2] += whole[:, :2] @ box[:2]
    shrink = 1 / np.hypot(matrix[0, 0], matrix[1, 0])
    if shrink > _ALIASING:
        source, whole = _pre_shrink(source, whole, shrink)
    cv2.warpAffine(source, whole, (width, height), dst=out, flags=cv2.INTER_LINEAR, borderValue=0)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 1),
    st.sampled_from([(640, 360), (322, 240), (960, 540)]),
    st.floats(-0.2, 1.2),
    st.floats(-0.2, 1.2),
    st.floats(12, 700),
    st.floats(-180, 180),
    st.sampled_from([112, 150]),
)
def test_four_channels_give_the_crop_of_three(seed, size, across, down, wide, turn, side):
    """Small and large faces, turned, at the edges and half outside: the same to the last bit."""
    frame = street(*size, seed)
    angle = np.radians(turn)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * wide / 112
    points = (np.array(TEMPLATE) - 56) @ spin.T + (across * size[0], down * size[1])
    (matrix,) = similarity(points[None].astype(np.float32), np.array(TEMPLATE) * side / 112)
    crop, wanted = np.full((2, side, side, 3), 7, np.uint8)
    warp(frame, matrix, crop)
    warped_in_three_channels(frame, matrix, wanted)
    np.testing.assert_array_equal(crop, wanted)
