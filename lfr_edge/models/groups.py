"""A detector's widest layers in two groups of channels: the same numbers with less waiting for memory.

Behind the first strips YuNet widens to 64 channels before it halves the picture: a pointwise convolution, a depthwise
one, a pooling. At 1280 × 736 each of the tensors between them has 15 MB. None of these layers mixes its output's
channels, so half of them go all the way to the pooling before the other half begins, and only what is pooled is put
together. Every number is computed as before (21.5 to 20.2 ms of CPU in two groups, 20.8 in four).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from onnx import helper, numpy_helper

from lfr_edge.models.convert.graph import copied, set_attribute
from lfr_edge.models.heads import BLOCK, is_depthwise, is_pointwise
from lfr_edge.models.wiring import Wiring, exchange

GROUPS: Final = 2
LEAST_CHANNELS: Final = GROUPS * BLOCK  # each group is whole blocks of the runtime


def in_groups(graph: Any) -> int:
    """Cut every chain of pointwise, depthwise, Relu (or none) and MaxPool in place; returns how many there were."""
    wiring = Wiring.of(graph)
    chains = [chain for node in graph.node if (chain := _chain(node, wiring))]
    made = {chain[0].output[0]: _cut(chain, wiring.weights, graph) for chain in chains}
    exchange(graph, made, gone={node.output[0] for chain in chains for node in chain})
    return len(chains)


def _chain(first: Any, wiring: Wiring) -> list[Any]:
    """From this node to the pooling, each the only reader of the one before; empty where it is no such chain."""
    weights = wiring.weights
    if not is_pointwise(first, weights):
        return []
    channels = int(weights[first.input[1]].dims[0])
    if channels < LEAST_CHANNELS or channels % (GROUPS * BLOCK):
        return []
    chain = [first]
    while chain[-1].op_type != "MaxPool":
        node, at = wiring.only_reader(chain[-1].output[0]), len(chain)
        if node is None:
            return []
        fits = is_depthwise(node, weights, channels) if at == 1 else node.op_type in {"Relu", "MaxPool"}
        if not fits or len(node.output) != 1 or at > 3:
            return []
        chain.append(node)
    return chain if len(chain) > 2 else []


def _cut(chain: Sequence[Any], weights: Mapping[str, Any], graph: Any) -> list[Any]:
    nodes, ends = [], []
    for group in range(GROUPS):
        tensor = chain[0].input[0]
        for layer in chain:
            node = copied(layer)
            mark = f"{layer.output[0]}/group{group}"
            node.name, node.output[0], node.input[0] = mark, mark, tensor
            for at in range(1, len(node.input)):
                part = np.split(numpy_helper.to_array(weights[layer.input[at]]), GROUPS)[group]
                node.input[at] = f"{mark}/{at}"
                graph.initializer.append(numpy_helper.from_array(part, node.input[at]))
            nodes.append(node)
            tensor = mark
        depthwise = nodes[-len(chain) + 1]
        set_attribute(depthwise, "group", int(weights[chain[1].input[1]].dims[0]) // GROUPS)
        ends.append(tensor)
    return [*nodes, helper.make_node("Concat", ends, [chain[-1].output[0]], axis=1)]
