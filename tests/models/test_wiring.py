"""Who reads what, and nodes in the place of others."""

from __future__ import annotations

import onnx
import pytest
from onnx import helper

from lfr_edge.models.wiring import Wiring, exchange


def graph(*nodes: tuple[str, str], results: tuple[str, ...] = ("end",)) -> onnx.GraphProto:
    """Nodes from ("what they read", "what they make")."""
    return helper.make_graph(
        [helper.make_node("Sum", reads.split(), [made]) for reads, made in nodes],
        "wiring",
        [helper.make_tensor_value_info("in", onnx.TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in results],
    )


def order(made: onnx.GraphProto) -> list[str]:
    return [node.output[0] for node in made.node]


@pytest.mark.parametrize(
    ("nodes", "results", "expected"),
    [
        ((("in", "a"), ("a", "end")), ("end",), "end"),
        ((("in", "a"), ("a in", "b"), ("b", "end")), ("end",), "b"),
        ((("in", "a"), ("a", "b"), ("a b", "end")), ("end",), None),
        ((("in", "a"), ("a a", "end")), ("end",), None),
        ((("in", "a"), ("a", "end")), ("end", "a"), None),
        ((("in", "a"), ("in", "end")), ("end",), None),
    ],
    ids=["one", "one among others", "two", "one twice", "given out too", "nobody"],
)
def test_the_only_reader_of_a_tensor(nodes, results, expected):
    found = Wiring.of(graph(*nodes, results=results)).only_reader("a")
    assert (found and found.output[0]) == expected


def test_what_is_made_stands_where_its_predecessor_stood():
    whole = graph(("in", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "end"))
    two = [helper.make_node("Relu", ["a"], ["x"]), helper.make_node("Relu", ["x"], ["d"])]
    exchange(whole, {"b": two}, gone={"b", "c", "d"})
    assert order(whole) == ["a", "x", "d", "end"]
    onnx.checker.check_graph(whole)


def test_what_stays_keeps_its_content_and_what_is_gone_needs_no_successor():
    whole = graph(("in", "a"), ("in in", "b"), ("b", "end"))
    exchange(whole, {}, gone={"a"})
    assert [(node.op_type, list(node.input)) for node in whole.node] == [
        ("Sum", ["in", "in"]),
        ("Sum", ["b"]),
    ]
