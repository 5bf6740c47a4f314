"""A network, and a pack of them, in half precision.

Half precision is another pack with another fingerprint, so no calibration, sealed list or authority of the first
one fits it: every threshold is measured anew. Inputs and outputs stay float32; weights and everything between are
float16.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.errors import ModelError
from lfr_edge.models.convert.graph import serialise
from lfr_edge.models.graph_check import parse_graph
from lfr_edge.models.manifest import NetworkManifest, PackManifest
from lfr_edge.models.store import Pack
from lfr_edge.sentences import say

_FLOAT: Final = onnx.TensorProto.FLOAT
_HALF: Final = onnx.TensorProto.FLOAT16
# Inputs that ONNX wants in float32 whatever the data is: regions and scales.
_ALWAYS_FLOAT: Final = {"Resize": (1, 2), "Upsample": (1,)}
# The largest and the smallest normal number of float16. Smaller weights would be denormal, and are as good as 0.
_MOST: Final = float(np.finfo(np.float16).max)
_LEAST: Final = float(np.finfo(np.float16).tiny)


@dataclass(frozen=True, slots=True)
class HalfPack:
    """A pack in half precision that is not installed yet: it is compared with the first one before it is."""

    manifest: PackManifest
    contents: Mapping[str, bytes] = field(repr=False)  # by file name

    def read(self, network: NetworkManifest) -> bytes:
        return self.contents[network.file]


def half_pack(pack: Pack, name: str) -> HalfPack:
    """`pack` in half precision, as the pack `name`.

    Raises:
        ModelError: ``model_half_unsupported``, and what :meth:`Pack.read` raises.
    """
    converted = [half_network(network, pack.read(network)) for network in pack.manifest.networks]
    manifest = PackManifest(
        name=name,
        version=pack.manifest.version,
        description=f"{pack.name} in half precision. {pack.manifest.description}",
        networks=tuple(network for network, _ in converted),
    )
    return HalfPack(manifest, {network.file: data for network, data in converted})


def half_network(network: NetworkManifest, data: bytes) -> tuple[NetworkManifest, bytes]:
    """One network's manifest and bytes in half precision."""
    if network.precision == "fp16":
        raise _refused(network.id, "it is in half precision already")
    if network.precision == "int8":
        raise _refused(network.id, "it computes in 8 bits")
    content = to_half(data, network.id)
    changed = {
        "file": f"{network.id}-fp16.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "source": f"half precision of {network.source}",
        "source_sha256": network.sha256,
        "precision": "fp16",
    }
    return network.model_copy(update=changed), content


def to_half(data: bytes, label: str) -> bytes:
    """The graph in float16, float32 at its borders.

    Raises:
        ModelError: ``model_half_unsupported`` where a weight has no float16, or the graph has branches or loops.
    """
    model = parse_graph(data, label)
    graph = model.graph
    if any(
        attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute
    ):
        raise _refused(label, "its graph has branches or loops")
    kept = {
        name
        for node in graph.node
        for at, name in enumerate(node.input)
        if name and at in _ALWAYS_FLOAT.get(node.op_type, ())
    }
    for weight in graph.initializer:
        if weight.data_type == _FLOAT and weight.name not in kept:
            weight.CopyFrom(_halved(weight, label))
    for node in graph.node:
        if not kept.intersection(node.output):
            _halve_node(node, label)
    weights = {weight.name for weight in graph.initializer}
    _cast_borders(graph, [entry for entry in graph.input if entry.name not in weights])
    return serialise(model)


def _halve_node(node: onnx.NodeProto, label: str) -> None:
    """Constants and casts that make float32."""
    for attribute in node.attribute:
        if attribute.HasField("t") and attribute.t.data_type == _FLOAT:
            attribute.t.CopyFrom(_halved(attribute.t, label))
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == _FLOAT:
            attribute.i = _HALF


def _cast_borders(graph: onnx.GraphProto, inputs: Iterable[onnx.ValueInfoProto]) -> None:
    """float32 in and out: casts at both ends, the border names kept."""
    entering = {e.name: f"{e.name}/half" for e in inputs if e.type.tensor_type.elem_type == _FLOAT}
    leaving = {e.name: f"{e.name}/half" for e in graph.output if e.type.tensor_type.elem_type == _FLOAT}
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = entering.get(name) or leaving.get(name) or name
        for at, name in enumerate(node.output):
            node.output[at] = leaving.get(name, name)
    before = [helper.make_node("Cast", [name], [half], to=_HALF) for name, half in entering.items()]
    after = [helper.make_node("Cast", [half], [name], to=_FLOAT) for name, half in leaving.items()]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)


def _halved(weight: onnx.TensorProto, label: str) -> onnx.TensorProto:
    array = numpy_helper.to_array(weight)
    if not (np.abs(array) <= _MOST).all():
        raise _refused(
            label, say("the weight {weight!r} is too large for half precision", weight=weight.name)
        )
    array = np.where(np.abs(array) < _LEAST, 0, array)
    return onnx.TensorProto(
        name=weight.name, data_type=_HALF, dims=weight.dims, raw_data=array.astype("<f2").tobytes()
    )


def _refused(label: str, reason: str) -> ModelError:
    return ModelError(
        "model_half_unsupported",
        say("{label} cannot run in half precision: {reason}", label=label, reason=reason),
        hint="use the pack as it is; on a GPU its convolutions run in TF32",
    )
