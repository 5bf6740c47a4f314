"""What stands outside the box and survives everything that is done to it: a camera, sealed lists, an authority."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.clock import SystemClock
from lfr_edge.demo.clip import PUBLIC_BOXES, SOUGHT_BOX, Head, cut_head
from lfr_edge.demo.officers import LATITUDE, LONGITUDE, PLACE, authority_for
from lfr_edge.demo.run import ASTRONAUT_SHA256, GROUP_SHA256
from lfr_edge.deployment.authority import Document
from lfr_edge.deployment.authority.document import encode_document, signed
from lfr_edge.deployment.authority.words import instant_text
from lfr_edge.models.fetch import fetch_member
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.settings import Settings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import decode_image
from lfr_edge.watchlist.container import Enrolled, seal
from lfr_edge.watchlist.enrol import enrol_list
from lfr_edge.watchlist.entry import CandidateImage, Entry, Response
from lfr_edge.watchlist.folder import survey
from lfr_edge.watchlist.keys import new_key, write_key_file
from tests.conftest import REPOSITORY

USER, PASSWORD = "van", "trial-camera-1"
THRESHOLD: Final = 0.4
FPS: Final = 10  # of the camera: a face is met ten times a second, and two looks agree within 0.2 s
HERE_S, AWAY_S = 0.9, 0.9  # a passage ends 0.6 s after its last look, so each glimpse is a passage of its own
GAP_S = 1.6  # between two groups of strangers
CAST: Final = ("SOUGHT-1", "SOUGHT-2", "SOUGHT-3", "SOUGHT-4")  # side by side: an alert each, every glimpse
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Lists:
    """Sealed lists that one key file opens."""

    key: bytes
    base: Path  # the cast and many who never come
    spare: tuple[str, ...]  # references of those
    additions: tuple[Path, ...]  # one invented person each
    rows: np.ndarray  # (people, dimension) float32: the base list's templates


class Camera:
    """An RTSP server in a process of its own, always at the same address."""

    def __init__(self, clip: Path, password_file: Path) -> None:
        self._command = [sys.executable, "-m", "lfr_edge.demo.rtsp_server", str(clip), "--until-eof"]
        self._command += ["--username", USER, "--password-file", str(password_file)]
        self.url = ""
        self.begin()

    def begin(self) -> None:
        port = ["--port", str(urlsplit(self.url).port)] if self.url else []
        self.process = subprocess.Popen(
            [*self._command, *port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["urls"][0]

    def end(self) -> None:
        """At once, as if its power went."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Street:
    """Lifetime: while the context of :func:`street` is open."""

    camera: Camera
    lists: Lists
    store: ModelStore
    pack: Pack
    issuer: Ed25519PrivateKey  # signs authorities
    password_file: Path
    round_s: float  # before the same pictures come again

    def authority(self, settings: Settings) -> bytes:
        """A fresh authority for these settings: for a day, with room for every addition."""
        known: Any = SimpleNamespace(
            clock=SystemClock(),
            run=SimpleNamespace(listing=self.lists, threshold=THRESHOLD, settings=settings),
        )
        plain = authority_for(known)
        terms = replace(plain.watchlist, maximum_size=100_000, image_sources=("published", "custody"))
        # Half an hour ago: a wall clock that a trial sets back must not get out of its window.
        begins = instant_text(SystemClock().wall_ns() - 1_800_000_000_000)
        return encode_document(signed(Document(replace(plain, watchlist=terms, start=begins)), self.issuer))


def photographs() -> tuple[bytes, bytes]:
    """The demonstration's own, from the registries' cache: the sought person, and a group of the public."""
    return (
        fetch_member("pypi", "scikit-image", None, "skimage/data/astronaut.png", ASTRONAUT_SHA256),
        fetch_member("pypi", "insightface", "2.1", "insightface/data/images/t1.jpg", GROUP_SHA256),
    )


@contextmanager
def street(
    folder: Path, store: ModelStore, *, spare: int, additions: int, strangers: int = 0
) -> Iterator[Street]:
    """Everything outside. `strangers`: so many groups who are on no list pass before one comes again."""
    pack = store.load("default")
    sought, public = photographs()
    clip = folder / "glimpse.mp4"
    pictures = _strangers(sought, public, strangers) if strangers else _glimpse(sought, public)
    round_s = _encode(clip, pictures)
    lists = _seal_lists(folder, pack, (sought, public), spare, additions)
    password_file = folder / "camera.password"
    password_file.write_text(PASSWORD + "\n", encoding="ascii")
    password_file.chmod(0o600)
    camera = Camera(clip, password_file)
    try:
        yield Street(camera, lists, store, pack, Ed25519PrivateKey.generate(), password_file, round_s)
    finally:
        camera.end()


def _glimpse(sought: bytes, public: bytes) -> Iterator[np.ndarray]:
    """The cast for `HERE_S`, then nobody for `AWAY_S`."""
    group = decode_image(public)
    cast = [cut_head(decode_image(sought), SOUGHT_BOX), *(cut_head(group, box) for box in PUBLIC_BOXES[:3])]
    wall = _wall(np.random.default_rng(3))
    for number in range(round(FPS * (HERE_S + AWAY_S))):
        picture = wall.copy()
        for place, head in enumerate(cast if number < HERE_S * FPS else ()):
            _paste(picture, head, 4 + 158 * place + number % 4, 60 + 12 * place)
        yield picture


