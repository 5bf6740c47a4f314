"""What an ONNX file may not contain, looked at after its hash has matched and before a runtime sees it.

A graph that names a file outside itself makes the runtime open that file; a graph with operators of a foreign
domain needs a plug-in library. Neither is ever needed here, so both are refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from lfr_edge.errors import ModelError
from lfr_edge.models.manifest import WHOLE, Precision

STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx"})
_QUANTISED: Final = frozenset(
    {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
        "MatMulInteger",
    }
)  # fmt: skip


def parse_graph(data: bytes, label: str) -> onnx.ModelProto:
    """Parse ONNX bytes and refuse external data and foreign operators.

    Raises:
        ModelError: ``model_unreadable``, ``model_external_data`` or ``model_custom_operator``.
    """
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        model = onnx.ModelProto()
    if not model.graph.node:
        raise ModelError(
            "model_unreadable",
            f"{label} is not an ONNX network",
            hint="give a complete .onnx file; a Git LFS pointer or a cut-off download looks like this",
        )
    _refuse_external_data(model, label)
    _refuse_foreign_operators(model, label)
    return model


def precision_of(model: onnx.ModelProto) -> Precision:
    """What the network computes in, read off its operators and its weights."""
    kinds = {node.op_type for graph in _graphs(model.graph) for node in graph.node}
    if kinds & _QUANTISED:
        return "int8"
    numbers: Counter[int] = Counter()
    for tensor in _tensors(model):
        numbers[tensor.data_type] += math.prod(tensor.dims)
    # A network in half precision may keep a few whole numbers, where half ones overflow.
    return "fp16" if numbers[onnx.TensorProto.FLOAT16] > numbers[onnx.TensorProto.FLOAT] else WHOLE


def _refuse_external_data(model: onnx.ModelProto, label: str) -> None:
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                "model_external_data",
                f"{label}: tensor {tensor.name!r} lies in another file",
                hint="save the network as one file (onnx.save_model without external data) and import it again",
            )


def _refuse_foreign_operators(model: onnx.ModelProto, label: str) -> None:
    domains = {opset.domain for opset in model.opset_import}
    domains |= {node.domain for graph in _graphs(model.graph) for node in graph.node}
    domains |= {function.domain for function in model.functions}
    domains |= {node.domain for function in model.functions for node in function.node}
    foreign = sorted(domains - STANDARD_DOMAINS)
    if foreign or model.training_info:
        raise ModelError(
            "model_custom_operator",
            f"{label} needs operators outside the ONNX standard: {', '.join(foreign) or 'training graphs'}",
            hint="export the network with standard operators only; contrib or custom domains are not loaded",
        )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        yield from _subgraphs(node.attribute)


def _subgraphs(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.GraphProto]:
    for attribute in attributes:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _graphs(graph)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    functions = [node for function in model.functions for node in function.node]
    graphs = [*_graphs(model.graph)]
    for node in functions:
        graphs += _subgraphs(node.attribute)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in (*functions, *(node for graph in graphs for node in graph.node)):
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
