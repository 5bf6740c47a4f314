"""Group commit: whoever comes first writes for all who wait.

No thread of its own: the first caller that finds nobody writing takes everything that is pending, lets go of the
turn, writes and syncs once, and wakes the others. Callers that arrive meanwhile form the next batch; of those, one
is woken to write, so that sixteen callers do not fight for the turn after every write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

from lfr_edge.audit.merkle import Tree, leaf_hash
from lfr_edge.audit.writer import LogWriter

T = TypeVar("T")


class _Batch:
    """(body, leaf) of entries that share one write, in order of seq, and the callers that wait for it."""

    __slots__ = ("entries", "waiting")

    def __init__(self, lock: threading.Lock) -> None:
        self.entries: list[tuple[bytes, bytes]] = []
        self.waiting = threading.Condition(lock)


class GroupCommit:
    """Entries on their way to the disk. **Thread rule:** every method with :attr:`turn` held.

    `alive` raises when the log cannot be used; `die` is handed the first error of the disk and raises.
    """

    def __init__(
        self,
        writer: LogWriter,
        tree: Tree,
        alive: Callable[[], None],
        die: Callable[[BaseException], NoReturn],
    ) -> None:
        self._lock = threading.Lock()
        self.turn = threading.Condition(self._lock)  # notified whenever the disk becomes idle
        self.tree = tree  # what is durable
        self._writer = writer
        self._alive = alive
        self._die = die
        self._pending = _Batch(self._lock)
        self._flying = _Batch(self._lock)  # what is being written just now
        self._busy = False

    @property
    def next_seq(self) -> int:
        return self.tree.size + len(self._flying.entries) + len(self._pending.entries)

    @property
    def waiting(self) -> int:
        """Entries that no write has taken up yet."""
        return len(self._pending.entries)

    def add(self, body: bytes) -> bytes:
        """Line an entry up as number :attr:`next_seq`; returns its leaf hash."""
        leaf = leaf_hash(body)
        self._pending.entries.append((body, leaf))
        return leaf

    def settle(self, seq: int) -> None:
        """Return when entry `seq` is durable; do the writing if nobody else is at it."""
        while self.tree.size <= seq:
            self._alive()
            if not self._busy:
                self._write()
            elif seq < self.tree.size + len(self._flying.entries):
                self._flying.waiting.wait()
            else:
                self._pending.waiting.wait()

    def _write(self) -> None:
        batch, self._pending = self._pending, _Batch(self._lock)
        self._flying = batch
        self.alone(partial(self._writer.write_entries, batch.entries))
        for _, leaf in batch.entries:
            self.tree.append(leaf)
        self._flying = _Batch(self._lock)
        batch.waiting.notify_all()

    def alone(self, work: Callable[[], T]) -> T:
        """Do slow disk work without holding the turn; nobody else is at it. Any error kills the log."""
        self._busy = True
        self.turn.release()
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as caught:
            error = caught
        finally:
            self.turn.acquire()
            self._busy = False
            self.turn.notify_all()
            self._pending.waiting.notify()  # one of them writes for the rest
        if error is not None:
            self._flying.waiting.notify_all()
            self._pending.waiting.notify_all()
            self._die(error)
        return result

    def wait_until_idle(self) -> None:
        while self._busy:
            self.turn.wait()
