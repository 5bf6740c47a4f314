"""Published ONNX files → the same networks with a symbolic batch and size, and without slow operators.

Each function takes and returns bytes. Weights are not touched, so outputs equal the original's to float rounding;
the tests run both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.errors import ModelError
from lfr_edge.models.convert.graph import serialise, tensor
from lfr_edge.models.graph_check import parse_graph
from lfr_edge.models.wiring import exchange

Convert = Callable[[bytes], bytes]

YUNET_STRIDES: Final = (8, 16, 32)
YUNET_OUTPUTS: Final = tuple(f"{head}_{s}" for head in ("cls", "obj", "bbox", "kps") for s in YUNET_STRIDES)
CENTERFACE_OUTPUTS: Final = ("heatmap", "scale", "offset", "landmarks")
CENTERFACE_STRIDE: Final = 4
SCRFD_HEADS: Final = {"score": 1, "bbox": 4, "kps": 10}
_PERM_TO_LAST: Final = [0, 2, 3, 1]


def _refusing(label: str) -> Callable[[Convert], Convert]:
    """Turn what numpy and onnx raise on a damaged graph into ``model_conversion_failed``."""

    def decorate(convert: Convert) -> Convert:
        @functools.wraps(convert)
        def guarded(data: bytes) -> bytes:
            try:
                return convert(data)
            except (onnx.checker.ValidationError, ValueError, IndexError, KeyError, TypeError) as error:
                raise _refused(label, f"the graph is damaged ({type(error).__name__})") from error

        return guarded

    return decorate


@_refusing("YuNet")
def yunet_any_size(data: bytes) -> bytes:
    """YuNet for any batch and any height and width divisible by 32.

    Input ``input`` (n, 3, h, w); outputs ``cls_s``, ``obj_s`` (n, h/s · w/s, 1), ``bbox_s`` (…, 4), ``kps_s``
    (…, 10) at strides s of 8, 16 and 32. The published file is fixed to 1×3×640×640 by its reshapes alone.

    Raises:
        ModelError: ``model_conversion_failed`` where this is not YuNet.
    """
    model = _parsed(data, "YuNet")
    graph = model.graph
    if {output.name for output in graph.output} != set(YUNET_OUTPUTS):
        raise _refused("YuNet", "its outputs are not cls, obj, bbox and kps at strides 8, 16 and 32")
    targets = _constants(graph)
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in targets:
            shape = targets[node.input[1]]
            if shape.size != 3 or shape[0] not in (0, 1) or shape[1] != -1:
                raise _refused("YuNet", f"a reshape to {shape.tolist()}")
            # 0 copies the batch of the input; the 1 of the export would fold a batch into the anchors.
            _set_constant(graph, node.input[1], np.array([0, -1, shape[2]], np.int64))
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    _set_input(graph, ("batch", 3, "height", "width"))
    _set_outputs(
        graph, {n: ("batch", f"anchors_{n.split('_')[1]}", widths[n.split("_")[0]]) for n in YUNET_OUTPUTS}
    )
    return serialise(model)


@_refusing("CenterFace")
def centerface_any_size(data: bytes) -> bytes:
    """CenterFace for any batch and any height and width divisible by 32; outputs renamed by meaning.

    Input ``input`` (n, 3, h, w); outputs at stride 4: ``heatmap`` (n, 1, …), ``scale`` (n, 2, …) log height and
    width, ``offset`` (n, 2, …) y and x, ``landmarks`` (n, 10, …) y and x of five points.

    Raises:
        ModelError: ``model_conversion_failed`` where this is not CenterFace.
    """
    model = _parsed(data, "CenterFace")
    graph = model.graph
    channels = tuple(output.type.tensor_type.shape.dim[1].dim_value for output in graph.output)
    if channels != (1, 2, 2, 10):
        raise _refused("CenterFace", f"outputs of {channels} channels instead of 1, 2, 2 and 10")
    renamed = dict(zip((output.name for output in graph.output), CENTERFACE_OUTPUTS, strict=True))
    _rename(graph, {graph.input[0].name: "input", **renamed})
    # Training left counters of batch normalisation behind as inputs that no node reads.
    del graph.input[1:]
    _set_input(graph, ("batch", 3, "height", "width"))
    shapes = zip(CENTERFACE_OUTPUTS, channels, strict=True)
    _set_outputs(graph, {name: ("batch", count, "rows", "columns") for name, count in shapes})
    return serialise(model)


@_refusing("SCRFD")
def scrfd_batched(data: bytes) -> bytes:
    """SCRFD with five points for any batch and size; outputs (n, anchors, k) instead of (anchors, k).

    The export flattens ``(h, w, n, anchor)`` into one axis and so mixes the frames of a batch. Here the batch
    stays the first axis. Outputs ``score_s``, ``bbox_s``, ``kps_s`` for each stride s, in distances of s pixels.

    Raises:
        ModelError: ``model_conversion_failed`` where this is not SCRFD with points.
    """
    model = _parsed(data, "SCRFD")
    graph = model.graph
    if len(graph.output) != 9:
        raise _refused(
            "SCRFD", f"{len(graph.output)} outputs instead of 9; a detector without points is of no use"
        )
    targets = _constants(graph)
    maker = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        shape = targets.get(node.input[1])
        turn = maker.get(node.input[0])
        if shape is None or shape.size != 2 or turn is None or turn.op_type != "Transpose":
            raise _refused("SCRFD", "a reshape that is not one of its nine heads")
        del turn.attribute[:]
        turn.attribute.append(helper.make_attribute("perm", _PERM_TO_LAST))
        _set_constant(graph, node.input[1], np.array([0, -1, shape[1]], np.int64))
    shapes: dict[str, Sequence[int | str]] = {}
    for head, channels in SCRFD_HEADS.items():
        shapes |= {f"{head}_{s}": ("batch", f"anchors_{s}", channels) for s in YUNET_STRIDES}
    renamed = dict(zip((output.name for output in graph.output), shapes, strict=True))
    _rename(graph, {graph.input[0].name: "input", **renamed})
    _set_input(graph, ("batch", 3, "height", "width"))
    _set_outputs(graph, shapes)
    return serialise(model)


@_refusing("the embedder")
def embedder_batched(data: bytes) -> bytes:
    """An embedder with a symbolic batch and its PRelu nodes written out (see ``GraphBuilder.prelu``).

    Input ``input`` (n, 3, h, w), output ``embedding`` (n, d).

    Raises:
        ModelError: ``model_conversion_failed`` where a reshape would mix the faces of a batch.
    """
    model = _parsed(data, "the embedder")
    graph = model.graph
    shape = _shape(graph.input[0])
    dimension = _shape(graph.output[0])[-1]
    if len(graph.output) != 1 or len(shape) != 4 or not isinstance(dimension, int):
        raise _refused("the embedder", "it is not one image to one vector")
    targets = _constants(graph)
    for node in graph.node:
        # What is reshaped of a constant holds no face: a quantised network's bias, which it brings to (1, -1, 1, 1).
        if node.op_type == "Reshape" and node.input[1] in targets and node.input[0] not in targets:
            target = targets[node.input[1]].tolist()
            if target[0] == 1 and -1 in target[1:]:
                _set_constant(graph, node.input[1], np.array([0, *target[1:]], np.int64))
            elif target[0] not in (0, -1) or len(target) < 2:
                raise _refused("the embedder", f"a reshape to {target}")
    _write_prelus_out(graph)
    initial = {weight.name for weight in graph.initializer}
    keep = [entry for entry in graph.input if entry.name not in initial]
    del graph.input[:]
    graph.input.extend(keep[:1])
    _rename(graph, {graph.input[0].name: "input", graph.output[0].name: "embedding"})
    _set_input(graph, ("batch", *shape[1:]))
    _set_outputs(graph, {"embedding": ("batch", dimension)})
    _drop_unused_weights(graph)
    return serialise(model)


def _write_prelus_out(graph: onnx.GraphProto) -> None:
    bent = [node for node in graph.node if node.op_type == "PRelu"]
    exchange(graph, {node.output[0]: _prelu_nodes(graph, node) for node in bent})


def _prelu_nodes(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    x, slope_name = node.input
    (out,) = node.output
    slopes = _constants(graph).get(slope_name)
    if slopes is None or slopes.dtype != np.float32:
        return [node]
    # The slopes keep their shape: PRelu broadcasts them as Mul does.
    graph.initializer.extend([tensor(f"{out}_slope", slopes), tensor(f"{out}_bend", np.float32(1) - slopes)])
    return [
        helper.make_node("Mul", [x, f"{out}_slope"], [f"{out}_straight"]),
        helper.make_node("Relu", [x], [f"{out}_relu"]),
        helper.make_node("Mul", [f"{out}_relu", f"{out}_bend"], [f"{out}_bent"]),
        helper.make_node("Add", [f"{out}_straight", f"{out}_bent"], [out]),
    ]


def _parsed(data: bytes, label: str) -> onnx.ModelProto:
    model = parse_graph(data, label)
    if not model.graph.input or not model.graph.output:
        raise _refused(label, "it has no input or no output")
    return model


def _refused(label: str, reason: str) -> ModelError:
    return ModelError(
        "model_conversion_failed",
        f"{label} cannot be converted: {reason}",
        hint="'lfr-edge models import --help' names the known networks; others need a hand-written pack.json",
    )


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Initialisers and Constant nodes by the name under which nodes read them."""
    found = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _set_constant(graph: onnx.GraphProto, name: str, array: np.ndarray) -> None:
    for weight in graph.initializer:
        if weight.name == name:
            weight.CopyFrom(tensor(name, array))
            return
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] == name:
            node.attribute[0].t.CopyFrom(tensor(name, array))
            return


def _shape(entry: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_value or dim.dim_param for dim in entry.type.tensor_type.shape.dim]


def _set_input(graph: onnx.GraphProto, shape: Sequence[int | str]) -> None:
    entry = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, list(shape))
    graph.input[0].CopyFrom(entry)


def _set_outputs(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int | str]]) -> None:
    entries = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))
        for name, shape in shapes.items()
    ]
    del graph.output[:]
    graph.output.extend(entries)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    for node in graph.node:
        for ends in (node.input, node.output):
            for position, name in enumerate(ends):
                ends[position] = names.get(name, name)


def _drop_unused_weights(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    keep = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(keep)
