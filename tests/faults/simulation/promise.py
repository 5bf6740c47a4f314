"""What the simulation exists to find."""

from __future__ import annotations


class BrokenPromise(AssertionError):  # noqa: N818 - it is one, not an error
    """Somebody was told what is not so."""


def demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenPromise(otherwise)
