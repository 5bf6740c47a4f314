"""A network with room before and after it: nodes are added in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
from google.protobuf.message import EncodeError
from onnx import compose, helper, version_converter

from lfr_edge.errors import ModelError
from lfr_edge.models.convert.graph import IR_VERSION, FloatArray, Shape, serialise, tensor
from lfr_edge.models.fuse.prelu import joined
from lfr_edge.models.graph_check import parse_graph
from lfr_edge.sentences import say

# The first with everything used here in a form that the CUDA provider has kernels for (GridSample from 16 on); the
# published networks are of 9 to 13 and are lifted, which changes no number (tests).
OPSET: Final = 17
_NETWORK: Final = "net/"


class Extension:
    """The graph being built. `data` may be empty: then there is no network in it."""

    def __init__(self, data: bytes, label: str, *, for_gpu: bool = False) -> None:
        self._label = label
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._network = _lifted(data, label, for_gpu=for_gpu) if data else None

    def weight(self, array: FloatArray | np.ndarray) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(tensor(name, array))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Append a node with one output; returns the output's name."""
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def add_pair(self, operator: str, *inputs: str, outputs: tuple[str, str], **attributes: object) -> None:
        self._nodes.append(helper.make_node(operator, list(inputs), list(outputs), **attributes))

    def run_network(self, image: str) -> list[str]:
        """Put the network here, reading the float32 (n, 3, h, w) `image`; returns its outputs, in its own order."""
        assert self._network is not None
        graph = self._network.graph
        weights = {weight.name for weight in graph.initializer}
        entries = [entry.name for entry in graph.input if entry.name not in weights]
        if len(entries) != 1:
            raise unsupported(self._label, say("it has {count} inputs", count=len(entries)))
        self._nodes.append(helper.make_node("Identity", [image], [entries[0]]))
        self._nodes.extend(graph.node)
        self._weights.extend(graph.initializer)
        return [output.name for output in graph.output]

    def finish(
        self, inputs: Sequence[tuple[str, int, Shape]], outputs: Sequence[tuple[str, int, Shape]]
    ) -> bytes:
        """`inputs` and `outputs` are name, ONNX element type and shape. The same bytes for the same graph.

        Raises:
            ModelError: ``model_twin_unsupported`` where the result is no valid graph.
        """
        graph = helper.make_graph(
            self._nodes,
            "twin",
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, kind, shape in inputs],
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, kind, shape in outputs],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        try:
            return serialise(model)
        except (onnx.checker.ValidationError, EncodeError, ValueError) as error:
            raise unsupported(
                self._label, say("the joined graph is not valid ({kind})", kind=type(error).__name__)
            ) from error


def unsupported(label: str, reason: str) -> ModelError:
    return ModelError(
        "model_twin_unsupported",
        say("{label} has no fast twin: {reason}", label=label, reason=reason),
        hint="set models.graph = 'plain', or import the pack again: its files then get a symbolic batch",
    )


def _lifted(data: bytes, label: str, *, for_gpu: bool) -> onnx.ModelProto:
    """The network in this module's opset, every name of it under a prefix."""
    model = parse_graph(data, label)
    if for_gpu:
        model = joined(model)
    try:
        # The converter's own value_info is of no use and would be wrong after the join.
        lifted = version_converter.convert_version(model, OPSET)
        return compose.add_prefix(lifted, _NETWORK)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        raise unsupported(
            label,
            say("it cannot be lifted to opset {opset} ({kind})", opset=OPSET, kind=type(error).__name__),
        ) from error
