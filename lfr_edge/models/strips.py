"""A detector's first layers in horizontal strips: the same numbers with a fraction of the memory traffic.

At 1280 × 736 the first layers of a small detector write and read 15 MB each, and a processor's own cache holds 1 or
2: it waits for memory instead of computing. Strip by strip, all layers up to the first one that makes the picture
smaller find their input in the cache. Rows at a strip's edge that two strips need are computed twice; every number
that comes out is computed as before, from the same values in the same order.

The picture comes in as it is, three planes of bytes, and each strip turns its own rows into numbers: a quarter of
the memory, and one pass less over all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.models.convert.graph import copied, set_attribute
from lfr_edge.models.groups import in_groups
from lfr_edge.models.heads import join_heads
from lfr_edge.models.wiring import Wiring, exchange

# What the largest layer of one strip may take: a processor's own second-level cache (YuNet at 1280 with 1 MiB of it,
# CPU ms saved of 28.2 at 0.5, 0.75, 1, 1.5 and 2 MiB: 2.6, 2.8, 3.2, 3.1, 1.8).
STRIP_BYTES: Final = 2**20
# Layers that fit the cache of the whole processor gain nothing (YuNet at 640, 3.8 MB).
WORTH_BYTES: Final = 6 * 2**20
_FLOAT: Final = 4  # bytes
_SLICE_BY_INPUTS: Final = 10  # the operator set since which Slice takes its bounds as inputs
_POINTWISE: Final = frozenset({"Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid"})


@dataclass(frozen=True, slots=True)
class _Layer:
    """One node of the chain that begins at the picture, and its output's size."""

    node: Any
    kernel: int  # rows
    stride: int
    above: int  # rows of padding
    below: int
    rows_in: int
    rows: int
    size: int  # bytes


def in_strips(model: bytes, height: int, width: int, *, mean: float, scale: float) -> bytes | None:
    """The same network for one picture of this size, given as uint8 (1, 3, height, width), planes in its order.

    ``(x - mean) / scale`` is computed inside. None where the network does not begin with a chain of layers that
    ends smaller, or where nothing is gained.
    """
    whole = onnx.load_from_string(model)
    graph = whole.graph
    join_heads(graph)
    opset = max(entry.version for entry in whole.opset_import if entry.domain in {"", "ai.onnx"})
    layers = _first_layers(graph, height, width) if opset >= _SLICE_BY_INPUTS else None
    if layers is None:
        return None
    source = graph.input[0].name
    shape = [1, 3, height, width]
    graph.input[0].CopyFrom(helper.make_tensor_value_info(source, onnx.TensorProto.UINT8, shape))
    end = layers[-1]
    cut = end.node.output[0]
    largest = max(layer.size for layer in layers)
    count = min(end.rows, max(2, round(largest / STRIP_BYTES)))
    edges = [round(at * end.rows / count) for at in range(count + 1)]
    nodes: list[Any] = []
    strips = []
    for number, (first, last) in enumerate(pairwise(edges)):
        made = _Strip(number, nodes, graph)
        strips.append(made.build(source, layers, first, last, mean=mean, scale=scale))
    nodes.append(helper.make_node("Concat", strips, [cut], axis=2))
    exchange(graph, {layers[0].node.output[0]: nodes}, gone={layer.node.output[0] for layer in layers})
    in_groups(graph)
    del graph.value_info[:]
    return bytes(whole.SerializeToString())


def _first_layers(graph: Any, height: int, width: int) -> list[_Layer] | None:
    """The chain from the picture to the first layer after the largest that is at most half as large as it."""
    layers = _chain(graph, height, width)
    if not layers:
        return None
    largest = max(layer.size for layer in layers)
    peak = next(at for at, layer in enumerate(layers) if layer.size == largest)
    ends = (at for at in range(peak + 1, len(layers)) if layers[at].size * 2 <= largest)
    end = next(ends, None)
    if end is None or largest < WORTH_BYTES:
        return None
    return layers[: end + 1]


