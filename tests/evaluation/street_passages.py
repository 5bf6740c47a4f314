"""Passages of the street clips as a camera's watch counts them: three bin numbers each, in the order they ended.

``python -m tests.evaluation.street_passages OUT`` makes ``street_passages.json`` anew (about four CPU minutes): every
daylight clip through the whole recogniser, at several offsets, mirrored or not, and darkened or blurred.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import SystemClock
from lfr_edge.evaluation.clip import _frame, gallery_of
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.models.store import ModelStore
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.recogniser.view import Counts
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.pipeline import VisionStack

CLIPS: Final = ("crowd20", "sparse20", "negative20")
KINDS: Final = ("clean", "dark", "blur")
_STRIDE: Final = 3  # 8.3 looks a second
_SIDE: Final = 960
_DARK: Final = 0.35  # of the picture's values
_BLUR_PX: Final = 3.0  # standard deviation on 1920 px

Passage = tuple[int, int, int | None]
"""Bins of quality, detector and strangers; None where it raised an alert or was never compared."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one clip is shown."""

    clip: str
    kind: str
    offset: int  # frames
    mirrored: bool

    @property
    def name(self) -> str:
        return f"{self.clip} {self.kind} {self.offset}{' mirrored' if self.mirrored else ''}"


WAYS: Final = tuple(
    [
        Way(clip, "clean", offset, mirrored)
        for clip in CLIPS
        for offset in (0, 1)
        for mirrored in (False, True)
    ]
    + [Way(clip, kind, 2, mirrored=False) for clip in CLIPS for kind in ("dark", "blur")]
)


def passages(way: Way, shared: Path, stack: VisionStack) -> list[Passage]:
    """Through the recogniser's own loop, with the clips' list of 120 people."""
    seen: list[Passage] = []
    counted = Counts.passed

    def passed(counts: Counts, quality: float, detector: float, score: float | None) -> None:
        before = counts.to_json()
        counted(counts, quality, detector, score)
        after = counts.to_json()
        names = ("quality", "detector", "strangers")
        bins = [[int(b) for b, n in after[k].items() if n != before[k].get(b, 0)] for k in names]
        seen.append((bins[0][0], bins[1][0], bins[2][0] if bins[2] else None))

    Counts.passed = passed  # type: ignore[method-assign]
    try:
        gallery = gallery_of(shared / "videos/watchlist", stack)
        camera = way.name
        recogniser = Recogniser(
            stack, gallery.make(), Judge(Policy(0.48)), VisionSettings(), {camera: _SIDE}, looking_s=np.inf
        )
        for frame in _shown(way, shared / f"videos/dev_{way.clip}.mp4", camera):
            recogniser.step([frame])
        recogniser.finish()
        recogniser.wipe()
    finally:
        Counts.passed = counted  # type: ignore[method-assign]
    return seen


def _shown(way: Way, path: Path, camera: str) -> Iterator[Frame]:
    spec = SourceSpec(kind="file", url=str(path.absolute()), realtime=False)
    with open_reader(spec, SystemClock()) as reader:
        for number, picture in enumerate(reader.pictures()):
            if number % _STRIDE == way.offset:
                y, u, v = (_changed(plane, way) for plane in (picture.y, picture.u, picture.v))
                yield _frame(camera, number + 1, replace(picture, y=y, u=u, v=v))


def _changed(plane: np.ndarray, way: Way) -> np.ndarray:
    """One plane of the picture; chroma is told from luma by its size."""
    out = plane[:, ::-1] if way.mirrored else plane
    luma = plane.shape[0] > 540
    if way.kind == "dark":
        black = 16 if luma else 128
        out = np.round(black + (out.astype(np.float32) - black) * _DARK).astype(np.uint8)
    elif way.kind == "blur":
        out = cv2.GaussianBlur(np.ascontiguousarray(out), (0, 0), _BLUR_PX if luma else _BLUR_PX / 2)
    return np.ascontiguousarray(out)


def main(out: Path, store: Path, shared: Path) -> None:
    done = json.loads(out.read_text()) if out.exists() else {}
    stack = VisionStack.open(ModelStore(store).load("default"), threads=1)
    for way in WAYS:
        if way.name not in done:
            done[way.name] = passages(way, shared, stack)
            out.write_text(json.dumps(done) + "\n")
            print(way.name, len(done[way.name]), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
