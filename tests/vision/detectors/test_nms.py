from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.vision.detectors.nms import suppress

side = st.floats(-20, 100, width=32)
box = st.tuples(side, side, st.floats(0, 60, width=32), st.floats(0, 60, width=32))


def plain(boxes: np.ndarray, overlap: float) -> list[int]:
    """The textbook, one pair at a time, in float64."""
    kept: list[int] = []
    for i, (x1, y1, x2, y2) in enumerate(boxes.astype(np.float64)):
        for j in kept:
            a1, b1, a2, b2 = boxes[j].astype(np.float64)
            shared = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            union = max(0, x2 - x1) * max(0, y2 - y1) + max(0, a2 - a1) * max(0, b2 - b1) - shared
            if shared > overlap * union:
                break
        else:
            kept.append(i)
    return kept


@settings(max_examples=200, deadline=None)
@given(st.lists(box, max_size=40), st.sampled_from([0.0, 0.3, 0.45, 0.999]))
def test_agrees_with_the_textbook(rows, overlap):
    # Whole pixels: equal intersections are then equal in float32 and float64.
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32).reshape(-1, 4).round()
    assert suppress(boxes, overlap).tolist() == plain(boxes, overlap)


def test_the_best_of_a_cluster_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 1, 10, 11]], np.float32)
    assert suppress(boxes, 0.3).tolist() == [0, 2]
    assert suppress(boxes[:0], 0.3).tolist() == []
