"""The keeper with real children and a real server: every fault heals, nothing secret shows, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from lfr_edge.capture.frame import Frame
from lfr_edge.capture.keeper import BACKOFF_S, Backoff, CameraKeeper, CameraStatus
from lfr_edge.capture.slot import FrameReader
from lfr_edge.capture.watch import Watch, door_opens
from lfr_edge.clock import SystemClock
from lfr_edge.confinement import survey
from lfr_edge.console.sayings import Sayings
from lfr_edge.demo.rtsp_server import RtspServer
from lfr_edge.settings import CameraSettings
from tests.capture.conftest import PASSWORD, USER, encode

SOON = {"stall_s": 1.0, "read_timeout_s": 5.0}


class Station:
    """A keeper, and somebody who takes its frames. It is not given up over a machine that stands still for a moment,
    unless a test says so: `SOON`."""

    def __init__(self, slot, bell, **settings) -> None:
        self.settings = CameraSettings(**{"id": "gate", "stall_s": 10.0, "read_timeout_s": 10.0, **settings})
        self.statuses: list[CameraStatus] = []
        self.keeper = CameraKeeper(
            self.settings,
            slot,
            bell[1],
            SystemClock(),
            self.statuses.append,
            backoff=Backoff(lambda low, _: low / 4),
        )
        self.reader = FrameReader(slot.fd, "gate")
        self.frames: list[Frame] = []
        self._bell = bell[0]
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Station:
        await self.keeper.start()
        self._task = asyncio.create_task(self._take())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keeper.stop()
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.reader.close()

    async def _take(self) -> None:
        after = (0, 0)
        while True:
            frame = self.reader.take(after)
            if frame is None:
                await asyncio.sleep(0.002)
            else:
                after = (frame.epoch, frame.sequence)
                self.frames.append(frame)

    async def until(self, condition: Callable[[CameraStatus], bool], timeout_s: float = 40) -> CameraStatus:
        deadline = time.monotonic() + timeout_s
        while not condition(self.keeper.status):
            assert time.monotonic() < deadline, self.keeper.status
            await asyncio.sleep(0.02)
        return self.keeper.status


@pytest.fixture
def station(slot, bell):
    return lambda **settings: Station(slot, bell, **settings)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_live_picture_arrives(station, server, bell, transport):
    async with station(url=server.url("/cam1"), transport=transport) as gate:
        status = await gate.until(lambda s: s.state == "live" and s.frames > 20)
        assert (status.codec, status.width, status.height, status.epoch) == ("h264", 320, 240, 1)
        await gate.until(lambda s: 20 < s.fps < 30)
        assert status.unconfined == survey().missing
        await gate.until(lambda s: s.frame_age_ms is not None and s.frame_age_ms < 1500)
        await gate.until(lambda _: abs(time.monotonic_ns() - gate.frames[-1].captured_ns) < 2e9)
        frame = gate.frames[-1]
        assert frame.pixels.shape == (360, 320)
        skew_ns = time.time_ns() - time.monotonic_ns()
        assert abs(frame.captured_wall_ns - frame.captured_ns - skew_ns) < 1e9
        assert os.read(bell[0], 4096)
        assert [(f.epoch, f.sequence) for f in gate.frames] == sorted(
            (f.epoch, f.sequence) for f in gate.frames
        )
        child = gate.keeper.child_pid
        assert child is not None
    assert gate.keeper.status.state == "stopped"
    assert not Path(f"/proc/{child}").exists()


async def test_hevc(station, server, clips):
    server.add("/cam2", clips / "hevc.mp4")
    async with station(url=server.url("/cam2")) as gate:
        status = await gate.until(lambda s: s.state == "live")
        assert status.codec == "hevc"


async def test_dead_server_heals_in_a_new_epoch(station, server):
    async with station(url=server.url("/cam1")) as gate:
        await gate.until(lambda s: s.state == "live")
        await server.stop()
        down = await gate.until(lambda s: s.state == "connecting" and s.error_code != "")
        assert down.error_code in {"camera_ended", "camera_refused", "camera_unreadable"}
        await gate.until(lambda s: s.error_code == "camera_refused")
        await server.start()
        up = await gate.until(lambda s: s.state == "live")
        assert up.epoch >= 2
        assert up.reconnects == up.epoch - 1
        assert up.blind_s > 0
        await asyncio.sleep(0.3)
        epochs = [frame.epoch for frame in gate.frames]
        assert epochs == sorted(epochs)
        assert epochs[-1] == up.epoch


async def test_frozen_server_is_replaced(station, server):
    async with station(url=server.url("/cam1"), **SOON) as gate:
        await gate.until(lambda s: s.state == "live")
        server.freeze("/cam1")
        await gate.until(lambda s: s.state == "stalled")
        assert (await gate.until(lambda s: s.epoch >= 2)).error_code == "camera_stalled"
        server.thaw("/cam1")
        await gate.until(lambda s: s.state == "live" and s.epoch >= 2)


async def test_changed_resolution_heals(station, server, clips):
    async with station(url=server.url("/cam1"), **SOON) as gate:
        await gate.until(lambda s: s.state == "live")
        server.swap("/cam1", clips / "large.mp4")
        await gate.until(lambda s: s.width == 640 and s.state == "live")
        await asyncio.sleep(0.3)
        assert gate.frames[-1].pixels.shape == (720, 640)


async def test_killed_child_is_replaced(station, server):
    async with station(url=server.url("/cam1")) as gate:
        await gate.until(lambda s: s.state == "live")
        os.kill(gate.keeper.child_pid, signal.SIGKILL)
        status = await gate.until(lambda s: s.epoch >= 2 and s.state == "live")
        assert status.error_code == "camera_child_died"


async def test_stopped_child_is_replaced(station, server):
    """A decoder that hangs says nothing at all."""
    async with station(url=server.url("/cam1"), stall_s=2.0) as gate:
        await gate.until(lambda s: s.state == "live")
        os.kill(gate.keeper.child_pid, signal.SIGSTOP)
        status = await gate.until(lambda s: s.epoch >= 2 and s.state == "live")
        assert (status.error_code, status.error_message) == (
            "camera_child_died", "the capture process went silent",
        )  # fmt: skip


async def test_hostile_packets_kill_nobody_for_long(station, server):
    """Wrong bytes in every third packet, headers and parameter sets too; then a clean stream."""
    async with station(url=server.url("/cam1"), **SOON) as gate:
        await gate.until(lambda s: s.state == "live")
        server.damage("/cam1", 0.3)
        await asyncio.sleep(4)
        assert gate.keeper.status.state != "stopped"
        server.damage("/cam1", 0.0)
        before = gate.keeper.status.frames
        await gate.until(lambda s: s.state == "live" and s.frames > before + 25)
        assert gate.reader.forged == 0


async def test_a_camera_gone_for_long_is_back_within_seconds(slot, bell, server):
    """The wait has grown to 30 s, but the door is watched."""
    async with Station(slot, bell, url=server.url("/cam1")) as gate:
        await gate.until(lambda s: s.state == "live")
        gate.keeper._backoff._uniform = lambda _low, _high: 30.0
        await server.stop()
        await gate.until(lambda s: s.error_code != "")
        await asyncio.sleep(0.5)
        epoch = gate.keeper.status.epoch
        await server.start()
        began = time.monotonic()
        assert (await gate.until(lambda s: s.state == "live", 25)).epoch == epoch + 1
        assert time.monotonic() - began < 25


async def test_frozen_picture_is_flagged(station, server, clips):
    """Within ten seconds, which the trial ``camera-frozen`` measures on a machine of its own."""
    server.add("/still", clips / "still.mp4")
    async with station(url=server.url("/still")) as gate:
        await gate.until(lambda s: s.state == "live")
        await gate.until(lambda s: s.frozen)
        server.swap("/still", clips / "h264.mp4")
        await gate.until(lambda s: not s.frozen)


async def test_grace_then_waiting(station, server):
    await server.stop()
    began = time.monotonic()
    async with station(url=server.url("/cam1"), grace_s=4.0) as gate:
        await gate.until(lambda s: s.error_code == "camera_refused")
        assert (await gate.until(lambda s: s.state == "waiting")).overdue
        assert time.monotonic() - began >= 4.0
        assert {s.overdue for s in gate.statuses if s.state == "connecting"} == {False}
        await server.start()
        assert not (await gate.until(lambda s: s.state == "live")).overdue


def variants(password: str) -> list[str]:
    return [password, quote(password, safe=""), json.dumps(password)[1:-1]]


async def test_right_password_and_nothing_of_it_in_proc(station, locked_server, password_file):
    path = password_file(PASSWORD)
    async with station(url=locked_server.url("/cam1"), username=USER, password_file=path) as gate:
        await gate.until(lambda s: s.state == "live")
        child = Path(f"/proc/{gate.keeper.child_pid}")
        seen = (child / "cmdline").read_bytes()
        with contextlib.suppress(PermissionError):  # not dumpable: only root may look at all
            seen += (child / "environ").read_bytes()
        assert b"lfr_edge.capture.child" in seen
        for text in variants(PASSWORD):
            assert text.encode() not in seen


@pytest.mark.parametrize("auth", ["digest", "basic"])
async def test_wrong_password_is_said_without_it(station, clips, password_file, auth):
    server = RtspServer(credentials=(USER, PASSWORD), auth=auth)
    await server.start()
    server.add("/cam1", clips / "h264.mp4")
    wrong = "wr@ng:s/ecret%"
    path = password_file(wrong)
    async with station(url=server.url("/cam1"), username=USER, password_file=path) as gate:
        status = await gate.until(lambda s: s.error_code != "")
        assert status.error_code == "camera_auth_refused"
        everything = repr(gate.statuses) + repr(gate.settings)
        for text in (*variants(wrong), *variants(PASSWORD)):
            assert text not in everything
    await server.stop()


async def test_missing_path_and_missing_password_file(station, server, tmp_path):
    async with station(url=server.url("/nowhere")) as gate:
        assert (await gate.until(lambda s: s.error_code != "")).error_code == "camera_not_found"
    async with station(url=server.url("/cam1"), password_file=tmp_path / "absent") as gate:
        assert (await gate.until(lambda s: s.error_code != "")).error_code == "camera_password_unreadable"


async def test_recording_at_full_speed_loses_nothing(station, clips):
    async with station(url=str(clips / "h264.mp4"), realtime=False) as gate:
        status = await gate.until(lambda s: s.state == "ended")
        assert status.frames == 50
        assert [frame.sequence for frame in gate.frames] == list(range(1, 51))
        assert gate.reader.dropped == 0
        brightness = [int(frame.pixels[100, 100]) for frame in gate.frames]
        assert all(abs(seen - (20 + 4 * n % 200)) <= 3 for n, seen in enumerate(brightness))
        steps = {
            round((b.captured_ns - a.captured_ns) / 1e6)
            for a, b in zip(gate.frames, gate.frames[1:], strict=False)
        }
        assert steps == {40}  # the recording's own time
        await asyncio.sleep(0.5)
        assert gate.keeper.status.epoch == 1


async def test_control_without_the_wait_frames_are_lost(station, clips, monkeypatch):
    """Positive control of the test above: at real-time pace nobody waits for a slow taker."""
    async with station(url=str(clips / "h264.mp4")) as gate:
        honest = gate.reader.take

        def slow(after):
            time.sleep(0.15)
            return honest(after)

        gate.reader.take = slow
        await gate.until(lambda s: s.state == "ended")
        await asyncio.sleep(0.3)
        assert gate.reader.dropped > 10


async def test_looping_recording_keeps_its_epoch(station, tmp_path):
    clip = encode(tmp_path / "short.mp4", frames=10)
    async with station(url=str(clip), realtime=False, loop=True) as gate:
        await gate.until(lambda s: s.frames > 35)
        assert {frame.epoch for frame in gate.frames} == {1}
        sequences = [frame.sequence for frame in gate.frames]
        assert sequences == list(range(1, len(sequences) + 1))
        stamps = [frame.captured_ns for frame in gate.frames]
        assert stamps == sorted(stamps)


async def test_recording_with_another_codec_is_refused(station, clips):
    async with station(url=str(clips / "mpeg4.mp4")) as gate:
        status = await gate.until(lambda s: s.error_code != "")
        assert status.error_code == "camera_codec_unsupported"


async def test_too_large_a_picture_is_said(bell, clips):
    from lfr_edge.capture.slot import FrameSlot

    small = FrameSlot.create(160, 120)
    async with Station(small, bell, url=str(clips / "h264.mp4")) as gate:
        assert (await gate.until(lambda s: s.error_code != "")).error_code == "camera_too_large"
    small.close()


def test_backoff_doubles_to_thirty_and_resets():
    backoff = Backoff(lambda low, high: (low + high) / 2)
    assert [backoff.next_s() for _ in range(8)] == [*BACKOFF_S, 30.0, 30.0]
    backoff.reset()
    assert backoff.next_s() == 1.0
    assert backoff.next_s("camera_auth_refused") == 30.0
    assert 0.8 <= Backoff().next_s() <= 1.2


def test_a_child_that_died_is_replaced_at_once_and_a_second_one_is_not():
    """It is not the camera's fault; and one that dies again and again must not keep a camera dead."""
    backoff = Backoff(lambda low, high: (low + high) / 2)
    assert [backoff.next_s("camera_child_died") for _ in range(3)] == [0.0, 2.0, 4.0]
    backoff.reset()
    assert [backoff.next_s(), backoff.next_s("camera_child_died")] == [1.0, 2.0]


