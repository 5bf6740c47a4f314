"""Faces of one frame → aligned crops, as a graph of its own: there is no network in it.

The frame is turned into colour and sampled bilinearly at the points that a similarity names. Where a face is larger
than its crop the plain path shrinks by area and then samples; a box followed by a tent is a quadratic B-spline, so
here several samples a pixel are weighted with one. On a CPU this is far slower than OpenCV's warp, which touches the
faces alone; on a GPU all faces of a frame are one launch.
"""

from __future__ import annotations

import numpy as np

from lfr_edge.models.convert.graph import FloatArray
from lfr_edge.models.fuse import pixels
from lfr_edge.models.fuse.extension import Extension


def aligner(height: int, width: int, samples: int) -> bytes:
    """Crops of `height` × `width`, `samples`² samples a pixel.

    Inputs ``luma`` (1, 1, H, W) and ``chroma`` (1, 2, H/2, W/2) uint8; ``places`` (m, 3, 2) float32: crop pixel
    (x, y, 1) → place in the frame, -1..1 from the first pixel's centre to the last's. Output ``crops``
    (m, height, width, 3) uint8 BGR, black outside the picture.
    """
    graph = Extension(b"", "aligner")
    luma = pixels.levels(graph, "luma", pixels.LUMA_BLACK)
    chroma = pixels.levels(graph, "chroma", pixels.CHROMA_GREY)
    twice = graph.weight(np.array([1, 1, 2, 2], np.float32))
    nearest = {
        "mode": "nearest",
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    }
    frame = pixels.to_colour(graph, luma, graph.add("Resize", chroma, "", twice, **nearest), "bgr")
    crops = _sampled(graph, frame, height, width, samples)
    whole = graph.add("Cast", graph.add("Round", crops), to=pixels.BYTE)
    graph.add("Transpose", whole, perm=[0, 2, 3, 1], output="crops")
    inputs = [
        ("luma", pixels.BYTE, (1, 1, "frame_height", "frame_width")),
        ("chroma", pixels.BYTE, (1, 2, "chroma_height", "chroma_width")),
        ("places", pixels.FLOAT, ("faces", 3, 2)),
    ]
    return graph.finish(inputs, [("crops", pixels.BYTE, ("faces", height, width, 3))])


def _sampled(graph: Extension, frame: str, height: int, width: int, samples: int) -> str:
    """(m, 3, height, width) of the colours (1, 3, H, W)."""
    margin = 0 if samples == 1 else 1  # crop pixels that the spline reaches beyond the crop
    # Crop pixel centres are whole numbers; the samples of a pixel lie evenly around its centre.
    y, x = (
        (np.arange((side + 2 * margin) * samples) + 0.5) / samples - 0.5 - margin for side in (height, width)
    )
    spots = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], axis=-1).reshape(-1, 3)
    # (h·w, 3) @ (m, 3, 2) → (m, h·w, 2), one strip of all crops below each other for the sampler.
    grid = graph.add("MatMul", graph.weight(spots.astype(np.float32)), "places")
    strip = graph.add("Reshape", grid, graph.weight(np.array([1, -1, len(x), 2], np.int64)))
    found = graph.add("GridSample", frame, strip, mode="bilinear", padding_mode="zeros", align_corners=1)
    # (1, 3, m·h, w) → (3, m, h, w) → (m, 3, h, w)
    split = graph.weight(np.array([3, -1, len(y), len(x)], np.int64))
    crops = graph.add("Transpose", graph.add("Reshape", found, split), perm=[1, 0, 2, 3])
    if samples == 1:
        return crops
    kernel = np.broadcast_to(_spline(samples), (3, 1, 3 * samples, 3 * samples))
    return graph.add(
        "Conv", crops, graph.weight(np.ascontiguousarray(kernel)), group=3, strides=[samples] * 2
    )


def _spline(samples: int) -> FloatArray:
    """(3 · samples, 3 · samples) weights of a quadratic B-spline over three crop pixels; their sum is 1."""
    at = np.abs((np.arange(3 * samples) + 0.5) / samples - 1.5)
    line = np.where(at <= 0.5, 0.75 - at**2, (1.5 - at) ** 2 / 2)
    weights = np.outer(line, line)
    return np.asarray(weights / weights.sum(), np.float32)
