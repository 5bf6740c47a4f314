"""Non-maximum suppression: of boxes that overlap, the best stays."""

from __future__ import annotations

import numpy as np

from lfr_edge.vision.faces import Float32Array, IntArray


def suppress(boxes: Float32Array, overlap: float) -> IntArray:
    """Rows that stay, in order. `boxes` (n, 4) x1 y1 x2 y2, best first.

    A box goes when its intersection over union with a better box that stays is above `overlap`. One row of
    overlaps is computed per box that stays, so the cost follows the number of faces, not of candidates squared.
    """
    x1, y1, x2, y2 = boxes.T
    areas = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
    alive = np.arange(len(boxes))
    kept: list[int] = []
    while len(alive):
        best, rest = alive[0], alive[1:]
        kept.append(int(best))
        wide = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        high = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        # Multiplied out: no division by the union of two empty boxes.
        alive = rest[shared <= overlap * (areas[best] + areas[rest] - shared)]
    return np.asarray(kept, dtype=np.intp)
