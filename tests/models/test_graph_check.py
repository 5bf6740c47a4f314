"""Graphs that reach outside themselves are refused, wherever in the graph they do it."""

from __future__ import annotations

import hashlib

import onnx
import pytest
from onnx import TensorProto, helper

from lfr_edge.errors import ModelError
from lfr_edge.models.graph_check import parse_graph, precision_of


def model_of(*nodes: onnx.NodeProto, opsets=(("", 13),), weights=()) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*opset) for opset in opsets])


RELU = helper.make_node("Relu", ["x"], ["y"])


def outside(name: str = "w") -> onnx.TensorProto:
    entry = onnx.StringStringEntryProto(key="location", value="/etc/passwd")
    return onnx.TensorProto(
        name=name, data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL, external_data=[entry]
    )


def refusal(model: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        parse_graph(model.SerializeToString(), "net.onnx")
    assert caught.value.hint
    return caught.value.code


def nested(inner: onnx.NodeProto) -> onnx.NodeProto:
    """``inner`` in the branch of an If."""
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    branch = helper.make_graph([inner], "branch", [], [out])
    return helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)


def test_a_plain_graph_passes():
    assert parse_graph(model_of(RELU).SerializeToString(), "net.onnx").graph.node[0].op_type == "Relu"


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"version https://git-lfs", b"\x08\x08"])
def test_no_network(data: bytes):
    with pytest.raises(ModelError) as caught:
        parse_graph(data, "net.onnx")
    assert caught.value.code == "model_unreadable"


CONSTANT = helper.make_node("Constant", [], ["y"])
CONSTANT.attribute.append(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=outside()))
SPARSE = helper.make_node("Constant", [], ["y"])
SPARSE.attribute.append(
    onnx.AttributeProto(
        name="sparse_value",
        type=onnx.AttributeProto.SPARSE_TENSOR,
        sparse_tensor=onnx.SparseTensorProto(values=outside()),
    )
)


def _with_function(node: onnx.NodeProto) -> onnx.ModelProto:
    model = model_of(RELU)
    model.functions.append(helper.make_function("", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 13)]))
    return model


def _with_sparse_weight() -> onnx.ModelProto:
    model = model_of(RELU)
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=outside()))
    return model


@pytest.mark.parametrize(
    "model",
    [
        model_of(RELU, weights=[outside()]),
        model_of(CONSTANT),
        model_of(SPARSE),
        model_of(nested(CONSTANT)),
        model_of(nested(nested(CONSTANT))),
        _with_function(CONSTANT),
        _with_function(nested(CONSTANT)),
        _with_sparse_weight(),
    ],
)
def test_external_data(model: onnx.ModelProto):
    assert refusal(model) == "model_external_data"


FOREIGN = helper.make_node("Evil", ["x"], ["y"], domain="com.example")


def _with_training() -> onnx.ModelProto:
    model = model_of(RELU)
    model.training_info.add()
    return model


@pytest.mark.parametrize(
    "model",
    [
        model_of(FOREIGN),
        model_of(nested(FOREIGN)),
        model_of(RELU, opsets=(("", 13), ("com.microsoft", 1))),
        _with_function(FOREIGN),
        _with_training(),
    ],
)
def test_foreign_operators(model: onnx.ModelProto):
    assert refusal(model) == "model_custom_operator"


@pytest.mark.parametrize("kind", ["QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "QLinearMatMul"])
def test_a_network_that_computes_in_bytes_is_known_by_its_operators(kind: str):
    assert precision_of(model_of(helper.make_node(kind, ["x"], ["y"]))) == "int8"
    assert precision_of(model_of(nested(helper.make_node(kind, ["x"], ["y"])))) == "int8"


def test_the_larger_part_of_the_weights_tells_half_precision():
    few, many = (helper.make_tensor("a", TensorProto.FLOAT, [n], [0.0] * n) for n in (2, 9))
    half = helper.make_tensor("b", TensorProto.FLOAT16, [5], [0.0] * 5)
    node = helper.make_node("Relu", ["x"], ["y"])
    assert precision_of(model_of(node, weights=(few, half))) == "fp16"
    assert precision_of(model_of(node, weights=(many, half))) == "fp32"
    assert precision_of(model_of(node)) == "fp32"


def test_the_store_asks(store, make_pack):
    manifest, contents = make_pack()
    bad = model_of(RELU, weights=[outside()]).SerializeToString()
    eye = manifest.networks[0]
    fields = {"sha256": hashlib.sha256(bad).hexdigest(), "size": len(bad)}
    altered = manifest.model_copy(update={"networks": (eye.model_copy(update=fields), manifest.networks[1])})
    with pytest.raises(ModelError) as caught:
        store.install(altered, {**contents, "eye.onnx": bad})
    assert caught.value.code == "model_external_data"
    # The same file put there by hand, with a manifest that fits: the hash matches, the graph is still refused.
    pack = store.install(manifest, contents)
    (pack.path / "eye.onnx").write_bytes(bad)
    (pack.path / "pack.json").write_text(altered.model_dump_json())
    loaded = store.load("tiny")
    with pytest.raises(ModelError) as caught:
        loaded.read(loaded.manifest.detector)
    assert caught.value.code == "model_external_data"
    assert [f.state for f in store.verify("tiny").files] == ["refused", "ok"]
