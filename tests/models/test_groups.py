"""Layers in two groups of channels against the layers as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from lfr_edge.models.groups import in_groups
from lfr_edge.vision.sessions import Runtime

WIDE = 16  # channels that the chain reads


def chain(channels: int, kernel: int = 3, *, relu: bool = True, pool: int = 2, more: tuple[str, ...] = ()):
    """A layer, then pointwise, depthwise, Relu and pooling, then something that reads the end."""
    rng = np.random.default_rng(7)
    nodes, weights = [], []

    def conv(source: str, made: str, shape: tuple[int, ...], **how: object) -> None:
        weights.append(numpy_helper.from_array(rng.standard_normal(shape, np.float32), f"{made}/w"))
        weights.append(numpy_helper.from_array(rng.standard_normal(shape[0], np.float32), f"{made}/b"))
        nodes.append(
            helper.make_node(
                "Conv", [source, f"{made}/w", f"{made}/b"], [made], kernel_shape=shape[2:], **how
            )
        )

    conv("picture", "level", (WIDE, 3, 3, 3), pads=[1] * 4)
    conv("level", "wide", (channels, WIDE, 1, 1))
    conv("wide", "deep", (channels, 1, kernel, kernel), group=channels, pads=[kernel // 2] * 4)
    if relu:
        nodes.append(helper.make_node("Relu", ["deep"], ["bent"]))
    nodes.append(
        helper.make_node("MaxPool", [nodes[-1].output[0]], ["small"], kernel_shape=[pool] * 2, strides=[2, 2])
    )
    conv("small", "found", (4, channels, 1, 1))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, 12, 20])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("found", *more)],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    made.ir_version = 8
    return made


def cut(model: onnx.ModelProto) -> int:
    """How many chains were cut; what comes out is checked against the network as it is."""
    picture = np.random.default_rng(8).standard_normal((1, 3, 12, 20), np.float32)
    wanted = Runtime(threads=1).open(model.SerializeToString(), "plain").run(picture)
    count = in_groups(model.graph)
    found = Runtime(threads=1).open(model.SerializeToString(), "groups").run(picture)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    return count


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([8, 16, 32, 40, 48, 64, 96]),
    st.sampled_from([1, 3, 5]),
    st.booleans(),
    st.sampled_from([2, 3]),
)
def test_any_chain_gives_the_same_numbers(channels, kernel, relu, pool):
    assert cut(chain(channels, kernel, relu=relu, pool=pool)) == (channels % 32 == 0)


@pytest.mark.parametrize("read", ["wide", "deep", "bent"])
def test_what_somebody_else_reads_stays_whole(read):
    assert cut(chain(32, more=(read,))) == 0
    assert cut(chain(32, more=("small",))) == 1


def test_a_chain_that_is_not_pooled_stays_whole():
    model = chain(32)
    model.graph.node[4].op_type = "AveragePool"
    assert cut(model) == 0


def test_control_groups_that_change_places_give_other_numbers(monkeypatch):
    parts = np.split
    monkeypatch.setattr("lfr_edge.models.groups.np.split", lambda values, count: parts(values, count)[::-1])
    with pytest.raises(AssertionError, match="Mismatched"):
        cut(chain(32))
