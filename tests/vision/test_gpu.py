"""The same faces and templates on a GPU. Runs where the gpu extra and a device are; skips loudly elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from lfr_edge.vision.detectors import build_detector
from lfr_edge.vision.embedder import FusedEmbedder
from lfr_edge.vision.sessions import Runtime, available_providers
from lfr_edge.vision.slots import ProbeSlots

pytestmark = pytest.mark.skipif(
    "CUDAExecutionProvider" not in available_providers(),
    reason="NOT TESTED: no CUDA provider on this machine",
)


@pytest.mark.parametrize("name", ["yunet-s", "scrfd", "centerface"])
def test_detectors_agree_with_the_cpu(networks, group, name):
    manifest, model = networks.get(name)
    gpu = build_detector(manifest, Runtime(("cuda", "cpu")).open(model, name), min_score=0.6)
    cpu = networks.detector(name, 0.6)
    (fast,), (plain,) = (detector.detect([detector.canvas(group, 1280)]) for detector in (gpu, cpu))
    assert len(fast) == len(plain)
    np.testing.assert_allclose(fast.boxes, plain.boxes, atol=1)


def test_embedders_agree_with_the_cpu(networks, group):
    detector = networks.detector("yunet-s")
    points = detector.detect([detector.canvas(group, 1280)])[0].points
    runtime = Runtime(("cuda",))  # strictly: no node of an embedder may run on the CPU
    names = ("mobilefacenet", "fr-feature")
    found = [networks.get(name) for name in names]
    gpu = FusedEmbedder([(manifest, runtime.open(model, manifest.id)) for manifest, model in found])
    assert not gpu._networks[0].session.on_cpu
    gpu.warm()
    rows = []
    for embedder in (gpu, networks.embedder(*names)):
        slots = ProbeSlots(len(points), [(112, 112)], embedder.dimension)
        probes = slots.acquire(len(points))
        embedder.align(group, points, slots, probes)
        embedder.embed(slots, probes)
        rows.append(slots.templates[list(probes)])
    assert np.einsum("ij,ij->i", *rows).min() >= 0.999
