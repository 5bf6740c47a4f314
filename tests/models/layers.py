"""Small networks to rewrite, and the check that a rewriting changes no number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lfr_edge.vision.sessions import Runtime

PICTURE = (1, 3, 12, 20)


class Layers:
    """Layers of random weights that begin at ``picture``."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def conv(
        self, source: str, made: str, shape: tuple[int, ...], *, bias: bool = True, **how: object
    ) -> None:
        values = {
            "w": self.rng.standard_normal(shape, np.float32),
            "b": self.rng.standard_normal(shape[0], np.float32),
        }
        names = [f"{made}/{kind}" for kind in (values if bias else "w")]
        self.weights += [numpy_helper.from_array(values[name[-1]], name) for name in names]
        self.add("Conv", source, *names, made=made, kernel_shape=shape[2:], **how)

    def add(self, kind: str, *sources: str, made: str, **how: object) -> None:
        self.nodes.append(helper.make_node(kind, sources, [made], **how))

    def model(self, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "layers",
            [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, PICTURE)],
            [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
        made.ir_version = 8
        return made


def rewritten(model: onnx.ModelProto, rewrite: Callable[[onnx.GraphProto], int]) -> int:
    """How much was rewritten, in place; what comes out is checked against the network as it was."""
    picture = np.random.default_rng(8).standard_normal(PICTURE, np.float32)
    wanted = Runtime(threads=1).open(model.SerializeToString(), "plain").run(picture)
    count = rewrite(model.graph)
    found = Runtime(threads=1).open(model.SerializeToString(), "rewritten").run(picture)
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    return count
