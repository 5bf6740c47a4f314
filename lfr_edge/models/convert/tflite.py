"""TensorFlow Lite → ONNX for plain float networks: convolutions, PReLU, sums and a final flattening.

That is all MobileFaceNet consists of. Anything else is refused with its operator code, not approximated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lfr_edge.errors import ModelError
from lfr_edge.models.convert.flatbuffer import FlatBufferError, Table
from lfr_edge.models.convert.graph import FloatArray, GraphBuilder

# Operator codes, tensor types and field numbers: TensorFlow Lite's schema, version 3.
ADD, CONV, DEPTHWISE, MUL, RELU, RESHAPE, SUB, ABS = 0, 3, 4, 18, 19, 22, 41, 101
_TYPES: Final = {0: "<f4", 1: "<f2", 2: "<i4"}
_VALID: Final = 1
_FUSED_RELU: Final = 1


@dataclass(frozen=True, slots=True)
class Operator:
    code: int
    inputs: tuple[int, ...]  # tensor numbers; -1 where left out
    output: int
    options: Table | None


@dataclass(frozen=True, slots=True)
class Network:
    """One parsed file: operators in execution order and the constant tensors."""

    operators: tuple[Operator, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, FloatArray]  # tensor number → value
    source: int
    result: int


def convert_tflite(data: bytes) -> bytes:
    """An embedder as ONNX: input ``input`` (n, 3, h, w), output ``embedding`` (n, d).

    Raises:
        ModelError: ``model_conversion_failed``.
    """
    try:
        network = parse(data)
        return _Emitter(network).convert()
    except (FlatBufferError, ValueError, IndexError, KeyError) as error:
        raise ModelError(
            "model_conversion_failed",
            f"the .tflite file cannot be converted: {error}",
            hint="only plain float networks of convolutions, PReLU and sums are converted; bring this one as ONNX",
        ) from error


def parse(data: bytes) -> Network:
    """Read the first subgraph.

    Raises:
        FlatBufferError, ValueError, IndexError, KeyError: on a malformed or foreign file.
    """
    if data[4:8] != b"TFL3":
        raise ValueError("no TFL3 mark")
    model = Table.root(data)
    # Old files keep the code in a byte (field 0), new ones in field 3; the larger one counts.
    codes = [max(code.byte(0), code.integer(3)) for code in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)
    shapes = tuple(tensor.integers(0) for tensor in tensors)
    constants: dict[int, FloatArray] = {}
    for number, tensor in enumerate(tensors):
        content = buffers[tensor.integer(2)].bytes(0)
        if content:
            array = np.frombuffer(content, _TYPES[tensor.byte(1)]).reshape(shapes[number])
            constants[number] = array.astype(np.float32)
    operators = tuple(
        Operator(codes[op.integer(0)], op.integers(1), op.integers(2)[0], op.table(4))
        for op in graph.tables(3)
    )
    return Network(operators, shapes, constants, graph.integers(1)[0], graph.integers(2)[0])


class _Emitter:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._maker = {operator.output: operator for operator in network.operators}
        self._graph = GraphBuilder("embedder")
        self._names = {network.source: "input"}

    def convert(self) -> bytes:
        network = self._network
        _, height, width, channels = network.shapes[network.source]
        dimension = network.shapes[network.result][-1]
        activations = {op.output: found for op in network.operators if (found := self._match_prelu(op))}
        inner = {number for found in activations.values() for number in found[2]}
        for operator in network.operators:
            if operator.output in activations:
                x, slopes, _ = activations[operator.output]
                self._names[operator.output] = self._graph.prelu(self._names[x], slopes)
            elif operator.output not in inner:
                self._names[operator.output] = self._emit(operator)
        self._graph.add("Identity", self._names[network.result], output="embedding")
        return self._graph.finish(
            [("input", ("batch", channels, height, width))], [("embedding", ("batch", dimension))]
        )

    def _match_prelu(self, add: Operator) -> tuple[int, FloatArray, tuple[int, ...]] | None:
        """``relu(x) + c · (x - |x|)``, as TensorFlow writes PReLU → x, slopes 2c, and the tensors between."""
        if add.code != ADD:
            return None
        relu = self._made_by(add, RELU)
        product = self._made_by(add, MUL)
        difference = self._made_by(product, SUB) if product else None
        magnitude = self._made_by(difference, ABS) if difference else None
        if not (relu and product and difference and magnitude):
            return None
        x = relu.inputs[0]
        factor = [self._network.constants[i] for i in product.inputs if i in self._network.constants]
        if difference.inputs != (x, magnitude.output) or magnitude.inputs != (x,) or len(factor) != 1:
            return None
        return x, 2 * factor[0], tuple(op.output for op in (relu, product, difference, magnitude))

    def _made_by(self, operator: Operator, code: int) -> Operator | None:
        """The operator of this code that makes one of ``operator``'s inputs."""
        makers = (self._maker.get(number) for number in operator.inputs)
        return next((maker for maker in makers if maker and maker.code == code), None)

    def _emit(self, operator: Operator) -> str:
        if operator.code in (CONV, DEPTHWISE):
            return self._convolution(operator)
        if operator.code == ADD and not self._constant(operator) and not _fused(operator, 0):
            return self._graph.add("Add", *(self._names[number] for number in operator.inputs))
        if operator.code == RELU:
            return self._graph.add("Relu", self._names[operator.inputs[0]])
        if operator.code == RESHAPE:
            _, height, width, _ = self._network.shapes[operator.inputs[0]]
            # With one pixel left NHWC and NCHW hold the same order, so flattening needs no transposition.
            if height * width == 1:
                return self._graph.add("Flatten", self._names[operator.inputs[0]], axis=1)
        raise ValueError(f"operator {operator.code} in this form is not supported")

    def _constant(self, operator: Operator) -> bool:
        return any(number in self._network.constants for number in operator.inputs)

    def _convolution(self, operator: Operator) -> str:
        source, kernel, *bias = operator.inputs
        weights = self._network.constants[kernel]
        depthwise = operator.code == DEPTHWISE
        # TFLite keeps (out, h, w, in), and (1, h, w, channels) where each channel has its own filter.
        oihw = weights.transpose(3, 0, 1, 2) if depthwise else weights.transpose(0, 3, 1, 2)
        options = operator.options
        if options is None:
            raise ValueError("a convolution without options")
        strides = (options.integer(2), options.integer(1))
        dilations = 5 if depthwise else 4
        if (options.integer(dilations, 1), options.integer(dilations + 1, 1)) != (1, 1):
            raise ValueError("dilated convolutions are not supported")
        inputs = [self._names[source], self._graph.weight(oihw)]
        if bias and bias[0] >= 0:
            inputs.append(self._graph.weight(self._network.constants[bias[0]]))
        output = self._graph.add(
            "Conv",
            *inputs,
            kernel_shape=oihw.shape[2:],
            strides=strides,
            pads=self._pads(source, oihw.shape[2:], strides, options.byte(0) == _VALID),
            group=self._network.shapes[source][3] if depthwise else 1,
        )
        return self._graph.add("Relu", output) if _fused(operator, 4 if depthwise else 3) else output

    def _pads(
        self, source: int, kernel: tuple[int, ...], strides: tuple[int, int], valid: bool
    ) -> tuple[int, ...]:
        """TensorFlow's SAME padding: the odd pixel goes to the end."""
        if valid:
            return (0, 0, 0, 0)
        _, height, width, _ = self._network.shapes[source]
        totals = [
            max((-(-side // stride) - 1) * stride + taps - side, 0)
            for side, stride, taps in zip((height, width), strides, kernel, strict=True)
        ]
        return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))


def _fused(operator: Operator, field: int) -> bool:
    """Whether a Relu is fused; any other fused activation is refused."""
    activation = operator.options.byte(field) if operator.options else 0
    if activation not in (0, _FUSED_RELU):
        raise ValueError(f"fused activation {activation} is not supported")
    return activation == _FUSED_RELU
