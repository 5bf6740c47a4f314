"""A van on one machine: real cameras (our RTSP server), the real default networks, a sealed list, the real service."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import av
import cv2
import numpy as np
import pytest

import lfr_edge.service.service as service_module
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.segment import BadFrame, map_segment, read_frames
from lfr_edge.console.door import accounts as accounts_room
from lfr_edge.demo.clip import PUBLIC_BOXES, SOUGHT_BOX, Head, cut_head
from lfr_edge.demo.rtsp_server import RtspServer
from lfr_edge.demo.run import ASTRONAUT_SHA256, GROUP_SHA256
from lfr_edge.errors import ModelError
from lfr_edge.models.fetch import fetch_member
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.service import Service
from lfr_edge.settings import Settings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.pixels import decode_image
from lfr_edge.watchlist.container import seal
from lfr_edge.watchlist.enrol import enrol_list
from lfr_edge.watchlist.folder import survey
from lfr_edge.watchlist.keys import new_key, write_key_file
from tests.waiting import until as until  # what most tests of the room need

USER, PASSWORD = "van", "p@ss:w/ör d%"
SOUGHT, STRANGER = "SOUGHT-1", "OTHER-1"
FPS, SECONDS = 25, 4
HERE_S = 2.6  # of the four seconds: the sought person is in view, then nobody (a passage ends after 0.6 s)
PASSPHRASE = "seven quiet harbours"
START_S = 60.0
ALERT_S = 30.0


@pytest.fixture(scope="session")
def photographs() -> tuple[bytes, bytes]:
    """The sought person's portrait and the public's group picture: the demo's own, from the registries' cache."""
    try:
        return (
            fetch_member("pypi", "scikit-image", None, "skimage/data/astronaut.png", ASTRONAUT_SHA256),
            fetch_member("pypi", "insightface", "2.1", "insightface/data/images/t1.jpg", GROUP_SHA256),
        )
    except ModelError as error:
        pytest.skip(f"NOT TESTED: the demo's photographs cannot be fetched ({error})")


def _paste(picture: np.ndarray, head: Head, x: int, y: int) -> None:
    height, width = head.pixels.shape[:2]
    x1, y1 = min(picture.shape[1], x + width), min(picture.shape[0], y + height)
    if x >= x1:
        return
    pixels, alpha = head.pixels[: y1 - y, : x1 - x], head.alpha[: y1 - y, : x1 - x]
    region = picture[y:y1, x:x1]
    region[:] = np.rint(region * (1 - alpha) + pixels * alpha).astype(np.uint8)


def write_walk(path: Path, photographs: tuple[bytes, bytes], *, side: int = 640) -> None:
    """The sought person, then two strangers, each alone for part of four seconds, in a 16:9 picture `side` wide."""
    portrait, group = (decode_image(data) for data in photographs)
    wanted, strangers = cut_head(portrait, SOUGHT_BOX), [cut_head(group, box) for box in PUBLIC_BOXES[:2]]
    noise = np.random.default_rng(3).normal(0, 4, (360, 640, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = side, side * 9 // 16, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "20", "g": "12", "bf": "0", "threads": "1"}
        for number in range(FPS * SECONDS):
            picture = np.clip(np.full((360, 640, 3), 130.0) + noise, 0, 255).astype(np.uint8)
            if number < HERE_S * FPS:
                _paste(picture, wanted, 40 + 2 * number, 60)
                _paste(picture, strangers[0], 420 - number, 120)
            else:
                _paste(picture, strangers[1], 100 + 4 * (number % 40), 150)
            if side != 640:
                picture = cv2.resize(picture, (side, side * 9 // 16))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, photographs: tuple[bytes, bytes]) -> Path:
    """A folder with walk.mp4 (640 × 360) and wide.mp4 (the same at 960 × 540)."""
    folder = tmp_path_factory.mktemp("walks")
    write_walk(folder / "walk.mp4", photographs)
    write_walk(folder / "wide.mp4", photographs, side=960)
    return folder


@dataclass(frozen=True)
class Lists:
    key_file: Path
    sought: Path  # holds the sought person
    strangers: Path  # holds somebody who is not in the clip


@pytest.fixture(scope="session")
def lists(
    tmp_path_factory: pytest.TempPathFactory, default_pack: Pack, photographs: tuple[bytes, bytes]
) -> Lists:
    """Two sealed lists of one person each, made the way any list is made."""
    folder = tmp_path_factory.mktemp("lists")
    vision = VisionStack.open(default_pack)
    key, key_file = new_key(), folder / "list.key"
    write_key_file(key_file, key)
    group = decode_image(photographs[1])
    x, y, width, height = PUBLIC_BOXES[5]
    other = group[max(0, y - height) : y + 2 * height, max(0, x - width) : x + 2 * width]
    pictures = {SOUGHT: photographs[0], STRANGER: cv2.imencode(".png", other)[1].tobytes()}
    for reference, picture in pictures.items():
        bundle = folder / reference
        bundle.mkdir()
        (bundle / "portrait.png").write_bytes(picture)
        (bundle / "watchlist.csv").write_text(
            "reference,category,response,images,image_source\n"
            f"{reference},missing_person,amber,portrait.png,published\n"
        )
        seal(
            folder / f"{reference}.sealed",
            enrol_list(survey(bundle), vision),
            key=key,
            passphrase=PASSPHRASE,
            fingerprint=default_pack.fingerprint,
            dimension=vision.dimension,
        )
    return Lists(key_file, folder / f"{SOUGHT}.sealed", folder / f"{STRANGER}.sealed")


@dataclass
class Van:
    """Everything a service is started with, in one folder. `over` changes the settings, section by section."""

    folder: Path
    server: RtspServer
    store: ModelStore
    lists: Lists
    cameras: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, **over: dict[str, Any] | object) -> dict[str, Any]:
        raw: dict[str, Any] = {
            "site": "Test van",
            "data": str(self.folder / "data"),
            "audit": str(self.folder / "audit"),
            "cameras": self.cameras,
            "models": {"store": str(self.store.root), "purpose": "evaluation"},
            "matching": {"threshold": 0.4, "cooldown_s": 0.5},
            "watchlist": {"path": str(self.lists.sought), "key_file": str(self.lists.key_file)},
            "console": {"port": 0},
            "deployment": {"autostart": True, "destroy_list": False},
        }
        for section, value in over.items():
            raw[section] = raw.get(section, {}) | value if isinstance(value, dict) else value
        return raw

    def service(self, **over: Any) -> Service:
        return Service(Settings.model_validate(self.raw(**over)))

    def config(self, **over: Any) -> Path:
        """The same as a file for ``lfr-edge serve --config``."""
        path = self.folder / "lfr.toml"
        raw = self.raw(**over)
        tables = {name: value for name, value in raw.items() if isinstance(value, dict)}
        lines = [f"{name} = {json.dumps(raw[name])}" for name in ("site", "data", "audit")]
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        for camera in raw["cameras"]:
            lines += ["[[cameras]]", *(f"{key} = {json.dumps(value)}" for key, value in camera.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def log(self) -> Path:
        """The folder of the newest deployment's log."""
        return max(path for path in (self.folder / "audit").iterdir() if path.name != "device")

    def entries(self) -> list[Entry]:
        """What is on the disk now, read without the service."""
        frames = read_frames(map_segment(LogFolder(self.log()).entries))
        return [parse_entry(frame.body) for frame in frames if not isinstance(frame, BadFrame)]

    def verbs(self) -> list[str]:
        return [entry.event.ev for entry in self.entries()]


