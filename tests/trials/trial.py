"""What a trial is: a promise, something that attacks it, and a control that shows the attack can succeed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

Need: TypeAlias = Literal[
    "root", "loop device", "strace", "libeatmydata", "go", "atheris", "shared", "networks", "memory group"
]
Fact: TypeAlias = int | float | str

MOST_SHOWN: Final = 20  # failures that a result keeps in words; all are counted


class NotHereError(Exception):
    """This machine lacks what the trial needs: nothing was tried, and that is said loudly."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    tried: int  # in the trial's unit
    failures: tuple[str, ...] = ()  # one for each time the promise was broken
    facts: Mapping[str, Fact] = field(default_factory=dict)  # figures beside: acknowledgements, kills, …

    @property
    def bound(self) -> float | None:
        """No failure in n attempts: the rate lies below 3/n, with 95 % confidence. None where there was one."""
        return 3 / self.tried if self.tried and not self.failures else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a trial's code is handed: how much, from which seed, where, and whom to tell how far it is."""

    n: int
    seed: int
    folder: Path  # empty, its own, removed afterwards
    step: Callable[[int], None] = lambda done: None  # so many more of n are done

    def chance(self, more: object = "") -> random.Random:
        """A source of chance of its own for each purpose `more`."""
        return random.Random(f"{self.seed}/{more}")


Code: TypeAlias = Callable[[Attempt], Outcome]


@dataclass(frozen=True, slots=True)
class Trial:
    """One promise under attack.

    Attributes:
        bar: the row of reliability.md 7, or its section.
        control: the same attack on something sabotaged; it has to report failures, or the trial shows nothing.
            Sabotage is code of the trial (or a lying library loaded by the environment), never of the product.
        ci: the test that runs a slice of it, ``path::name``.
        least: what the promise wants in a full run; `full` is what ``run`` does unless told otherwise.
    """

    name: str
    bar: str
    promise: str
    does: str
    sabotage: str  # what the control breaks, in words
    unit: str
    slice: int
    full: int
    run: Code
    control: Code
    control_n: int
    ci: str
    needs: tuple[Need, ...] = ()
    about: str = "minutes"  # how long the full run takes, roughly
    adds_up: bool = False  # another seed tries other things: the attempts of several runs may be added


def shown(failures: tuple[str, ...]) -> list[str]:
    """As many as a result keeps, each on one line."""
    return [" ".join(failure.split())[:400] for failure in failures[:MOST_SHOWN]]