def _strangers(sought: bytes, public: bytes, groups: int) -> Iterator[np.ndarray]:
    """One group after the other, `HERE_S` each and `GAP_S` apart: three who are on no list and, before the first of
    them, somebody who is. No two pictures are alike, so what memory holds of one group is of no other, until the clip
    begins again and everybody comes once more, the same to the bit.
    """
    public_picture, chance = decode_image(public), np.random.default_rng(7)
    strangers = [cut_head(public_picture, box) for box in PUBLIC_BOXES[3:]]
    listed = cut_head(decode_image(sought), SOUGHT_BOX)
    for group in range(groups + 1):
        places, wall = chance.integers(0, 30, (3, 2)), _wall(chance)
        for number in range(round(FPS * (HERE_S + GAP_S))):
            picture = wall.copy()
            heads = () if number >= HERE_S * FPS else strangers if group else (listed,)
            for place, head in enumerate(heads):
                x, y = places[place]
                _paste(picture, head, 10 + 200 * place + int(x) + number % 5, 60 + int(y))
            yield picture


def _wall(chance: np.random.Generator) -> np.ndarray:
    grey = np.full((HEIGHT, WIDTH, 3), 130.0) + chance.normal(0, 4, (HEIGHT, WIDTH, 1))
    return np.clip(grey, 0, 255).astype(np.uint8)


def _encode(path: Path, pictures: Iterator[np.ndarray]) -> float:
    """Seconds that it plays."""
    count = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "20", "g": str(FPS // 2), "bf": "0", "threads": "1"}
        for picture in pictures:
            count += 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return count / FPS


def _paste(picture: np.ndarray, head: Head, x: int, y: int) -> None:
    height, width = head.pixels.shape[:2]
    x1, y1 = min(picture.shape[1], x + width), min(picture.shape[0], y + height)
    pixels, alpha = head.pixels[: y1 - y, : x1 - x], head.alpha[: y1 - y, : x1 - x]
    region = picture[y:y1, x:x1]
    region[:] = np.rint(region * (1 - alpha) + pixels * alpha).astype(np.uint8)


def _seal_lists(folder: Path, pack: Pack, pictures: tuple[bytes, bytes], spare: int, additions: int) -> Lists:
    """The cast is enrolled as anybody is; the rest are directions that no face has."""
    vision = VisionStack.open(pack, threads=1)
    key = new_key()
    write_key_file(folder / "list.key", key)
    bundle = folder / "bundle"
    bundle.mkdir()
    rows = ["reference,category,response,images,image_source"]
    for name, picture in zip(CAST, _portraits(*pictures), strict=True):
        (bundle / f"{name}.png").write_bytes(picture)
        rows.append(f"{name},missing_person,amber,{name}.png,published")
    (bundle / "watchlist.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    enrolled = list(enrol_list(survey(bundle), vision))
    names = tuple(f"SPARE-{number}" for number in range(spare))
    kind: dict[str, Any] = {"key": key, "fingerprint": pack.fingerprint, "dimension": vision.dimension}
    base = folder / "base.sealed"
    seal(base, [*enrolled, *(_nobody(name, vision.dimension) for name in names)], **kind)
    joined = []
    for number in range(additions):
        joined.append(folder / f"joins-{number}.sealed")
        seal(joined[-1], [_nobody(f"JOINED-{number}", vision.dimension)], **kind)
    rows = np.concatenate([one.templates for one in enrolled])
    return Lists(key, base, names, tuple(joined), rows)


def _portraits(sought: bytes, public: bytes) -> list[bytes]:
    group, cut = decode_image(public), [sought]
    for x, y, width, height in PUBLIC_BOXES[:3]:
        head = group[
            max(0, y - height // 2) : y + 3 * height // 2, max(0, x - width // 2) : x + 3 * width // 2
        ]
        cut.append(cv2.imencode(".png", head)[1].tobytes())
    return cut


def _nobody(reference: str, dimension: int) -> Enrolled:
    row = np.random.default_rng(zlib.crc32(reference.encode())).normal(size=(1, dimension)).astype(np.float32)
    entry = Entry(reference, "missing_person", Response.AMBER, (CandidateImage("a.png", "published"),))
    return Enrolled(entry, (b"no picture",), row / np.linalg.norm(row), _grey())


def _grey() -> bytes:
    return cv2.imencode(".jpg", np.full((64, 64, 3), 128, np.uint8))[1].tobytes()


def raw_settings(street: Street, state: Path, **over: dict[str, Any]) -> dict[str, Any]:
    """Settings of a box whose whole state lies under `state`. `over` changes them section by section, `cameras` those
    of the one camera."""
    raw: dict[str, Any] = {
        "site": "Trial",
        "data": str(state / "data"),
        "audit": str(state / "audit"),
        "models": {"store": str(street.store.root), "purpose": "evaluation", "threads": 1},
        "vision": {"embeddings_per_track": 3},
        "matching": {"threshold": THRESHOLD, "cooldown_s": 0.01},
        "watchlist": {"path": str(state / "list.sealed"), "key_file": str(state / "list.key")},
        "console": {"port": 0},
        "retention": {"alert_images_h": 4 / 3600},  # erased four seconds after the decision
        "deployment": {"place": PLACE, "latitude": LATITUDE, "longitude": LONGITUDE},
        "cameras": [
            {
                "id": "gate", "url": street.camera.url, "username": USER, "password_file": str(street.password_file),
                "detector_side": 640, "stall_s": 1.0,
            }
        ],
    }  # fmt: skip
    raw["cameras"][0] |= over.pop("cameras", {})
    for section, value in over.items():
        raw[section] = raw[section] | value if section in raw and isinstance(raw[section], dict) else value
    return raw


def as_toml(raw: dict[str, Any]) -> str:
    plain = [f"{name} = {_value(value)}" for name, value in raw.items() if isinstance(value, str)]
    for name, table in raw.items():
        if isinstance(table, dict):
            plain += [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    for camera in raw["cameras"]:
        plain += ["[[cameras]]", *(f"{key} = {_value(value)}" for key, value in camera.items())]
    return "\n".join(plain) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)
