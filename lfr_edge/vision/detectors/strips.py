"""A detector's network at one canvas size, its first layers strip by strip (models/strips.py says why)."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.models.manifest import NetworkManifest
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.letterbox import fill_planes
from lfr_edge.vision.sessions import Program, Runtime

# Equal to the last bit where the processor's kernels add in the same order at a strip's edge, which they need not.
_AGREES: Final = 1e-4
_log = logging.getLogger(__name__)


class StripedNetwork:
    """**Thread rule:** one thread at a time. **Lifetime:** what :meth:`run` returns, until its next call."""

    def __init__(
        self, program: Program, planes: UInt8Array, outputs: list[Float32Array], manifest: NetworkManifest
    ) -> None:
        self.planes = planes  # (1, 3, height, width), in the network's order
        self._manifest = manifest
        self._outputs = outputs
        self._binding = program.bind(
            {program.inputs[0]: planes}, dict(zip(program.outputs, outputs, strict=True))
        )

    def fill(self, pixels: UInt8Array) -> None:
        """A canvas (height, width, 3) BGR becomes the input."""
        fill_planes(pixels, self._manifest.input, self.planes[0])

    def run(self) -> list[Float32Array]:
        self._binding.run()
        return self._outputs

    def scrub(self) -> None:
        """Overwrite what the last picture left in the buffers and in the runtime's arena."""
        self.planes[:] = 0
        self.run()


def striped(
    runtime: Runtime, model: bytes, manifest: NetworkManifest, height: int, width: int
) -> StripedNetwork | None:
    """The network `model` for canvases of this size, or None where strips gain nothing or change a number.

    Proved on noise against the plain network each time it is made, before it sees a picture.
    """
    # With the models room's graph library, which a process that never meets such a canvas need not load.
    from lfr_edge.models.strips import in_strips

    contract = manifest.input
    made = in_strips(model, height, width, mean=contract.mean, scale=contract.scale)
    if made is None:
        return None
    planes = np.random.default_rng(1).integers(0, 256, (1, 3, height, width), np.uint8)
    noise = (planes.astype(np.float32) - np.float32(contract.mean)) * np.float32(1 / contract.scale)
    wanted = runtime.open(model, manifest.id).run(noise)  # a session of its own: its memory goes with it
    network = StripedNetwork(
        runtime.open_program(made, f"{manifest.id} in strips"),
        planes,
        [np.zeros(part.shape, np.float32) for part in wanted],
        manifest,
    )
    same = all(
        np.allclose(part, found, atol=_AGREES, rtol=_AGREES)
        for part, found in zip(wanted, network.run(), strict=True)
    )
    if not same:
        _log.warning(
            "a detector's quicker form gives other numbers on this processor: its plain form is used"
        )
        return None
    return network
