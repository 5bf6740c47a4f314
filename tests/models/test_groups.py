"""Layers in two groups of channels against the layers as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.models.groups import in_groups
from tests.models.layers import Layers, rewritten

WIDE = 16  # channels that the chain reads


def chain(channels: int, kernel: int = 3, *, relu: bool = True, pool: int = 2, more: tuple[str, ...] = ()):
    """A layer, then pointwise, depthwise, Relu and pooling, then something that reads the end."""
    layers = Layers()
    layers.conv("picture", "level", (WIDE, 3, 3, 3), pads=[1] * 4)
    layers.conv("level", "wide", (channels, WIDE, 1, 1))
    layers.conv("wide", "deep", (channels, 1, kernel, kernel), group=channels, pads=[kernel // 2] * 4)
    if relu:
        layers.add("Relu", "deep", made="bent")
    layers.add("MaxPool", "bent" if relu else "deep", made="small", kernel_shape=[pool] * 2, strides=[2, 2])
    layers.conv("small", "found", (4, channels, 1, 1))
    return layers.model("found", *more)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([8, 16, 32, 40, 48, 64, 96]),
    st.sampled_from([1, 3, 5]),
    st.booleans(),
    st.sampled_from([2, 3]),
)
def test_any_chain_gives_the_same_numbers(channels, kernel, relu, pool):
    assert rewritten(chain(channels, kernel, relu=relu, pool=pool), in_groups) == (channels % 32 == 0)


@pytest.mark.parametrize("read", ["wide", "deep", "bent"])
def test_what_somebody_else_reads_stays_whole(read):
    assert rewritten(chain(32, more=(read,)), in_groups) == 0
    assert rewritten(chain(32, more=("small",)), in_groups) == 1


def test_a_chain_that_is_not_pooled_stays_whole():
    model = chain(32)
    model.graph.node[4].op_type = "AveragePool"
    assert rewritten(model, in_groups) == 0


def test_control_groups_that_change_places_give_other_numbers(monkeypatch):
    parts = np.split
    monkeypatch.setattr("lfr_edge.models.groups.np.split", lambda values, count: parts(values, count)[::-1])
    with pytest.raises(AssertionError, match="Mismatched"):
        rewritten(chain(32), in_groups)