@pytest.fixture
async def van(tmp_path: Path, clips: Path, lists: Lists, model_store: ModelStore) -> AsyncIterator[Van]:
    """One camera, ``gate``, that plays the walk for ever behind a Digest sign-in."""
    server = RtspServer(credentials=(USER, PASSWORD))
    server.add("/gate", clips / "walk.mp4")
    await server.start()
    password = tmp_path / "camera.password"
    password.write_text(PASSWORD + "\n", encoding="utf-8")
    gate = {
        "id": "gate", "url": server.url("/gate"), "username": USER, "password_file": str(password),
        "detector_side": 640, "stall_s": 1.0,
    }  # fmt: skip
    yield Van(tmp_path, server, model_store, lists, [gate])
    await server.stop()


Start = Callable[..., Awaitable[Service]]


@pytest.fixture
async def start(van: Van) -> AsyncIterator[Start]:
    """``service = await start()``; whatever the test leaves running is ended."""
    running: list[Service] = []

    async def begin(**over: Any) -> Service:
        service = van.service(**over)
        await asyncio.wait_for(service.start(), START_S)
        running.append(service)
        return service

    yield begin
    for service in running:
        await asyncio.wait_for(service.stop(), 30)
    assert children() == set(), "a process outlived its service"


def children(parent: int | None = None) -> set[int]:
    """The product's processes that `parent` (this one by default) started and that still run; no zombies, and no
    browser of another test."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = stat.read_text().rsplit(") ", 1)[1].split()[:2]
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(ppid) == (parent or os.getpid()) and state != "Z" and b"lfr_edge." in command:
            found.add(int(stat.parent.name))
    return found


@pytest.fixture(autouse=True)
def one_process_for_all_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service hardens its own process for good; here that would be pytest, whose later tests need a control that
    may do anything. test_serve.py starts the real command."""
    monkeypatch.setattr(service_module, "harden_process", lambda: None)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its full price is tested in tests/console/test_accounts.py."""
    cheap = accounts_room.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts_room, "_HASHER", cheap)


class Person:
    """Somebody at the console: one cookie jar, and the headers that a browser sends."""

    def __init__(self, address: str) -> None:
        address = address.rstrip("/")
        self.session = aiohttp.ClientSession(
            address,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Origin": address, "Sec-Fetch-Site": "same-origin"},
        )

    async def set_up(self, code: str, role: str, name: str = "miller") -> None:
        """Redeem the one-time code for the first account."""
        words = "three plain words"
        form = {"code": code, "name": name, "role": role, "password": words, "again": words}
        async with self.session.post("/setup", data=form, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()

    async def get(self, path: str) -> Any:
        async with self.session.get(path) as answer:
            assert answer.status == 200, (path, answer.status)
            if answer.content_type == "application/json":
                return await answer.json()
            return await answer.read()

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        async with self.session.post(path, json=body) as answer:
            assert answer.status == 200, (path, answer.status, await answer.text())
            return await answer.json()


@pytest.fixture
async def at_console() -> AsyncIterator[Callable[[str], Person]]:
    people: list[Person] = []

    def come(address: str) -> Person:
        people.append(Person(address))
        return people[-1]

    yield come
    for person in people:
        await person.session.close()


@pytest.fixture
async def prepared(van):
    """``officers = await prepared(clock)``: a deployment in preparation, its people come, nothing else done."""
    running: list[Service] = []

    from tests.service.officers import HERE, Officers  # which uses this module

    async def prepare(clock=None, **over):
        raw = van.raw(**{"deployment": HERE, **over})
        service = Service(Settings.model_validate(raw), clock)
        await asyncio.wait_for(service.start(), START_S)
        running.append(service)
        officers = Officers(service)
        await officers.come()
        return officers

    yield prepare
    for service in running:
        await asyncio.wait_for(service.stop(), 30)
    assert children() == set()
