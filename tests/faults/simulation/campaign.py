"""Many deployments, one after the other; what breaks is told as shortly as it can be."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.errors import AlertError, AuditError
from tests.faults.simulation.promise import BrokenPromise
from tests.faults.simulation.run import LIFE_STEPS, Simulation, Step

_MOST_TRIES: Final = 400  # short stories that are told to find the shortest


@dataclass(frozen=True)
class Found:
    """A broken promise: why, and which steps led there."""

    seed: int
    why: str
    steps: tuple[Step, ...]
    trail: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Why, without whom and how often."""
        return re.sub(r"/[\w./-]+|[0-9a-f]{32}|\d+|'[^']*'", "…", self.why)[:60]

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.why}; the shortest story: {' · '.join(self.trail)} "
            f"(again: Simulation(folder, {self.seed}, {list(self.steps)!r}))"
        )


def tell(seed: int, steps: int | Sequence[Step]) -> tuple[Simulation, Found | None]:
    """One story; what it broke."""
    with tempfile.TemporaryDirectory(prefix="lfr-sim-", dir=memory(), ignore_cleanup_errors=True) as folder:
        sim = Simulation(Path(folder), seed, steps)
        try:
            sim.run()
        except (BrokenPromise, AlertError, AuditError) as error:
            told = sim.steps[: sim.done + 1]
            return sim, Found(seed, str(error), told, tuple(sim.trail))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return sim, None


def shortest(found: Found) -> Found:
    """Leave out every part without which the same promise still breaks (delta debugging, Zeller 1999)."""
    best, tries, parts = found, 0, 2
    while len(best.steps) > 1 and tries < _MOST_TRIES:
        size = max(1, len(best.steps) // parts)
        shorter = None
        for start in range(0, len(best.steps), size):
            tries += 1
            _, again = tell(best.seed, best.steps[:start] + best.steps[start + size :])
            if again is not None and again.kind == best.kind:
                shorter = again
                break
            if tries >= _MOST_TRIES:
                break
        if shorter is not None:
            best, parts = shorter, max(2, parts - 1)
        elif size == 1:
            break
        else:
            parts = min(len(best.steps), parts * 2)
    return best


def simulate(
    steps: int, seed: int, step: Callable[[int], None] = lambda done: None, *, shrink: bool = True
) -> dict[str, int]:
    """`steps` steps in deployments of :data:`LIFE_STEPS`, each from a seed of its own.

    Returns:
        What happened: deployments, restarts, power cuts, entries.

    Raises:
        BrokenPromise: with the seed and the shortest story that leads there.
    """
    told = dict.fromkeys(("deployments", "starts", "power cuts", "disk errors", "alerts", "looks"), 0)
    done = 0
    while done < steps:
        own = seed * 1_000_003 + told["deployments"]
        sim, found = tell(own, min(LIFE_STEPS, steps - done))
        if found is not None:
            raise BrokenPromise(str(shortest(found) if shrink else found))
        done += sim.done
        step(sim.done)
        told["deployments"] += 1
        told["starts"] += sim.world.lives
        told["power cuts"] += sim.world.disk.cuts
        told["disk errors"] += sim.world.disk.failed
        told["alerts"] += len(sim.truth.raised)
        told["looks"] += len(sim.truth.looks)
    return told | {"steps": done}


def memory() -> str | None:
    """RAM where there is some: nothing here has to survive this machine."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


__all__ = ["BrokenPromise", "Found", "memory", "shortest", "simulate", "tell"]
