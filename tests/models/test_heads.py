"""Branches side by side against the branches as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.models.heads import join_heads
from tests.models.layers import Layers, rewritten

WIDE = 8  # channels that every branch reads


class Heads(Layers):
    """A layer, and pairs of a pointwise and a depthwise convolution that read it; every pair has an output."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[str] = []
        self.conv("picture", "level", (WIDE, 3, 3, 3), pads=[1] * 4)

    def branch(self, channels: int, kernel: int = 3, *, bias: bool = True, **pointwise: object) -> None:
        name = f"found{len(self.outputs)}"
        self.conv("level", f"{name}/thin", (channels, WIDE, 1, 1), bias=bias, **pointwise)
        self.conv(f"{name}/thin", name, (channels, 1, kernel, kernel), group=channels, pads=[kernel // 2] * 4)
        self.outputs.append(name)

    def model(self, *more: str) -> onnx.ModelProto:
        return super().model(*self.outputs, *more)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 18), st.sampled_from([1, 3, 5]), st.booleans()), min_size=1, max_size=6)
)
def test_any_branches_give_the_same_numbers(branches):
    heads = Heads()
    for channels, kernel, bias in branches:
        heads.branch(channels, kernel, bias=bias)
    rewritten(heads.model(), join_heads)


def test_yunets_branches_are_one():
    heads = Heads()
    for channels in (1, 4, 1, 10):
        heads.branch(channels)
    model = heads.model()
    assert rewritten(model, join_heads) == 4
    assert [node.op_type for node in model.graph.node].count("Conv") == 3


@pytest.mark.parametrize(
    "how", [{"strides": [2, 2]}, {"pads": [1] * 4}, {"auto_pad": "SAME_UPPER"}, {"bias": False}]
)
def test_a_pair_of_another_kind_stays_as_it_is(how):
    heads = Heads()
    heads.branch(4)
    heads.branch(4, **how)
    assert rewritten(heads.model(), join_heads) == 0


def test_what_somebody_else_reads_stays_as_it_is():
    heads = Heads()
    heads.branch(2)
    heads.branch(3)
    assert rewritten(heads.model("found0/thin"), join_heads) == 0
    heads.branch(5)
    assert rewritten(heads.model("found0/thin"), join_heads) == 2


def test_branches_whose_depthwise_layers_differ_are_joined_by_kind():
    heads = Heads()
    for kernel in (3, 5, 3, 5, 1):
        heads.branch(2, kernel)
    assert rewritten(heads.model(), join_heads) == 4


def test_control_weights_in_another_order_give_other_numbers(monkeypatch):
    heads = Heads()
    heads.branch(3)
    heads.branch(3)
    together = np.concatenate
    monkeypatch.setattr("lfr_edge.models.heads.np.concatenate", lambda parts: together(parts[::-1]))
    with pytest.raises(AssertionError, match="Mismatched"):
        rewritten(heads.model(), join_heads)
