"""Building ONNX graphs whose bytes are the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

FloatArray = NDArray[np.float32]
Shape = Sequence[int | str]  # a string names a symbolic dimension

# Written into every converted file. Fixed here, not taken from the installed onnx: its defaults move with releases.
OPSET: Final = 13
IR_VERSION: Final = 8
PRODUCER: Final = "lfr-edge"


def tensor(name: str, array: FloatArray | NDArray[np.int64]) -> onnx.TensorProto:
    """An initialiser as little-endian raw bytes."""
    code = onnx.TensorProto.INT64 if array.dtype == np.int64 else onnx.TensorProto.FLOAT
    kind = "<i8" if code == onnx.TensorProto.INT64 else "<f4"
    return onnx.TensorProto(
        name=name, data_type=code, dims=array.shape, raw_data=np.ascontiguousarray(array, kind).tobytes()
    )


def value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    """A float32 input or output of the graph."""
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))


def copied(message: Any) -> Any:
    """A message of the graph's own would be emptied with the list that it is in."""
    made = type(message)()
    made.CopyFrom(message)
    return made


def set_attribute(node: Any, name: str, value: Any) -> None:
    others = [copied(attribute) for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*others, helper.make_attribute(name, value)])


def serialise(model: onnx.ModelProto) -> bytes:
    """The model's bytes, equal for equal graphs under every version of onnx and protobuf seen.

    Documentation, shape hints and metadata go, versions of the producing library go with them: what is left are
    nodes, weights, inputs and outputs. protobuf writes fields in the order of their numbers and an ONNX model
    holds no maps, so the rest is determined by its content (a test pins the digest).
    """
    lean = onnx.ModelProto()
    lean.CopyFrom(model)
    for field in ("doc_string", "metadata_props", "producer_version", "domain", "model_version"):
        lean.ClearField(field)
    lean.producer_name = PRODUCER
    for field in ("doc_string", "value_info", "quantization_annotation"):
        lean.graph.ClearField(field)
    for node in lean.graph.node:
        node.ClearField("doc_string")
    onnx.checker.check_model(lean)
    data: bytes = lean.SerializeToString(deterministic=True)
    return data


class GraphBuilder:
    """Nodes in the order in which they are added, with names that count up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def weight(self, array: FloatArray | NDArray[np.int64]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(tensor(name, array))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Append one node with one output and return the output's name."""
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def prelu(self, x: str, slopes: FloatArray, output: str = "") -> str:
        """``x`` where positive, ``slope · x`` elsewhere; slopes (channels,).

        Written as ``slope · x + (1 - slope) · relu(x)``: ONNX Runtime's CPU provider takes 10.9 ms for a face with
        33 PRelu nodes, 7.3 ms for ``relu + slope · (x - relu)``, 5.7 ms for this (one core, two runs). Depthwise
        1×1 convolutions measured the same on the CPU, but are poor on a GPU.
        """
        column = slopes.reshape(-1, 1, 1).astype(np.float32)
        straight = self.add("Mul", x, self.weight(column))
        bent = self.add("Mul", self.add("Relu", x), self.weight(np.float32(1) - column))
        return self.add("Add", straight, bent, output=output)

    def finish(self, inputs: Sequence[tuple[str, Shape]], outputs: Sequence[tuple[str, Shape]]) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [value(*entry) for entry in inputs],
            [value(*entry) for entry in outputs],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        return serialise(model)