@pytest.mark.parametrize("moment", range(5))
async def test_a_watch_at_the_door_ends_in_the_moment_of_a_refusal(monkeypatch, moment):
    """asyncio.wait_for of Python 3.11 lost such a cancellation: a keeper never stopped."""
    refused = asyncio.get_running_loop().create_future()

    async def connect(*_):
        await refused

    monkeypatch.setattr(asyncio, "open_connection", connect)
    watch = asyncio.create_task(door_opens(("127.0.0.1", 1)))
    for _ in range(3):
        await asyncio.sleep(0)
    refused.set_exception(ConnectionRefusedError())
    for _ in range(moment):
        await asyncio.sleep(0)
    watch.cancel()
    await asyncio.wait([watch], timeout=10)
    assert watch.cancelled()


async def test_door_opens_only_after_it_was_shut(server):
    endpoint = ("127.0.0.1", server.port)
    looks = 0

    async def pause(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            await server.stop()
        if looks == 4:
            await server.start()
        await asyncio.sleep(0.01)

    await asyncio.wait_for(door_opens(endpoint, pause=pause), 30)
    assert looks >= 4


class Silent:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.beats: list[object] = []

    def confined(self, missing: tuple[str, ...]) -> None: ...

    def opened(self, codec: str, width: int, height: int) -> None: ...

    def progress(self, beat: object) -> None:
        self.beats.append(beat)

    def live_for(self, seconds: float) -> None: ...

    def stalled(self) -> None: ...


REFUSED = {"english": "10.0.0.5:554 refuses the connection", "pattern": "{place} refuses the connection",
           "values": {"place": "10.0.0.5:554"}}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "welsh", "code"),
    [
        (REFUSED, "mae 10.0.0.5:554 yn gwrthod y cysylltiad", "camera_refused"),
        ("no words of ours", "no words of ours", "camera_refused"),
        (REFUSED | {"values": {"place": "10.0.0.6:554"}}, REFUSED["english"], "camera_refused"),
        (REFUSED | {"values": {}}, REFUSED["english"], "camera_refused"),
        (REFUSED | {"pattern": "{place.__class__} refuses"}, REFUSED["english"], "camera_refused"),
        ({"english": "x\x1b[2J", "pattern": "{a}", "values": {"a": "x\x1b[2J"}}, "x[2J", "camera_refused"),
        ({"english": "3 x", "pattern": "{a:.0f} x", "values": {"a": "3"}}, "3 x", "camera_refused"),
    ],
)
async def test_what_a_child_says_can_be_said_in_welsh_and_does_no_harm(message, welsh, code):
    ended = {"kind": "ended", "code": code, "message": message, "hint": "", "complete": True}
    child = await asyncio.create_subprocess_exec("sleep", "30")
    read, write = os.pipe()
    os.write(write, json.dumps(ended).encode() + b"\n")
    os.close(write)
    watch = Watch(Silent(), CameraSettings(id="gate", url="rtsp://x/"), SystemClock(), child, live=True)
    child.kill()
    failure = await watch.until_end(read, asyncio.Event())
    assert failure.code == code
    assert failure.message.isprintable()
    assert Sayings("cy")(failure.message, failure.code).text == welsh
    await child.wait()


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b'{"kind": "heartbeat", "frames": -1}\n',
        b'{"kind": "heartbeat", "frames": 1e400}\n',
        b'{"kind": "ended", "code": "NO CODE", "message": "x", "hint": "", "complete": true}\n',
        b'{"kind": "ended", "code": 7}\n',
        b'{"kind": "ended", "code": "x", "message": {"english": "x"}, "hint": "", "complete": true}\n',
        b'{"kind": "opened", "codec": "h264", "width": 99999999999999999999999, "height": 1}\n',
        b'{"kind": "opened", "codec": ["h264"], "width": 9, "height": 1}\n',
        b'{"kind": "' + b"x" * 200_000 + b'"}\n',
        b"\xff\xfe\n",
    ],
)
async def test_a_hijacked_child_cannot_confuse_the_desk(line):
    child = await asyncio.create_subprocess_exec("sleep", "30")
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.write(write, line[:60_000])
    watch = Watch(Silent(), CameraSettings(id="gate", url="rtsp://x/"), SystemClock(), child, live=True)
    ending = asyncio.create_task(watch.until_end(read, asyncio.Event()))
    for start in range(60_000, len(line), 60_000):
        await asyncio.sleep(0.05)
        with contextlib.suppress(BrokenPipeError):  # it has hung up already
            os.write(write, line[start : start + 60_000])
    failure = await asyncio.wait_for(ending, 30)
    assert failure.code == "camera_child_broken"
    os.close(write)
    child.kill()
    await child.wait()
