"""Networks of the right architecture with random weights: good for timing, for nothing else.

The usual detector and embedder of a GPU box (SCRFD-10G with points, IResNet-50) are in no package registry and their
weights are not free. Time on a device follows the architecture, not the weights, so layers, channels, strides and
operators are theirs. What comes out means nothing: the detector's last bias keeps every score near zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lfr_edge.models import families
from lfr_edge.models.convert.graph import GraphBuilder
from lfr_edge.models.fuse.half import half_network
from lfr_edge.models.manifest import Licence, NetworkManifest, PackManifest

NOTE: Final = "random weights of SCRFD-10G's and IResNet-50's architecture: times only"
_STRIDES: Final = (8, 16, 32)
_QUIET: Final = -9.0  # bias of the scores: sigmoid gives 0.0001
_ABOUT: Final[dict[str, Any]] = {
    "licence": Licence(name="none", operational_use="no", note="random weights"),
    "source": "benchmarks/_random_networks.py",
    "training_data": "none",
}


@dataclass(frozen=True, slots=True)
class RandomPack:
    """An OpenPack that was never installed."""

    manifest: PackManifest
    contents: dict[str, bytes] = field(repr=False)
    gflops: dict[str, float]  # multiply-adds × 2 / 1e9 of each network: 640 × 640, one face
    fingerprint: str = "0" * 64

    def read(self, network: NetworkManifest) -> bytes:
        return self.contents[network.file]


def random_pack(*, small: bool = False, half: bool = False) -> RandomPack:
    """`small` has a quarter of the channels and fewer blocks: for a slice on a CPU."""
    eye, mind = _Scrfd(small).build(), _IResNet(small).build()
    made = [
        (families.SCRFD.describe(eye.data, id="scrfd-10g-random", **_ABOUT), eye.data),
        (families.ARCFACE_512.describe(mind.data, id="r50-random", **_ABOUT), mind.data),
    ]
    if half:
        made = [half_network(network, data) for network, data in made]
    manifest = PackManifest(
        name="random", version="1", description=NOTE, networks=tuple(network for network, _ in made)
    )
    gflops = {network.id: built.gflops for (network, _), built in zip(made, (eye, mind), strict=True)}
    return RandomPack(manifest, {network.file: data for network, data in made}, gflops)


def r50(*, small: bool = False) -> bytes:
    """IResNet-50 alone, as an ONNX file."""
    return _IResNet(small).build().data


@dataclass(frozen=True, slots=True)
class Built:
    data: bytes
    gflops: float


class Net:
    """Convolutions with random weights, counting the arithmetic."""

    def __init__(self, name: str, seed: int) -> None:
        self.graph = GraphBuilder(name)
        self._chance = np.random.default_rng(seed)
        self._gflops = 0.0

    def _weights(self, shape: tuple[int, ...], gain: float) -> str:
        spread = gain * np.sqrt(2 / np.prod(shape[1:]))
        return self.graph.weight((self._chance.standard_normal(shape) * spread).astype(np.float32))

    def conv(
        self,
        x: str,
        inside: int,
        outside: int,
        size: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
        gain: float = 1.0,
        bias: float = 0.0,
    ) -> str:
        """`size` is the side of the output, for the count."""
        weights = self._weights((outside, inside // groups, kernel, kernel), gain)
        shift = self.graph.weight(np.full(outside, bias, np.float32))
        self._gflops += 2e-9 * outside * (inside // groups) * kernel**2 * size**2
        how: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "group": groups}
        made = self.graph.add("Conv", x, weights, shift, pads=[kernel // 2] * 4, **how)
        return self.graph.add("Relu", made) if relu else made

    def dense(self, x: str, inside: int, outside: int, output: str = "") -> str:
        """`x` as one row of `inside` numbers each, times random weights."""
        flat = self.graph.add("Flatten", x)
        weights = self._chance.standard_normal((inside, outside)) / np.sqrt(inside)
        self._gflops += 2e-9 * inside * outside
        return self.graph.add("MatMul", flat, self.graph.weight(weights.astype(np.float32)), output=output)

    def built(self, name: str, side: int, made: str, outputs: int) -> Built:
        """A network of one picture `name`, whose result `made` is a row of `outputs` numbers."""
        data = self.graph.finish([(name, ("batch", 3, side, side))], [(made, ("batch", outputs))])
        return Built(data, self._gflops)


class _Scrfd(Net):
    """SCRFD-10G with points: ResNetV1e (3, 4, 2, 3), PAFPN of 56, three head convolutions of 80."""

    def __init__(self, small: bool) -> None:
        super().__init__("scrfd", 10)
        share = 4 if small else 1
        self._stem = 56 // share
        self._planes = [channels // share for channels in (56, 88, 88, 224)]
        self._blocks = (1, 1, 1, 1) if small else (3, 4, 2, 3)
        self._neck, self._head = 56 // share, 80 // share

    def build(self) -> Built:
        graph, stem = self.graph, self._stem
        x = self.conv("input", 3, stem // 2, 320, stride=2)
        x = self.conv(x, stem // 2, stem // 2, 320)
        x = self.conv(x, stem // 2, stem, 320)
        x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        inside, size, levels = stem, 160, []
        for stage, (planes, blocks) in enumerate(zip(self._planes, self._blocks, strict=True)):
            size //= 2 if stage else 1
            for block in range(blocks):
                x = self._basic(x, inside, planes, size, stride=2 if stage and not block else 1)
                inside = planes
            levels.append((x, planes, size))
        outputs = self._heads(self._pyramid(levels[1:]))
        shapes = [
            (f"{head}_{s}", ("batch", f"anchors_{s}", k))
            for head, k in (("score", 1), ("bbox", 4), ("kps", 10))
            for s in _STRIDES
        ]
        for made, (name, _) in zip(outputs, shapes, strict=True):
            graph.add("Identity", made, output=name)
        return Built(graph.finish([("input", ("batch", 3, "height", "width"))], shapes), self._gflops)

    def _basic(self, x: str, inside: int, planes: int, size: int, *, stride: int) -> str:
        straight = x
        if stride > 1:
            straight = self.graph.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        if stride > 1 or inside != planes:
            straight = self.conv(straight, inside, planes, size, kernel=1, relu=False)
        made = self.conv(x, inside, planes, size, stride=stride)
        made = self.conv(made, planes, planes, size, relu=False, gain=0.2)
        return self.graph.add("Relu", self.graph.add("Add", made, straight))

    def _pyramid(self, levels: list[tuple[str, int, int]]) -> list[tuple[str, int]]:
        """PAFPN: down and up again; (tensor, side) at strides 8, 16 and 32."""
        graph, neck = self.graph, self._neck
        sizes = [size for _, _, size in levels]
        thin = [self.conv(x, inside, neck, size, kernel=1, relu=False) for x, inside, size in levels]
        scales = graph.weight(np.array([1, 1, 2, 2], np.float32))
        nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        for level in (1, 0):
            thin[level] = graph.add(
                "Add", thin[level], graph.add("Resize", thin[level + 1], "", scales, **nearest)
            )
        made = [self.conv(x, neck, neck, size, relu=False) for x, size in zip(thin, sizes, strict=True)]
        for level in (0, 1):
            lower = self.conv(made[level], neck, neck, sizes[level + 1], stride=2, relu=False)
            made[level + 1] = graph.add("Add", made[level + 1], lower)
        again = [
            self.conv(x, neck, neck, size, relu=False) for x, size in zip(made[1:], sizes[1:], strict=True)
        ]
        return list(zip([made[0], *again], sizes, strict=True))

    def _heads(self, levels: list[tuple[str, int]]) -> list[str]:
        rows: dict[str, list[str]] = {"score": [], "bbox": [], "kps": []}
        for x, size in levels:
            inside = self._neck
            for _ in range(3):
                x, inside = self.conv(x, inside, self._head, size), self._head
            for name, channels, bias in (("score", 2, _QUIET), ("bbox", 8, 2.0), ("kps", 20, 1.0)):
                made = self.conv(x, inside, channels, size, relu=False, gain=0.05, bias=bias)
                last = self.graph.add("Transpose", made, perm=[0, 2, 3, 1])
                shape = self.graph.weight(np.array([0, -1, channels // 2], np.int64))
                flat = self.graph.add("Reshape", last, shape)
                rows[name].append(self.graph.add("Sigmoid", flat) if name == "score" else flat)
        return [*rows["score"], *rows["bbox"], *rows["kps"]]


class _IResNet(Net):
    """IResNet-50 as InsightFace exports it: (3, 4, 14, 3) blocks, batch normalisation before and PReLU within."""

    def __init__(self, small: bool) -> None:
        super().__init__("r50", 50)
        self._planes = [channels // (4 if small else 1) for channels in (64, 128, 256, 512)]
        self._blocks = (1, 1, 1, 1) if small else (3, 4, 14, 3)

    def build(self) -> Built:
        inside, size = self._planes[0], 112
        x = self._prelu(self.conv("input", 3, inside, size, relu=False), inside)
        for planes, blocks in zip(self._planes, self._blocks, strict=True):
            size //= 2
            for block in range(blocks):
                x = self._block(x, inside, planes, size, stride=1 if block else 2)
                inside = planes
        made = self.dense(self._normalised(x, inside), inside * size**2, 512, "embedding")
        return self.built("input", 112, made, 512)

    def _block(self, x: str, inside: int, planes: int, size: int, *, stride: int) -> str:
        straight = x
        if stride > 1 or inside != planes:
            straight = self.conv(x, inside, planes, size, kernel=1, stride=stride, relu=False)
        made = self.conv(self._normalised(x, inside), inside, planes, size * stride, relu=False)
        made = self._prelu(made, planes)
        made = self.conv(made, planes, planes, size, stride=stride, relu=False, gain=0.2)
        return self.graph.add("Add", made, straight)

    def _normalised(self, x: str, channels: int) -> str:
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        weights = [self.graph.weight(array) for array in (ones, zeros, zeros, ones)]
        return self.graph.add("BatchNormalization", x, *weights, epsilon=1e-5)

    def _prelu(self, x: str, channels: int) -> str:
        return self.graph.prelu(x, np.full(channels, 0.25, np.float32))  # as the importer writes it
