"""Compiles slowly, so that a test can kill it in the middle: FOLDER OUT SECONDS_PER_PICTURE."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from portraitist import FakePortraitist

from lfr_edge.watchlist.about import Scale
from lfr_edge.watchlist.compiler import Compilation
from lfr_edge.watchlist.folder import survey


class Slow(FakePortraitist):
    def look(self, image: bytes):
        time.sleep(float(sys.argv[3]))
        return super().look(image)


compilation = Compilation(
    survey(Path(sys.argv[1])),
    Slow(),
    scale=Scale(0.5, 0.9, 1e-6, "by hand"),
    now=datetime(2026, 11, 22, 6, tzinfo=UTC),
    progress=lambda done, total: print(done, total, flush=True),
)
compiled = compilation.seal(Path(sys.argv[2]), key=bytes(32))
print("resumed", compiled.resumed, flush=True)
