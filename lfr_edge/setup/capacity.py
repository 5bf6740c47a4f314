"""How many cameras a box serves, from what its networks cost there. Arithmetic only; :mod:`.speed` measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOOKS_PER_S: Final = 5.0  # of one camera. With fewer, p95 frame to alert passes 700 ms (docs/performance.md)
FACES_PER_MIN: Final = 129.0  # of the whole box: the busiest published deployment (domain.md 6)
EMBEDDINGS_PER_FACE: Final = (
    12.0  # a walker is in view for some 2.5 s; vision.embeddings_per_track bounds it at 24
)
HEADROOM: Final = 0.8  # of the machine; the rest is console, record, bursts and a warm afternoon
ASSUMED_DECODING: Final = 0.3  # of a core for 1080p25 H.264 (platform.md 2.2: 0.27 to 0.33)
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
    decoding: float  # of a core, for one camera
    decoding_measured: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    side: int
    cameras: int
    bound_by: str  # "recogniser" (one process looks, one frame after another) or "processors"

    @property
    def text(self) -> str:
        """``4 cameras at detector size 1280``."""
        if not self.cameras:
            return f"no camera at detector size {self.side}"
        return f"{self.cameras} camera{'s' if self.cameras > 1 else ''} at detector size {self.side}"


def judge(speed: Speed) -> Verdict:
    """The most cameras that are each looked at :data:`LOOKS_PER_S` times a second in the busiest hour published.

    Two budgets, both to :data:`HEADROOM`: the recogniser is one process whose looks follow each other, and all
    processes together share the processors. Faces are counted for the box: a crowd does not double with a camera.
    Every look is taken to find somebody, so that what the networks hold is overwritten each time.
    """
    embeds = FACES_PER_MIN / 60 * EMBEDDINGS_PER_FACE  # a second
    look_ms = LOOKS_PER_S * (speed.look.wall_ms + speed.scrub.wall_ms)
    look_cores = LOOKS_PER_S * (speed.look.cpu_ms + speed.scrub.cpu_ms) / 1000
    turns = _fitting(HEADROOM * 1000, embeds * speed.embed.wall_ms, look_ms)
    cores = _fitting(
        HEADROOM * speed.processors, embeds * speed.embed.cpu_ms / 1000, look_cores + speed.decoding
    )
    return Verdict(speed.side, min(turns, cores, MOST), "recogniser" if turns <= cores else "processors")


def _fitting(budget: float, shared: float, each: float) -> int:
    """How often `each` fits into what `shared` leaves of `budget`."""
    return MOST if each <= 0 else max(0, int((budget - shared) / each))
