"""Each element: a real face is made worse in one way, and the number and the verdict follow."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from lfr_edge.vision.faces import Faces
from lfr_edge.vision.picture_quality import (
    NOT_MEASURED,
    blockiness,
    jpeg_quality,
    measure_picture,
)
from lfr_edge.vision.portraits import Found, Portrait, Still
from lfr_edge.watchlist.picture_verdicts import LIMITS, Verdict, judge_elements, not_measured


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """A public portrait: eyes 41 px apart in a picture of 512 px, seen from the front, in good light."""
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[:, :, ::-1])


@pytest.fixture(scope="module")
def faces(networks, astronaut) -> Faces:
    detector = networks.detector("yunet-s", 0.6)
    found = detector.detect([detector.canvas(astronaut, 640)])[0]
    return found[np.argsort(-found.scores)[:1]]


def encoded(picture: np.ndarray, quality: int = 95) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def portrait(picture: np.ndarray, faces: Faces) -> Portrait:
    found = tuple(
        Found(tuple(float(v) for v in box), 0.9, float(eyes), 0.9)
        for box, eyes in zip(faces.boxes, faces.eye_px, strict=True)
    )
    return Portrait(picture.shape[1], picture.shape[0], found, Still(picture, faces))


def judged(picture: np.ndarray, faces: Faces, data: bytes | None = None) -> dict:
    quality = measure_picture(portrait(picture, faces), 0, data or encoded(picture))
    return {one.element: one for one in judge_elements(quality, warn_eye_px=40, refuse_eye_px=20)}


def test_a_good_portrait_passes_in_every_element(astronaut, faces):
    found = judged(astronaut, faces)
    assert {one.verdict for one in found.values()} == {Verdict.PASS}, [
        one for one in found.values() if one.verdict is not Verdict.PASS
    ]
    assert {limit.element for limit in LIMITS} <= set(found)
    assert found["DynamicRange"].to_json()["iso_29794_5_measure"] is True
    assert found["Sharpness"].to_json()["iso_29794_5_measure"] is False


def _shaded(picture: np.ndarray) -> np.ndarray:
    dark = np.where(np.arange(picture.shape[1]) < 224, 0.12, 1.0)[None, :, None]
    return (
        picture * cv2.GaussianBlur(dark[..., 0].repeat(picture.shape[0], 0), (0, 0), 3)[..., None]
    ).astype(np.uint8)


@pytest.mark.parametrize(
    ("element", "change", "verdict", "words"),
    [
        ("Sharpness", lambda p: cv2.GaussianBlur(p, (0, 0), 2.6), Verdict.WARN, "blurred: sharpness"),
        ("Sharpness", lambda p: cv2.GaussianBlur(p, (0, 0), 7), Verdict.REFUSE, "blurred: sharpness"),
        ("UnderExposurePrevention", lambda p: (p * 0.15).astype(np.uint8), Verdict.WARN, "too dark"),
        ("UnderExposurePrevention", lambda p: (p * 0.08).astype(np.uint8), Verdict.REFUSE, "too dark"),
        (
            "OverExposurePrevention",
            lambda p: cv2.convertScaleAbs(p, alpha=1, beta=90),
            Verdict.WARN,
            "too bright",
        ),
        (
            "OverExposurePrevention",
            lambda p: cv2.convertScaleAbs(p, alpha=1, beta=210),
            Verdict.REFUSE,
            "too bright",
        ),
        (
            "DynamicRange",
            lambda p: cv2.convertScaleAbs(p, alpha=0.18, beta=100),
            Verdict.WARN,
            "too little contrast",
        ),
        ("DynamicRange", lambda p: cv2.convertScaleAbs(p, alpha=0.05, beta=120), Verdict.REFUSE, "contrast"),
        ("IlluminationUniformity", _shaded, Verdict.WARN, "lit from one side"),
    ],
)
def test_a_worse_picture_changes_its_verdict(astronaut, faces, element, change, verdict, words):
    before, after = judged(astronaut, faces)[element], judged(change(astronaut), faces)[element]
    assert before.verdict is Verdict.PASS
    assert after.verdict is verdict, after
    assert words in after.reason


def test_darkness_is_not_taken_for_blur(astronaut, faces):
    """Sharpness is relative to contrast: a dark, flat picture is as sharp as it was."""
    plain = judged(astronaut, faces)["Sharpness"].value
    dark = judged((astronaut * 0.3).astype(np.uint8), faces)["Sharpness"].value
    assert dark == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize(("asked", "verdict"), [(90, Verdict.PASS), (12, Verdict.WARN), (3, Verdict.REFUSE)])
def test_compression(astronaut, faces, asked, verdict):
    data = encoded(astronaut, asked)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    found = judged(picture, faces, data)["CompressionArtifacts"]
    assert found.verdict is verdict, found


@pytest.mark.parametrize("asked", [10, 25, 50, 75, 90, 95, 100])
def test_the_encoders_quality_is_read_from_the_file(astronaut, asked):
    found = jpeg_quality(encoded(astronaut[:64, :64], asked))
    assert found == pytest.approx(asked, abs=3 if asked > 10 else 6)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"\xff\xd8",
        b"\xff\xd8\xff\xdb\x00\x03\x00",
        b"\xff\xd8\xff\xdb\x00\x01",
        b"\xff\xd8\xff\xda\x00\x02",
    ],
)
def test_no_table_no_quality(data):
    assert jpeg_quality(data) is None


def test_a_wide_table_after_another_one():
    """16-bit tables, two in one segment, and padding between segments."""
    wide = bytes([0x10]) + b"\x00\x10" * 64
    other = bytes([0x01]) + bytes([9] * 64)
    segment = b"\xff\xdb" + (2 + len(other) + len(wide)).to_bytes(2, "big") + other + wide
    comment = b"\xff\xfe\x00\x04ab"
    assert jpeg_quality(b"\xff\xd8" + comment + b"\xff" + segment) == 86


def test_blocks_are_found_where_there_are_some():
    grain = np.random.default_rng(2).integers(0, 255, (12, 12)).astype(np.uint8)
    blocks = np.repeat(np.kron(grain, np.ones((8, 8), np.uint8))[:, :, None], 3, axis=2)
    assert blockiness(blocks, (0, 0, 96, 96)) > 20
    smooth = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (96, 96, 3), np.uint8), (0, 0), 2)
    assert blockiness(smooth, (0, 0, 96, 96)) == pytest.approx(1, abs=0.15)
    assert blockiness(smooth, (0, 0, 12, 12)) == 1.0, "too small to tell"


def turned(faces: Faces, yaw: float = 0, pitch: float = 0, roll: float = 0) -> Faces:
    from lfr_edge.vision.quality import _HEAD

    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    head = (about_z @ about_x @ about_y @ (_HEAD - _HEAD.mean(axis=0)).T).T[:, :2]
    points = (head * 1.2 + faces.points[0].mean(axis=0)).astype(np.float32)
    return Faces(faces.boxes, points[None], faces.scores)


@pytest.mark.parametrize(
    ("angles", "element", "verdict", "words"),
    [
        ({"yaw": 25}, "HeadPoseYaw", Verdict.PASS, ""),
        ({"yaw": -45}, "HeadPoseYaw", Verdict.WARN, "head turned 45° to the picture's left: at most 35°"),
        ({"yaw": 66}, "HeadPoseYaw", Verdict.REFUSE, "head turned 66° to the picture's right: at most 60°"),
        ({"pitch": 30}, "HeadPosePitch", Verdict.WARN, "head tilted 30° down: at most 20°"),
        ({"pitch": -50}, "HeadPosePitch", Verdict.REFUSE, "head tilted 50° up: at most 45°"),
        ({"roll": 80}, "HeadPoseRoll", Verdict.WARN, "head leaning 80° to the picture's right: at most 30°"),
    ],
)
def test_pose(astronaut, faces, angles, element, verdict, words):
    found = judged(astronaut, turned(faces, **angles))[element]
    assert (found.verdict, found.reason) == (verdict, words)


def test_eye_distance_is_that_of_the_head_facing_us(astronaut, faces):
    """The standard divides by the cosine of the yaw: a turned head is not a smaller one."""
    head = turned(faces, yaw=40)
    found = judged(astronaut, head)["InterEyeDistance"]
    assert found.value == pytest.approx(float(head.eye_px[0]) / math.cos(math.radians(40)), rel=0.01)
    small = Faces(faces.boxes / 2, faces.points / 2, faces.scores)
    assert judged(astronaut, small)["InterEyeDistance"].verdict is Verdict.WARN
    tiny = judged(astronaut, Faces(faces.boxes / 4, faces.points / 4, faces.scores))["InterEyeDistance"]
    assert tiny.verdict is Verdict.REFUSE
    assert "at least 20 needed" in tiny.reason


def test_a_face_cut_off_by_the_edge(astronaut, faces):
    outwards = float(faces.boxes[0, 0]) + 30
    moved = Faces(faces.boxes - np.float32([outwards, 0, outwards, 0]), faces.points, faces.scores)
    found = judged(astronaut, moved)
    assert found["FaceInsidePicture"].verdict in {Verdict.WARN, Verdict.REFUSE}
    assert "cut off by the edge" in found["FaceInsidePicture"].reason
    assert judged(astronaut, faces)["LeftwardCropOfTheFaceImage"].value > 1


def test_a_second_face_counts_by_its_size(astronaut, faces):
    both = Faces(
        np.vstack([faces.boxes, faces.boxes / 2]),
        np.vstack([faces.points, faces.points / 2]),
        np.ones(2, np.float32),
    )
    assert judged(astronaut, faces)["SingleFacePresent"].value == 0
    assert judged(astronaut, both)["SingleFacePresent"].value == pytest.approx(0.5, abs=0.01)


def test_what_is_not_measured_is_said():
    said = not_measured()
    assert said == dict(NOT_MEASURED)
    assert {"NoHeadCoverings", "EyesOpen", "ExpressionNeutrality"} <= set(said)
    assert not {"FaceOcclusionPrevention", "EyesVisible", "MouthOcclusionPrevention"} & set(said), "these are"
    assert all(len(reason) > 20 for reason in said.values())


def test_nothing_of_the_crops_stays(astronaut, faces, monkeypatch):
    made = []
    zeros = np.zeros

    def keep(*args, **kwargs):
        made.append(zeros(*args, **kwargs))
        return made[-1]

    import lfr_edge.vision.picture_quality as module

    monkeypatch.setattr(module.np, "zeros", keep)
    measure_picture(portrait(astronaut, faces), 0, encoded(astronaut))
    crops = [array for array in made if array.shape[:2] in {(224, 224), (112, 112)}]
    assert len(crops) >= 4
    assert not any(array.any() for array in crops)
