"""The demo's RTSP server: real clients play from it, and it fails when asked to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.demo import rtp, rtsp_server
from lfr_edge.demo.rtp import AccessUnit, load_clip, sender_report
from lfr_edge.demo.rtsp_auth import Auth
from lfr_edge.demo.rtsp_server import RtspServer
from lfr_edge.errors import CameraError
from tests.capture.conftest import encode
from tests.waiting import until


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    encode(folder / "h264.mp4", frames=25)
    encode(folder / "hevc.mp4", codec="libx265", frames=25)
    encode(folder / "large.mp4", width=640, height=480, frames=25)
    encode(folder / "mpeg4.mp4", codec="mpeg4", frames=3)
    return folder


@pytest.fixture
async def server(clips):
    server = RtspServer()
    await server.start()
    server.add("/cam1", clips / "h264.mp4")
    yield server
    await server.stop()


Seen = list[tuple[int | None, int, int]]  # (pts, width, brightness) of each picture


def play(url: str, count: int, transport: str = "tcp") -> Seen:
    """`count` pictures."""
    return play_until(url, [], lambda seen: len(seen) == count, transport)


def play_until(url: str, seen: Seen, enough: Callable[[Seen], bool], transport: str = "tcp") -> Seen:
    """Pictures are added to `seen` as they come, until they are enough."""
    with av.open(url, options={"rtsp_transport": transport}, timeout=(5, 3)) as container:
        for frame in container.decode(video=0):
            seen.append((frame.pts, frame.width, frame.to_ndarray()[100, 100]))
            if enough(seen):
                break
    return seen


@pytest.mark.parametrize(("name", "transport"), [("h264", "tcp"), ("hevc", "tcp"), ("h264", "udp")])
async def test_loops_without_a_step_back(server, clips, name, transport):
    server.add("/it", clips / f"{name}.mp4")
    seen = await asyncio.to_thread(play, server.url("/it"), 60, transport)
    stamps = [pts for pts, _, _ in seen if pts is not None]
    assert len(stamps) > 50
    assert {b - a for a, b in itertools.pairwise(stamps)} == {3600}  # 40 ms, over the seam too
    assert len({int(luma) for _, _, luma in seen}) > 20


async def test_opencv_plays(server):
    def work() -> list[bool]:
        capture = cv2.VideoCapture(server.url("/cam1"), cv2.CAP_FFMPEG)
        answers = [capture.read()[0] for _ in range(5)]
        capture.release()
        return answers

    assert all(await asyncio.to_thread(work))


async def test_full_speed_and_end(server, clips):
    server.add("/once", clips / "h264.mp4", loop=False, realtime=False)
    began = time.monotonic()
    seen = await asyncio.to_thread(play, server.url("/once"), 1000)
    assert len(seen) == 25
    assert time.monotonic() - began < 5


async def test_two_clients_see_the_same_moment(server):
    first, second = [], []

    def both(_: Seen) -> bool:  # whoever comes first stays until the other one has seen as much
        return min(len(first), len(second)) >= 30

    await asyncio.gather(
        *(asyncio.to_thread(play_until, server.url("/cam1"), seen, both) for seen in (first, second))
    )
    assert {pts for pts, _, _ in first} & {pts for pts, _, _ in second}


async def test_kill_and_restart_on_the_same_port(server):
    port = server.port
    assert await asyncio.to_thread(play, server.url("/cam1"), 3)
    await server.stop()
    with pytest.raises(av.error.ConnectionRefusedError):
        await asyncio.to_thread(play, server.url("/cam1"), 3)
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(("127.0.0.1", port))  # another process that was given a released port
    await server.start()
    assert server.port == port
    assert await asyncio.to_thread(play, server.url("/cam1"), 3)


async def test_swap_changes_the_size_of_those_connected(server, clips):
    seen: Seen = []
    large = lambda seen: seen[-1][1] == 640 or len(seen) == 250  # noqa: E731  # ten seconds of it
    playing = asyncio.create_task(asyncio.to_thread(play_until, server.url("/cam1"), seen, large))
    await until(lambda: len(seen) > 10 or playing.done(), what="somebody is connected")
    server.swap("/cam1", clips / "large.mp4")
    widths = [width for _, width, _ in await playing]
    assert set(widths) == {320, 640}


async def request(server: RtspServer, *lines: str, more: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write("\r\n".join((*lines, "", "")).encode() + more)
    answer = b""
    try:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        if length := int(
            dict(line.split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])[b"Content-Length"]
        ):
            answer += await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        answer = error.partial
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("OPTIONS * RTSP/1.0", b"200"),
        ("GET_PARAMETER rtsp://h/cam1 RTSP/1.0", b"200"),
        ("DESCRIBE rtsp://h/none RTSP/1.0", b"404"),
        ("SETUP rtsp://h/none/track RTSP/1.0", b"404"),
        ("SETUP rtsp://h/cam1/track RTSP/1.0", b"461"),
        ("PLAY rtsp://h/cam1 RTSP/1.0", b"455"),
        ("RECORD rtsp://h/cam1 RTSP/1.0", b"405"),
        ("TEARDOWN rtsp://h/cam1 RTSP/1.0", b"200"),
    ],
)
async def test_answers(server, line, status):
    assert (await request(server, line, "CSeq: 7")).startswith(b"RTSP/1.0 " + status)


async def test_nonsense_ends_the_connection_and_nothing_else(server):
    for lines in (["nonsense"], ["OPTIONS * RTSP/1.0", "Content-Length: many"], ["x" * 40_000]):
        assert await request(server, *lines) == b""
    assert (await request(server, "OPTIONS * RTSP/1.0")).startswith(b"RTSP/1.0 200")


async def test_description_names_the_codec(server, clips):
    server.add("/h", clips / "hevc.mp4")
    assert b"H264/90000" in await request(server, "DESCRIBE rtsp://h/cam1 RTSP/1.0", "CSeq: 1")
    text = await request(server, "DESCRIBE rtsp://h/h RTSP/1.0", "CSeq: 1")
    assert all(name in text for name in (b"H265/90000", b"sprop-vps", b"sprop-sps", b"sprop-pps"))


async def test_sign_in_is_required(clips):
    server = RtspServer(credentials=("u", "p"), auth="basic")
    await server.start()
    server.add("/cam1", clips / "h264.mp4")
    assert (await request(server, "DESCRIBE rtsp://h/cam1 RTSP/1.0")).startswith(b"RTSP/1.0 401")
    right = base64.b64encode(b"u:p").decode()
    line = "DESCRIBE rtsp://h/cam1 RTSP/1.0"
    assert (await request(server, line, f"Authorization: Basic {right}")).startswith(b"RTSP/1.0 200")
    for wrong in ("Basic !", "Basic " + base64.b64encode(b"u:q").decode(), "Digest x"):
        assert (await request(server, line, f"Authorization: {wrong}")).startswith(b"RTSP/1.0 401")
    await server.stop()


def test_digest_by_hand():
    """RFC 2617 §3.2.2 with and without qop, computed here in full."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    auth = Auth("digest", ("u", "p"))
    whole, request_hash = md5("u:lfr-edge:p"), md5("DESCRIBE:rtsp://h/x")
    head = 'Digest username="u", realm="lfr-edge", nonce="n", uri="rtsp://h/x"'
    plain = md5(f"{whole}:n:{request_hash}")
    assert auth.accepts("DESCRIBE", f'{head}, response="{plain}"', "n")
    assert not auth.accepts("DESCRIBE", f'{head}, response="{plain}"', "other")
    assert not auth.accepts("SETUP", f'{head}, response="{plain}"', "n")
    quality = md5(f"{whole}:n:00000001:c:auth:{request_hash}")
    assert auth.accepts("DESCRIBE", f'{head}, qop=auth, nc=00000001, cnonce="c", response="{quality}"', "n")
    assert "p" not in repr(auth).replace("scheme", "").replace("digest", "")


