"""Which recogniser looks at which camera, and with how many threads.

Networks use a second thread badly, and one recogniser looks at all its cameras in one step: on two processors, two
recognisers of one thread each look at 1.2 to 2.2 times the frames of one recogniser with two (docs/performance.md).
What they pay for it is a copy of networks and list each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lfr_edge.recogniser.spec import CameraPlan, StartSpec
from lfr_edge.settings import ModelSettings

# Templates of all copies of the list together: what bounds a number that nobody chose. Nineteen times 20,000 people of
# the default pack, once 500,000. The index takes half as much again.
MOST_LIST_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Share:
    """What one recogniser is started with."""

    cameras: tuple[CameraPlan, ...]
    threads: int  # as models.threads; 0 where the only recogniser takes what the box grants

    def of(self, spec: StartSpec) -> StartSpec:
        models = spec.models.model_copy(update={"threads": self.threads})
        return spec.model_copy(update={"cameras": self.cameras, "models": models})


def how_many(models: ModelSettings, cameras: int, *, cpus: int, list_bytes: int) -> int:
    """Recognisers for so many cameras, at least 1 and at most one for each camera.

    A number that was chosen is taken; else one for each processor on a CPU, and one on a card, which all would share.
    """
    if models.recognisers:
        return min(models.recognisers, cameras)
    if models.providers[0] != "cpu":
        return 1
    room = max(1, MOST_LIST_BYTES // max(1, list_bytes))
    return min(models.threads or cpus, cameras, room)


def shares(
    cameras: Sequence[CameraPlan], models: ModelSettings, *, cpus: int, list_bytes: int
) -> tuple[Share, ...]:
    """Every camera in exactly one share, with its part of the threads.

    Args:
        cpus: processors that this box grants; shared out where ``models.threads`` names no number.
        list_bytes: templates of one copy of the list.
    """
    count = how_many(models, len(cameras), cpus=cpus, list_bytes=list_bytes)
    if count == 1:
        return (Share(tuple(cameras), models.threads),)
    threads = threads_of(models.threads or cpus, count)
    return tuple(Share(mine, each) for mine, each in zip(deal(cameras, count), threads, strict=True))


def deal(cameras: Sequence[CameraPlan], count: int) -> list[tuple[CameraPlan, ...]]:
    """Every camera to one of `count`, at most as many as cameras: the dearest first, to whoever has least to do so far.

    Who has most to do comes first.
    """
    dealt: list[list[CameraPlan]] = [[] for _ in range(count)]
    for plan in sorted(cameras, key=lambda plan: -plan.detector_side):
        min(dealt, key=_work).append(plan)
    ordered = sorted(dealt, key=_work, reverse=True)
    return [tuple(plan for plan in cameras if plan in mine) for mine in ordered]


def threads_of(threads: int, count: int) -> list[int]:
    """So many threads shared out among `count`, at least one each; who comes first has one more."""
    each, more = divmod(max(count, threads), count)
    return [each + (number < more) for number in range(count)]


def _work(cameras: Sequence[CameraPlan]) -> int:
    """The detector takes most of the time, and as much as its picture has pixels."""
    return sum(plan.detector_side**2 for plan in cameras)
