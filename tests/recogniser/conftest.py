"""The sought person of the demo as a list of one, and pictures of a street that she walks through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from lfr_edge.capture.frame import Frame
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.models.store import Pack
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.container import Enrolled, SealedWatchlist, seal
from lfr_edge.watchlist.entry import CandidateImage, Entry, Response
from lfr_edge.watchlist.index import WatchlistIndex
from lfr_edge.watchlist.keys import new_key

FRAME_NS = 40_000_000
THRESHOLD = 0.45


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """NASA's portrait of Eileen Collins, from the installed scikit-image, BGR."""
    data = pytest.importorskip("skimage.data", reason="NOT TESTED: scikit-image is not installed")
    return cv2.imread(str(Path(data.__file__).parent / "astronaut.png"))


@pytest.fixture(scope="session")
def vision(default_pack: Pack) -> VisionStack:
    return VisionStack.open(default_pack)


@pytest.fixture(scope="session")
def sought(vision: VisionStack, portrait: np.ndarray) -> np.ndarray:
    """(1, dimension) her template."""
    still = vision.look(cv2.imencode(".png", portrait)[1].tobytes())
    return vision.templates(still, 0)


def picture(portrait: np.ndarray, at: tuple[int, int], *, mirrored: bool = False) -> np.ndarray:
    """A grey 960×540 street with the portrait at 256 px, its left top corner at `at`; nobody where `at` is outside."""
    street = np.full((540, 960, 3), 120, np.uint8)
    face = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    if mirrored:
        face = face[:, ::-1]
    x, y = at
    if x < 960 - 256:
        street[y : y + 256, x : x + 256] = face
    return street


def frame(bgr: np.ndarray, number: int, *, camera: str = "cam", epoch: int = 1) -> Frame:
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    moment = number * FRAME_NS
    return Frame(camera, epoch, number + 1, moment, moment, bgr.shape[1], bgr.shape[0], i420)


Build = Callable[..., Recogniser]


@pytest.fixture
def build(vision: VisionStack, sought: np.ndarray) -> Build:
    """A recogniser whose list holds the sought person and fifty invented ones."""

    def make(
        *,
        threshold: float = THRESHOLD,
        listed: bool = True,
        agreement: int = 2,
        cameras: tuple[str, ...] = ("cam",),
    ) -> Recogniser:
        index = WatchlistIndex(vision.dimension)
        invented = np.random.default_rng(5).normal(size=(50, vision.dimension)).astype(np.float32)
        for number, row in enumerate(invented / np.linalg.norm(invented, axis=1, keepdims=True)):
            index.add(f"INVENTED-{number}", row[None])
        if listed:
            index.add("SOUGHT-1", sought)
        judge = Judge(Policy(threshold, agreement, 0.0, 60.0))
        return Recogniser(vision, index, judge, VisionSettings(), dict.fromkeys(cameras, 960))

    return make


@pytest.fixture
def sealed(tmp_path: Path, default_pack: Pack, sought: np.ndarray) -> Iterator[SealedWatchlist]:
    """A sealed list of one: the sought person."""
    key, path = new_key(), tmp_path / "list.sealed"
    entry = Entry(
        "SOUGHT-1",
        "missing_person",
        Response.AMBER,
        (CandidateImage("a.png", "custody", datetime.now(UTC).date()),),
    )
    seal(
        path,
        [Enrolled(entry, (b"picture",), sought)],
        key=key,
        fingerprint=default_pack.fingerprint,
        dimension=sought.shape[1],
    )
    opened = SealedWatchlist.open(path, key)
    yield opened
    opened.close()
