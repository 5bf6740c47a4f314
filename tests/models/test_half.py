"""Half precision is another pack, and numerically near."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lfr_edge.errors import ModelError
from lfr_edge.models.convert.graph import GraphBuilder
from lfr_edge.models.fuse import half_pack, twin_of
from lfr_edge.models.fuse.half import half_network, to_half
from lfr_edge.models.graph_check import parse_graph
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.models.store import ModelStore, Pack, fingerprint

HALF = onnx.TensorProto.FLOAT16


def run(data: bytes, *inputs: np.ndarray) -> list[np.ndarray]:
    """By the reference implementation of the operators: this room has no runtime."""
    from onnx.reference import ReferenceEvaluator

    model = onnx.ModelProto.FromString(data)
    return ReferenceEvaluator(model).run(
        None, {e.name: x for e, x in zip(model.graph.input, inputs, strict=True)}
    )


def network(scale: float = 1.0) -> bytes:
    graph = GraphBuilder("small")
    weight = graph.weight((np.random.default_rng(2).standard_normal((4, 3, 3, 3)) * scale).astype(np.float32))
    turned = graph.add("Relu", graph.add("Conv", "input", weight, kernel_shape=(3, 3)))
    scales = graph.weight(np.array([1, 1, 2, 2], np.float32))
    graph.add("Resize", turned, "", scales, output="embedding", mode="nearest")
    return graph.finish([("input", ("batch", 3, 8, 8))], [("embedding", ("batch", 4, 12, 12))])


def test_weights_are_half_borders_are_not_and_numbers_near():
    plain, half = network(), to_half(network(), "small")
    graph = parse_graph(half, "half").graph
    kinds = {weight.name: weight.data_type for weight in graph.initializer}
    assert sorted(kinds.values()) == [onnx.TensorProto.FLOAT, HALF], "Resize's scales stay float32"
    for entry in (graph.input[0], graph.output[0]):
        assert entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    (one,), (other,) = run(plain, x), run(half, x)
    assert other.dtype == np.float32
    assert 0 < np.abs(one - other).max() < 0.05
    assert to_half(network(), "small") == half, "the same bytes each time"


def test_constants_and_casts_inside_become_half_too():
    graph = GraphBuilder("constants")
    two = graph.add("Constant", value=onnx.numpy_helper.from_array(np.float32(2)))
    whole = graph.add("Cast", graph.add("Mul", "input", two), to=onnx.TensorProto.FLOAT)
    graph.add("Relu", whole, output="out")
    half = to_half(graph.finish([("input", (1, 4))], [("out", (1, 4))]), "constants")
    (found,) = run(half, np.array([[1, -1, 0.5, 1e-9]], np.float32))
    assert found.tolist() == [[2, 0, 1, 0]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(network(scale=1e5), "too large"), (network(scale=float("nan")), "too large")],
)
def test_what_has_no_half_is_refused(data, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        to_half(data, "loud")
    assert caught.value.code == "model_half_unsupported"


def test_branches_are_refused():
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["input"], ["out"])],
        "inner",
        [],
        [onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1])],
    )
    graph = GraphBuilder("branch")
    graph.add("If", "switch", output="result", then_branch=inner, else_branch=inner)
    node = graph._nodes[0]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    with pytest.raises(ModelError, match="branches"):
        to_half(model.SerializeToString(), "branch")


def test_a_half_pack_has_a_fingerprint_of_its_own(store: ModelStore, tiny: Pack):
    half = half_pack(tiny, "tiny-fp16")
    assert half.manifest.precision == "fp16"
    assert tiny.manifest.precision == "fp32"
    installed = store.install(half.manifest, half.contents)
    assert installed.fingerprint != tiny.fingerprint
    first, second = tiny.manifest.networks[1], installed.manifest.networks[1]
    assert (second.source_sha256, second.precision, second.licence) == (first.sha256, "fp16", first.licence)
    assert installed.read(second) == half.read(second)
    assert store.verify("tiny-fp16").ok
    with pytest.raises(ModelError, match="already"):
        half_network(second, half.read(second))


def test_precision_is_written_only_where_it_is_not_the_usual_one(tiny: Pack):
    plain = tiny.manifest.networks[0].model_dump(mode="json")
    assert "precision" not in plain
    half = NetworkManifest.model_validate(plain | {"precision": "fp16"})
    assert half.model_dump(mode="json")["precision"] == "fp16"
    assert fingerprint(tiny.manifest) == tiny.fingerprint


def test_twins_are_the_same_bytes_each_time_and_refuse_what_they_cannot_read(tiny: Pack):
    eye, mind = tiny.manifest.networks
    assert twin_of(mind, tiny.read(mind), "pixels") == twin_of(mind, tiny.read(mind), "frames")
    with pytest.raises(ModelError) as caught:
        twin_of(eye, tiny.read(eye), "pixels")
    assert caught.value.code == "model_twin_unsupported"
    for family in ("scrfd", "centerface", "arcface"):
        other = eye.model_copy(update={"family": family})
        with pytest.raises(ModelError, match="no fast twin"):
            twin_of(other, tiny.read(eye), "frames")


def test_prelu_is_joined_for_a_gpu_and_numbers_stay():
    from lfr_edge.models.fuse.prelu import joined

    graph = GraphBuilder("prelu")
    slopes = np.array([0.1, 0.25, -0.5, 1.5], np.float32)
    turned = graph.prelu("input", slopes)
    graph.prelu(turned, slopes[::-1].copy(), output="out")
    shape = (1, 4, 2, 2)
    model = onnx.ModelProto.FromString(graph.finish([("input", shape)], [("out", shape)]))
    one = joined(model)
    assert [node.op_type for node in one.graph.node] == ["PRelu", "PRelu"]
    x = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
    np.testing.assert_allclose(*(run(m.SerializeToString(), x)[0] for m in (model, one)), atol=1e-6)


def test_what_only_looks_like_prelu_stays():
    from lfr_edge.models.fuse.prelu import joined

    shape = (1, 4, 2, 2)
    for wrong in ("bend", "other", "shared"):
        graph = GraphBuilder("no prelu")
        slope = np.full((4, 1, 1), 0.25, np.float32)
        straight = graph.add("Mul", "input", graph.weight(slope))
        relu = graph.add("Relu", straight if wrong == "other" else "input")
        bend = np.full((4, 1, 1), 0.7 if wrong == "bend" else 0.75, np.float32)
        bent = graph.add("Mul", relu, graph.weight(bend))
        outputs = [("out", shape)]
        graph.add("Add", straight, bent, output="out")
        if wrong == "shared":
            graph.add("Abs", relu, output="two")
            outputs.append(("two", shape))
        model = onnx.ModelProto.FromString(graph.finish([("input", shape)], outputs))
        assert "PRelu" not in {node.op_type for node in joined(model).graph.node}, wrong
