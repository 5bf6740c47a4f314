"""Group commit: whoever comes first writes for all who wait.

No thread of its own: the first caller that finds nobody writing takes everything that is pending, lets go of the
turn, writes and syncs once, and wakes the others. Callers that arrive meanwhile form the next batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

from lfr_edge.audit.merkle import Tree, leaf_hash
from lfr_edge.audit.writer import LogWriter

T = TypeVar("T")


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
        self.turn = threading.Condition(threading.Lock())
        self.tree = tree  # what is durable
        self._writer = writer
        self._alive = alive
        self._die = die
        self._pending: list[tuple[bytes, bytes]] = []  # body, leaf; in order of seq, not yet durable
        self._in_flight = 0  # entries that are being written just now
        self._busy = False

    @property
    def next_seq(self) -> int:
        return self.tree.size + self._in_flight + len(self._pending)

    @property
    def waiting(self) -> int:
        """Entries that no write has taken up yet."""
        return len(self._pending)

    def add(self, body: bytes) -> bytes:
        """Line an entry up as number :attr:`next_seq`; returns its leaf hash."""
        leaf = leaf_hash(body)
        self._pending.append((body, leaf))
        return leaf

    def settle(self, seq: int) -> None:
        """Return when entry `seq` is durable; do the writing if nobody else is at it."""
        while self.tree.size <= seq:
            self._alive()
            if self._busy:
                self.turn.wait()
                continue
            batch, self._pending = self._pending, []
            self._in_flight = len(batch)
            self.alone(partial(self._writer.write_entries, batch))
            self._in_flight = 0
            for _, leaf in batch:
                self.tree.append(leaf)

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
        if error is not None:
            self._die(error)
        return result

    def wait_until_idle(self) -> None:
        while self._busy:
            self.turn.wait()
