from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.errors import VisionError
from lfr_edge.vision.embedder import LADDER, FusedEmbedder, batches
from lfr_edge.vision.sessions import Runtime, Session
from lfr_edge.vision.slots import ProbeSlots


@pytest.fixture(scope="module")
def faces(networks, group):
    detector = networks.detector("scrfd", 0.6)
    return detector.detect([detector.canvas(group, 1280)])[0]


def templates(embedder: FusedEmbedder, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    slots = ProbeSlots(
        max(1, len(points)), [(s.height, s.width) for s in embedder.crop_shapes], embedder.dimension
    )
    rows = slots.acquire(len(points))
    embedder.align(picture, points, slots, rows)
    embedder.embed(slots, rows)
    return slots.templates[list(rows)].copy()


@pytest.mark.parametrize(("name", "scale"), [("mobilefacenet", 128), ("fr-feature", 128)])
def test_agrees_with_the_plain_path(networks, group, faces, name, scale):
    """insightface's own norm_crop and ArcFaceONNX, given this network's mean and scale."""
    arcface = pytest.importorskip("insightface.model_zoo.arcface_onnx", reason="NOT TESTED: no peers extra")
    from insightface.utils import face_align

    peer = arcface.ArcFaceONNX(str(networks.path(name)))
    contract = networks.get(name)[0].input
    peer.input_mean, peer.input_std = contract.mean, contract.scale
    peer.input_size = (112, 112)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        crops = [face_align.norm_crop(group, points) for points in faces.points]
    plain = np.concatenate([peer.get_feat(crop) for crop in crops])
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    ours = templates(networks.embedder(name), group, faces.points)
    assert np.einsum("ij,ij->i", plain, ours).min() >= 0.999


def test_batched_is_single(networks, group, faces):
    embedder = networks.embedder("mobilefacenet", "fr-feature")
    points = np.concatenate([faces.points, faces.points + 2, faces.points - 2])[:13]  # 8 + 4 + 1
    together = templates(embedder, group, points)
    alone = np.concatenate([templates(embedder, group, points[i : i + 1]) for i in range(len(points))])
    assert np.einsum("ij,ij->i", together, alone).min() > 0.99999
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_padding_changes_nothing(networks, group, faces, monkeypatch):
    embedder = networks.embedder("mobilefacenet")
    exact = templates(embedder, group, faces.points[:5])
    monkeypatch.setattr(Session, "on_cpu", False)  # pad as on a GPU: 5 run as 8
    embedder = networks.embedder("mobilefacenet")
    padded = templates(embedder, group, faces.points[:5])
    np.testing.assert_allclose(exact, padded, atol=1e-5)


def test_fused_cosine_is_the_mean_of_the_cosines(networks, group, faces):
    one, two = (
        templates(networks.embedder(name), group, faces.points) for name in ("mobilefacenet", "fr-feature")
    )
    fused = templates(networks.embedder("mobilefacenet", "fr-feature"), group, faces.points)
    assert fused.shape == (6, 704)
    np.testing.assert_allclose(fused @ fused.T, (one @ one.T + two @ two.T) / 2, atol=1e-5)


def test_weights_are_shares_of_the_fused_cosine(networks, group, faces):
    names, weights = ("mobilefacenet", "fr-feature", "retail"), (1.0, 1.0, 2.0)
    alone = [templates(networks.embedder(name), group, faces.points) for name in names]
    runtime = Runtime(threads=1)
    found = [networks.get(name) for name in names]
    embedder = FusedEmbedder(
        [
            (manifest.model_copy(update={"weight": weight}), runtime.open(model, manifest.id))
            for (manifest, model), weight in zip(found, weights, strict=True)
        ]
    )
    fused = templates(embedder, group, faces.points)
    expected = sum(weight * part @ part.T for weight, part in zip(weights, alone, strict=True)) / 4
    np.testing.assert_allclose(fused @ fused.T, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-5)


def test_networks_with_different_crops(networks, group, faces):
    embedder = networks.embedder("mobilefacenet", "retail", "fr-feature")
    assert [(s.height, s.width) for s in embedder.crop_shapes] == [(112, 112), (128, 128)]
    fused = templates(embedder, group, faces.points)
    retail = templates(networks.embedder("retail"), group, faces.points)
    np.testing.assert_allclose(fused[:, 192:448] * np.sqrt(3), retail, atol=1e-5)


def test_flip_is_the_same_for_a_mirrored_face(networks, group, faces):
    embedder = networks.embedder("mobilefacenet", flip=True)
    mirrored = np.ascontiguousarray(group[:, ::-1])
    points = faces.points[:, [1, 0, 2, 4, 3]].copy()
    points[..., 0] = group.shape[1] - 1 - points[..., 0]
    plain = templates(networks.embedder("mobilefacenet"), mirrored, points)
    straight, turned = templates(embedder, group, faces.points), templates(embedder, mirrored, points)
    # The ArcFace template is not quite symmetric, so not quite 1.
    both = np.einsum("ij,ij->i", straight, turned)
    assert both.min() > 0.95
    assert both.mean() > np.einsum("ij,ij->i", straight, plain).mean()


@pytest.mark.parametrize(
    ("names", "apart", "same"),
    [(("mobilefacenet", "fr-feature"), 0.5, 0.7), (("retail",), 0.6, 0.7), (("dlib",), 0.94, 0.95)],
)
def test_six_people_are_six(networks, group, faces, names, apart, same):
    """dlib's embeddings have a large common part: its cosines lie close to 1."""
    embedder = networks.embedder(*names)
    rows = templates(embedder, group, faces.points)
    assert (rows @ rows.T)[~np.eye(6, dtype=bool)].max() < apart
    again = templates(embedder, cv2.GaussianBlur(group, (0, 0), 1.5), faces.points)
    assert np.einsum("ij,ij->i", rows, again).min() > same


def test_nothing_stays_in_the_networks_buffers(networks, group, faces):
    embedder = networks.embedder("mobilefacenet")
    templates(embedder, group, faces.points)
    assert not any(array.any() for array in embedder._networks[0].memory.arrays)
    embedder.scrub()
    assert not any(array.any() for array in embedder._networks[0].memory.arrays)


def test_an_empty_batch(networks, group):
    assert templates(networks.embedder("mobilefacenet"), group, np.zeros((0, 5, 2), np.float32)).shape == (
        0,
        192,
    )


@given(st.integers(0, 100), st.sampled_from([1, 32]), st.booleans())
def test_batches_cover_every_row_once(n, largest, padded):
    rows = list(range(n))
    plan = list(batches(rows, largest, padded=padded))
    assert [row for chunk, _ in plan for row in chunk] == rows
    for chunk, batch in plan:
        assert batch in LADDER
        assert len(chunk) <= batch <= largest
        assert padded or len(chunk) == batch


def test_wrong_dimension_and_wrong_task_are_refused(networks):
    manifest, model = networks.get("mobilefacenet")
    session = Runtime(threads=1).open(model, "mobilefacenet")
    with pytest.raises(VisionError) as caught:
        FusedEmbedder([(manifest.model_copy(update={"dimension": 128}), session)])
    assert caught.value.code == "vision_network_shape"
    detector, model = networks.get("yunet-s")
    with pytest.raises(VisionError) as caught:
        FusedEmbedder([(detector, Runtime(threads=1).open(model, "yunet"))])
    assert caught.value.code == "vision_not_an_embedder"
