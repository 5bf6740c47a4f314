"""Bent activations with one slope for all channels, as one operator that the runtime fuses into convolutions.

Intel's face-reidentification-retail-0095 has a single slope for each layer. Its export writes
``slope · x + (1 - slope) · relu(x)`` out in four nodes; as ``LeakyRelu`` a face takes 7.1 ms instead of 10.2 on
one core (ONNX Runtime 1.31, AVX-512, 12 runs; outputs equal to float rounding). Slopes by channel cannot be written so:
:meth:`~lfr_edge.models.convert.graph.GraphBuilder.prelu` has their best form.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.models.convert import rewrite
from lfr_edge.models.convert.graph import serialise
from lfr_edge.models.graph_check import parse_graph
from lfr_edge.models.wiring import Wiring, exchange

_ROUNDING: Final = 1e-6  # (1 - slope) was computed in float32 by whoever exported the graph


def leaky_embedder(data: bytes) -> bytes:
    """An embedder with a symbolic batch, its single-slope activations as ``LeakyRelu``.

    Input ``input`` (n, 3, h, w), output ``embedding`` (n, d).

    Raises:
        ModelError: ``model_conversion_failed`` and what :func:`parse_graph` raises.
    """
    model = parse_graph(data, "the embedder")
    graph = model.graph
    wiring = Wiring.of(graph)
    made: dict[str, list[onnx.NodeProto]] = {}  # by the output of the sum that they stand for
    gone: set[str] = set()
    for node in graph.node:
        found = _bent(node, wiring) if node.op_type == "Relu" else None
        if found is not None:
            slope, inner, out = found
            made[out] = [helper.make_node("LeakyRelu", [node.input[0]], [out], alpha=slope)]
            gone |= {node.output[0], *inner}
    exchange(graph, made, gone)
    return rewrite.embedder_batched(serialise(model))


def _bent(relu: onnx.NodeProto, wiring: Wiring) -> tuple[float, tuple[str, str], str] | None:
    """(slope, outputs of the two products, output of their sum) where `relu` is part of this form; else None."""
    (x,), (bent,) = relu.input, relu.output
    alone = wiring.only_reader(bent)
    scaled = _product(alone, bent, wiring) if alone is not None else None
    if scaled is None:
        return None
    for node in wiring.readers[x]:
        straight = _product(node, x, wiring)
        if straight is None or abs(scaled[0] - (1 - straight[0])) > _ROUNDING:
            continue
        products = scaled[1], straight[1]
        total, same = (wiring.only_reader(name) for name in products)
        if total is None or same is None or total.op_type != "Add" or set(total.input) != set(products):
            continue
        return straight[0], products, total.output[0]
    return None


def _product(node: onnx.NodeProto, x: str, wiring: Wiring) -> tuple[float, str] | None:
    """(factor, output) of a product of `x` with one constant."""
    others = [name for name in node.input if name != x]
    if node.op_type != "Mul" or len(others) != 1 or others[0] not in wiring.weights:
        return None
    factor = numpy_helper.to_array(wiring.weights[others[0]])
    return (float(np.float32(factor.reshape(-1)[0])), node.output[0]) if factor.size == 1 else None
