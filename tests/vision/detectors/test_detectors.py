from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.models import strips
from lfr_edge.models.manifest import InputContract
from lfr_edge.vision.detectors import build_detector
from lfr_edge.vision.detectors.strips import striped
from lfr_edge.vision.letterbox import fill_blob, fill_planes
from lfr_edge.vision.sessions import Runtime, Session

FAMILIES = ["yunet640", "yunet-s", "scrfd", "centerface"]


def matched(found, boxes):
    """Largest difference in pixels between each of `boxes` and the nearest of ours, and our row for each."""
    difference = np.abs(found.boxes[None] - boxes[:, None]).max(axis=2)
    return difference.min(axis=1), difference.argmin(axis=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_six_people(networks, group, name):
    detector = networks.detector(name, 0.6)
    (faces,) = detector.detect([detector.canvas(group, 960)])
    assert len(faces) == 6
    assert np.all(np.diff(faces.scores) <= 0)
    right_eye, left_eye, nose, right_mouth, left_mouth = faces.points.transpose(1, 0, 2)
    assert np.all(right_eye[:, 0] < left_eye[:, 0])  # the subject's right is the picture's left
    assert np.all(right_mouth[:, 0] < left_mouth[:, 0])
    assert np.all((right_eye[:, 1] < nose[:, 1]) & (nose[:, 1] < right_mouth[:, 1]))
    inside = (faces.points >= faces.boxes[:, None, :2]) & (faces.points <= faces.boxes[:, None, 2:])
    assert inside.all()


@pytest.mark.parametrize("name", FAMILIES)
def test_nobody(networks, name):
    detector = networks.detector(name, 0.6)
    assert [
        len(f) for f in detector.detect([detector.canvas(np.full((480, 640, 3), 90, np.uint8), 640)])
    ] == [0]
    assert detector.detect([]) == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_frames_faces_do_not_depend_on_the_others(networks, group, name, monkeypatch):
    """Alone, in a batch with others of its size, beside another size, and in another order: the same faces."""
    monkeypatch.setattr(Session, "on_cpu", False)  # batched as on a GPU
    detector = networks.detector(name, 0.5)
    pictures = [
        group,
        group[:, ::-1].copy(),
        np.roll(group, 200, axis=1),
        np.zeros_like(group),
        group[100:700, 50:],
    ]
    canvases = [detector.canvas(picture, 640) for picture in pictures]
    alone = [detector.detect([canvas])[0] for canvas in canvases]
    together = detector.detect(canvases)
    turned = detector.detect(canvases[::-1])[::-1]
    assert [len(faces) for faces in alone][3] == 0
    assert len(alone[0]) >= 5
    for one, batch, reverse in zip(alone, together, turned, strict=True):
        for other in (batch, reverse):
            assert len(one) == len(other)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
            np.testing.assert_allclose(one.points, other.points, atol=0.01)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


@pytest.mark.parametrize("name", ["yunet-s", "centerface"])
def test_several_frames_run_as_one_batch_except_on_a_cpu(networks, group, name, monkeypatch):
    detector = networks.detector(name)
    shapes = []
    run = detector._session.run
    detector._session.run = lambda blob: (shapes.append(blob.shape), run(blob))[1]
    canvases = [detector.canvas(group, 640)] * 3
    one_by_one = detector.detect(canvases)
    assert [shape[0] for shape in shapes] == [1, 1, 1]  # slower in a batch there
    monkeypatch.setattr(Session, "on_cpu", False)
    together = detector.detect(canvases)
    assert [shape[0] for shape in shapes[3:]] == [3]
    for alone, batched in zip(one_by_one, together, strict=True):
        np.testing.assert_allclose(alone.boxes, batched.boxes, atol=0.01)


def test_yunet_agrees_with_opencv(networks, group):
    picture = cv2.resize(group, (640, 443))
    detector = networks.detector("yunet640", 0.6)
    (faces,) = detector.detect([detector.canvas(picture, 640)])
    peer = cv2.FaceDetectorYN.create(str(networks.path("yunet640")), "", (640, 640), 0.6, 0.3, 5000)
    padded = np.zeros((640, 640, 3), np.uint8)
    # Our canvas keeps even sides: the same pixels are given to both.
    padded[:] = detector.canvas(picture, 640).pixels
    _, rows = peer.detect(padded)
    canvas = detector.canvas(picture, 640)
    assert len(rows) == len(faces)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    boxes = boxes / np.tile([canvas.scale_x, canvas.scale_y], 2)
    difference, ours = matched(faces, boxes)
    assert difference.max() <= 0.1
    np.testing.assert_allclose(
        faces.points[ours], rows[:, 4:14].reshape(-1, 5, 2) / (canvas.scale_x, canvas.scale_y), atol=0.1
    )
    np.testing.assert_allclose(faces.scores[ours], rows[:, 14], atol=1e-3)


@pytest.mark.parametrize("size", [(640, 480), (1280, 960)])
def test_scrfd_agrees_with_insightface(networks, group, size):
    scrfd = pytest.importorskip("insightface.model_zoo.scrfd", reason="NOT TESTED: the peers extra is absent")
    detector = networks.detector("scrfd", 0.5)
    # 4:3 and no smaller than the canvas: neither side pads or enlarges.
    picture = cv2.resize(group, (1280, 960))
    (faces,) = detector.detect([detector.canvas(picture, size[0])])
    peer = scrfd.SCRFD(str(networks.path("scrfd")), static_shape_sessions=False)
    rows, points = peer.detect(picture, input_size=size, det_thresh=0.5)
    assert len(rows) == len(faces) >= 6
    difference, ours = matched(faces, rows[:, :4])
    assert difference.max() <= 1
    assert np.abs(faces.points[ours] - points).max() <= 1
    np.testing.assert_allclose(faces.scores[ours], rows[:, 4], atol=1e-3)


def plain_centerface(heat, size, offset, points, threshold):
    """One cell at a time, as the paper describes the outputs."""
    found = []
    for row in range(heat.shape[1]):
        for column in range(heat.shape[2]):
            if heat[0, row, column] < threshold:
                continue
            height, width = np.exp(size[:, row, column]) * 4
            top = (row + offset[0, row, column] + 0.5) * 4 - height / 2
            left = (column + offset[1, row, column] + 0.5) * 4 - width / 2
            landmarks = [
                (left + points[2 * k + 1, row, column] * width, top + points[2 * k, row, column] * height)
                for k in range(5)
            ]
            found.append(((left, top, left + width, top + height), landmarks, heat[0, row, column]))
    return found


def test_centerface_agrees_with_its_plain_reference(networks, group):
    detector = networks.detector("centerface", 0.4)
    canvas = detector.canvas(group, 640)
    blob = cv2.dnn.blobFromImage(canvas.pixels, swapRB=True)
    outputs = detector._session.run(blob)
    fast = detector.decode(outputs, *canvas.pixels.shape[:2])
    plain = plain_centerface(*(output[0] for output in outputs), 0.4)
    assert len(plain) == len(fast.scores) > 6
    np.testing.assert_allclose(fast.boxes, [row[0] for row in plain], atol=1e-2)
    np.testing.assert_allclose(fast.points, [row[1] for row in plain], atol=1e-2)
    np.testing.assert_allclose(fast.scores, [row[2] for row in plain], atol=1e-6)


@pytest.mark.parametrize("name", ["yunet-s", "scrfd"])
def test_a_cameras_frame_gives_the_same_faces_as_its_colours(networks, group, frame_of, name):
    detector = networks.detector(name, 0.6)
    frame = frame_of(cv2.resize(group, (1920, 1080)))
    colours = cv2.cvtColor(frame.pixels, cv2.COLOR_YUV2BGR_I420)
    fast, plain = detector.detect([detector.canvas(frame, 1280), detector.canvas(colours, 1280)])
    assert len(fast) == len(plain) == 6
    difference, _ = matched(fast, plain.boxes)
    assert difference.max() < 3  # pixels of 1920


def test_the_wrong_family_is_refused(networks):
    manifest, model = networks.get("scrfd")
    session = Runtime(threads=1).open(model, "scrfd")
    for family in ("yunet", "centerface"):
        with pytest.raises(VisionError) as caught:
            build_detector(manifest.model_copy(update={"family": family}), session, min_score=0.5)
        assert caught.value.code == "vision_network_shape"
    with pytest.raises(VisionError) as caught:
        build_detector(manifest.model_copy(update={"family": "arcface"}), session, min_score=0.5)
    assert caught.value.code == "vision_not_a_detector"


def test_warm_and_scrub(networks, group):
    detector = networks.detector("yunet-s")
    detector.warm([(640, 480)], batches=(1, 2))
    detector.detect([detector.canvas(group, 640)])
    assert any(blob.any() for blob in detector._blobs.values())
    detector.scrub()
    assert not any(blob.any() for blob in detector._blobs.values())


def test_yunet_finds_the_same_cells_as_when_every_score_is_clipped(networks):
    """Only the few that pass are clipped: the same cells and scores, whatever the network says."""
    detector = networks.detector("yunet-s", 0.6)
    rng = np.random.default_rng(2)
    names, outputs = detector._session.outputs, []
    for name in names:
        kind, stride = name.split("_")
        width = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}[kind]
        outputs.append(rng.uniform(-1.5, 2.5, (2, (64 // int(stride)) ** 2, width)).astype(np.float32))
    found = detector.decode(outputs, 64, 64)
    wanted = []
    for stride in (8, 16, 32):
        classes, objects = (
            np.clip(outputs[names.index(f"{kind}_{stride}")][..., 0], 0, 1) for kind in ("cls", "obj")
        )
        scores = np.sqrt(classes * objects)
        wanted += [
            (row, score)
            for row, score in zip(np.nonzero(scores >= 0.6)[0], scores[scores >= 0.6], strict=True)
        ]
    assert found.frames.tolist() == [row for row, _ in wanted]
    np.testing.assert_allclose(found.scores, [score for _, score in wanted], rtol=1e-6)
    assert found.scores.max() == 1


@pytest.mark.parametrize("name", ["yunet-s", "scrfd"])
def test_in_strips_the_same_faces_are_found(networks, group, name, monkeypatch):
    monkeypatch.setattr(strips, "WORTH_BYTES", 2**20)
    detector, plain = networks.detector(name, 0.5), networks.detector(name, 0.5)
    runtime, model = Runtime(threads=1), networks.path(name).read_bytes()
    detector.in_strips = partial(striped, runtime, model, detector.manifest)
    canvas = detector.canvas(group, 640)
    height, width = canvas.pixels.shape[:2]
    detector.warm([(width, height)])
    network = detector._striped[height, width]
    (found,), (wanted,) = detector.detect([canvas]), plain.detect([canvas])
    assert len(wanted) >= 5
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.01)
    np.testing.assert_allclose(found.points, wanted.points, atol=0.01)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)
    assert network.planes.any()
    detector.scrub()
    assert not network.planes.any()


def test_strips_that_change_a_number_are_not_used_and_that_is_said(networks, monkeypatch, caplog):
    monkeypatch.setattr(strips, "WORTH_BYTES", 2**20)
    plan = networks.detector("yunet-s").manifest
    model, make = networks.path("yunet-s").read_bytes(), strips.in_strips
    assert striped(Runtime(threads=1), model, plan, 384, 640) is not None
    assert not caplog.messages
    monkeypatch.setattr(
        strips, "in_strips", lambda model, h, w, **numbers: make(model, h, w, mean=9, scale=1)
    )
    assert striped(Runtime(threads=1), model, plan, 384, 640) is None
    assert ["plain form" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("colour", ["bgr", "rgb"])
def test_planes_are_what_the_blob_is(colour):
    pixels = np.random.default_rng(8).integers(0, 256, (46, 60, 3), np.uint8)
    contract = InputContract(
        height=None, width=None, stride=32, colour=colour, mean=127.5, scale=128, batch=True
    )
    blob, planes = np.zeros((3, 46, 60), np.float32), np.zeros((3, 46, 60), np.uint8)
    fill_blob(pixels, contract, blob)
    fill_planes(pixels, contract, planes)
    np.testing.assert_allclose((planes.astype(np.float32) - 127.5) / 128, blob, atol=1e-6)
