"""The twins on a card, every option of it. Runs where the gpu extra and a device are; skips loudly elsewhere.

The networks have random weights (``benchmarks/_random_networks.py``): a GPU box often has neither a pack nor ../shared.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks._gpu_parts import scattered
from benchmarks._random_networks import random_pack
from lfr_edge.vision.embedder import FusedEmbedder
from lfr_edge.vision.sessions import Runtime, available_providers
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.twins.drawn import drawn_frame
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.vision.twins.stack import Twins, load_twins, plain_parts

pytestmark = pytest.mark.skipif(
    "CUDAExecutionProvider" not in available_providers(),
    reason="NOT TESTED: no CUDA provider on this machine",
)

PIXELS = Acceleration(graph="pixels", detector_batch=4)
WAYS = {
    "pixels": PIXELS,
    "host buffers": replace(PIXELS, device_buffers=False),
    "CUDA graphs": replace(PIXELS, cuda_graphs=True),
    "channels last": replace(PIXELS, channels_last=True),
    "frames": replace(PIXELS, graph="frames"),
    "all": replace(PIXELS, graph="frames", cuda_graphs=True, align_in_graph=True),
}


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("way", WAYS)
def test_the_card_gives_what_the_cpu_gives(way, half, tmp_path):
    pack = random_pack(small=True, half=half)
    # Random scores are about 0.0001 to 0.0004: the best of them stand for faces.
    plain = plain_parts(pack, Runtime(threads=4), min_score=0.0001)
    acceleration = WAYS[way]
    twins = load_twins(
        pack, Twins.derive(pack, acceleration, "cuda"), plain, acceleration, ("cuda",), 4, tmp_path
    )
    frame, points = drawn_frame(640, 384), scattered(9) / 3
    twins.detector.warm([(640, 384)])
    twins.embedder.warm()
    reference = load_twins(pack, Twins.derive(pack, PIXELS, "cpu"), plain, PIXELS, ("cpu",), 4, tmp_path)
    (wanted, *_) = reference.detector.candidates(reference.detector.canvas(frame, 640))
    for found in twins.detector.candidates(twins.detector.canvas(frame, 640)):
        np.testing.assert_allclose(found.scores[:50], wanted.scores[:50], rtol=0.2 if half else 0.05)
    templates = []
    embedders: tuple[FusedEmbedder | object, ...] = (plain[1], twins.embedder)
    for embedder in embedders:
        for count in (1, 5, 9):
            slots = ProbeSlots(count, [(112, 112)], plain[1].dimension)
            rows = slots.acquire(count)
            embedder.align(frame, points[:count].astype(np.float32), slots, rows)
            embedder.embed(slots, rows)
            templates.append(slots.templates[list(rows)].copy())
    for one, other in zip(templates[:3], templates[3:], strict=True):
        assert np.einsum("ij,ij->i", one, other).min() >= (0.99 if half else 0.999)
    twins.detector.scrub()
    twins.embedder.scrub()
