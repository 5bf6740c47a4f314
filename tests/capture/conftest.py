"""Small clips, a camera server and a slot for the tests of this room."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from lfr_edge.capture.slot import FrameSlot
from lfr_edge.demo.rtsp_server import RtspServer

USER, PASSWORD = "us er", "p@ss:w/ör d%"


def encode(
    path: Path,
    *,
    codec: str = "libx264",
    width: int = 320,
    height: int = 240,
    frames: int = 50,
    moving: bool = True,
) -> Path:
    """25 pictures a second, a keyframe each 10. The luma of frame n is 20 + 4 n (mod 200), or 90 throughout."""
    options = {"g": "10", "preset": "ultrafast", "bf": "0", "tune": "zerolatency"}
    if codec == "libx265":
        options = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=10:bframes=0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, "yuv420p", options
        for number in range(frames):
            plane = np.full((height * 3 // 2, width), 128, np.uint8)
            plane[:height] = 20 + (4 * number) % 200 if moving else 90
            for packet in stream.encode(av.VideoFrame.from_ndarray(plane, format="yuv420p")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with h264.mp4, hevc.mp4, large.mp4 (640 x 480), still.mp4 and mpeg4.mp4."""
    folder = tmp_path_factory.mktemp("clips")
    encode(folder / "h264.mp4")
    encode(folder / "hevc.mp4", codec="libx265")
    encode(folder / "large.mp4", width=640, height=480)
    encode(folder / "still.mp4", moving=False)
    encode(folder / "mpeg4.mp4", codec="mpeg4")
    return folder


@pytest.fixture
async def server(clips: Path) -> AsyncIterator[RtspServer]:
    """/cam1 plays h264.mp4 for ever, no sign-in."""
    server = RtspServer()
    await server.start()
    server.add("/cam1", clips / "h264.mp4")
    yield server
    await server.stop()


@pytest.fixture
async def locked_server(clips: Path) -> AsyncIterator[RtspServer]:
    """/cam1 behind Digest sign-in with a password full of signs."""
    server = RtspServer(credentials=(USER, PASSWORD))
    await server.start()
    server.add("/cam1", clips / "h264.mp4")
    yield server
    await server.stop()


@pytest.fixture
def slot() -> Iterator[FrameSlot]:
    slot = FrameSlot.create(640, 480)
    yield slot
    slot.close()


@pytest.fixture
def bell() -> Iterator[tuple[int, int]]:
    """(read end, write end), the read end not blocking."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)
    os.close(write)


@pytest.fixture
def password_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(password: str) -> Path:
        path = tmp_path / "password"
        path.write_text(password + "\n", encoding="utf-8")
        return path

    return write
