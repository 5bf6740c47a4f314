"""A detector's narrow branches as one: the same numbers, and the last layers computed once instead of four times.

YuNet's heads are pairs of layers, a pointwise and a depthwise convolution, for 1, 1, 4 and 10 channels, and all four
read the same 64. ONNX Runtime computes channels in blocks of 16: each pair costs what one of 16 channels costs, and
reads the 3.8 MB of the finest level again. Side by side they are one pair of 16 channels. Of 24.6 ms of CPU at
1280 × 736 this saves 1.3 to 1.8 (with strips on both sides).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from onnx import helper, numpy_helper

from lfr_edge.models.convert.graph import copied, set_attribute
from lfr_edge.models.wiring import Wiring, exchange

BLOCK: Final = 16  # channels; a branch as wide as that wastes nothing


@dataclass(frozen=True, slots=True)
class _Branch:
    pointwise: Any
    depthwise: Any
    channels: int


def join_heads(graph: Any) -> int:
    """Make one of all narrow branches that read the same tensor, in place; returns how many were joined."""
    wiring = Wiring.of(graph)
    groups: dict[tuple[str, str], list[_Branch]] = defaultdict(list)
    for node in graph.node:
        branch = _branch(node, wiring)
        if branch is not None:
            groups[node.input[0], _shape(branch.depthwise)].append(branch)
    made: dict[str, list[Any]] = {}  # by the first output that they stand in for
    gone: set[str] = set()
    for branches in groups.values():
        if len(branches) > 1:
            made[branches[0].pointwise.output[0]] = _joined(branches, wiring.weights, graph)
            gone.update(node.output[0] for one in branches for node in (one.pointwise, one.depthwise))
    exchange(graph, made, gone)
    return len(gone) // 2


def is_pointwise(node: Any, weights: Mapping[str, Any]) -> bool:
    """A convolution of one pixel at a time that mixes channels, with weights and a bias that never change."""
    if not _plain(node, weights):
        return False
    known, kernel = _attributes(node), list(weights[node.input[1]].dims)[2:]
    alone = kernel == [1, 1] and known.get("group", 1) == 1
    return alone and not any(known.get("pads", ())) and set(known.get("strides", (1,))) == {1}


def is_depthwise(node: Any, weights: Mapping[str, Any], channels: int) -> bool:
    """A convolution that takes each of so many channels for itself, with weights and a bias that never change."""
    if not _plain(node, weights):
        return False
    wide, deep, *_ = weights[node.input[1]].dims
    return bool(wide == channels and deep == 1 and _attributes(node).get("group", 1) == channels)


def _branch(node: Any, wiring: Wiring) -> _Branch | None:
    """The pair that begins with this node, or None."""
    after = wiring.only_reader(node.output[0])
    if after is None or not is_pointwise(node, wiring.weights):
        return None
    channels = int(wiring.weights[node.input[1]].dims[0])
    if channels >= BLOCK or not is_depthwise(after, wiring.weights, channels):
        return None
    return _Branch(node, after, channels)


def _plain(node: Any, weights: Mapping[str, Any]) -> bool:
    """A convolution of two dimensions with weights and a bias that never change, and padding in numbers."""
    return (
        node.op_type == "Conv"
        and len(node.input) == 3
        and all(name in weights for name in node.input[1:])
        and len(weights[node.input[1]].dims) == 4
        and _attributes(node).get("auto_pad", b"NOTSET") == b"NOTSET"
    )


def _joined(branches: Sequence[_Branch], weights: Mapping[str, Any], graph: Any) -> list[Any]:
    mark = f"{branches[0].depthwise.output[0]}/joined"
    tensor = branches[0].pointwise.input[0]
    nodes = []
    for kind in ("pointwise", "depthwise"):
        parts = [getattr(branch, kind) for branch in branches]
        node = copied(parts[0])
        node.name, node.output[0], node.input[0] = f"{mark}/{kind}", f"{mark}/{kind}", tensor
        for at in (1, 2):
            node.input[at] = f"{mark}/{kind}/{at}"
            values = np.concatenate([numpy_helper.to_array(weights[part.input[at]]) for part in parts])
            graph.initializer.append(numpy_helper.from_array(values, node.input[at]))
        nodes.append(node)
        tensor = node.output[0]
    set_attribute(nodes[1], "group", sum(branch.channels for branch in branches))
    first = 0
    for branch in branches:
        bounds = []
        for name, value in (("first", first), ("last", first + branch.channels), ("axis", 1)):
            bounds.append(f"{mark}/{first}/{name}")
            graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), bounds[-1]))
        output = branch.depthwise.output[0]
        nodes.append(helper.make_node("Slice", [tensor, *bounds], [output], name=f"{mark}/{first}"))
        first += branch.channels
    return nodes


def _attributes(node: Any) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _shape(node: Any) -> str:
    """What must be alike for two convolutions to run as one."""
    return repr(sorted((name, value) for name, value in _attributes(node).items() if name != "group"))
