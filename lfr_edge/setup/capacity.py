"""How many cameras a box serves, from what its networks cost there. Arithmetic only; :mod:`.speed` measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lfr_edge.recogniser.view import LEAST_LOOKS_PER_S

FACES_PER_MIN: Final = 129.0  # of the whole box: the busiest published deployment (domain.md 6)
EMBEDDINGS_PER_FACE: Final = (
    12.0  # a walker is in view for some 2.5 s; vision.embeddings_per_track bounds it at 24
)
HEADROOM: Final = 0.8  # of the machine; the rest is console, record, bursts and a warm afternoon
ASSUMED_DECODING: Final = 0.3  # of a core for 1080p25 H.264 (platform.md 2.2: 0.27 to 0.33)
_EMBEDS_PER_S: Final = FACES_PER_MIN / 60 * EMBEDDINGS_PER_FACE
MOST: Final = 64  # more says nothing: no console shows so many cameras


@dataclass(frozen=True, slots=True)
class Cost:
    """Median milliseconds of one run: by the clock, and of processors (a GPU's work is only in the first)."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Speed:
    """What one detector size costs on this box with this pack."""

    side: int  # longest side of the detector's picture, pixels
    look: Cost  # one frame: shrink, detect
    embed: Cost  # one face: cut, embed with every network of the pack
    scrub: Cost  # overwriting what the faces of one look left in the networks
    processors: int
    threads: int  # of the networks, while this was measured
    recognisers: int  # the most that share cameras and threads out (recogniser/shares.py)
    decoding: float  # of a core, for one camera
    decoding_measured: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    side: int
    cameras: int
    bound_by: str  # "recogniser" (its looks follow each other) or "processors"

    @property
    def text(self) -> str:
        """``4 cameras at detector size 1280``."""
        if not self.cameras:
            return f"no camera at detector size {self.side}"
        return f"{self.cameras} camera{'s' if self.cameras > 1 else ''} at detector size {self.side}"


def judge(speed: Speed) -> Verdict:
    """The most cameras that are each looked at :data:`LEAST_LOOKS_PER_S` times a second in the busiest hour published.

    Two budgets, both to :data:`HEADROOM`: the looks of each recogniser follow each other, and all processes together
    share the processors. Faces are counted for the box, and taken to stand before the cameras of one recogniser: a
    crowd does not double with a camera. Every look is taken to find somebody, so that what the networks hold is
    overwritten each time.
    """
    served = max((n for n in range(1, MOST + 1) if _in_turn(speed, n) and _at_once(speed, n)), default=0)
    bound = "processors" if _in_turn(speed, served + 1) else "recogniser"
    return Verdict(speed.side, served, bound)


def _in_turn(speed: Speed, cameras: int) -> bool:
    """Whether the recogniser with the most cameras, and the whole crowd, has time for one look after another."""
    count = min(cameras, speed.recognisers)
    look, embed, scrub = (_wall_ms(cost, count, speed) for cost in (speed.look, speed.embed, speed.scrub))
    return (
        -(-cameras // count) * LEAST_LOOKS_PER_S * (look + scrub) + _EMBEDS_PER_S * embed <= HEADROOM * 1000
    )


def _at_once(speed: Speed, cameras: int) -> bool:
    """Whether the processors do what all cameras ask for."""
    look_ms = speed.look.cpu_ms + speed.scrub.cpu_ms
    cores = (
        cameras * (LEAST_LOOKS_PER_S * look_ms / 1000 + speed.decoding)
        + _EMBEDS_PER_S * speed.embed.cpu_ms / 1000
    )
    return cores <= HEADROOM * speed.processors


def _wall_ms(cost: Cost, recognisers: int, speed: Speed) -> float:
    """Of a run that was measured with every thread, where so many recognisers share them out.

    Part of a run gains from a second thread and part does not (Amdahl): with one thread it takes by the clock what it
    takes of processors. What waits for a card waits as long.
    """
    if recognisers == 1 or cost.cpu_ms <= cost.wall_ms or speed.threads == 1:
        return cost.wall_ms
    divided = (cost.cpu_ms - cost.wall_ms) / (1 - 1 / speed.threads)
    return cost.cpu_ms - divided + divided / max(1, speed.threads // recognisers)
