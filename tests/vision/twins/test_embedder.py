"""Templates and crops of the twin are those of the plain path."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_edge.models.fuse import twin_of
from lfr_edge.vision.align import similarity, warp
from lfr_edge.vision.embedder import LADDER, CropShape, FusedEmbedder
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.twins.aligner import TwinAligner
from lfr_edge.vision.twins.drawn import drawn_frame, drawn_street
from lfr_edge.vision.twins.embedder import TwinEmbedder

POINTS = np.array([[(30, 40), (70, 40), (50, 62), (34, 84), (66, 84)]], np.float32)


@pytest.fixture(scope="module")
def plain(pairs) -> FusedEmbedder:
    names = ("mobilefacenet", "retail")  # two crop shapes, RGB and BGR
    found = [pairs.network(name) for name in names]
    return FusedEmbedder([(m, pairs.runtime.open(data, m.id)) for m, data in found])


def twin_of_pack(pairs, plain: FusedEmbedder, aligner: TwinAligner | None = None) -> TwinEmbedder:
    found = [pairs.network(name) for name in ("mobilefacenet", "retail")]
    opened = [(m, pairs.runtime.open_program(twin_of(m, d, "pixels"), m.id)) for m, d in found]
    return TwinEmbedder(plain, opened, aligner)


@pytest.fixture(scope="module")
def twin(pairs, plain) -> TwinEmbedder:
    return twin_of_pack(pairs, plain)


def slots_of(embedder, count: int) -> tuple[ProbeSlots, tuple[int, ...]]:
    slots = ProbeSlots(count, [(s.height, s.width) for s in embedder.crop_shapes], embedder.dimension)
    return slots, slots.acquire(count)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), count=st.integers(1, 3))
def test_templates_are_equal(plain, twin, seed, count):
    """Of any crops at all: noise, black, white."""
    templates = []
    for embedder in (plain, twin):
        slots, rows = slots_of(embedder, count)
        chance = np.random.default_rng(seed)
        for crops in slots.crops:
            crops[list(rows)] = chance.integers(0, 256, (count, *crops.shape[1:]), np.uint8)
        embedder.embed(slots, rows)
        templates.append(slots.templates[list(rows)].copy())
    assert np.einsum("ij,ij->i", *templates).min() >= 0.99999


class _OnCard:
    """A program that says it is on a card: the ladder is padded, the CPU does the work."""

    def __init__(self, program) -> None:
        self._program, self.on_cpu, self.bound = program, False, []

    def bind(self, inputs, outputs, *, constant=()):
        self.bound.append(len(inputs["pixels"]))
        return self._program.bind(inputs, outputs, constant=constant)


def test_the_ladder_pads_and_nothing_of_a_batch_is_left(pairs):
    manifest, data = pairs.network("mobilefacenet")
    plain = FusedEmbedder([(manifest, pairs.runtime.open(data, "m"))])
    program = _OnCard(pairs.runtime.open_program(twin_of(manifest, data, "pixels"), "m"))
    twin = TwinEmbedder(plain, [(manifest, program)])
    assert tuple(program.bound) == LADDER
    templates = []
    for embedder in (plain, twin):
        slots, rows = slots_of(embedder, 5)
        slots.crops[0][:] = np.random.default_rng(3).integers(0, 256, slots.crops[0].shape, np.uint8)
        embedder.embed(slots, rows)
        templates.append(slots.templates[list(rows)].copy())
    np.testing.assert_allclose(*templates, atol=1e-5)
    (network,) = twin._networks
    assert network._used == {8}
    assert not network.pixels.any()
    assert not network.raw.any()
    twin.scrub()
    assert not network._used


@pytest.mark.parametrize("share", [0.5, 1.0, 1.9, 2.5, 4.5])
def test_faces_are_cut_out_alike(pairs, share):
    """`share`: crop pixels that lie on one another; beyond 2 the plain path shrinks first."""
    frame = drawn_frame(640, 480)
    shape = CropShape.of(pairs.network("mobilefacenet")[0])
    points = np.concatenate([POINTS * share + (60, 30), POINTS * share + (100, 50)]).astype(np.float32)
    crops = np.zeros((2, shape.height, shape.width, 3), np.uint8)
    aligner = TwinAligner(pairs.runtime.open_program)
    aligner.align(frame, points, shape, crops, (1, 0))
    wanted = np.zeros_like(crops)
    for matrix, row in zip(similarity(points, shape.template), (1, 0), strict=True):
        warp(frame, matrix, wanted[row])
    shrunk = share * 40 / 35.2 > 2
    apart = np.abs(crops.astype(int) - wanted)
    assert apart.mean() < (1.5 if shrunk else 0.1)
    assert crops.any()
    aligner.scrub()
    assert not any(launch.crops.any() or launch.luma.any() for launch in aligner._launches.values())


def test_beside_the_picture_it_is_black_and_five_equal_points_too(pairs):
    frame = drawn_frame(320, 240)
    shape = CropShape.of(pairs.network("mobilefacenet")[0])
    crops = np.full((2, shape.height, shape.width, 3), 9, np.uint8)
    far = np.concatenate([POINTS + 5_000, np.zeros_like(POINTS)]).astype(np.float32)
    TwinAligner(pairs.runtime.open_program).align(frame, far, shape, crops, (0, 1))
    assert not crops.any()


def test_stills_are_cut_out_the_plain_way(pairs, plain):
    twin = twin_of_pack(pairs, plain, TwinAligner(pairs.runtime.open_program))
    for picture, same in ((drawn_street(320, 240), True), (drawn_frame(320, 240), False)):
        crops = []
        for embedder in (plain, twin):
            slots, rows = slots_of(embedder, 1)
            embedder.align(picture, POINTS, slots, rows)
            crops.append(slots.crops[0][rows[0]].copy())
        assert np.abs(crops[0].astype(int) - crops[1]).max() <= (0 if same else 40)
        assert crops[0].any()
