"""Which regions of a face carried the similarity: asked after the decision, of the alert's own two crops only.

The probe's crop is compared with the candidate's once as it is, and once for each cell of a grid with a patch of
that cell covered in its own mean colour. What the cosine loses is the cell's share. The method is Zeiler and
Fergus's occlusion sensitivity (ECCV 2014); it treats the network as a black box, so it holds for every pack.

What it cannot say is said on the page (``docs/explanation/the-look.md``): it shows what this network used, not
whether it was right; cells overlap and do not add up to the score; and the score here is that of two pictures,
while an alert's is that of a whole passage.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.errors import RecogniserError, VisionError
from lfr_edge.recogniser.handle import RecogniserHandle
from lfr_edge.recogniser.ledger import Ledger
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import crop_points, decode_image

GRID: Final = 7
PATCH: Final = 0.3  # side of what is covered, of the crop's: about an eye with its brow
_BATCH: Final = 4  # templates a step: 25 ms of a CPU, so no alert waits for an explanation
_MOST_WAITING: Final = 4  # one more is refused: two people ask, not a program
_PROBE, _CANDIDATE = 0, 1
ANSWER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """`cells` (GRID, GRID), rows from the forehead down, columns as in the picture: loss of cosine × 10⁴."""

    score_e4: int  # of the two crops as they are
    cells: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """To one request; `explanation` is None where a crop cannot be read."""

    request: int
    explanation: Explanation | None


@dataclass(slots=True)
class _Work:
    request: int
    score: float
    done: list[float]  # scores of the covered variants so far, row by row


class Explainer:
    """One explanation at a time, a few templates a step.

    **Thread rule:** the recogniser's only thread. **Lifetime:** crops and templates live in slots of its own from
    the first step of an explanation to its last, and are overwritten there; the ledger counts each of them.
    """

    def __init__(self, vision: VisionStack, ledger: Ledger) -> None:
        self._vision = vision
        self._ledger = ledger
        self._slots = vision.slots(2 + _BATCH)
        self._waiting: deque[tuple[int, bytes, bytes]] = deque()
        self._rows: tuple[int, ...] = ()
        self._work: _Work | None = None

    @property
    def busy(self) -> bool:
        return self._work is not None or bool(self._waiting)

    @property
    def held(self) -> int:
        """Templates in its slots between two steps: of the two crops as they are."""
        return 2 if self._work is not None else 0

    def ask(self, request: int, probe_jpeg: bytes, candidate_jpeg: bytes) -> bool:
        """Queue one explanation; False where too many wait."""
        if len(self._waiting) >= _MOST_WAITING:
            return False
        self._waiting.append((request, probe_jpeg, candidate_jpeg))
        return True

    def step(self) -> Answer | None:
        """Do a little; an answer when one is ready."""
        if self._work is None:
            if not self._waiting:
                return None
            request, probe, candidate = self._waiting.popleft()
            try:
                self._work = self._begin(request, probe, candidate)
            except VisionError:
                return Answer(request, None)
            return None
        work = self._work
        cells = range(len(work.done), min(len(work.done) + _BATCH, GRID * GRID))
        work.done += self._covered(cells)
        if len(work.done) < GRID * GRID:
            return None
        self.drop()
        losses = [round((work.score - score) * 10_000) for score in work.done]
        rows = tuple(tuple(losses[at : at + GRID]) for at in range(0, GRID * GRID, GRID))
        return Answer(work.request, Explanation(round(work.score * 10_000), rows))

    def rehearse(self, drawn: bytes) -> None:
        """Once through, before the process is sealed; nothing of it is counted.

        One full batch and the last, short one: the batches before them do nothing else, and all of them would take
        0.7 s of a CPU from a recogniser that is to be back within two (reliability.md 4).
        """
        ledger, self._ledger = self._ledger, Ledger()
        self.ask(0, drawn, drawn)
        self.step()
        if self._work is not None:
            self._work.done = [0.0] * (GRID * GRID - _BATCH - 1)
        while self.busy:
            self.step()
        self._ledger = ledger

    def drop(self) -> None:
        """Overwrite what stands; what waits is forgotten by :meth:`wipe` only."""
        if self._work is not None:
            self._slots.wipe(self._rows)
            self._ledger.erased(2)
            self._work, self._rows = None, ()

    def wipe(self) -> None:
        self.drop()
        self._waiting.clear()
        self._slots.wipe_all()

    def _begin(self, request: int, probe_jpeg: bytes, candidate_jpeg: bytes) -> _Work:
        self._rows = self._slots.acquire(2 + _BATCH)
        try:
            for row, jpeg in zip(self._rows[:2], (probe_jpeg, candidate_jpeg), strict=True):
                picture = decode_image(jpeg)
                self._vision.embedder.align(picture, crop_points(picture.shape[0])[None], self._slots, [row])
                picture[:] = 0
        except VisionError:
            self._slots.wipe(self._rows)
            self._rows = ()
            raise
        self._embed(self._rows[:2])
        return _Work(request, self._score(self._rows[_PROBE]), [])

    def _covered(self, cells: range) -> list[float]:
        """Scores of the probe with each of these cells covered; those variants are overwritten on the way out."""
        rows = self._rows[2 : 2 + len(cells)]
        try:
            for row, cell in zip(rows, cells, strict=True):
                for crops in self._slots.crops:
                    np.copyto(crops[row], crops[self._rows[_PROBE]])
                    cover(crops[row], cell)
            self._embed(rows)
            return [self._score(row) for row in rows]
        finally:
            for row in rows:
                self._slots.templates[row] = 0
                for crops in self._slots.crops:
                    crops[row] = 0
            self._ledger.erased(len(rows))

    def _embed(self, rows: tuple[int, ...]) -> None:
        self._vision.embedder.embed(self._slots, rows)
        self._ledger.explained(len(rows))

    def _score(self, row: int) -> float:
        return float(np.dot(self._slots.templates[row], self._slots.templates[self._rows[_CANDIDATE]]))


def cover(crop: UInt8Array, cell: int) -> None:
    """Cover the patch of `cell` (row by row from the top left) in the crop's mean colour, in place."""
    height, width = crop.shape[:2]
    colour = crop.reshape(-1, 3).mean(axis=0)
    middles = (np.array(divmod(cell, GRID)) + 0.5) / GRID
    top, left = (np.clip(middles - PATCH / 2, 0, 1) * (height, width)).astype(int)
    bottom, right = np.ceil(np.clip(middles + PATCH / 2, 0, 1) * (height, width)).astype(int)
    crop[top:bottom, left:right] = colour


async def explain(handle: RecogniserHandle, probe_jpeg: bytes, candidate_jpeg: bytes) -> Explanation:
    """Ask the sealed process; the desk's side.

    Raises:
        RecogniserError: ``recogniser_cannot_explain`` (too many ask, or a crop is unreadable), ``recogniser_gone``,
            ``recogniser_timeout``.
    """
    answer = await handle.request("explain", timeout_s=ANSWER_S, parts=(probe_jpeg, candidate_jpeg))
    if "cells" not in answer.body:
        raise RecogniserError(
            "recogniser_cannot_explain",
            "the recogniser cannot explain these pictures now",
            hint="try again in a few seconds; recognition goes before explanations",
        )
    cells = tuple(tuple(int(loss) for loss in row) for row in answer.body["cells"])
    return Explanation(int(answer.body["score_e4"]), cells)