def _chain(graph: Any, height: int, width: int) -> list[_Layer]:
    """Layers from the graph's only input on, each the only reader of the one before."""
    wiring = Wiring.of(graph)
    inputs = [entry.name for entry in graph.input if entry.name not in wiring.weights]
    layers: list[_Layer] = []
    tensor, channels = inputs[0], 3
    while (node := wiring.only_reader(tensor)) is not None:
        if node.op_type == "Conv":
            kernels = wiring.weights.get(node.input[1])
            channels = kernels.dims[0] if kernels is not None else 0
        layer = _layer(node, channels, height, width)
        if layer is None:
            break
        layers.append(layer)
        tensor, height, width = node.output[0], layer.rows, layer.size // (_FLOAT * channels * layer.rows)
    return layers


def _layer(node: Any, channels: int, height: int, width: int) -> _Layer | None:
    """How a node reads rows, or None for one that is not understood."""
    if node.op_type in _POINTWISE:
        return _Layer(node, 1, 1, 0, 0, height, height, _FLOAT * channels * height * width)
    known = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = (
        node.op_type in {"Conv", "MaxPool"}
        and channels
        and len(node.output) == 1
        and len(known.get("kernel_shape", ())) == 2
        and all(step == 1 for step in known.get("dilations", (1, 1)))
        and known.get("auto_pad", b"NOTSET") == b"NOTSET"
        and not known.get("ceil_mode", 0)
    )
    if not plain:
        return None
    (kernel, across), (stride, step) = known["kernel_shape"], known.get("strides", (1, 1))
    above, left, below, right = known.get("pads", (0, 0, 0, 0))
    rows = (height + above + below - kernel) // stride + 1
    columns = (width + left + right - across) // step + 1
    # Where the padding is as high as the kernel, a row may be made of padding alone.
    if rows < 1 or columns < 1 or max(above, below) >= kernel:
        return None
    return _Layer(node, kernel, stride, above, below, height, rows, _FLOAT * channels * rows * columns)


class _Strip:
    """Builds the nodes of one strip."""

    def __init__(self, number: int, nodes: list[Any], graph: Any) -> None:
        self._mark = f"/strip{number}"
        self._nodes = nodes
        self._graph = graph

    def build(
        self, source: str, layers: Sequence[_Layer], first: int, last: int, *, mean: float, scale: float
    ) -> str:
        """Rows `first` to `last` of the last layer's output; the name they have."""
        pads: list[tuple[int, int]] = []
        for layer in reversed(layers):
            wanted = (
                first * layer.stride - layer.above,
                (last - 1) * layer.stride - layer.above + layer.kernel,
            )
            # Where the picture ends the layer's own padding stands; elsewhere there are rows.
            pads.append((max(0, -wanted[0]), max(0, wanted[1] - layer.rows_in)))
            first, last = max(0, wanted[0]), min(layer.rows_in, wanted[1])
        tensor = self._rows(source, first, last, mean, scale)
        for layer, (above, below) in zip(layers, reversed(pads), strict=True):
            node = copied(layer.node)
            node.name = f"{node.name or node.output[0]}{self._mark}"
            node.input[0] = tensor
            tensor = f"{node.output[0]}{self._mark}"
            node.output[0] = tensor
            if node.op_type not in _POINTWISE:
                _repad(node, above, below)
            self._nodes.append(node)
        return tensor

    def _rows(self, source: str, first: int, last: int, mean: float, scale: float) -> str:
        """Rows of the picture as the network's numbers."""
        bounds = [self._constant(name, np.array([value], np.int64))
                  for name, value in (("first", first), ("last", last), ("axis", 2))]  # fmt: skip
        steps: list[tuple[str, list[str], dict[str, Any]]] = [
            ("Slice", bounds, {}),
            ("Cast", [], {"to": onnx.TensorProto.FLOAT}),
        ]
        if mean:
            steps.append(("Sub", [self._constant("mean", np.array(mean, np.float32))], {}))
        if scale != 1:
            steps.append(("Mul", [self._constant("share", np.array(1 / scale, np.float32))], {}))
        tensor = source
        for kind, more, options in steps:
            made = f"{source}{self._mark}/{kind}"
            self._nodes.append(helper.make_node(kind, [tensor, *more], [made], **options))
            tensor = made
        return tensor

    def _constant(self, name: str, value: Any) -> str:
        full = f"{self._mark}/{name}"
        self._graph.initializer.append(numpy_helper.from_array(value, full))
        return full


def _repad(node: Any, above: int, below: int) -> None:
    pads = next((attribute.ints for attribute in node.attribute if attribute.name == "pads"), (0, 0, 0, 0))
    set_attribute(node, "pads", [above, pads[1], below, pads[3]])
