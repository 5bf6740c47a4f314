"""What InsightFace's default loop runs beside detector and embedder, with random weights: for its time, nothing else.

``FaceAnalysis()`` gives every face to every network of its folder: 68 and 106 landmarks and a guess of gender and age.
None of them is in a package registry, none of them is anything this product has or may have (it refuses to import
them: they find nobody and recognise nobody), and nothing reads what they say here. They exist so that the peer can be
measured as people run it.

Published are architecture and size (InsightFace, model_zoo/README.md: ResNet-50, MobileNet-0.5, MobileNet-0.25) and
the files' bytes, not the arithmetic. Where that leaves a choice the cheaper one is taken, so that the peer is rather
too fast than too slow: the 68 landmarks' ResNet-50 is the usual one with bottlenecks and a stem of a quarter (3 G
multiply-adds at 192 × 192; one as in the embedder would have 18), both MobileNets halve in the first layer, batch
normalisation is folded, and what is left of a file's size stands behind the last pooling.
"""

from __future__ import annotations

from typing import Final

from benchmarks._random_networks import Built, Net

# Bytes of the files in buffalo_l and buffalo_m, as several public download lists give them.
PUBLISHED: Final = {"1k3d68": 143_607_619, "2d106det": 5_030_888, "genderage": 1_322_532}
BESIDE: Final = "68 landmarks, 106 landmarks, gender and age (random weights)"


def analysis_network(name: str, *, small: bool = False) -> Built:
    """One of :data:`PUBLISHED`; `small` makes the large one cheap, for a slice without a figure."""
    if name == "1k3d68":
        return _ResNet(name, 68, small=small).build()
    if name == "2d106det":
        return _MobileNet(name, 106, share=2, side=192, head=68, outputs=212).build()
    return _MobileNet(name, 96, share=4, side=96, head=51, outputs=3).build()


class _ResNet(Net):
    """ResNet-50 with bottlenecks at 192 × 192; 1103 points of three coordinates, of which 68 are used."""

    def __init__(self, name: str, seed: int, *, small: bool) -> None:
        super().__init__(name, seed)
        self._share = 8 if small else 1
        self._blocks = (1, 1, 1, 1) if small else (3, 4, 6, 3)

    def build(self) -> Built:
        x, inside, size = self.conv("data", 3, 64, 96, kernel=7, stride=2), 64, 48
        x = self.graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        for stage, (wide, blocks) in enumerate(zip((64, 128, 256, 512), self._blocks, strict=True)):
            planes = wide // self._share
            size //= 2 if stage else 1
            for block in range(blocks):
                x = self._bottleneck(x, inside, planes, size, stride=2 if stage and not block else 1)
                inside = 4 * planes
        last = 2304 // self._share  # what is missing to the published size
        x = self.conv(self.graph.add("GlobalAveragePool", x), inside, last, 1, kernel=1)
        return self.built("data", 192, self.dense(x, last, 3309), 3309)

    def _bottleneck(self, x: str, inside: int, planes: int, size: int, *, stride: int) -> str:
        straight = x
        if inside != 4 * planes:
            straight = self.conv(x, inside, 4 * planes, size, kernel=1, stride=stride, relu=False)
        made = self.conv(x, inside, planes, size, kernel=1, stride=stride)
        made = self.conv(made, planes, planes, size)
        made = self.conv(made, planes, 4 * planes, size, kernel=1, relu=False, gain=0.2)
        return self.graph.add("Relu", self.graph.add("Add", made, straight))


class _MobileNet(Net):
    """MobileNet with a share of its channels and a head of one convolution."""

    def __init__(self, name: str, seed: int, *, share: int, side: int, head: int, outputs: int) -> None:
        super().__init__(name, seed)
        self._share, self._side, self._head, self._outputs = share, side, head, outputs

    def build(self) -> Built:
        inside, size = 32 // self._share, self._side // 2
        x = self.conv("data", 3, inside, size, stride=2)
        for channels, stride in (
            (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1),
        ):  # fmt: skip
            size //= stride
            x = self.conv(x, inside, inside, size, stride=stride, groups=inside)
            x = self.conv(x, inside, channels // self._share, size, kernel=1)
            inside = channels // self._share
        stride = size // 3  # 3 × 3 is left
        x = self.conv(x, inside, self._head, 3, stride=stride)
        made = self.dense(x, 9 * self._head, self._outputs)
        return self.built("data", self._side, made, self._outputs)
