"""Bent activations with one slope for all channels, as one operator that the runtime fuses into convolutions.

Intel's face-reidentification-retail-0095 has a single slope for each layer. Its export writes
``slope · x + (1 - slope) · relu(x)`` out in four nodes; as ``LeakyRelu`` a face takes 7.1 ms instead of 10.2 on
one core (ONNX Runtime 1.31, AVX-512, 12 runs; outputs equal to float rounding). Slopes by channel cannot be written so:
:meth:`~lfr_edge.models.convert.graph.GraphBuilder.prelu` has their best form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.models.convert import rewrite
from lfr_edge.models.convert.graph import FloatArray, serialise
from lfr_edge.models.graph_check import parse_graph

_ROUNDING: Final = 1e-6  # (1 - slope) was computed in float32 by whoever exported the graph


def leaky_embedder(data: bytes) -> bytes:
    """An embedder with a symbolic batch, its single-slope activations as ``LeakyRelu``.

    Input ``input`` (n, 3, h, w), output ``embedding`` (n, d).

    Raises:
        ModelError: ``model_conversion_failed`` and what :func:`parse_graph` raises.
    """
    model = parse_graph(data, "the embedder")
    graph = model.graph
    weights = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    replaced: dict[str, onnx.NodeProto] = {}  # by the output of the node it stands for
    gone: set[str] = set()
    for node in graph.node:
        found = _bent(node, readers, weights) if node.op_type == "Relu" else None
        if found is not None:
            slope, inner, out = found
            replaced[out] = helper.make_node("LeakyRelu", [node.input[0]], [out], alpha=slope)
            gone |= {node.output[0], *inner}
    nodes = [replaced.get(node.output[0], node) for node in graph.node if node.output[0] not in gone]
    del graph.node[:]
    graph.node.extend(nodes)
    return rewrite.embedder_batched(serialise(model))


def _bent(
    relu: onnx.NodeProto, readers: Mapping[str, Sequence[onnx.NodeProto]], weights: Mapping[str, FloatArray]
) -> tuple[float, tuple[str, str], str] | None:
    """(slope, outputs of the two products, output of their sum) where `relu` is part of this form; else None."""
    (x,), (bent,) = relu.input, relu.output
    if len(readers.get(bent, ())) != 1:
        return None
    scaled = _product(readers[bent][0], bent, weights)
    for node in readers[x]:
        straight = _product(node, x, weights)
        if scaled is None or straight is None or abs(scaled[0] - (1 - straight[0])) > _ROUNDING:
            continue
        sums = [reader for reader in readers.get(scaled[1], ()) if reader.op_type == "Add"]
        alone = len(readers[scaled[1]]) == 1 == len(readers.get(straight[1], ()))
        if alone and sums and set(sums[0].input) == {scaled[1], straight[1]}:
            return straight[0], (scaled[1], straight[1]), sums[0].output[0]
    return None


def _product(node: onnx.NodeProto, x: str, weights: Mapping[str, FloatArray]) -> tuple[float, str] | None:
    """(factor, output) of a product of `x` with one constant."""
    others = [name for name in node.input if name != x]
    if node.op_type != "Mul" or len(others) != 1 or others[0] not in weights:
        return None
    factor = weights[others[0]]
    return (float(np.float32(factor.reshape(-1)[0])), node.output[0]) if factor.size == 1 else None
