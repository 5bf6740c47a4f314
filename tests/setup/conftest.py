"""A street with one camera behind a password, which also speaks ONVIF; it runs in a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lfr_edge.console.door import accounts as accounts_room
from lfr_edge.demo.rtsp_server import RtspServer
from tests.capture.conftest import encode
from tests.fakes.onvif_camera import OnvifCamera, onvif_camera

USER, PASSWORD = "lfr", "a camera's password"


@dataclass
class Street:
    url: str
    camera: OnvifCamera


@pytest.fixture
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    clip = encode(tmp_path_factory.mktemp("clip") / "walk.mp4")
    ready, found, end = threading.Event(), [], []

    async def live() -> None:
        over = asyncio.Event()
        end.append((asyncio.get_running_loop(), over))
        server = RtspServer(credentials=(USER, PASSWORD))
        await server.start()
        server.add("/gate", clip)
        streams = [("main", server.url("/gate"), 320, 240)]
        async with onvif_camera(OnvifCamera(streams, USER, PASSWORD)) as camera:
            found.append(Street(server.url("/gate"), camera))
            ready.set()
            await over.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loop, over = end[0]
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(over.set)
    thread.join(20)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in tests/console: Argon2id at its full price is tested there."""
    cheap = accounts_room.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts_room, "_HASHER", cheap)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "box" / "lfr.toml"
