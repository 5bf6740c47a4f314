"""Looking at passages: which faces get a template now, what the list says to it, and whether that is an alert.

A probe lives in a slot from its alignment to the end of the same step. Who passes, and what is kept of them between
two steps, is :mod:`.passages`' part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.matching.judge import Candidate, Judge, Look, Suppressed
from lfr_edge.recogniser.hit import Hit, measures
from lfr_edge.recogniser.ledger import Ledger
from lfr_edge.recogniser.passage import Passage, weight
from lfr_edge.recogniser.passages import Passages
from lfr_edge.recogniser.scrub import Scrubber
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces, Float32Array
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import face_picture
from lfr_edge.vision.quality import Quality, geometry
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.watchlist.index import NOBODY, WatchlistIndex

LOOKING_S: Final = 0.15  # of a step: more looks wait for the next one, so that no alert waits for them
_LEARNING: Final = 0.2  # weight of the newest step in what a look is believed to cost


@dataclass(slots=True)
class Stages:
    """Where a step's time went, seconds of the wall clock; a fresh one each step."""

    detect: float = 0.0
    track: float = 0.0
    align: float = 0.0
    embed: float = 0.0
    search: float = 0.0
    wipe: float = 0.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One face of this step that gets a template."""

    passage: Passage
    frame: Frame
    faces: Faces
    row: int  # of `faces`
    probe: int  # slot
    quality: Quality  # of the faces that were aligned from this frame
    at: int  # row of `quality`
    overall: float  # that row's overall quality


class Probes:
    """Of one step after the other. **Thread rule:** the recogniser's only thread.

    **Lifetime:** probes' slots are acquired by :meth:`choose` and empty when :meth:`look` returns.

    Args:
        most_looks: templates a step.
        timer: seconds, for the stage times and for `looking_s`.
        looking_s: how long a step may compute templates; what is more waits for the next one.
    """

    def __init__(
        self,
        vision: VisionStack,
        index: WatchlistIndex,
        judge: Judge,
        slots: ProbeSlots,
        passages: Passages,
        ledger: Ledger,
        scrubber: Scrubber,
        settings: VisionSettings,
        *,
        most_looks: int,
        timer: Callable[[], float],
        looking_s: float,
    ) -> None:
        self.suppressed = 0  # alerts that the cool-down held back
        self.put_off = 0  # looks that waited for a later step because time or slots were short
        self._vision = vision
        self._index = index
        self._judge = judge
        self._slots = slots
        self._passages = passages
        self._ledger = ledger
        self._scrubber = scrubber
        self._settings = settings
        self._most_looks = most_looks
        self._timer = timer
        self._looking_s = looking_s
        self._look_s = 0.005  # what one look costs here and now, learnt

    def choose(self, frame: Frame, faces: Faces, wanted: Sequence[tuple[int, Passage]]) -> list[Shot]:
        """Align first, because sharpness is measured on the aligned crop; then keep what is worth embedding."""
        if not wanted:
            return []
        now_ns, budget = frame.captured_ns, self._settings.embeddings_per_track
        known = geometry(faces[np.array([row for row, _ in wanted], np.intp)], frame.width, frame.height)
        # Geometry alone rules most of them out: a view that cannot be worth a look, however sharp, is not cut out.
        worthy = [
            at
            for at, ((_, passage), most) in enumerate(zip(wanted, known.most.tolist(), strict=True))
            if not passage.shown_score
            or (most >= self._settings.min_quality and passage.worth(most, now_ns, budget) > 0)
        ]
        room = self._slots.capacity - self._slots.occupied
        self.put_off += max(0, len(worthy) - room)
        worthy = worthy[:room]
        if not worthy:
            return []
        due = [wanted[at] for at in worthy]
        rows = np.array([row for row, _ in due], np.intp)
        probes = self._slots.acquire(len(due))
        quality = self._vision.align(
            frame, faces[rows], self._slots, probes, known[np.array(worthy, np.intp)]
        )
        shown = (values.tolist() for values in (quality.eye_px, quality.sharpness, quality.light))
        samples = self._passages.view(frame.camera).samples
        samples.extend(
            (now_ns, eyes, sharpness, light) for eyes, sharpness, light in zip(*shown, strict=True)
        )
        overall = quality.overall.tolist()
        shots, unused = [], []
        for at, ((row, passage), probe) in enumerate(zip(due, probes, strict=True)):
            shot = Shot(passage, frame, faces, row, probe, quality, at, overall[at])
            passage.shown(shot.overall, float(faces.scores[row]))
            enough = shot.overall >= self._settings.min_quality
            if enough and passage.worth(shot.overall, now_ns, budget) > 0:
                shots.append(shot)
            else:
                unused.append(probe)
        self._slots.wipe(unused)
        return shots

    def look(self, shots: Sequence[Shot], stages: Stages) -> list[Hit]:
        """Embed, fuse, search and judge; the probes' slots are empty when this returns."""
        budget, threshold = self._settings.embeddings_per_track, self._judge.policy.threshold
        ranked = sorted(
            shots,
            key=lambda shot: shot.passage.urgency(shot.overall, shot.frame.captured_ns, budget, threshold),
            reverse=True,
        )
        most = int(max(2, min(self._most_looks, self._looking_s / self._look_s)))
        chosen, rest = ranked[:most], ranked[most:]
        self.put_off += len(rest)
        hits: list[Hit] = []
        try:
            if chosen:
                start = self._timer()
                self._embed(chosen)
                stages.embed += self._timer() - start
                self._look_s += _LEARNING * (stages.embed / len(chosen) - self._look_s)
                start = self._timer()
                for at in range(0, len(chosen), self._slots.queries):  # as many as one search takes
                    hits += self._judge_all(chosen[at : at + self._slots.queries])
                stages.search += self._timer() - start
        finally:
            start = self._timer()
            self._slots.wipe([shot.probe for shot in (*chosen, *rest)])
            stages.wipe += self._timer() - start
        return hits

    def _embed(self, shots: Sequence[Shot]) -> None:
        """Templates of all of them, each added to its passage's sum."""
        self._vision.embedder.embed(self._slots, [shot.probe for shot in shots])
        self._ledger.embedded(len(shots))
        self._scrubber.embedded(shots[-1].passage.key)
        for shot in shots:
            self._slots.accumulate(shot.probe, shot.passage.slot, weight(shot.overall))
            shot.passage.looked(shot.overall, shot.frame.captured_ns)
            self._passages.view(shot.frame.camera).counts.probes += 1

    def _judge_all(self, shots: Sequence[Shot]) -> list[Hit]:
        fused: Float32Array = self._slots.gather([shot.passage.slot for shot in shots], fused=True)
        candidates = self._index.search(fused)
        hits = []
        for row, shot in enumerate(shots):
            best, score = int(candidates.entry[row]), float(candidates.score[row])
            if best == NOBODY:
                continue  # the list is empty
            shot.passage.score = score
            runner_up = int(candidates.runner_up[row])
            seen = Look(self._index.reference(best), score)
            if runner_up != NOBODY:
                lead = float(candidates.runner_up_score[row])
                seen = Look(seen.best, score, self._index.reference(runner_up), lead)
            verdict = self._judge.judge(shot.passage.key, seen, shot.frame.captured_ns)
            if isinstance(verdict, Suppressed):
                self.suppressed += 1
                shot.passage.alerted = True  # its alert is on the desk already
            elif isinstance(verdict, Candidate):
                hits.append(self._hit(shot, verdict))
        return hits

    def _hit(self, shot: Shot, verdict: Candidate) -> Hit:
        self._passages.alerted(shot.passage, verdict.score)
        box, key = shot.faces.boxes[shot.row], shot.passage.key
        return Hit(
            camera=key.camera,
            track=key.number,
            captured_ns=shot.frame.captured_ns,
            captured_wall_ns=shot.frame.captured_wall_ns,
            reference=verdict.reference,
            score=verdict.score,
            threshold=self._judge.policy.threshold,
            runner_up_reference=verdict.runner_up or None,
            runner_up_score=verdict.runner_up_score if verdict.runner_up else None,
            box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            quality=measures(shot.quality, shot.at),
            jpeg=face_picture(shot.frame, shot.faces.points[shot.row]),
        )
