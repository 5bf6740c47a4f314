"""Networks, clips and lists to measure with: the project's shared material where it is, else the demonstration's."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks._line import REPOSITORY
from lfr_edge.capture.frame import Frame
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import SystemClock
from lfr_edge.errors import MatchingError, ModelError
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.matching.threshold import calibrations_of, choose
from lfr_edge.models.fetch import cache_folder, fetch_member
from lfr_edge.models.recipes import pull
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.settings import VisionSettings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import decode_image
from lfr_edge.watchlist.index import WatchlistIndex

SHARED: Final = REPOSITORY.parent / "shared"
_CLIPS: Final = ("crowd20", "sparse20", "lowlight20", "negative20")
_UNCALIBRATED: Final = 0.5  # cosine; only decides how many alerts a run raises, not what it costs


def model_store() -> ModelStore:
    return ModelStore(cache_folder() / "models")


def pack(name: str = "default") -> Pack:
    store = model_store()
    try:
        return store.load(name)
    except ModelError:
        return pull(store, name)


@dataclass(frozen=True, slots=True)
class Material:
    """Clips, and a folder of people of whom some walk through them."""

    clips: tuple[Path, ...]
    people: Path  # one folder per person
    listed: int
    kind: str


@contextlib.contextmanager
def material(*, most_people: int | None = None) -> Iterator[Material]:
    """`most_people` shortens the list (enrolling a person costs a tenth of a second); those in the clips stay."""
    with tempfile.TemporaryDirectory(prefix="lfr-bench-") as scratch:
        folder = Path(scratch)
        clips = tuple(path for name in _CLIPS if (path := SHARED / "videos" / f"dev_{name}.mp4").exists())
        if clips:
            people = _people(clips, folder, most_people)
            yield Material(
                clips, people, len(list(people.iterdir())), "composed street clips (../shared/videos)"
            )
        else:
            clip, people = _demonstration(folder)
            yield Material((clip,), people, 1, "the demonstration's clip")


def _people(clips: tuple[Path, ...], folder: Path, most: int | None) -> Path:
    source = SHARED / "videos" / "watchlist"
    if most is None:
        return source
    seen = {
        track["identity"]
        for clip in clips
        for track in json.loads(clip.with_suffix(".json").read_text(encoding="utf-8"))["tracks"]
    }
    everybody = sorted(source.iterdir(), key=lambda person: (person.name not in seen, person.name))
    target = folder / "people"
    for person in everybody[:most]:
        shutil.copytree(person, target / person.name)
    return target


def _demonstration(folder: Path) -> tuple[Path, Path]:
    # The demonstration brings the whole service with it; a GPU box may lack what that needs.
    from lfr_edge.demo.clip import write_clip
    from lfr_edge.demo.run import ASTRONAUT_SHA256, GROUP_SHA256

    portrait = fetch_member("pypi", "scikit-image", None, "skimage/data/astronaut.png", ASTRONAUT_SHA256)
    public = fetch_member("pypi", "insightface", "2.1", "insightface/data/images/t1.jpg", GROUP_SHA256)
    made = sorted((cache_folder() / "demo").glob("street-????????????????.mp4"))
    clip = made[0] if made else folder / "street.mp4"
    if not made:
        write_clip(clip, decode_image(portrait), decode_image(public))
    person = folder / "people" / "DEMO-0001"
    person.mkdir(parents=True)
    (person / "portrait.png").write_bytes(portrait)
    return clip, person.parent


@contextlib.contextmanager
def frames(clip: Path, camera: str = "cam1") -> Iterator[Iterator[Frame]]:
    """A recording through the capture room's own reader, as fast as it goes, on the calling thread."""
    spec = SourceSpec(kind="file", url=str(clip.absolute()), realtime=False)
    with open_reader(spec, SystemClock()) as reader:
        yield (_frame(camera, number, picture) for number, picture in enumerate(reader.pictures(), start=1))


def _frame(camera: str, sequence: int, picture: object) -> Frame:
    y, u, v = picture.y, picture.u, picture.v  # type: ignore[attr-defined]
    height, width = y.shape
    pixels = np.empty((height * 3 // 2, width), np.uint8)
    pixels[:height] = y
    chroma = pixels[height:].reshape(2, height // 2, width // 2)
    chroma[0], chroma[1] = u, v
    return Frame(camera, 1, sequence, picture.captured_ns, picture.captured_wall_ns, width, height, pixels)  # type: ignore[attr-defined]


def threshold(of: Pack, people: int) -> float:
    try:
        return choose(
            calibrations_of(None), fingerprint=of.fingerprint, provider="cpu", precision="fp32", list_size=people,
            target_fpir=0.01,
        ).threshold  # fmt: skip
    except MatchingError:
        return _UNCALIBRATED


def drawn_index(dimension: int, people: int, seed: int = 7) -> WatchlistIndex:
    """A list of `people` random unit templates: searching costs the same whoever they are."""
    index = WatchlistIndex(dimension, capacity=people)
    rng = np.random.default_rng(seed)
    for start in range(0, people, 8192):
        rows = min(8192, people - start)
        matrix = rng.standard_normal((rows, dimension), np.float32)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        index.reserve(rows)[:] = matrix
        index.commit([f"P-{start + row}" for row in range(rows)], list(range(rows)))
    return index


def recogniser(
    stack: VisionStack, index: WatchlistIndex, cut: float, sides: dict[str, int], **more: object
) -> Recogniser:
    """The loop exactly as the sealed process builds it."""
    made = Recogniser(stack, index, Judge(Policy(cut)), VisionSettings(), sides, **more)  # type: ignore[arg-type]
    stack.warm(set(sides.values()))
    made.rehearse()
    return made
