"""A network in strips against the network as it is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from lfr_edge.models import strips
from lfr_edge.models.strips import in_strips
from lfr_edge.vision.sessions import Runtime


def network(layers, *, tail: bool = True) -> bytes:
    """A chain from (kind, kernel, stride, pad, channels), and one more layer that reads its end."""
    rng = np.random.default_rng(4)
    nodes, weights, tensor, channels = [], [], "picture", 3
    for number, (kind, kernel, stride, pad, wide) in enumerate(layers):
        made = f"t{number}"
        shape = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [pad] * 4}
        if kind == "Conv":
            values = rng.standard_normal((wide, channels, kernel, kernel), np.float32) / np.float32(kernel)
            weights.append(numpy_helper.from_array(values, f"w{number}"))
            weights.append(numpy_helper.from_array(rng.standard_normal(wide, np.float32), f"b{number}"))
            nodes.append(helper.make_node("Conv", [tensor, f"w{number}", f"b{number}"], [made], **shape))
            channels = wide
        elif kind == "MaxPool":
            nodes.append(helper.make_node("MaxPool", [tensor], [made], **shape))
        else:
            nodes.append(helper.make_node(kind, [tensor], [made]))
        tensor = made
    if tail:
        nodes.append(helper.make_node("GlobalAveragePool", [tensor], ["mean"]))
        nodes.append(helper.make_node("Sub", [tensor, "mean"], ["found"]))
        tensor = "found"
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def both(model: bytes, striped: bytes, height: int, width: int, mean: float, scale: float):
    runtime = Runtime(threads=1)
    planes = np.random.default_rng(5).integers(0, 256, (1, 3, height, width), np.uint8)
    blob = (planes.astype(np.float32) - np.float32(mean)) * np.float32(1 / scale)
    (plain,) = runtime.open(model, "plain").run(blob)
    found = np.full_like(plain, np.nan)
    program = runtime.open_program(striped, "strips")
    program.bind({program.inputs[0]: planes}, {program.outputs[0]: found}).run()
    return plain, found


def fits(layers, size: int) -> bool:
    """Whether a picture's side is not used up before the chain ends: then no runtime takes the network."""
    for _, kernel, stride, pad, _ in layers:
        size = (size + 2 * pad - kernel) // stride + 1
        if size < 1:
            return False
    return True


layer = st.one_of(
    st.tuples(st.just("Conv"), st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2]), st.integers(0, 2),
              st.sampled_from([4, 16])),
    st.tuples(st.just("Relu"), st.just(1), st.just(1), st.just(0), st.just(0)),
    st.tuples(st.just("MaxPool"), st.sampled_from([2, 3]), st.just(2), st.integers(0, 1), st.just(0)),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.lists(layer, min_size=1, max_size=6),
    st.integers(9, 60),
    st.sampled_from([(0.0, 1.0), (127.5, 128.0)]),
    st.sampled_from([500, 5_000, 50_000]),
)
def test_any_chain_gives_the_same_numbers(layers, height, contract, strip_bytes):
    layers = [("Conv", 3, 1, 1, 16), *layers, ("MaxPool", 2, 2, 0, 0)]
    assume(fits(layers, min(height, 40)))
    model = network(layers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "STRIP_BYTES", strip_bytes)
        patch.setattr(strips, "WORTH_BYTES", 0)
        made = in_strips(model, height, 40, mean=contract[0], scale=contract[1])
    if made is None:
        return  # nothing comes out smaller
    plain, found = both(model, made, height, 40, *contract)
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-5 * np.abs(plain).max())


def test_the_layers_are_really_cut(monkeypatch):
    monkeypatch.setattr(strips, "STRIP_BYTES", 50_000)
    monkeypatch.setattr(strips, "WORTH_BYTES", 0)
    model = network(
        [("Conv", 3, 2, 1, 16), ("Relu", 1, 1, 0, 0), ("Conv", 3, 1, 1, 16), ("MaxPool", 2, 2, 0, 0)]
    )
    graph = onnx.load_from_string(in_strips(model, 128, 96, mean=0, scale=1) or b"").graph
    largest = 16 * 64 * 48 * 4
    assert sum(node.op_type == "MaxPool" for node in graph.node) == round(largest / 50_000)
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_halo_is_what_makes_the_numbers_the_same(monkeypatch):
    """The control: strips that do not know their neighbours' rows are wrong where they meet."""
    monkeypatch.setattr(strips, "STRIP_BYTES", 50_000)
    monkeypatch.setattr(strips, "WORTH_BYTES", 0)
    understood = strips._layer

    def without(node, channels, height, width):
        layer = understood(node, channels, height, width)
        if layer is None or node.op_type != "Conv" or layer.stride != 1:
            return layer
        return strips._Layer(node, 1, 1, 0, 0, layer.rows_in, layer.rows, layer.size)

    model = network([("Conv", 3, 2, 1, 16), ("Conv", 3, 1, 1, 16), ("MaxPool", 2, 2, 0, 0)])
    monkeypatch.setattr(strips, "_layer", without)
    monkeypatch.setattr(strips, "_repad", lambda node, above, below: None)
    plain, found = both(model, in_strips(model, 128, 96, mean=0, scale=1) or b"", 128, 96, 0, 1)
    assert plain.shape == found.shape
    assert not np.allclose(plain, found, atol=1e-3)


@pytest.mark.parametrize(
    "layers",
    [
        [("Sigmoid", 1, 1, 0, 0)],  # nothing smaller follows
        [("Conv", 3, 1, 1, 4), ("Conv", 3, 1, 1, 4)],
        [("GlobalAveragePool", 1, 1, 0, 0)],  # reads every row for each of its own
    ],
)
def test_a_network_that_gains_nothing_stays_as_it_is(layers, monkeypatch):
    monkeypatch.setattr(strips, "WORTH_BYTES", 0)
    assert in_strips(network(layers, tail=False), 64, 64, mean=0, scale=1) is None


def test_a_picture_that_fits_the_cache_stays_whole():
    model = network([("Conv", 3, 2, 1, 16), ("MaxPool", 2, 2, 0, 0)])
    assert in_strips(model, 384, 640, mean=0, scale=1) is None
    assert in_strips(model, 736, 1280, mean=0, scale=1) is not None


def test_a_graph_of_an_older_operator_set_stays_whole():
    model = onnx.load_from_string(network([("Conv", 3, 2, 1, 16), ("MaxPool", 2, 2, 0, 0)]))
    model.opset_import[0].version = 9
    assert in_strips(model.SerializeToString(), 736, 1280, mean=0, scale=1) is None