@given(st.binary(min_size=rtp.MAX_PAYLOAD + 1, max_size=6_000), st.sampled_from(["h264", "hevc"]))
def test_fragments_put_together_are_the_unit(unit, codec):
    """A plain reassembly of RFC 6184 §5.8 and RFC 7798 §4.4.3."""
    clip = rtp.Clip(codec, 1, 1, (b"\x67x", b"\x68x"), (), 0)
    pieces = list(clip.payloads(AccessUnit((unit,), 0, 0, keyframe=False)))
    assert all(len(piece) <= rtp.MAX_PAYLOAD for piece in pieces)
    if codec == "h264":
        assert all(piece[0] & 31 == 28 for piece in pieces)
        rebuilt = bytes((pieces[0][0] & 0xE0 | pieces[0][1] & 31,)) + b"".join(piece[2:] for piece in pieces)
        flags = [piece[1] >> 6 for piece in pieces]
    else:
        assert all(piece[0] >> 1 & 63 == 49 for piece in pieces)
        first = pieces[0]
        rebuilt = bytes((first[0] & 0x81 | (first[2] & 63) << 1, first[1])) + b"".join(
            piece[3:] for piece in pieces
        )
        flags = [piece[2] >> 6 for piece in pieces]
    assert rebuilt == unit
    assert flags == [2, *[0] * (len(pieces) - 2), 1]


