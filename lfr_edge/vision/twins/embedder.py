"""The embedder whose graphs take the crops' bytes, and may cut them out of the frame as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.vision.embedder import LADDER, CropShape, FusedEmbedder, batches
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import Picture
from lfr_edge.vision.sessions import Binding, Program
from lfr_edge.vision.slots import ProbeSlots, SealedMemory, normalise_rows
from lfr_edge.vision.twins.aligner import TwinAligner

_CAPTURE_RUNS: Final = 3  # a CUDA graph is captured at the second or third run of a shape


class _TwinNetwork:
    """One network's twin and its buffers, one binding for each batch of the ladder."""

    def __init__(self, manifest: NetworkManifest, program: Program, crop: int, columns: slice) -> None:
        shape = CropShape.of(manifest)
        self.crop = crop  # which of the slots' crops it reads
        self.columns = columns  # where its part lies in the fused template
        self.share = np.float32(1)  # length of its part
        self.on_cpu = program.on_cpu
        self.ladder = (1,) if program.on_cpu else LADDER
        self.memory = SealedMemory(
            ((self.ladder[0], shape.height, shape.width, 3), np.uint8),
            ((self.ladder[0], manifest.dimension or 0), np.float32),
        )
        self.pixels: UInt8Array
        self.raw: Float32Array
        self.pixels, self.raw = self.memory.arrays
        self._bindings: dict[int, Binding] = {
            batch: program.bind({"pixels": self.pixels[:batch]}, {"embedding": self.raw[:batch]})
            for batch in self.ladder
        }
        self._used: set[int] = set()

    def run(self, batch: int) -> Float32Array:
        self._bindings[batch].run()
        self._used.add(batch)
        return self.raw[:batch]

    def warm(self) -> None:
        for batch in self.ladder:
            for _ in range(1 if self.on_cpu else _CAPTURE_RUNS):
                self.run(batch)
        self.scrub()

    def scrub(self) -> None:
        """Every batch has its own blocks in the arena, and on a card its own buffers: each runs over zeros."""
        self.memory.wipe()
        for batch in sorted(self._used):
            self.run(batch)
        self._used.clear()
        self.memory.wipe()


class TwinEmbedder:
    """An Embedder. `plain` is the same pack without twins: it cuts out what the graph does not.

    **Thread rule:** one thread at a time.
    """

    def __init__(
        self,
        plain: FusedEmbedder,
        networks: Sequence[tuple[NetworkManifest, Program]],
        aligner: TwinAligner | None = None,
    ) -> None:
        self.dimension = plain.dimension
        self.crop_shapes = plain.crop_shapes
        self._plain = plain
        self._aligner = aligner
        self._networks: list[_TwinNetwork] = []
        start = 0
        for manifest, program in networks:
            columns = slice(start, start + (manifest.dimension or 0))
            crop = self.crop_shapes.index(CropShape.of(manifest))
            self._networks.append(_TwinNetwork(manifest, program, crop, columns))
            start = columns.stop
        total = sum(manifest.weight for manifest, _ in networks)
        for (manifest, _), network in zip(networks, self._networks, strict=True):
            network.share = np.float32(math.sqrt(manifest.weight / total))

    def align(self, picture: Picture, points: Float32Array, slots: ProbeSlots, rows: Sequence[int]) -> None:
        if self._aligner is None or not isinstance(picture, Frame):
            self._plain.align(picture, points, slots, rows)
            return
        for shape, crops in zip(self.crop_shapes, slots.crops, strict=False):
            self._aligner.align(picture, points, shape, crops, rows)

    def embed(self, slots: ProbeSlots, rows: Sequence[int]) -> None:
        for network in self._networks:
            for chunk, batch in batches(rows, network.ladder[0], padded=not network.on_cpu):
                self._embed(network, slots, chunk, batch)

    def warm(self) -> None:
        for network in self._networks:
            network.warm()
        if self._aligner is not None:
            self._aligner.warm(self.crop_shapes)

    def scrub(self) -> None:
        for network in self._networks:
            network.scrub()
        if self._aligner is not None:
            self._aligner.scrub()

    def _embed(self, network: _TwinNetwork, slots: ProbeSlots, rows: Sequence[int], batch: int) -> None:
        crops, pixels = slots.crops[network.crop], network.pixels
        for at, row in enumerate(rows):
            np.copyto(pixels[at], crops[row])
        pixels[len(rows) : batch] = 0
        target = [slots.templates[row, network.columns] for row in rows]
        raw = network.run(batch)
        for part, out in zip(raw, target, strict=False):
            np.copyto(out, part)
        normalise_rows(target)
        for out in target:
            np.multiply(out, network.share, out=out)
        # Nothing of this batch stays outside the slots.
        pixels[:batch] = 0
        raw[:] = 0
