"""Single-slope activations as one operator: what is rewritten, and what is left as it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.models.convert.graph import GraphBuilder
from lfr_edge.models.convert.slopes import leaky_embedder

CHANNELS = 4


def network(slopes: np.ndarray, *, bend: np.ndarray | None = None, reads_relu: bool = False) -> bytes:
    """Convolution, the written-out activation, flattened; `bend` in place of 1 − slope."""
    graph = GraphBuilder("test")
    kernel = np.random.default_rng(0).standard_normal((CHANNELS, 3, 1, 1)).astype(np.float32)
    x = graph.add("Conv", "input", graph.weight(kernel), kernel_shape=(1, 1))
    relu = graph.add("Relu", x)
    straight = graph.add("Mul", x, graph.weight(slopes.astype(np.float32)))
    bent = graph.add("Mul", relu, graph.weight((1 - slopes if bend is None else bend).astype(np.float32)))
    total = graph.add("Add", bent, straight)
    if reads_relu:
        total = graph.add("Add", total, relu)
    graph.add("Flatten", total, output="embedding", axis=1)
    return graph.finish([("input", ("n", 3, 2, 2))], [("embedding", ("n", CHANNELS * 4))])


def operators(data: bytes) -> list[str]:
    return [node.op_type for node in onnx.ModelProto.FromString(data).graph.node]


def run(data: bytes) -> np.ndarray:
    x = np.random.default_rng(1).standard_normal((3, 3, 2, 2)).astype(np.float32)
    return np.asarray(
        ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]
    )


@given(slope=st.floats(-4, 4, width=32))
@settings(deadline=None, max_examples=25)
def test_one_slope_becomes_one_operator(slope: float):
    data = network(np.array([slope]))
    assert operators(leaky_embedder(data)) == ["Conv", "LeakyRelu", "Flatten"]
    np.testing.assert_allclose(run(leaky_embedder(data)), run(data), atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        network(np.linspace(0.1, 0.4, CHANNELS).reshape(-1, 1, 1)),
        network(np.array([0.25]), bend=np.array([0.5])),
        network(np.array([0.25]), reads_relu=True),
    ],
    ids=["a slope for each channel", "another function", "somebody else reads the middle"],
)
def test_anything_else_stays(data: bytes):
    assert operators(leaky_embedder(data)) == operators(data)
    np.testing.assert_allclose(run(leaky_embedder(data)), run(data), atol=1e-6)


def test_a_middle_that_the_graph_gives_out_stays():
    model = onnx.ModelProto.FromString(network(np.array([0.25])))
    model.graph.node[-1].output[0] = "unread"
    model.graph.output[0].name = next(n.output[0] for n in model.graph.node if n.op_type == "Relu")
    data = model.SerializeToString()
    assert operators(leaky_embedder(data)) == operators(data)
