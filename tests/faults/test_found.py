"""What the trials found, each as small as it could be made: a permanent seed. docs/trials.md lists them."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from lfr_edge.alerts import material as material_room
from lfr_edge.alerts.alert import Drill
from lfr_edge.alerts.factors import Answer
from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.checkpoint import parse_checkpoints
from lfr_edge.audit.event import Event
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.verify import verify
from lfr_edge.capture.reader import open_reader
from lfr_edge.clock import SystemClock
from lfr_edge.demo.rtsp_server import RtspServer
from lfr_edge.errors import AlertError, CameraError
from tests.alerts.conftest import Bench
from tests.audit.conftest import Box
from tests.capture.conftest import encode
from tests.capture.test_reader import live, read
from tests.fakes.box import KEY, raised
from tests.faults.simulation.disk import CrashableDisk
from tests.faults.simulation.run import Simulation

PICTURES = AlertPictures(b"probe", b"candidate")
TOKEN = "0" * 32


class _Old(random.Random):
    """The unkindest power cut: whatever was not made durable is as it was before."""

    def random(self) -> float:
        return 1.0


@pytest.mark.parametrize("name", ["heads", "checkpoints"])
def test_a_torn_head_of_which_only_the_length_reached_the_disk(tmp_path: Path, name: str) -> None:
    """ext4 may keep a file's new size and not its data; zeros are what is then read, for all of it or by sectors."""
    box = Box(tmp_path)
    log = box.create(ballast_bytes=0)
    path = box.folder() / name
    while True:  # until the last write lies on both sides of the edge of a sector
        before = path.read_bytes()
        log.append(Event("camera.lost"))
        log.checkpoint()
        edge = 512 - len(before) % 512
        if 8 < edge < 40:
            break
    log._release()
    if name == "heads":  # the power went before there was anything to sign
        notes = box.folder() / "checkpoints"
        notes.write_bytes(notes.read_bytes()[: parse_checkpoints(notes.read_bytes()[:-1]).end])
    written = path.read_bytes()[len(before) :]
    for torn in (
        bytes(len(written)),
        bytes(edge),
        written[:edge] + bytes(len(written) - edge),
        bytes(edge) + written[edge:],
        bytes(edge) + written[edge:-1],
    ):
        path.write_bytes(before + torn)
        assert verify(box.folder()).findings == ()
        again = shutil.copytree(box.folder(), box.folder("again"))
        AuditLog.open(again, box.origin(), box.keys(), box.clock, options=box.options()).suspend()
        assert verify(again).findings == ()
        shutil.rmtree(again)


def test_the_first_alerts_pictures_survive_a_power_cut(tmp_path: Path) -> None:
    disk = CrashableDisk(tmp_path, _Old())
    with disk.powered():
        AlertMaterial(disk.live / "deployments" / "d1" / "material", KEY).keep(TOKEN, PICTURES)
        disk.cut()
    after = disk.power_on()
    assert AlertMaterial(after / "deployments" / "d1" / "material", KEY).read(TOKEN) == PICTURES


async def test_pictures_that_the_disk_refused_leave_nothing_behind(tmp_path: Path) -> None:
    async with Bench(tmp_path).open() as desk:
        write, calls = material_room._write, []

        def fails_second(path: Path, data: bytes) -> None:
            calls.append(path)
            if len(calls) == 2:
                raise OSError(5, "Input/output error")
            write(path, data)

        with patch.object(material_room, "_write", fails_second), pytest.raises(AlertError):
            await desk.raise_alert(raised())
        assert list((tmp_path / "material").iterdir()) == []


async def test_a_lost_table_gives_no_number_twice(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path, 1, 0)
    number = await _number_after_a_lost_table(simulation)
    assert number == 2


async def _number_after_a_lost_table(simulation: Simulation) -> int:
    world = simulation.world
    await world.open()
    await world.desk.raise_drill(
        raised(1, probe_jpeg=b"a", candidate_jpeg=b"b"), Drill(Answer.SAME_PERSON, "c")
    )
    await world.desk.stop()
    world.store.close()
    world.log.suspend()
    for path in world.disk.live.glob("alerts.sqlite*"):
        path.unlink()
    await world.open()
    try:
        return (await world.desk.raise_alert(raised(1, probe_jpeg=b"a", candidate_jpeg=b"b"))).id.number
    finally:
        await world.desk.stop()
        world.store.close()
        world.log.suspend()


async def test_a_camera_may_call_itself_what_it_likes(tmp_path: Path) -> None:
    """Its SDP says ``s=`` in Latin-1; PyAV's default refuses to open what it cannot decode."""
    server = RtspServer()
    await server.start()
    server.add("/cam1", encode(tmp_path / "h264.mp4"))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer), return_exceptions=True)

    door = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    port = door.sockets[0].getsockname()[1]
    try:
        assert len(await read(live(f"rtsp://127.0.0.1:{port}/cam1"), 3)) == 3
    finally:
        door.close()
        await server.stop()


async def test_the_last_picture_before_a_silence_is_not_given_out_as_a_new_one(tmp_path: Path) -> None:
    """FFmpeg holds it back, and gives it out when the read times out or the line is back."""
    server = RtspServer()
    await server.start()
    server.add("/cam1", encode(tmp_path / "h264.mp4"))
    taken: list[tuple[int, int]] = []  # when it was given out, when it was received
    frozen_ns = thawed_ns = 0

    def work() -> None:
        clock = SystemClock()
        with open_reader(live(server.url("/cam1"), read_timeout_s=3.0), clock) as reader:
            for picture in reader.pictures():
                taken.append((clock.monotonic_ns(), picture.captured_ns))

    async def pause() -> None:
        nonlocal frozen_ns, thawed_ns
        while len(taken) < 5:
            await asyncio.sleep(0.01)
        server.freeze("/cam1")
        frozen_ns = time.monotonic_ns()
        await asyncio.sleep(1.5)
        thawed_ns = time.monotonic_ns()
        server.thaw("/cam1")
        before = len(taken)
        while len(taken) < before + 5:
            await asyncio.sleep(0.01)
        server.freeze("/cam1")

    try:
        done, _ = await asyncio.gather(asyncio.to_thread(work), pause(), return_exceptions=True)
    finally:
        await server.stop()
    ended_ns = time.monotonic_ns()
    assert isinstance(done, CameraError)
    assert done.code == "camera_timeout"
    assert ended_ns - taken[-1][0] < 5.5e9, "it was told after one wait of 3 s, not after two"
    held = next(received for given, received in taken if given > thawed_ns)
    assert held < frozen_ns + 1e9, "the picture from before the pause is as old as the pause"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data.replace(b"s=lfr-edge", b"s=K\xfcche-01"))
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