def test_keyframes_carry_parameter_sets(clips):
    clip = load_clip(clips / "h264.mp4")
    bare = AccessUnit((b"\x65frame",), 0, 0, keyframe=True)
    assert tuple(clip.payloads(bare))[: len(clip.parameters)] == clip.parameters
    assert (clip.codec, clip.width, clip.height, len(clip.pictures)) == ("h264", 320, 240, 25)


def test_sender_report_ties_the_clocks():
    fields = struct.unpack(">BBHIIIIII", sender_report(7, 1_500_000_000, 90_000, 3, 4))
    assert fields == (0x80, 200, 6, 7, 2_208_988_801, 1 << 31, 90_000, 3, 4)


def test_unusable_files_are_refused(tmp_path, clips):
    with pytest.raises(CameraError) as caught:
        load_clip(clips / "mpeg4.mp4")
    assert caught.value.code == "camera_codec_unsupported"
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    with pytest.raises(CameraError) as caught:
        load_clip(tmp_path / "junk.mp4")
    assert caught.value.code == "camera_unreadable"


def test_as_a_process_of_its_own(clips, tmp_path):
    (tmp_path / "pw").write_text("secret\n")
    files = [str(clips / "h264.mp4"), str(clips / "hevc.mp4")]
    command = [sys.executable, "-m", "lfr_edge.demo.rtsp_server", *files, "--username", "u"]
    process = subprocess.Popen(
        [*command, "--password-file", str(tmp_path / "pw")], stdout=subprocess.PIPE, text=True
    )
    urls = json.loads(process.stdout.readline())["urls"]
    assert len(urls) == 2
    for url in urls:
        assert play(url.replace("://", "://u:secret@"), 3)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


def test_it_ends_with_whoever_started_it(clips):
    command = [sys.executable, "-m", "lfr_edge.demo.rtsp_server", str(clips / "h264.mp4"), "--until-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["urls"]
    process.stdin.close()  # what the kernel does when the parent is killed
    assert process.wait(30) == 0
    process.stdout.close()


def test_command_line_faults(tmp_path, capsys):
    with pytest.raises(SystemExit):
        rtsp_server.main(["a.mp4", "--username", "u"])
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    assert rtsp_server.main([str(tmp_path / "junk.mp4")]) == 1
    assert "camera_unreadable" in capsys.readouterr().err
