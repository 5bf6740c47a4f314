"""What stands before a network: bytes → the float32 image that the plain path would have given it."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx

from lfr_edge.models.convert.graph import Shape
from lfr_edge.models.fuse.extension import Extension
from lfr_edge.models.manifest import InputContract

FLOAT: Final = onnx.TensorProto.FLOAT
BYTE: Final = onnx.TensorProto.UINT8
Input = tuple[str, int, Shape]

# BT.601, studio range, as cv2.COLOR_YUV2BGR_I420: the factors of luma, U and V less 16, 128 and 128.
YUV_TO_RGB: Final = ((1.164, 0.0, 1.596), (1.164, -0.391, -0.813), (1.164, 2.018, 0.0))
# Every plane's grey point: less it, black and no colour are 0, and so is what lies outside the picture.
LUMA_BLACK: Final = 16
CHROMA_GREY: Final = 128


def from_bgr(graph: Extension, name: str, contract: InputContract) -> str:
    """uint8 BGR (n, h, w, 3) → the network's (n, 3, h, w). As bytes until the last moment: a quarter of the memory."""
    planes = graph.add("Transpose", name, perm=[0, 3, 1, 2])
    if contract.colour == "rgb":
        planes = graph.add("Gather", planes, graph.weight(np.array([2, 1, 0], np.int64)), axis=1)
    return normalised(graph, graph.add("Cast", planes, to=FLOAT), contract)


def from_planes(graph: Extension, contract: InputContract) -> str:
    """The camera's planes, resampled by matrix products, as the network's image.

    A separable filter (area or linear) is a product with one matrix for the rows and one for the columns. The
    matrices are inputs, so that one graph serves every camera and every canvas; rows of zeros leave the canvas
    black beside the picture. Made by ``vision.twins.geometry``.
    """
    luma = _resampled(graph, "luma", LUMA_BLACK, "rows", "columns")
    chroma = _resampled(graph, "chroma", CHROMA_GREY, "chroma_rows", "chroma_columns")
    return normalised(graph, to_colour(graph, luma, chroma, contract.colour), contract)


def frame_inputs() -> list[Input]:
    return [
        ("luma", BYTE, ("batch", 1, "frame_height", "frame_width")),
        ("chroma", BYTE, ("batch", 2, "chroma_height", "chroma_width")),
        ("rows", FLOAT, ("height", "frame_height")),
        ("columns", FLOAT, ("frame_width", "width")),
        ("chroma_rows", FLOAT, ("height", "chroma_height")),
        ("chroma_columns", FLOAT, ("chroma_width", "width")),
    ]


def levels(graph: Extension, plane: str, grey: int) -> str:
    """A plane's bytes as float32, its grey point at 0."""
    return graph.add("Sub", graph.add("Cast", plane, to=FLOAT), graph.weight(np.array(grey, np.float32)))


def to_colour(graph: Extension, luma: str, chroma: str, colour: str) -> str:
    """(n, 1, h, w) and (n, 2, h, w), grey points at 0 → (n, 3, h, w) of 0..255, in the order `colour` names."""
    order = (0, 1, 2) if colour == "rgb" else (2, 1, 0)
    factors = np.array([YUV_TO_RGB[row] for row in order], np.float32).reshape(3, 3, 1, 1)
    mixed = graph.add("Conv", graph.add("Concat", luma, chroma, axis=1), graph.weight(factors))
    least, most = (graph.weight(np.array(value, np.float32)) for value in (0, 255))
    return graph.add("Clip", graph.add("Round", mixed), least, most)


def normalised(graph: Extension, image: str, contract: InputContract) -> str:
    if contract.mean:
        image = graph.add("Sub", image, graph.weight(np.array(contract.mean, np.float32)))
    if contract.scale != 1:
        image = graph.add("Mul", image, graph.weight(np.array(1 / contract.scale, np.float32)))
    return image


def _resampled(graph: Extension, plane: str, grey: int, rows: str, columns: str) -> str:
    # Columns first: there the planes of the whole batch are one tall matrix.
    narrow = graph.add("MatMul", levels(graph, plane, grey), columns)
    # The plain path holds bytes between filter and colour: without rounding, boxes differ by up to 2 pixels. Halves
    # go up, as in OpenCV's integer filters; Round would take them to the even number.
    shade = graph.add("MatMul", rows, narrow)
    return graph.add("Floor", graph.add("Add", shade, graph.weight(np.array(0.5, np.float32))))
