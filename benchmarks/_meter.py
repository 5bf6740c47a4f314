"""Where the processor's time goes, by stage, without a line of the product changed.

Methods of one recogniser are wrapped on the instance. Time is exclusive: what a wrapped call inside another one
takes counts for the inner stage only, so the stages add up to the whole.
"""

from __future__ import annotations

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import lfr_edge.vision.detectors.detector as detector_module
import lfr_edge.vision.detectors.strips as strips_module
import lfr_edge.vision.embedder as embedder_module
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.vision.pipeline import VisionStack

Plan = tuple[Any, str, str, bool]
"""Owner, name of its method, stage, whether that stage keeps what its inner calls take."""


class Meter:
    """Seconds of CPU and of the wall clock by stage, and how often each network ran. **Thread rule:** one thread."""

    def __init__(self) -> None:
        self.cpu_s: defaultdict[str, float] = defaultdict(float)
        self.wall_s: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()  # inputs that a network was given
        self.steps: list[dict[str, float]] = []  # CPU ms by stage, one for each :meth:`lap`
        self._lap: Counter[str] = Counter()
        self._open: list[list[float]] = []  # CPU and wall that inner stages took
        self._sealed = 0  # > 0 inside a stage that keeps what its inner calls take

    @contextmanager
    def stage(self, name: str, *, keeps: bool = False) -> Iterator[None]:
        if self._sealed:
            yield
            return
        self._sealed += keeps
        self._open.append([0.0, 0.0])
        wall_began, cpu_began = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            cpu, wall = time.process_time() - cpu_began, time.perf_counter() - wall_began
            inner_cpu, inner_wall = self._open.pop()
            self._sealed -= keeps
            self.calls[name] += 1
            self.cpu_s[name] += cpu - inner_cpu
            self.wall_s[name] += wall - inner_wall
            if self._open:
                self._open[-1][0] += cpu
                self._open[-1][1] += wall

    def lap(self) -> None:
        """End of one step."""
        self.steps.append({name: 1000 * (self.cpu_s[name] - self._lap[name]) for name in self.cpu_s})
        self._lap = Counter(self.cpu_s)

    @property
    def total_cpu_s(self) -> float:
        return sum(self.cpu_s.values())

    @property
    def total_wall_s(self) -> float:
        return sum(self.wall_s.values())

    def shares(self) -> dict[str, float]:
        total = self.total_cpu_s or 1.0
        largest_first = sorted(self.cpu_s.items(), key=lambda item: -item[1])
        return {name: round(value / total, 4) for name, value in largest_first}

    def wrap(self, owner: Any, name: str, stage: str, *, keeps: bool = False) -> Callable[[], None]:
        """Measure `owner.name`; returns what takes the measurement off again."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def measured(*args: Any, **kwargs: Any) -> Any:
            if is_network(stage) and not self._sealed:
                self.rows[stage] += len(args[0])
            with self.stage(stage, keeps=keeps):
                return inner(*args, **kwargs)

        own = name in vars(owner)
        setattr(owner, name, measured)
        return lambda: setattr(owner, name, inner) if own else delattr(owner, name)

    @contextmanager
    def measuring(self, plans: Iterable[Plan]) -> Iterator[None]:
        """:meth:`wrap` them all, until the block ends."""
        with ExitStack() as undo:
            for owner, name, stage, keeps in plans:
                undo.callback(self.wrap(owner, name, stage, keeps=keeps))
            yield


def metered(meter: Meter, recogniser: Recogniser, stack: VisionStack) -> AbstractContextManager[None]:
    """Measure every stage of this recogniser's steps."""
    detector, embedder, slots, index = stack.detector, stack.embedder, recogniser._slots, recogniser._index
    passages, probes = recogniser._passages, recogniser._probes
    plans: list[Plan] = [
        (recogniser, "step", "loop", False),
        (passages, "follow", "track", False),
        (probes, "choose", "align", False),
        (probes, "_judge_all", "search", False),
        (probes, "_hit", "alert_picture", True),
        (slots, "wipe", "wipe", True),
        (stack, "scrub", "wipe", True),
        (index, "scrub", "wipe", True),
        (detector, "canvas", "letterbox", False),
        (detector, "detect", "detect_rest", False),
        (detector, "decode", "box_decoding", False),
        (detector, "_run", "detector_network", False),
        (detector_module, "suppress", "nms", False),
        (detector_module, "fill_blob", "detector_blob", False),
        (strips_module, "fill_planes", "detector_blob", False),
        (embedder, "embed", "embed_rest", False),
        (embedder_module, "fill_blob", "embedder_blob", False),
    ]
    assert isinstance(embedder, embedder_module.FusedEmbedder)
    for network in embedder._networks:
        plans.append((network.session, "run_into", f"embedder_network:{network.manifest.id}", False))
    return meter.measuring(plans)


def is_network(stage: str) -> bool:
    return stage == "detector_network" or stage.startswith("embedder_network")
