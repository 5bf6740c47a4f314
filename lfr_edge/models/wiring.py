"""Who reads what in a graph, and other nodes in the place of some: what every rewriting of layers needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx

from lfr_edge.models.convert.graph import copied


@dataclass(frozen=True, slots=True)
class Wiring:
    """A graph's tensors by name, as they were when it was looked at.

    **Lifetime:** its nodes are the graph's own; :func:`exchange` empties them.
    """

    weights: Mapping[str, onnx.TensorProto]
    readers: Mapping[str, Sequence[onnx.NodeProto]]  # a node that reads a tensor twice stands there twice
    results: frozenset[str]  # what the graph gives out

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> Wiring:
        readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                readers[name].append(node)
        return cls(
            {tensor.name: tensor for tensor in graph.initializer},
            dict(readers),
            frozenset(entry.name for entry in graph.output),
        )

    def only_reader(self, tensor: str) -> onnx.NodeProto | None:
        """The node that reads `tensor`; None where several do, or none, or the graph gives it out."""
        found = self.readers.get(tensor, ())
        return found[0] if len(found) == 1 and tensor not in self.results else None


def exchange(
    graph: onnx.GraphProto, made: Mapping[str, Sequence[onnx.NodeProto]], gone: Collection[str] = ()
) -> None:
    """Put `made` where the nodes stood that it is filed under, and leave out those that are `gone`, in place.

    Nodes are named by their first output. The order stays one in which every node follows what it reads as long as
    each of `made` reads only what its predecessor's place offers.
    """
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        name = node.output[0]
        if name in made:
            nodes += made[name]
        elif name not in gone:
            nodes.append(node)
    kept = [copied(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
