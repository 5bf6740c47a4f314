"""The match step: frames in, at most a few alerts out, everything else overwritten.

One step takes the newest frame of every camera, finds the faces, follows the passages, computes templates of
those that are worth it, compares them with the list and wipes the slots. What a passage leaves behind until it
ends is the weighted sum of its templates in one slot, overwritten when the passage ends or raises an alert.

This module knows nothing of processes, sockets or clocks on the wall: the sealed process (``worker.py``) and the
evaluation run exactly this code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.errors import WatchlistError
from lfr_edge.matching.judge import Candidate, Judge, Look, Suppressed, TrackKey
from lfr_edge.recogniser.explanation import Answer, Explainer
from lfr_edge.recogniser.hit import Hit, measures
from lfr_edge.recogniser.ledger import Ledger, Reading
from lfr_edge.recogniser.passage import NO_SLOT, Passage, weight
from lfr_edge.recogniser.rehearsal import rehearse
from lfr_edge.recogniser.scrub import Scrubber
from lfr_edge.recogniser.view import View
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.faces import Faces, Float32Array
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import face_picture, tile
from lfr_edge.vision.quality import Quality, geometry
from lfr_edge.vision.slots import ProbeSlots
from lfr_edge.vision.tracks import NO_TRACK, Tracker
from lfr_edge.watchlist.index import NOBODY, WatchlistIndex
from lfr_edge.watchlist.unseal import Added, unseal_into

MOST_PASSAGES: Final = 192  # people in front of eight cameras at once; one more waits for a free slot
MOST_LOOKS: Final = 32  # templates a step: the embedder's largest batch
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


@dataclass(slots=True)
class _Camera:
    tracker: Tracker
    side: int
    epoch: int = -1
    passages: dict[int, Passage] = field(default_factory=dict)
    view: View = field(default_factory=View)
    tile_width: int = 0  # > 0: somebody looks at this camera; make one tile of its next frame
    tile: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Shot:
    """One face of this step that gets a template."""

    passage: Passage
    frame: Frame
    faces: Faces
    row: int  # of `faces`
    probe: int  # slot
    quality: Quality  # of the faces that were aligned from this frame
    at: int  # row of `quality`
    overall: float  # that row's overall quality


class Recogniser:
    """The loop's state. **Thread rule:** one thread, for everything. **Lifetime:** slots live until :meth:`wipe`.

    Args:
        sides: longest side of the detector's picture for each camera.
        judge: turns scores of one passage into alerts; holds the threshold.
        timer: seconds, for the stage times and for `looking_s`.
        looking_s: how long a step may compute templates; what is more waits for the next one.
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
        self.suppressed = 0  # alerts that the cool-down held back
        self.passed_over = 0  # faces that found no free slot
        self.put_off = 0  # looks that waited for a later step because time was short
        self.stages = Stages()
        self._vision = vision
        self._index = index
        self._judge = judge
        self._settings = settings
        self._timer = timer
        self._looking_s = looking_s
        self._slots: ProbeSlots = vision.slots(MOST_PASSAGES + MOST_LOOKS)
        self.explainer = Explainer(vision, self.ledger)
        self._cameras = {name: _Camera(Tracker(name, settings), side) for name, side in sides.items()}
        self._look_s = 0.005  # what one look costs here and now, learnt
        self._scrubber = Scrubber(vision, index, timer)

    @property
    def held(self) -> int:
        """Templates in the sums of passages that are still going on, and of an explanation under way."""
        passages = (p for camera in self._cameras.values() for p in camera.passages.values())
        return sum(passage.looks for passage in passages) + self.explainer.held

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
        looks: list[_Shot] = []
        for frame, faces in zip(frames, self._detect(frames), strict=True):
            self.ledger.looked(len(faces))
            looks += self._follow(frame, faces)
        hits = self._look(looks)
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
        lost_ns = int(self._settings.track_lost_s * 1e9)
        for camera in self._cameras.values():
            over = [p.key.number for p in camera.passages.values() if now_ns - p.last_seen_ns > lost_ns]
            self._end(camera, over)
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
        }

    def views(self, now_ns: int) -> dict[str, dict[str, Any]]:
        return {name: camera.view.to_json(now_ns) for name, camera in self._cameras.items()}

    def finish(self) -> Reading:
        """End every passage now: after this nothing is held and the ledger's last reading is final."""
        for camera in self._cameras.values():
            self._end(camera, list(camera.passages))
        self.explainer.drop()
        return self.reading()

    def want_tile(self, camera: str, width: int) -> None:
        """Make a tile of this camera's next frame; :meth:`take_tile` fetches it."""
        if camera in self._cameras:
            self._cameras[camera].tile_width = width

    def take_tile(self, camera: str) -> bytes | None:
        plan = self._cameras.get(camera)
        if plan is None or plan.tile is None:
            return None
        made, plan.tile = plan.tile, None
        return made

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
        canvases = [detector.canvas(frame, self._cameras[frame.camera].side) for frame in frames]
        found = detector.detect(canvases)
        self.stages.detect += self._timer() - start
        return found

    def _follow(self, frame: Frame, faces: Faces) -> Iterable[_Shot]:
        """Join the faces to passages; cut out and assess those that may be worth a template."""
        start = self._timer()
        camera = self._cameras[frame.camera]
        if frame.epoch != camera.epoch:
            self._end(camera, list(camera.passages))
            camera.epoch = frame.epoch
            camera.tracker.restart()
        update = camera.tracker.update(faces, frame.captured_ns)
        self._end(camera, update.ended)
        camera.view.looked.append(frame.captured_ns)
        camera.view.counts.frames += 1
        camera.view.counts.detections += len(faces)
        wanted: list[tuple[int, Passage]] = []
        eye_px = faces.eye_px
        shown = np.zeros(len(faces), np.bool_)
        for row, track in enumerate(update.track_ids):
            passage = self._passage(camera, int(track), float(eye_px[row]), frame.captured_ns)
            if passage is None:
                continue
            passage.last_seen_ns = frame.captured_ns
            shown[row] = passage.alerted
            if not passage.alerted and eye_px[row] >= self._settings.min_eye_px:
                wanted.append((row, passage))
        if camera.tile_width:
            # A face whose alert stands may be seen; everybody else is blurred before the pixels leave.
            camera.tile = tile(frame, camera.tile_width, faces.boxes[~shown])
            camera.tile_width = 0
        self.stages.track += self._timer() - start
        return self._choose(frame, faces, wanted)

    def _passage(self, camera: _Camera, track: int, eye_px: float, now_ns: int) -> Passage | None:
        if track == NO_TRACK:
            return None
        known = camera.passages.get(track)
        if known is not None or eye_px < self._settings.min_eye_px:
            return known
        if self._slots.capacity - self._slots.occupied <= MOST_LOOKS:
            self.passed_over += 1
            return None
        (slot,) = self._slots.acquire(1)
        passage = Passage(TrackKey(camera.tracker.camera, camera.epoch, track), slot, last_seen_ns=now_ns)
        camera.passages[track] = passage
        camera.view.passages.append(now_ns)
        camera.view.counts.passages += 1
        return passage

    def _choose(self, frame: Frame, faces: Faces, wanted: Sequence[tuple[int, Passage]]) -> Iterable[_Shot]:
        """Align first, because sharpness is measured on the aligned crop; then keep what is worth embedding."""
        start = self._timer()
        if not wanted:
            return []
        now_ns, budget = frame.captured_ns, self._settings.embeddings_per_track
        camera = self._cameras[frame.camera]
        known = geometry(faces[np.array([row for row, _ in wanted], np.intp)], frame.width, frame.height)
        # Geometry alone rules most of them out: a view that cannot be worth a look, however sharp, is not cut out.
        worthy = [
            at
            for at, ((_, passage), most) in enumerate(zip(wanted, known.most.tolist(), strict=True))
            if not passage.shown_score
            or (most >= self._settings.min_quality and passage.worth(most, now_ns, budget) > 0)
        ][: self._slots.capacity - self._slots.occupied]
        if not worthy:
            self.stages.align += self._timer() - start
            return []
        due = [wanted[at] for at in worthy]
        rows = np.array([row for row, _ in due], np.intp)
        probes = self._slots.acquire(len(due))
        quality = self._vision.align(
            frame, faces[rows], self._slots, probes, known[np.array(worthy, np.intp)]
        )
        for at in range(len(due)):
            eyes, sharpness, light = (
                float(values[at]) for values in (quality.eye_px, quality.sharpness, quality.light)
            )
            camera.view.samples.append((now_ns, eyes, sharpness, light))
        overall = quality.overall
        looks, unused = [], []
        for at, ((row, passage), probe) in enumerate(zip(due, probes, strict=True)):
            look = _Shot(passage, frame, faces, row, probe, quality, at, float(overall[at]))
            passage.shown(look.overall, float(faces.scores[row]))
            enough = look.overall >= self._settings.min_quality
            if enough and passage.worth(look.overall, now_ns, budget) > 0:
                looks.append(look)
            else:
                unused.append(probe)
        self._slots.wipe(unused)
        self.stages.align += self._timer() - start
        return looks

    def _look(self, looks: Sequence[_Shot]) -> list[Hit]:
        """Embed, fuse, search and judge; the probes' slots are empty when this returns."""
        budget = self._settings.embeddings_per_track
        ranked = sorted(
            looks,
            key=lambda look: look.passage.urgency(
                look.overall, look.frame.captured_ns, budget, self._judge.policy.threshold
            ),
            reverse=True,
        )
        most = int(max(2, min(MOST_LOOKS, self._looking_s / self._look_s)))
        chosen, rest = ranked[:most], ranked[most:]
        self.put_off += len(rest)
        hits: list[Hit] = []
        try:
            if chosen:
                start = self._timer()
                probes = [look.probe for look in chosen]
                self._vision.embedder.embed(self._slots, probes)
                self.ledger.embedded(len(chosen))
                self._scrubber.embedded(chosen[-1].passage.key)
                for look in chosen:
                    self._slots.accumulate(look.probe, look.passage.slot, weight(look.overall))
                    look.passage.looked(look.overall, look.frame.captured_ns)
                    self._cameras[look.frame.camera].view.counts.probes += 1
                self.stages.embed += self._timer() - start
                self._look_s += _LEARNING * (self.stages.embed / len(chosen) - self._look_s)
                start = self._timer()
                hits = self._judge_all(chosen)
                self.stages.search += self._timer() - start
        finally:
            start = self._timer()
            self._slots.wipe([look.probe for look in (*chosen, *rest)])
            self.stages.wipe += self._timer() - start
        return hits

    def _judge_all(self, looks: Sequence[_Shot]) -> list[Hit]:
        fused: Float32Array = self._slots.gather([look.passage.slot for look in looks], fused=True)
        candidates = self._index.search(fused)
        hits = []
        for row, look in enumerate(looks):
            best, score = int(candidates.entry[row]), float(candidates.score[row])
            if best == NOBODY:
                continue  # the list is empty
            look.passage.score = score
            runner_up = int(candidates.runner_up[row])
            seen = Look(self._index.reference(best), score)
            if runner_up != NOBODY:
                lead = float(candidates.runner_up_score[row])
                seen = Look(seen.best, score, self._index.reference(runner_up), lead)
            verdict = self._judge.judge(look.passage.key, seen, look.frame.captured_ns)
            if isinstance(verdict, Suppressed):
                self.suppressed += 1
                look.passage.alerted = True  # its alert is on the desk already
            elif isinstance(verdict, Candidate):
                hits.append(self._hit(look, verdict))
        return hits

    def _hit(self, look: _Shot, verdict: Candidate) -> Hit:
        passage = look.passage
        passage.alerted = True
        # One look lives on as the alert's picture; the templates of all looks are overwritten here and now.
        counts = self._cameras[passage.key.camera].view.counts
        counts.ended(verdict.score)
        counts.passed(passage.shown_quality, passage.shown_score, None)
        self.ledger.retained(1)
        self.ledger.erased(passage.looks - 1)
        self._scrubber.left(passage.key)
        passage.looks = 0
        self._slots.wipe([passage.slot])
        passage.slot = NO_SLOT
        box = look.faces.boxes[look.row]
        return Hit(
            camera=passage.key.camera,
            track=passage.key.number,
            captured_ns=look.frame.captured_ns,
            captured_wall_ns=look.frame.captured_wall_ns,
            reference=verdict.reference,
            score=verdict.score,
            threshold=self._judge.policy.threshold,
            runner_up_reference=verdict.runner_up or None,
            runner_up_score=verdict.runner_up_score if verdict.runner_up else None,
            box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            quality=measures(look.quality, look.at),
            jpeg=face_picture(look.frame, look.faces.points[look.row]),
        )

    def _end(self, camera: _Camera, tracks: Iterable[int]) -> None:
        """Passages are over: overwrite their slots, balance the ledger, let the judge forget them."""
        over = [passage for track in tracks if (passage := camera.passages.pop(track, None)) is not None]
        if not over:
            return
        self._slots.wipe([passage.slot for passage in over if passage.slot != NO_SLOT])
        for passage in over:
            self.ledger.erased(passage.looks)
            if passage.looks:
                camera.view.counts.ended(passage.score)
            if passage.shown_score and passage.slot != NO_SLOT:  # else it was counted with its alert
                stranger = passage.looks and not passage.alerted
                camera.view.counts.passed(
                    passage.shown_quality, passage.shown_score, passage.score if stranger else None
                )
            self._judge.forget(passage.key)
            self._scrubber.left(passage.key)
