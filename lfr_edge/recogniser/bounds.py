"""How many people are followed at once, and how many are looked at in one step: so many for each camera.

Every passage and every probe has a slot whose memory is locked before the first frame and stays as it is, so the
number is set once, from the cameras. Whoever finds no free slot is counted (``passed_over``), never silently left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# The goal's 16 faces in one frame (performance.md), and half as many again: who has gone keeps the slot for
# `track_lost_s`.
PASSAGES_A_CAMERA: Final = 24
# At 25 frames a second each of 16 people every 0.16 s; passage.INTERVAL_NS asks for one every 0.2 s.
LOOKS_A_CAMERA: Final = 4
# What every box has, however few its cameras: one camera may look at a whole crowd.
LEAST_PASSAGES: Final = 192
LEAST_LOOKS: Final = 32
# Beside the list (20,000 people: 60 to 85 MiB); 256 MiB of locked memory is what `doctor` asks for.
MOST_BYTES: Final = 128 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one recogniser."""

    passages: int  # at once, over all cameras; one more waits for a free slot
    looks: int  # templates a step
    by_memory: bool = False  # fewer than the cameras ask for: their slots would take more than MOST_BYTES

    @staticmethod
    def of(cameras: int, slot_bytes: int) -> Bounds:
        """For so many cameras, where one slot takes `slot_bytes` of locked memory."""
        passages = max(LEAST_PASSAGES, PASSAGES_A_CAMERA * cameras)
        looks = max(LEAST_LOOKS, LOOKS_A_CAMERA * cameras)
        most = MOST_BYTES // slot_bytes
        if passages + looks <= most:
            return Bounds(passages, looks)
        share = most / (passages + looks)
        return Bounds(
            max(LEAST_PASSAGES, int(passages * share)), max(LEAST_LOOKS, int(looks * share)), by_memory=True
        )

    @property
    def slots(self) -> int:
        return self.passages + self.looks
