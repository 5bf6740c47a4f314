"""What a look and an embedding cost on this box, with the pack it will run: some twenty seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.models.store import Pack
from lfr_edge.setup.capacity import ASSUMED_DECODING, Cost, Speed
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.sessions import Provider
from lfr_edge.vision.threads import available_cpus
from lfr_edge.vision.twins.options import Acceleration

_PLAIN: Final = Acceleration()
WIDTH: Final = 1920
HEIGHT: Final = 1080
_LEAST_ROUNDS: Final = 3
# Eyes, nose, corners of the mouth of somebody upright, 60 px between the eyes; any face costs the same.
_POINTS: Final = ((500, 400), (560, 400), (530, 440), (505, 470), (555, 470))


def measure(
    pack: Pack,
    sides: Sequence[int],
    *,
    providers: Sequence[Provider] = ("cpu",),
    threads: int = 0,
    recognisers: int = 1,
    allow_cpu: bool = False,
    acceleration: Acceleration = _PLAIN,
    seconds: float = 20.0,
    decoding: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Speed, ...]:
    """One :class:`Speed` for each of `sides`. `decoding` is a camera's measured share of a core, where known.

    `recognisers`: the most that will share the cameras out; one is measured, with every thread.

    The picture is drawn: a network's cost does not depend on what it sees, and nobody has to be in front of a
    camera. At least three rounds, however little time is given. One frame at a time, also where a card would be given
    those of several cameras together: what is said is not too much.

    Raises:
        ModelError, VisionError: as :meth:`VisionStack.open`.
    """
    say("loading the networks")
    stack = VisionStack.open(
        pack, providers=providers, threads=threads, allow_cpu=allow_cpu, acceleration=acceleration
    )
    stack.warm(sides)
    looks, embed, scrub = _costs(stack, sides, seconds, say)
    return tuple(
        Speed(
            side=side,
            look=look,
            embed=embed,
            scrub=scrub,
            processors=available_cpus(),
            threads=threads or available_cpus(),
            recognisers=recognisers,
            decoding=ASSUMED_DECODING if decoding is None else decoding,
            decoding_measured=decoding is not None,
        )
        for side, look in looks.items()
    )


def _costs(
    stack: VisionStack, sides: Sequence[int], seconds: float, say: Callable[[str], None]
) -> tuple[dict[int, Cost], Cost, Cost]:
    """Of a look at each side, of an embedding, of a scrub: medians of rounds in turns, without the first."""
    frame = _drawn()
    ends = time.monotonic() + seconds
    looks: dict[int, list[Cost]] = {side: [] for side in sides}
    embeds: list[Cost] = []
    scrubs: list[Cost] = []
    slots = stack.slots(1)
    rows = slots.acquire(1)
    points = np.array([_POINTS], np.float32)

    def look(side: int) -> Cost:
        return _timed(lambda: stack.detect([frame], side))

    def embed() -> None:
        stack.embedder.align(frame, points, slots, rows)
        stack.embedder.embed(slots, rows)

    while len(embeds) < _LEAST_ROUNDS or time.monotonic() < ends:
        for side, costs in looks.items():
            costs.append(look(side))
        embeds.append(_timed(embed))
        scrubs.append(_timed(stack.scrub))
        say(f"round {len(embeds)}")
    slots.wipe(rows)
    of_looks = {side: _median(costs[1:]) for side, costs in looks.items()}
    return of_looks, _median(embeds[1:]), _median(scrubs[1:])


def _timed(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Cost(1000 * wall, 1000 * cpu)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(c.wall_ms for c in costs), statistics.median(c.cpu_ms for c in costs))


def _drawn() -> Frame:
    """A grey ramp, 1080p."""
    luma = np.linspace(32, 220, WIDTH, dtype=np.uint8)
    pixels = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    pixels[:HEIGHT] = luma
    return Frame("drawn", 1, 1, 0, 0, WIDTH, HEIGHT, pixels)
