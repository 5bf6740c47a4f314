"""Hidden eyes, mouths and faces: things are drawn before a public portrait, and the verdict and its words follow."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import pytest

from benchmarks._occluders import ZONES, cover
from benchmarks._styles import LEARNT, UNSEEN
from lfr_edge.capture.frame import UInt8Array
from lfr_edge.vision import occlusion
from lfr_edge.vision.align import similarity
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.occlusion import FEATURES, PARTS, Weights, features, likelihoods
from lfr_edge.vision.picture_quality import aligned, measure_picture
from lfr_edge.vision.portraits import Found, Portrait, Still
from lfr_edge.watchlist.picture_verdicts import ElementVerdict, Verdict, judge_elements

STYLES = {style.__name__: style for style in (*LEARNT, *UNSEEN)}
ELEMENTS = {
    "eyes": "EyesVisible",
    "mouth": "MouthOcclusionPrevention",
    "face": "FaceOcclusionPrevention",
}


@pytest.fixture(scope="module")
def astronaut() -> UInt8Array:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[:, :, ::-1])


def found_in(networks, picture: UInt8Array) -> Faces:
    detector = networks.detector("yunet-s", 0.3)
    found = detector.detect([detector.canvas(picture, 640)])[0]
    return found[np.argsort(-(found.boxes[:, 2] - found.boxes[:, 0]))[:1]]


def judged(networks, picture: UInt8Array) -> Mapping[str, ElementVerdict]:
    faces = found_in(networks, picture)
    assert len(faces), "no face was found: nothing to judge"
    found = (Found(tuple(map(float, faces.boxes[0])), 0.9, float(faces.eye_px[0]), 0.9),)
    portrait = Portrait(picture.shape[1], picture.shape[0], found, Still(picture, faces))
    quality = measure_picture(portrait, 0, cv2.imencode(".png", picture)[1].tobytes())
    return {one.element: one for one in judge_elements(quality, warn_eye_px=40, refuse_eye_px=20)}


def drawn(networks, picture: UInt8Array, style: str, seed: int = 5) -> UInt8Array:
    points = found_in(networks, picture).points[0]
    return cover(picture, points, STYLES[style], np.random.default_rng(seed)).picture


@pytest.mark.parametrize(
    ("style", "part", "words"),
    [
        ("round_sunglasses", "eyes", "dark glasses"),
        ("aviators", "eyes", "dark glasses"),
        ("surgical_mask", "mouth", "a mask"),
        ("patterned_mask", "mouth", "a mask"),
        ("knitted_scarf", "mouth", "a scarf"),
        ("balaclava", "face", "cloth"),
        ("veil", "face", "cloth"),
    ],
)
def test_what_hides_a_part_is_said_of_that_part(networks, astronaut, style, part, words) -> None:
    before, after = judged(networks, astronaut), judged(networks, drawn(networks, astronaut, style))
    one = after[ELEMENTS[part]]
    assert before[one.element].verdict is Verdict.PASS
    assert one.verdict is not Verdict.PASS, one
    assert "hidden" in one.reason
    assert words in one.reason
    assert not one.same, "a likelihood is not the standard's share of pixels"


def test_glasses_that_one_sees_through_hide_nothing(networks, astronaut) -> None:
    told = judged(networks, drawn(networks, astronaut, "clear_glasses"))
    assert {told[name].verdict for name in ELEMENTS.values()} == {Verdict.PASS}


def test_a_tight_crop_hides_nothing(networks, astronaut) -> None:
    """Where the picture ends close to the face, its edge is continued and not taken for something black."""
    x1, y1, x2, y2 = (int(value) for value in found_in(networks, astronaut).boxes[0])
    tight = np.ascontiguousarray(astronaut[y1 - 6 : y2 - 4, x1 - 3 : x2 + 3])
    told = judged(networks, tight)
    assert {told[name].verdict for name in ELEMENTS.values()} == {Verdict.PASS}, told


def test_a_mask_does_not_hide_the_eyes_nor_dark_glasses_the_mouth(networks, astronaut) -> None:
    masked = judged(networks, drawn(networks, astronaut, "surgical_mask"))
    shaded = judged(networks, drawn(networks, astronaut, "square_sunglasses"))
    assert masked["EyesVisible"].verdict is Verdict.PASS
    assert shaded["MouthOcclusionPrevention"].verdict is Verdict.PASS


def test_control_without_its_coefficients_nothing_is_told(networks, astronaut, monkeypatch) -> None:
    """Sabotage: were the sums not asked, a balaclava would pass."""
    nothing = dict.fromkeys(PARTS, Weights(-20.0, np.zeros(FEATURES, np.float32)))
    monkeypatch.setattr(occlusion, "_weights", lambda: nothing)
    told = judged(networks, drawn(networks, astronaut, "balaclava"))
    assert {told[name].verdict for name in ELEMENTS.values()} == {Verdict.PASS}


def test_left_and_right_count_alike(networks, astronaut) -> None:
    crop = aligned(astronaut, found_in(networks, astronaut).points[0])
    mirrored = likelihoods(np.ascontiguousarray(crop[:, ::-1]))
    for part, value in likelihoods(crop).items():
        assert mirrored[part] == pytest.approx(value, abs=0.02)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_crop_of_one_colour_is_no_fault(value) -> None:
    """Black where the picture ends: every figure stays finite."""
    crop = np.full((112, 112, 3), value, np.uint8)
    assert np.isfinite(features(crop)).all()
    assert all(0 <= one <= 1 for one in likelihoods(crop).values())


def test_the_coefficients_fit_the_measures() -> None:
    weights = occlusion._weights()
    assert tuple(weights) == PARTS
    assert features(np.zeros((112, 112, 3), np.uint8)).shape == (FEATURES,)
    assert all(
        one.weights.shape == (FEATURES,) and np.isfinite(one.weights).all() for one in weights.values()
    )


def test_nothing_of_the_planes_stays(networks, astronaut, monkeypatch) -> None:
    planes = []
    real = occlusion._planes
    monkeypatch.setattr(
        occlusion, "_planes", lambda lab: planes.append(lab) or planes.append(real(lab)) or planes[-1]
    )
    features(aligned(astronaut, found_in(networks, astronaut).points[0]))
    assert len(planes) == 2
    assert not any(plane.any() for plane in planes)


def test_what_is_drawn_lies_where_it_is_said_to(networks, astronaut) -> None:
    """The shares that coefficients are learnt from: dark glasses hide the eyes' zone in the picture, nothing else."""
    points = found_in(networks, astronaut).points[0]
    made = cover(astronaut, points, STYLES["black_bar"], np.random.default_rng(1))
    assert made.shares["eyes"] == 1
    assert made.shares["mouth"] == 0
    crop, plain = aligned(made.picture, points), aligned(astronaut, points)
    for part, polygons in (("eyes", ZONES["eyes"]), ("mouth", ZONES["mouth"])):
        zone = np.zeros((112, 112), np.uint8)
        for polygon in polygons:
            cv2.fillPoly(zone, [np.array(polygon, np.int32)], 1)
        changed = np.abs(crop.astype(int) - plain)[zone > 0].mean()
        assert (changed > 20) == (part == "eyes")
    assert similarity(points[None], [(0.0, 0.0)] * 5).shape == (1, 2, 3)
