"""Branches side by side against the branches as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from lfr_edge.models.heads import join_heads
from lfr_edge.vision.sessions import Runtime

WIDE = 8  # channels that every branch reads


class Heads:
    """A layer, and pairs of a pointwise and a depthwise convolution that read it; every pair has an output."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.outputs: list[str] = []
        self.conv("picture", "level", (WIDE, 3, 3, 3), pads=[1] * 4)

    def conv(
        self, source: str, made: str, shape: tuple[int, ...], *, bias: bool = True, **how: object
    ) -> None:
        values = {
            "w": self.rng.standard_normal(shape, np.float32),
            "b": self.rng.standard_normal(shape[0], np.float32),
        }
        names = [f"{made}/{kind}" for kind in (values if bias else "w")]
        self.weights += [numpy_helper.from_array(values[name[-1]], name) for name in names]
        self.nodes.append(helper.make_node("Conv", [source, *names], [made], kernel_shape=shape[2:], **how))

    def branch(self, channels: int, kernel: int = 3, *, bias: bool = True, **pointwise: object) -> None:
        name = f"found{len(self.outputs)}"
        self.conv("level", f"{name}/thin", (channels, WIDE, 1, 1), bias=bias, **pointwise)
        self.conv(f"{name}/thin", name, (channels, 1, kernel, kernel), group=channels, pads=[kernel // 2] * 4)
        self.outputs.append(name)

    def model(self, *more: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "heads",
            [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, 12, 20])],
            [
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
                for name in (*self.outputs, *more)
            ],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
        made.ir_version = 8
        return made


def joined(model: onnx.ModelProto) -> tuple[int, bytes]:
    """How many branches were joined; what comes out is checked against the network as it is."""
    picture = np.random.default_rng(8).standard_normal((1, 3, 12, 20), np.float32)
    wanted = Runtime(threads=1).open(model.SerializeToString(), "plain").run(picture)
    count = join_heads(model.graph)
    found = Runtime(threads=1).open(model.SerializeToString(), "joined").run(picture)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    return count, model.SerializeToString()


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 18), st.sampled_from([1, 3, 5]), st.booleans()), min_size=1, max_size=6)
)
def test_any_branches_give_the_same_numbers(branches):
    heads = Heads()
    for channels, kernel, bias in branches:
        heads.branch(channels, kernel, bias=bias)
    joined(heads.model())


def test_yunets_branches_are_one():
    heads = Heads()
    for channels in (1, 4, 1, 10):
        heads.branch(channels)
    count, model = joined(heads.model())
    graph = onnx.load_from_string(model).graph
    assert count == 4
    assert [node.op_type for node in graph.node].count("Conv") == 3


@pytest.mark.parametrize(
    "how", [{"strides": [2, 2]}, {"pads": [1] * 4}, {"auto_pad": "SAME_UPPER"}, {"bias": False}]
)
def test_a_pair_of_another_kind_stays_as_it_is(how):
    heads = Heads()
    heads.branch(4)
    heads.branch(4, **how)
    assert joined(heads.model())[0] == 0


def test_what_somebody_else_reads_stays_as_it_is():
    heads = Heads()
    heads.branch(2)
    heads.branch(3)
    assert joined(heads.model("found0/thin"))[0] == 0
    heads.branch(5)
    assert joined(heads.model("found0/thin"))[0] == 2


def test_branches_whose_depthwise_layers_differ_are_joined_by_kind():
    heads = Heads()
    for kernel in (3, 5, 3, 5, 1):
        heads.branch(2, kernel)
    assert joined(heads.model())[0] == 4


def test_control_weights_in_another_order_give_other_numbers(monkeypatch):
    heads = Heads()
    heads.branch(3)
    heads.branch(3)
    together = np.concatenate
    monkeypatch.setattr("lfr_edge.models.heads.np.concatenate", lambda parts: together(parts[::-1]))
    with pytest.raises(AssertionError, match="Mismatched"):
        joined(heads.model())
