"""When libraries' stacks and arenas must be overwritten: often enough, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lfr_edge.matching.judge import TrackKey
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.index import WatchlistIndex

# Well under the 1.0 s in which nothing of a passer-by may be left (reliability.md B1).
SCRUB_EVERY_S: Final = 0.5


class Scrubber:
    """Knows whose face the networks may still hold. **Thread rule:** the recogniser's only thread.

    Where each face runs alone, the networks' memory holds the one embedded last and none before it: as long as
    others follow, each of them is a scrub.
    """

    def __init__(self, vision: VisionStack, index: WatchlistIndex, timer: Callable[[], float]) -> None:
        self._vision = vision
        self._index = index
        self._timer = timer
        self._index_due = self._networks_due = False
        self._last: TrackKey | None = None  # embedded last, since the last scrub
        self._scrubbed_s = timer()

    def embedded(self, last: TrackKey) -> None:
        """Faces were embedded; `last` came last."""
        self._last = last
        self._networks_due = self._networks_due and not self._vision.one_by_one

    def left(self, passage: TrackKey) -> None:
        """Its templates are overwritten: so must be what libraries still hold of them."""
        self._index_due = True
        if not self._vision.one_by_one or passage == self._last:
            self._networks_due = True

    def explained(self) -> None:
        """An alert's own crops were embedded, and the answer is out."""
        self._networks_due = True

    def work(self) -> float:
        """Scrub what is due, if the last time is long enough ago; seconds it took."""
        start = self._timer()
        if not (self._index_due or self._networks_due) or start - self._scrubbed_s < SCRUB_EVERY_S:
            return 0.0
        if self._networks_due:
            self._vision.scrub()
            self._last = None
        self._index.scrub()
        self._index_due = self._networks_due = False
        self._scrubbed_s = self._timer()
        return self._scrubbed_s - start
