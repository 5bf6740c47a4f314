"""PReLU as one operator again: right for a GPU, where each elementwise step is a launch and a pass over memory.

The importer writes PReLU out as ``slope · x + (1 - slope) · relu(x)``, which a CPU runs in half the time
(``convert.graph``). Here exactly that pattern becomes one node; whatever looks different stays as it is.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.models.wiring import Wiring, exchange


def joined(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with the written-out PReLUs joined."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    wiring = Wiring.of(graph)
    weights = {name: numpy_helper.to_array(weight) for name, weight in wiring.weights.items()}
    maker = {name: node for node in graph.node for name in node.output}
    gone: set[str] = set()
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        for straight, bent in (node.input, reversed(node.input)):
            found = _pattern(straight, bent, maker, weights)
            if found is None or any(wiring.only_reader(name) is None for name in found[2]):
                continue
            x, slope, inner = found
            replaced[node.output[0]] = [helper.make_node("PRelu", [x, slope], [node.output[0]])]
            gone.update(inner)
            break
    exchange(graph, replaced, gone)
    used = {name for node in graph.node for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return made


def _pattern(
    straight: str, bent: str, maker: dict[str, onnx.NodeProto], weights: dict[str, np.ndarray]
) -> tuple[str, str, tuple[str, ...]] | None:
    """Input and slope of ``slope · x + (1 - slope) · relu(x)``, and the tensors between; None for anything else."""
    first, second = maker.get(straight), maker.get(bent)
    if first is None or second is None or {first.op_type, second.op_type} != {"Mul"}:
        return None
    x, slope = first.input
    turned, bend = second.input
    relu = maker.get(turned)
    if relu is None or relu.op_type != "Relu" or relu.input[0] != x:
        return None
    if slope not in weights or bend not in weights or weights[slope].dtype != weights[bend].dtype:
        return None
    rest = weights[slope].dtype.type(1) - weights[slope]
    near = np.finfo(rest.dtype).eps
    if rest.shape != weights[bend].shape or not np.allclose(rest, weights[bend], rtol=0, atol=near):
        return None
    return x, slope, (straight, bent, turned)
