"""The time that an authority leaves, which no hand on a clock can lengthen."""

from __future__ import annotations

from typing import Final

from lfr_edge.clock import Clock
from lfr_edge.deployment.authority.document import SignedAuthority
from lfr_edge.deployment.authority.words import instant_ns

_SECOND_NS: Final = 1_000_000_000


class Window:
    """From the moment it is opened until the authority's end.

    Two clocks count. The monotonic one runs from the opening, so a wall clock that is set back gains nothing; a wall
    clock that is set forward (or that went on while the box slept) shortens the window, for good. An urgent oral
    authority without its written confirmation ends when that is due.

    **Thread rule:** one thread at a time; the service's event loop asks.
    """

    def __init__(self, signed: SignedAuthority, clock: Clock, *, seen_wall_ns: int = 0) -> None:
        """
        Args:
            seen_wall_ns: the latest wall time that the deployment's log knows, after a restart: a clock that was
                set back while the service was down gains nothing either.
        """
        self._clock = clock
        self._ends_wall_ns = end_ns(signed)
        now_ns = max(clock.wall_ns(), seen_wall_ns)
        self._deadline_ns = clock.monotonic_ns() + self._ends_wall_ns - now_ns

    def remaining_s(self) -> float:
        """Seconds until recognition must stop; 0 from then on. Never rises."""
        mono_ns = self._clock.monotonic_ns()
        by_wall_ns = mono_ns + self._ends_wall_ns - self._clock.wall_ns()
        self._deadline_ns = min(self._deadline_ns, by_wall_ns)
        return max(0, self._deadline_ns - mono_ns) / _SECOND_NS

    def over(self) -> bool:
        return self.remaining_s() <= 0


def end_ns(signed: SignedAuthority) -> int:
    """Wall nanoseconds at which the authority ends, as it stands now; the moment of a cancellation counts."""
    authority = signed.authority
    ends = [authority.end_ns]
    if authority.urgent is not None and signed.confirmation is None:
        ends.append(instant_ns(authority.urgent.confirm_by))
    if signed.cancellation is not None:
        ends.append(0)  # at once, whatever time the record names
    return min(ends)
