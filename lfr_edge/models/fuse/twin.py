"""One network's twin."""

from __future__ import annotations

from typing import Final, Literal

from lfr_edge.models.fuse import boxes, pixels
from lfr_edge.models.fuse.extension import Extension, unsupported
from lfr_edge.models.manifest import NetworkManifest

Entry = Literal["pixels", "frames"]
"""Where a twin begins: at a uint8 BGR picture, or at a camera's I420 planes."""

PIXELS: Final = "pixels"
EMBEDDING: Final = "embedding"


def twin_of(network: NetworkManifest, data: bytes, entry: Entry, *, for_gpu: bool = False) -> bytes:
    """The graph that does what the plain path does with `data`, the network's verified bytes.

    A detector's twin has the inputs ``pixels`` (n, h, w, 3) uint8 BGR, or those of
    :func:`~lfr_edge.models.fuse.pixels.frame_inputs`, and ``anchors``; its output is
    :data:`~lfr_edge.models.fuse.boxes.OUTPUT`. An embedder's takes ``pixels``, whatever `entry` is, because its
    crops are cut out by then, and gives ``embedding`` (n, d), not normalised. `for_gpu` also writes operators as a
    GPU likes them (:mod:`.prelu`).

    Raises:
        ModelError: ``model_twin_unsupported``, and what :func:`~lfr_edge.models.graph_check.parse_graph` raises.
    """
    if not network.input.batch:
        raise unsupported(network.id, "its batch is fixed")
    graph = Extension(data, network.id, for_gpu=for_gpu)
    if network.task == "embedder":
        return _embedder(graph, network)
    if network.input.height is not None:
        raise unsupported(network.id, "its size is fixed")
    if entry == "frames":
        inputs = pixels.frame_inputs()
        image = pixels.from_planes(graph, network.input)
    else:
        inputs = [(PIXELS, pixels.BYTE, ("batch", "height", "width", 3))]
        image = pixels.from_bgr(graph, PIXELS, network.input)
    found = boxes.decoded(graph, network.family, graph.run_network(image))
    graph.add("Identity", found, output=boxes.OUTPUT[0])
    return graph.finish([*inputs, boxes.ANCHORS], [boxes.OUTPUT])


def _embedder(graph: Extension, network: NetworkManifest) -> bytes:
    height, width = network.input.height, network.input.width or network.input.height
    assert height is not None
    assert width is not None
    (embedding,) = graph.run_network(pixels.from_bgr(graph, PIXELS, network.input))
    graph.add("Identity", embedding, output=EMBEDDING)
    return graph.finish(
        [(PIXELS, pixels.BYTE, ("batch", height, width, 3))],
        [(EMBEDDING, pixels.FLOAT, ("batch", network.dimension or 0))],
    )
