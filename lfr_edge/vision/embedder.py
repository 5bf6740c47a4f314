"""Aligned crops in slots → templates in the same slots.

Networks run in batches at a short ladder of sizes, each size warmed once. Where a pack has several networks their
embeddings are L2-normalised, multiplied by √(weight ⁄ sum of weights) and concatenated: the result has unit length
again, and its cosine is the weighted mean of the networks' cosines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from lfr_edge.errors import VisionError
from lfr_edge.models.manifest import NetworkManifest, Point
from lfr_edge.sentences import say
from lfr_edge.vision.align import similarity, warp
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import Picture, fill_blob
from lfr_edge.vision.sessions import Session
from lfr_edge.vision.slots import ProbeSlots, SealedMemory, normalise_rows

LADDER: Final = (32, 16, 8, 4, 2, 1)
# A face costs a CPU the same in any batch (2 threads, CPU ms a face at 1, 2, 4, 8: 6.3, 6.3, 7.4, 6.8 and 6.5, 6.1,
# 6.0, 6.1 for the default pack's two networks), and a scrub then costs one face instead of seven.
_CPU_LARGEST: Final = 1


@dataclass(frozen=True, slots=True)
class CropShape:
    """One way to cut a face: networks that share it share the crop."""

    height: int
    width: int
    template: tuple[Point, ...]  # five points in crop pixels

    @staticmethod
    def of(manifest: NetworkManifest) -> CropShape:
        if manifest.task != "embedder" or not manifest.template:
            raise VisionError(
                "vision_not_an_embedder",
                say("{id}: {family} is no embedder", id=manifest.id, family=manifest.family),
                hint="lfr-edge models show lists what a pack contains",
            )
        assert manifest.input.height is not None
        return CropShape(
            manifest.input.height, manifest.input.width or manifest.input.height, manifest.template
        )


class Embedder(Protocol):
    """Crops → templates. **Thread rule:** one thread at a time."""

    dimension: int
    crop_shapes: tuple[CropShape, ...]

    def align(self, picture: Picture, points: Float32Array, slots: ProbeSlots, rows: Sequence[int]) -> None:
        """Cut the faces with `points` (n, 5, 2) out of `picture` into the slots `rows`, every crop shape."""

    def embed(self, slots: ProbeSlots, rows: Sequence[int]) -> None:
        """Write the unit-length templates of the slots `rows` from their crops."""

    def scrub(self) -> None:
        """Overwrite what the last batch left in this room's buffers and in the runtime's arenas and stacks."""


class _Network:
    """One embedding network and its fixed input and output buffers."""

    def __init__(self, manifest: NetworkManifest, session: Session, crop: int, columns: slice) -> None:
        self.manifest = manifest
        self.session = session
        self.crop = crop  # which of the slots' crops it reads
        self.columns = columns  # where its part lies in the fused template
        self.share = np.float32(1)  # length of its part
        most = _CPU_LARGEST if session.on_cpu else LADDER[0]
        self.largest: int = most if manifest.input.batch else 1
        self._used: set[int] = set()  # batch sizes whose arena blocks hold faces
        shape = CropShape.of(manifest)
        self.memory = SealedMemory(
            ((self.largest, 3, shape.height, shape.width), np.float32),
            ((self.largest, manifest.dimension or 0), np.float32),
        )
        self.blob: Float32Array
        self.raw: Float32Array
        self.blob, self.raw = self.memory.arrays

    def run(self, batch: int) -> Float32Array:
        raw = self.raw[:batch]
        self.session.run_into(self.blob[:batch], raw)
        self._used.add(batch)
        return raw

    def scrub(self) -> None:
        """Every batch size has its own blocks in the arena: each one used since the last time runs over zeros."""
        self.memory.wipe()
        for batch in sorted(self._used):
            self.run(batch)
        self._used.clear()
        self.memory.wipe()


class FusedEmbedder:
    """The embedders of one pack, in fusion order.

    ``flip`` also embeds the mirrored crop and adds both before normalising: twice the work.
    **Thread rule:** one thread at a time.
    """

    def __init__(self, networks: Sequence[tuple[NetworkManifest, Session]], *, flip: bool = False) -> None:
        shapes = [CropShape.of(manifest) for manifest, _ in networks]
        self.crop_shapes: tuple[CropShape, ...] = tuple(dict.fromkeys(shapes))
        self.flip = flip
        self._networks: list[_Network] = []
        start = 0
        for (manifest, session), shape in zip(networks, shapes, strict=True):
            columns = slice(start, start + (manifest.dimension or 0))
            _check_output(manifest, session)
            self._networks.append(_Network(manifest, session, self.crop_shapes.index(shape), columns))
            start = columns.stop
        self.dimension = start
        total = sum(network.manifest.weight for network in self._networks)
        for network in self._networks:
            network.share = np.float32(math.sqrt(network.manifest.weight / total))

    @property
    def one_by_one(self) -> bool:
        """Whether each face runs alone: what it leaves in buffers and arenas, the next face overwrites."""
        return all(network.largest == 1 for network in self._networks)

    def align(self, picture: Picture, points: Float32Array, slots: ProbeSlots, rows: Sequence[int]) -> None:
        for shape, crops in zip(self.crop_shapes, slots.crops, strict=False):
            for matrix, row in zip(similarity(points, shape.template), rows, strict=True):
                warp(picture, matrix, crops[row])

    def embed(self, slots: ProbeSlots, rows: Sequence[int]) -> None:
        for network in self._networks:
            padded = not network.session.on_cpu
            for chunk, batch in batches(rows, network.largest, padded=padded):
                self._embed(network, slots, chunk, batch)

    def warm(self) -> None:
        """Run every network at every batch of the ladder."""
        for network in self._networks:
            network.blob[:] = 0
            for batch in LADDER:
                if batch <= network.largest:
                    network.run(batch)
            network.scrub()

    def scrub(self) -> None:
        for network in self._networks:
            network.scrub()

    def _embed(self, network: _Network, slots: ProbeSlots, rows: Sequence[int], batch: int) -> None:
        crops = slots.crops[network.crop]
        blob = network.blob
        for at, row in enumerate(rows):
            fill_blob(crops[row], network.manifest.input, blob[at])
        blob[len(rows) : batch] = 0
        target = [slots.templates[row, network.columns] for row in rows]
        raw = network.run(batch)
        for part, out in zip(raw, target, strict=False):
            np.copyto(out, part)
        if self.flip:
            for at, row in enumerate(rows):
                fill_blob(crops[row][:, ::-1], network.manifest.input, blob[at])
            for part, out in zip(network.run(batch), target, strict=False):
                np.add(out, part, out=out)
        normalise_rows(target)
        for out in target:
            np.multiply(out, network.share, out=out)
        # Nothing of this batch stays outside the slots.
        blob[:batch] = 0
        raw[:] = 0


def batches(rows: Sequence[int], largest: int, *, padded: bool) -> Iterator[tuple[Sequence[int], int]]:
    """Chunks of `rows` with the batch size each runs at.

    On a GPU a chunk is padded up to the next size of the ladder: one launch. On a CPU the time follows the number
    of faces (platform.md 4), so 5 faces run as 4 + 1 and nothing is computed for padding.
    """
    at = 0
    while at < len(rows):
        left = min(len(rows) - at, largest)
        if padded:
            batch = min(size for size in LADDER if size >= left)
        else:
            batch = left = next(size for size in LADDER if size <= left)
        yield rows[at : at + left], batch
        at += left


def _check_output(manifest: NetworkManifest, session: Session) -> None:
    """Run once: the manifest's dimension is what the network gives."""
    shape = CropShape.of(manifest)
    outputs = session.run(np.zeros((1, 3, shape.height, shape.width), np.float32))
    if outputs[0].shape != (1, manifest.dimension):
        raise VisionError(
            "vision_network_shape",
            say(
                "{id}: the output is {shape}, not (1, {dimension})",
                id=manifest.id,
                shape=outputs[0].shape,
                dimension=manifest.dimension,
            ),
            hint="the manifest does not describe this file; import the pack again",
        )
