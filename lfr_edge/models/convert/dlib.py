"""dlib's face recognition network (``dlib_face_recognition_resnet_model_v1.dat``) → ONNX, without dlib.

The file is dlib's serialisation of ``face_recognition_model_v1``: layers in the order of the forward pass, each
with a version string and its parameters as one tensor. The architecture is known (``dnn_face_recognition_ex.cpp``),
so only the parameters are read; each affine layer is folded into the convolution before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.errors import ModelError
from lfr_edge.models.convert.graph import GraphBuilder

Float64Array = NDArray[np.float64]

SIDE: Final = 150
DIMENSION: Final = 128
_PIXEL_SCALE: Final = 256.0  # dlib's input layer divides by 256, not 255
# (channels, blocks that keep the size after the one that halves it); the first level is not halved.
_LEVELS: Final = ((32, 3), (64, 3), (128, 2), (256, 2), (256, 0))


class DlibFormatError(ValueError):
    """The file ends early or holds another network."""


@dataclass(slots=True)
class _Cursor:
    """A reading position in dlib's portable serialisation."""

    data: bytes
    at: int = 0

    def integer(self) -> int:
        """One byte with sign (bit 7) and length (bits 0-3), then that many bytes, little end first."""
        head = self.take(1)[0]
        magnitude = int.from_bytes(self.take(head & 0x0F), "little")
        return -magnitude if head & 0x80 else magnitude

    def real(self) -> float:
        """A float is written as mantissa and binary exponent."""
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 256:
            raise DlibFormatError("a number out of range")
        return mantissa * 2.0**exponent

    def tensor(self, count: int) -> Float64Array:
        """The next tensor, which must hold ``count`` values."""
        version = self.integer()
        size = 1
        for _ in range(4):
            size *= self.integer()
        if version != 2 or size != count:
            raise DlibFormatError(
                f"a tensor of {size} values, version {version}, where {count} were expected"
            )
        return np.frombuffer(self.take(4 * count), "<f4").astype(np.float64)

    def seek(self, mark: bytes) -> None:
        """Behind the next layer mark."""
        found = self.data.find(mark, self.at)
        if found < 0:
            raise DlibFormatError(f"no {mark.decode()} layer left")
        self.at = found + len(mark)

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise DlibFormatError("the file ends early")
        self.at += count
        return taken


@dataclass(frozen=True, slots=True)
class _Map:
    """A feature map in the graph under construction."""

    name: str
    channels: int
    side: int


def convert_dlib(data: bytes) -> bytes:
    """The network as ONNX: input ``input`` (n, 3, 150, 150) RGB 0..255, output ``embedding`` (n, 128).

    Raises:
        ModelError: ``model_conversion_failed``.
    """
    try:
        return _Resnet(data).convert()
    except (DlibFormatError, OverflowError) as error:
        raise ModelError(
            "model_conversion_failed",
            f"the .dat file cannot be converted: {error}",
            hint="only dlib_face_recognition_resnet_model_v1.dat is known",
        ) from error


class _Resnet:
    def __init__(self, data: bytes) -> None:
        self._cursor = _Cursor(data)
        self._graph = GraphBuilder("embedder")

    def convert(self) -> bytes:
        self._cursor.seek(b"input_rgb_image_sized")
        average = np.array([self._cursor.real() for _ in range(3)])
        x = self._convolution(_Map("input", 3, SIDE), 32, taps=7, stride=2, pad=0, average=average)
        x = self._relu(x)
        pooled = self._graph.add("MaxPool", x.name, kernel_shape=(3, 3), strides=(2, 2))
        x = _Map(pooled, x.channels, (x.side - 3) // 2 + 1)
        for number, (channels, blocks) in enumerate(_LEVELS):
            if number:
                x = self._halving_block(x, channels)
            for _ in range(blocks):
                x = self._block(x)
        vector = self._graph.add("Flatten", self._graph.add("GlobalAveragePool", x.name))
        self._cursor.seek(b"fc_2")
        if (self._cursor.integer(), self._cursor.integer()) != (DIMENSION, x.channels):
            raise DlibFormatError("the last layer has another size")
        weights = self._cursor.tensor(x.channels * DIMENSION).reshape(x.channels, DIMENSION)
        self._graph.add("MatMul", vector, self._graph.weight(weights.astype(np.float32)), output="embedding")
        return self._graph.finish(
            [("input", ("batch", 3, SIDE, SIDE))], [("embedding", ("batch", DIMENSION))]
        )

    def _convolution(
        self, x: _Map, channels: int, *, taps: int, stride: int, pad: int, average: Float64Array | None = None
    ) -> _Map:
        """Convolution and the affine layer behind it; with ``average`` also the input layer before it."""
        self._cursor.seek(b"con_4")
        values = self._cursor.tensor(channels * x.channels * taps * taps + channels)
        weights = values[:-channels].reshape(channels, x.channels, taps, taps)
        bias = values[-channels:]
        self._cursor.seek(b"affine_")
        gain, shift = self._cursor.tensor(2 * channels).reshape(2, channels)
        if average is not None:  # exact, for this convolution pads nothing
            weights = weights / _PIXEL_SCALE
            bias = bias - np.einsum("oihw,i->o", weights, average)
        folded = (weights * gain[:, None, None, None]).astype(np.float32)
        name = self._graph.add(
            "Conv",
            x.name,
            self._graph.weight(folded),
            self._graph.weight((bias * gain + shift).astype(np.float32)),
            kernel_shape=(taps, taps),
            strides=(stride, stride),
            pads=(pad,) * 4,
        )
        return _Map(name, channels, (x.side + 2 * pad - taps) // stride + 1)

    def _block(self, x: _Map) -> _Map:
        y = self._relu(self._convolution(x, x.channels, taps=3, stride=1, pad=1))
        return self._sum(self._convolution(y, x.channels, taps=3, stride=1, pad=1), x)

    def _halving_block(self, x: _Map, channels: int) -> _Map:
        y = self._relu(self._convolution(x, channels, taps=3, stride=2, pad=0))
        y = self._convolution(y, channels, taps=3, stride=1, pad=1)
        pooled = self._graph.add("AveragePool", x.name, kernel_shape=(2, 2), strides=(2, 2))
        return self._sum(y, _Map(pooled, x.channels, (x.side - 2) // 2 + 1))

    def _sum(self, a: _Map, b: _Map) -> _Map:
        """dlib adds maps of different size as if the smaller one went on with zeros."""
        channels, side = max(a.channels, b.channels), max(a.side, b.side)
        added = self._graph.add("Add", self._grown(a, channels, side), self._grown(b, channels, side))
        return self._relu(_Map(added, channels, side))

    def _grown(self, x: _Map, channels: int, side: int) -> str:
        if (x.channels, x.side) == (channels, side):
            return x.name
        more = np.array([0, 0, 0, 0, 0, channels - x.channels, side - x.side, side - x.side], np.int64)
        return self._graph.add("Pad", x.name, self._graph.weight(more), mode="constant")

    def _relu(self, x: _Map) -> _Map:
        return _Map(self._graph.add("Relu", x.name), x.channels, x.side)
