"""Which faces are worth a template: one passage of one person, looked at a few times, at its best moments.

Embedding every face of every frame costs most of the machine and adds nothing: neighbouring frames make the same
errors. A passage is looked at when it is new, when its quality has clearly risen, and at intervals, until its
budget is used up; then only a better view than any before is worth another look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lfr_edge.matching.judge import TrackKey

# Chosen on the street clips of ../shared/videos, replayed at 12.5, 6.25 and 4.2 looks a second (docs/accuracy.md):
# of 24 listed passages 19.2 were found on average, none wrongly; 0.32 s between looks finds 18.3, a budget of 10
# looks finds 10.
INTERVAL_NS: Final = 200_000_000  # five frames at 25 fps: a walking person's blur and pose have changed
CLEAR_GAIN: Final = 1.15  # quality ratio that makes a look worth its cost at once
NO_SLOT: Final = -1


@dataclass(slots=True)
class Passage:
    """One track's state between frames. It holds no pixels and no template: those are in slots."""

    key: TrackKey
    slot: int  # holds the fused template; NO_SLOT once an alert was raised and it was overwritten
    looks: int = 0
    best_quality: float = 0.0
    due_ns: int = 0  # of the next look at an interval
    last_seen_ns: int = 0
    score: float = 0.0  # last fused score against the best entry
    shown_quality: float = 0.0  # the best that was seen of it, worth a template or not
    shown_score: float = 0.0  # the detector's best
    alerted: bool = False  # an alert of this passage stands: its face is not blurred in the camera's tile

    def worth(self, quality: float, now_ns: int, budget: int) -> float:
        """How much this face deserves a look now; 0 means not at all. Larger goes first when time is short."""
        if self.looks == 0:
            return 3.0 + quality
        gain = quality / max(self.best_quality, 1e-6)
        if self.looks < budget:
            if gain >= CLEAR_GAIN:
                return 2.0 + quality
            # A much worse view than the best would only blur what is already known.
            if now_ns >= self.due_ns and gain >= 0.5:
                return 1.0 + quality
            return 0.0
        return quality if gain > 1 else 0.0

    def urgency(self, quality: float, now_ns: int, budget: int, threshold: float) -> float:
        """Order of looks when time is short: a passage that is near an alert does not wait for new ones."""
        near = min(1.0, max(0.0, self.score / threshold)) if threshold > 0 else 0.0
        return self.worth(quality, now_ns, budget) + 3 * near

    def shown(self, quality: float, detector: float) -> None:
        """It was cut out of a frame."""
        self.shown_quality = max(self.shown_quality, quality)
        self.shown_score = max(self.shown_score, detector)

    def looked(self, quality: float, now_ns: int) -> None:
        self.looks += 1
        self.best_quality = max(self.best_quality, quality)
        # Where frames are dropped the one that is looked at comes a little late. Counted from there, each look would
        # put off all that follow: a seventh of them were lost, and a passage with them (docs/accuracy.md).
        in_step = self.looks > 1 and 0 <= now_ns - self.due_ns < INTERVAL_NS / 2
        self.due_ns = (self.due_ns if in_step else now_ns) + INTERVAL_NS


def weight(quality: float) -> float:
    """A look's share in the fused template: the few sharp, large views decide, the many distant ones hardly count."""
    return max(quality, 0.05) ** 4
