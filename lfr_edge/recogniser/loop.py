"""The match step: frames in, at most a few alerts out, everything else overwritten.

One step takes the newest frame of every camera, finds the faces, follows the passages (:mod:`.passages`), computes
templates of those that are worth it, compares them with the list (:mod:`.probes`) and wipes the slots.

This module knows nothing of processes, sockets or clocks on the wall: the sealed process (``worker.py``) and the
evaluation run exactly this code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lfr_edge.capture.frame import Frame
from lfr_edge.errors import WatchlistError
from lfr_edge.matching.judge import Judge
from lfr_edge.recogniser.bounds import Bounds
from lfr_edge.recogniser.explanation import Answer, Explainer
from lfr_edge.recogniser.hit import Hit
from lfr_edge.recogniser.ledger import Ledger, Reading
from lfr_edge.recogniser.passages import Passages
from lfr_edge.recogniser.probes import LOOKING_S, Probes, Shot, Stages
from lfr_edge.recogniser.rehearsal import rehearse
from lfr_edge.recogniser.scrub import Scrubber
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.watchlist.index import WatchlistIndex
from lfr_edge.watchlist.unseal import Added, unseal_into


class Recogniser:
    """The loop's state. **Thread rule:** one thread, for everything. **Lifetime:** slots live until :meth:`wipe`.

    Args:
        sides: longest side of the detector's picture for each camera.
        judge: turns scores of one passage into alerts; holds the threshold.
        timer, looking_s: see :class:`~lfr_edge.recogniser.probes.Probes`.
    """

    def __init__(
        self,
        vision: VisionStack,
        index: WatchlistIndex,
        judge: Judge,
        settings: VisionSettings,
        sides: Mapping[str, int],
        *,
        timer: Callable[[], float] = time.perf_counter,
        looking_s: float = LOOKING_S,
    ) -> None:
        self.ledger = Ledger()
        self.stages = Stages()
        self._vision = vision
        self._index = index
        self._judge = judge
        self._settings = settings
        self._timer = timer
        self.bounds = Bounds.of(len(sides), vision.slot_bytes)
        self._slots: ProbeSlots = vision.slots(self.bounds.slots)
        self.explainer = Explainer(vision, self.ledger)
        self._scrubber = Scrubber(vision, index, timer)
        self._passages = Passages(
            self._slots, self.ledger, judge, self._scrubber, settings, sides, reserve=self.bounds.looks
        )
        self._probes = Probes(
            vision, index, judge, self._slots, self._passages, self.ledger, self._scrubber, settings,
            most_looks=self.bounds.looks, timer=timer, looking_s=looking_s,
        )  # fmt: skip

    @property
    def suppressed(self) -> int:
        """Alerts that the cool-down held back."""
        return self._probes.suppressed

    @property
    def passed_over(self) -> int:
        """Faces that found no free slot."""
        return self._passages.passed_over

    @property
    def put_off(self) -> int:
        """Looks that waited for a later step because time or slots were short."""
        return self._probes.put_off

    @property
    def held(self) -> int:
        """Templates in the sums of passages that are still going on, and of an explanation under way."""
        return self._passages.held + self.explainer.held

    def reading(self) -> Reading:
        """The erasure ledger now. Raises RecogniserError ``recogniser_ledger`` if it does not balance."""
        return self.ledger.read(self.held)

    def rehearse(self) -> None:
        """Go through everything that a step can meet, before the process is sealed; see :func:`rehearse`."""
        drawn = rehearse(self._vision, self._slots, self._index, self._settings)
        self.explainer.rehearse(drawn)

    def step(self, frames: Sequence[Frame]) -> list[Hit]:
        """One match step over at most one frame of each camera."""
        self.stages = Stages()
        shots: list[Shot] = []
        for frame, faces in zip(frames, self._detect(frames), strict=True):
            self.ledger.looked(len(faces))
            start = self._timer()
            wanted = self._passages.follow(frame, faces)
            followed = self._timer()
            shots += self._probes.choose(frame, faces, wanted)
            self.stages.track += followed - start
            self.stages.align += self._timer() - followed
        hits = self._probes.look(shots, self.stages)
        self.stages.wipe += self._scrubber.work()
        return hits

    def explain(self) -> Answer | None:
        """Go on with what was asked of :attr:`explainer`, a few templates; an answer when one is ready."""
        answer = self.explainer.step()
        if answer is not None:
            self._scrubber.explained()
        return answer

    def idle(self, now_ns: int) -> None:
        """No frame came: passages still end on time, also when a camera died (monotonic nanoseconds)."""
        self._passages.end_lost(now_ns)
        self.stages.wipe += self._scrubber.work()

    def withdraw(self, reference: str) -> bool:
        """Take an entry off the list, effective with the next probe. False where it is not on it."""
        try:
            self._index.withdraw(reference)
        except WatchlistError:
            return False
        self._judge.withdraw(reference)
        return True

    def add(self, part: bytes, key: bytes) -> Added:
        """Put the people of a sealed addition on the list, effective with the next probe.

        Raises:
            WatchlistError: as :func:`~lfr_edge.watchlist.unseal.unseal_into`; the list is then as it was.
        """
        threshold = self._judge.policy.threshold
        return unseal_into(self._index, part, key, fingerprint=self._vision.fingerprint, look_alike=threshold)

    def adopt(self, threshold: float) -> None:
        """Another threshold (cosine), from the next probe on. Raises ValueError outside -1..1."""
        self._judge.adopt(replace(self._judge.policy, threshold=threshold))

    def description(self) -> dict[str, Any]:
        """What was loaded, for the desk's pages and the record."""
        return {
            "providers": list(self._vision.providers),
            "degraded": self._vision.degraded,
            "dimension": self._vision.dimension,
            "persons": len(self._index),
            "templates": self._index.rows,
            "locked": self._index.locked and self._slots.memory.locked,
            "most_passages": self.bounds.passages,
            "most_looks_a_step": self.bounds.looks,
            "bounded_by_memory": self.bounds.by_memory,
            "slots_mib": round(self._slots.memory.bytes / 2**20, 1),
        }

    def views(self, now_ns: int) -> dict[str, dict[str, Any]]:
        return self._passages.views(now_ns)

    def finish(self) -> Reading:
        """End every passage now: after this nothing is held and the ledger's last reading is final."""
        self._passages.end_all()
        self.explainer.drop()
        return self.reading()

    def want_tile(self, camera: str, width: int) -> None:
        """Make a tile of this camera's next frame; :meth:`take_tile` fetches it."""
        self._passages.want_tile(camera, width)

    def take_tile(self, camera: str) -> bytes | None:
        return self._passages.take_tile(camera)

    def wipe(self) -> int:
        """Overwrite every slot and the list itself; returns how many held something."""
        self.finish()
        self.explainer.wipe()
        wiped = self._slots.wipe_all() + self._index.wipe().templates
        self._vision.scrub()
        return wiped

    def _detect(self, frames: Sequence[Frame]) -> list[Faces]:
        start = self._timer()
        detector = self._vision.detector
        canvases = [detector.canvas(frame, self._passages.side(frame.camera)) for frame in frames]
        found = detector.detect(canvases)
        self.stages.detect += self._timer() - start
        return found
