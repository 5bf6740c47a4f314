"""What a camera counts of 3,300 different people: three bin numbers each, nobody twice.

``python -m tests.evaluation.passing_people OUT`` makes ``passing_people.json`` anew (about two CPU minutes): one
picture of everybody in ``../shared/faces`` who is not among the 120 listed people of the clips, as it is; of the first
600 of them also darkened and blurred. No name, picture or template is in the file, and the order is drawn.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from lfr_edge.models.fetch import cache_folder
from lfr_edge.models.store import ModelStore
from lfr_edge.recogniser.view import Counts
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.enrol import choose_face
from tests.evaluation.street_passages import Passage

SEED: Final = 20261122
CHANGED: Final = 600  # people whose pictures are also changed
THRESHOLD: Final = 0.48  # of a list of 120 at 1 %: whoever reaches it raised an alert and is no stranger
_Picture = npt.NDArray[np.uint8]
WAYS: Final[dict[str, Callable[[_Picture], _Picture]]] = {
    "clean": lambda picture: picture,
    "dark": lambda picture: (picture * 0.35).astype(np.uint8),
    "blur": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.5), np.uint8),
}


def people(shared: Path) -> list[Path]:
    """The first picture of everybody who is not listed, in a drawn order."""
    listed = {folder.name for folder in (shared / "videos/watchlist").iterdir()}
    folders = sorted(path for path in (shared / "faces/lfw250").iterdir() if path.name not in listed)
    order = np.random.default_rng(SEED).permutation(len(folders))
    return [min(folders[at].iterdir()) for at in order]


class Gate:
    """One look at everybody."""

    def __init__(self, shared: Path, vision: VisionStack) -> None:
        self._vision = vision
        first = [min(folder.iterdir()) for folder in sorted((shared / "videos/watchlist").iterdir())]
        found = [self._look(path.read_bytes()) for path in first]
        self._listed = np.stack([template for _, _, template in filter(None, found)])

    def passage(self, path: Path, kind: str) -> Passage | None:
        """None where no face is found."""
        picture = WAYS[kind](np.asarray(cv2.imread(str(path)), np.uint8))
        seen = self._look(cv2.imencode(".png", picture)[1].tobytes())
        if seen is None:
            return None
        quality, detector, template = seen
        score = float((self._listed @ template).max())
        counts = Counts()
        counts.passed(quality, detector, score if score < THRESHOLD else None)
        first = [next(iter(bins), None) for bins in (counts.quality, counts.detector, counts.strangers)]
        return first[0] or 0, first[1] or 0, first[2]

    def _look(self, data: bytes) -> tuple[float, float, npt.NDArray[np.float32]] | None:
        portrait = self._vision.look(data)
        chosen, _ = choose_face(portrait, "central")
        if chosen is None:
            return None
        face = portrait.found[chosen]
        return face.quality, face.score, self._vision.templates(portrait, chosen)[0]


def main(out: Path, shared: Path) -> None:
    gate = Gate(
        shared, VisionStack.open(ModelStore(cache_folder() / "test-store").load("default"), threads=1)
    )
    everybody = people(shared)
    made: dict[str, list[Passage]] = {}
    for kind in WAYS:
        chosen = everybody if kind == "clean" else everybody[:CHANGED]
        made[kind] = [seen for seen in (gate.passage(path, kind) for path in chosen) if seen is not None]
        print(kind, len(chosen), "people", len(made[kind]), "found", flush=True)
    out.write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).resolve().parents[3] / "shared")
