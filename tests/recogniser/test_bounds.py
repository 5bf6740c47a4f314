"""How many at once follows from the cameras, and is bounded by the memory that can be locked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.recogniser.bounds import LEAST_LOOKS, LEAST_PASSAGES, MOST_BYTES, Bounds
from lfr_edge.vision.slots import ProbeSlots

SLOT = ProbeSlots.bytes_each([(112, 112)], 704)  # of the default pack


@pytest.mark.parametrize(
    ("cameras", "passages", "looks"), [(1, 192, 32), (8, 192, 32), (16, 384, 64), (64, 1536, 256)]
)
def test_so_many_for_each_camera(cameras: int, passages: int, looks: int):
    found = Bounds.of(cameras, SLOT)
    assert (found.passages, found.looks, found.by_memory) == (passages, looks, False)
    assert found.slots * SLOT <= MOST_BYTES


@given(st.integers(1, 4096), st.integers(1, 4 << 20))
def test_memory_bounds_it_and_says_so(cameras: int, slot_bytes: int):
    found, free = Bounds.of(cameras, slot_bytes), Bounds.of(cameras, 1)
    assert LEAST_PASSAGES <= found.passages <= free.passages
    assert LEAST_LOOKS <= found.looks <= free.looks
    assert found.by_memory == (free.slots * slot_bytes > MOST_BYTES)
    assert found.slots * slot_bytes <= MOST_BYTES + (LEAST_PASSAGES + LEAST_LOOKS) * slot_bytes
    assert Bounds.of(cameras + 1, slot_bytes).slots >= found.slots - 1, "more cameras never have less room"


@given(
    st.lists(st.tuples(st.integers(1, 160), st.integers(1, 160)), min_size=1, max_size=3),
    st.integers(1, 1024),
)
def test_a_slot_is_as_large_as_is_said(shapes: list[tuple[int, int]], dimension: int):
    """More slots take that much more memory, but for the lines that arrays start on and whole pages."""
    few, many = (ProbeSlots(count, shapes, dimension).memory.bytes for count in (2, 12))
    said = 10 * ProbeSlots.bytes_each(shapes, dimension)
    assert abs(many - few - said) <= 64 * (len(shapes) + 6) + 4096
