"""Group commit: whoever comes first writes for all who wait.

No thread of its own. A caller that finds the disk idle holds it: it takes everything that is lined up, lets go of the
turn, writes and syncs once, and the entries are durable. Callers that arrive meanwhile line up for the next write and
sleep. Three things keep the disk busy under a global interpreter lock, where waking a thread costs as much as a fast
disk's sync:

- the frames are packed by each caller while the disk is at work, so that the writer only writes;
- a sleeper is woken once, for good: its entry is durable, or the disk is its own now. The disk goes from hand to
  hand and is never free for a newcomer to snatch;
- those whose entries became durable wake each other one by one, so that the writer has one rival for the
  interpreter and not fifteen.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import NoReturn, TypeVar

from lfr_edge.audit.merkle import Tree, leaf_hash
from lfr_edge.audit.segment import pack_frame
from lfr_edge.audit.writer import LogWriter

T = TypeVar("T")


class Place:
    """Where one caller sleeps. **Thread rule:** :meth:`wait` by its owner, without the turn."""

    __slots__ = ("_gate", "holds", "next")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self.holds = False  # the disk is the sleeper's when it wakes
        self.next: Place | None = None  # whom the sleeper wakes in its turn

    def wait(self) -> None:
        self._gate.acquire()
        self.wake_next()

    def wake(self) -> None:
        if self._gate.locked():
            self._gate.release()

    def wake_next(self) -> None:
        if self.next is not None:
            self.next.wake()
            self.next = None


class _Batch:
    """Entries that share one write, in order of seq, and the callers that wait for it."""

    __slots__ = ("frames", "leaves", "waiting")

    def __init__(self) -> None:
        self.frames = bytearray()
        self.leaves: list[bytes] = []
        self.waiting: list[Place] = []


class GroupCommit:
    """Entries on their way to the disk. **Thread rule:** every method with :attr:`turn` held.

    `die` is handed the first error of the disk and raises.
    """

    def __init__(self, writer: LogWriter, tree: Tree, die: Callable[[BaseException], NoReturn]) -> None:
        self.turn = threading.Lock()
        self.tree = tree  # what is durable
        self._writer = writer
        self._die = die
        self._pending = _Batch()
        self._flying = _Batch()  # what is being written just now
        self._held = False  # somebody is at the disk, or about to be
        self._claims: deque[Place] = deque()

    @property
    def next_seq(self) -> int:
        return self.tree.size + len(self._flying.leaves) + len(self._pending.leaves)

    @property
    def waiting(self) -> int:
        """Entries that no write has taken up yet."""
        return len(self._pending.leaves)

    @property
    def claimed(self) -> bool:
        """Whether somebody wants the disk for something else than entries."""
        return bool(self._claims)

    def add(self, body: bytes) -> bytes:
        """Line an entry up as number :attr:`next_seq`; returns its leaf hash."""
        batch, leaf = self._pending, leaf_hash(body)
        batch.frames += pack_frame(body, leaf, len(batch.frames))
        batch.leaves.append(leaf)
        return leaf

    def line_up(self) -> Place | None:
        """After :meth:`add`: None where the disk is the caller's now, or else where to wait, the turn let go."""
        if not self._held:
            self._held = True
            return None
        place = Place()
        self._pending.waiting.append(place)
        return place

    def claim(self) -> None:
        """Return when the disk is the caller's, before any write that has not begun."""
        if not self._held:
            self._held = True
            return
        place = Place()
        self._claims.append(place)
        self.turn.release()
        try:
            self.sleep(place)
        finally:
            self.turn.acquire()

    def sleep(self, place: Place) -> None:
        """Without the turn: return when `place` was woken. Who is interrupted takes nobody's wake-up along."""
        try:
            place.wait()
        except BaseException:
            with self.turn:
                self._leave(place)
            raise

    def _leave(self, place: Place) -> None:
        for sleepers in (self._claims, self._pending.waiting, self._flying.waiting):
            if place in sleepers:
                sleepers.remove(place)
                return
        place.wake_next()
        if place.holds:
            self.pass_on()

    def pass_on(self) -> None:
        """Hand the disk to whoever claimed it first, or else to the first of those whose entries wait."""
        if self._claims:
            place = self._claims.popleft()
        elif self._pending.waiting:
            place = self._pending.waiting.pop(0)
        else:
            self._held = False
            return
        place.holds = True
        place.wake()

    def write(self) -> None:
        """Make durable what is lined up; the disk is the caller's."""
        batch, self._pending = self._pending, _Batch()
        if not batch.leaves:
            return
        self._flying = batch
        try:
            self.alone(lambda: self._writer.write_entries(batch.frames))
            for leaf in batch.leaves:
                self.tree.append(leaf)
        finally:
            self._flying = _Batch()
            _wake_one_by_one(batch.waiting)

    def alone(self, work: Callable[[], T]) -> T:
        """Do slow disk work without the turn; the disk is the caller's. Any error kills the log."""
        self.turn.release()
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as caught:
            error = caught
        finally:
            self.turn.acquire()
        if error is not None:
            self._die(error)
        return result


def _wake_one_by_one(places: list[Place]) -> None:
    for place, following in pairwise(places):
        place.next = following
    if places:
        places[0].wake()
