"""What stands after a detector: its raw outputs → the best candidates as finished boxes and points.

Only scores are looked at for all predictions; the box arithmetic is done for the best candidates alone. Where the
predictions lie comes in as the input ``anchors``, so that the graph fits every canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from lfr_edge.models.convert.rewrite import YUNET_STRIDES
from lfr_edge.models.fuse.extension import Extension, unsupported
from lfr_edge.models.fuse.pixels import FLOAT, Input
from lfr_edge.sentences import say

# A crowd of 200 faces gives about 3,000 candidates (vision/detectors); up to 4,096 the CUDA provider's TopK keeps
# a row in one block's registers.
MOST_CANDIDATES: Final = 4_096
COLUMNS: Final = 15  # score, x1, y1, x2, y2, then x and y of five points
OUTPUT: Final = ("candidates", FLOAT, ("batch", MOST_CANDIDATES, COLUMNS))
# (a + MOST_CANDIDATES, 3): x and y of each prediction's cell in canvas pixels, and its stride; then rows of zeros.
ANCHORS: Final[Input] = ("anchors", FLOAT, ("predictions", 3))


def decoded(graph: Extension, family: str, outputs: Sequence[str]) -> str:
    """Add the decoder of `family`; returns the name of a (n, MOST_CANDIDATES, COLUMNS) tensor, best first.

    Rows that stand for no candidate have score 0. Raises ModelError ``model_twin_unsupported``.
    """
    readers: Mapping[str, tuple[Callable[..., tuple[str, str]], Callable[..., tuple[str, str, str]]]] = {
        "yunet": (_read_yunet, _yunet_boxes),
        "scrfd": (_read_scrfd, _scrfd_boxes),
        "centerface": (_read_centerface, _centerface_boxes),
    }
    if family not in readers:
        raise unsupported(family, "its boxes cannot be decoded in the graph")
    read, place = readers[family]
    scores, table = read(graph, outputs)  # (n, a, 1) and (n, a, 14)
    best, raw, at = _best(graph, scores, table)
    low, high, points = place(graph, raw, _Cells(graph, at))
    return graph.add("Concat", best, low, high, points, axis=2)


class _Cells:
    """Where the chosen candidates lie: corner (n, k, 2) and stride (n, k, 1) of their cells."""

    def __init__(self, graph: Extension, anchors: str) -> None:
        self.corner = _columns(graph, anchors, 0, 2)
        self.stride = _columns(graph, anchors, 2, 3)


def _best(graph: Extension, scores: str, table: str) -> tuple[str, str, str]:
    """Scores (n, k, 1), rows of `table` and rows of ``anchors`` of the best candidates."""
    whole = graph.add("Concat", scores, table, axis=2)
    # As many empty rows as are asked for: a small canvas has fewer predictions than that.
    pads = graph.weight(np.array([0, 0, 0, 0, MOST_CANDIDATES, 0], np.int64))
    whole = graph.add("Pad", whole, pads)
    column = graph.add("Squeeze", _columns(graph, whole, 0, 1), graph.weight(np.array([2], np.int64)))
    k = graph.weight(np.array([MOST_CANDIDATES], np.int64))
    graph.add_pair("TopK", column, k, outputs=("best_scores", "best_rows"), axis=1, largest=1, sorted=1)
    last = graph.weight(np.array([2], np.int64))
    # GatherND would say the same, but the CUDA provider uploads its sizes at each run, which a CUDA graph replays
    # from memory that may be somebody else's by then.
    wide = graph.weight(np.array([1, 1, COLUMNS], np.int64))
    rows = graph.add("Tile", graph.add("Unsqueeze", "best_rows", last), wide)
    chosen = graph.add("GatherElements", whole, rows, axis=1)
    anchors = graph.add("Gather", ANCHORS[0], "best_rows", axis=0)
    return graph.add("Unsqueeze", "best_scores", last), chosen, anchors


def _read_yunet(graph: Extension, outputs: Sequence[str]) -> tuple[str, str]:
    names = {name.rpartition("/")[2]: name for name in outputs}
    try:
        heads = {
            kind: graph.add("Concat", *(names[f"{kind}_{s}"] for s in YUNET_STRIDES), axis=1)
            for kind in ("cls", "obj", "bbox", "kps")
        }
    except KeyError:
        raise unsupported("YuNet", "its outputs are not cls, obj, bbox and kps") from None
    least, most = (graph.weight(np.array(value, np.float32)) for value in (0, 1))
    both = graph.add("Mul", *(graph.add("Clip", heads[kind], least, most) for kind in ("cls", "obj")))
    return graph.add("Sqrt", both), graph.add("Concat", heads["bbox"], heads["kps"], axis=2)


def _yunet_boxes(graph: Extension, raw: str, cells: _Cells) -> tuple[str, str, str]:
    centre = graph.add("Add", graph.add("Mul", _columns(graph, raw, 1, 3), cells.stride), cells.corner)
    half_stride = graph.add("Mul", cells.stride, graph.weight(np.array(0.5, np.float32)))
    half = graph.add("Mul", graph.add("Exp", _columns(graph, raw, 3, 5)), half_stride)
    points = graph.add("Mul", _columns(graph, raw, 5, COLUMNS), cells.stride)
    points = graph.add("Add", points, _five_times(graph, cells.corner))
    return graph.add("Sub", centre, half), graph.add("Add", centre, half), points


def _read_scrfd(graph: Extension, outputs: Sequence[str]) -> tuple[str, str]:
    if len(outputs) != 9:
        raise unsupported("SCRFD", say("{count} outputs instead of {wanted}", count=len(outputs), wanted=9))
    scores, boxes, points = (graph.add("Concat", *outputs[start : start + 3], axis=1) for start in (0, 3, 6))
    return scores, graph.add("Concat", boxes, points, axis=2)


def _scrfd_boxes(graph: Extension, raw: str, cells: _Cells) -> tuple[str, str, str]:
    low = graph.add("Mul", _columns(graph, raw, 1, 3), cells.stride)
    high = graph.add("Mul", _columns(graph, raw, 3, 5), cells.stride)
    points = graph.add("Mul", _columns(graph, raw, 5, COLUMNS), cells.stride)
    points = graph.add("Add", points, _five_times(graph, cells.corner))
    return graph.add("Sub", cells.corner, low), graph.add("Add", cells.corner, high), points


def _read_centerface(graph: Extension, outputs: Sequence[str]) -> tuple[str, str]:
    if len(outputs) != 4:
        raise unsupported(
            "CenterFace", say("{count} outputs instead of {wanted}", count=len(outputs), wanted=4)
        )
    rows = []
    for name, channels in zip(outputs, (1, 2, 2, 10), strict=True):
        last = graph.add("Transpose", name, perm=[0, 2, 3, 1])
        rows.append(graph.add("Reshape", last, graph.weight(np.array([0, -1, channels], np.int64))))
    heat, sizes, offsets, points = rows
    table = graph.add("Concat", offsets, sizes, points, axis=2)
    # The network has y first everywhere; from here on x is first.
    swap = [column ^ 1 for column in range(COLUMNS - 1)]
    return heat, graph.add("Gather", table, graph.weight(np.array(swap, np.int64)), axis=2)


def _centerface_boxes(graph: Extension, raw: str, cells: _Cells) -> tuple[str, str, str]:
    half = graph.weight(np.array(0.5, np.float32))
    offset = graph.add("Add", _columns(graph, raw, 1, 3), half)
    centre = graph.add("Add", graph.add("Mul", offset, cells.stride), cells.corner)
    size = graph.add("Mul", graph.add("Exp", _columns(graph, raw, 3, 5)), cells.stride)
    low = graph.add("Sub", centre, graph.add("Mul", size, half))
    points = graph.add("Mul", _columns(graph, raw, 5, COLUMNS), _five_times(graph, size))
    return low, graph.add("Add", low, size), graph.add("Add", points, _five_times(graph, low))


def _columns(graph: Extension, table: str, start: int, stop: int) -> str:
    """Columns of a (n, k, c) tensor."""
    bounds = [np.array([value], np.int64) for value in (start, stop, 2)]
    return graph.add("Slice", table, *(graph.weight(bound) for bound in bounds))


def _five_times(graph: Extension, pair: str) -> str:
    return graph.add("Concat", *[pair] * 5, axis=2)
