"""The reader in this process, against the real server: every failure has its code and no credentials."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
import socket
import ssl
import time
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import pytest
from av import error as av_error
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lfr_edge.capture import child
from lfr_edge.capture.faults import opening_error, reading_error
from lfr_edge.capture.order import Order
from lfr_edge.capture.picture import Picture
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.slot import FrameReader
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import SystemClock
from lfr_edge.demo.rtsp_server import RtspServer
from lfr_edge.errors import CameraError
from tests.capture.conftest import PASSWORD, USER, encode
from tests.waiting import until

CLOCK = SystemClock()


def live(url: str, **fields) -> SourceSpec:
    return SourceSpec(
        **{"kind": "rtsp", "url": url, "open_timeout_s": 10.0, "read_timeout_s": 10.0, **fields}
    )


Described: TypeAlias = tuple[int, int, int, int, int]


async def read(spec: SourceSpec, count: int, seen: list[Described] | None = None) -> list[Described]:
    """(width, height, luma, captured_ns, captured_wall_ns) of `count` pictures, read in a thread; `seen` grows with
    each."""
    taken: list[Described] = [] if seen is None else seen

    def work():
        with open_reader(spec, CLOCK) as reader:
            taken.extend(describe(picture) for picture in itertools.islice(reader.pictures(), count))

    await asyncio.to_thread(work)
    return taken


def describe(picture: Picture) -> Described:
    height, width = picture.y.shape
    return (
        width,
        height,
        int(picture.y[height // 2, width // 2]),
        picture.captured_ns,
        picture.captured_wall_ns,
    )


async def refusal(spec: SourceSpec, seen: list[Described] | None = None) -> CameraError:
    with pytest.raises(CameraError) as caught:
        await read(spec, 1_000, seen)
    text = caught.value.diagnostics()
    assert PASSWORD not in text
    assert (spec.password or "\0") not in text
    return caught.value


async def test_times_follow_the_cameras_clock(server):
    seen = await read(live(server.url("/cam1")), 40)
    stamps, walls = [item[3] for item in seen], [item[4] for item in seen]
    assert stamps == sorted(stamps)
    steps = np.diff(np.array(walls[10:])) / 1e6
    assert abs(float(np.median(steps)) - 40) < 2
    assert abs(walls[-1] - time.time_ns()) < 5e9


@pytest.mark.parametrize("auth", ["digest", "basic"])
async def test_sign_in(clips, auth):
    server = RtspServer(credentials=(USER, PASSWORD), auth=auth)
    await server.start()
    server.add("/cam1", clips / "h264.mp4")
    assert len(await read(live(server.url("/cam1"), username=USER, password=PASSWORD), 3)) == 3
    for user, password in ((USER, "wrong secret"), ("wrong user", PASSWORD), (None, None)):
        assert (
            await refusal(live(server.url("/cam1"), username=user, password=password))
        ).code == "camera_auth_refused"
    await server.stop()


async def test_refused_missing_and_unknown(server):
    assert (
        await refusal(live(server.url("/other"), username=USER, password=PASSWORD))
    ).code == "camera_not_found"
    assert (await refusal(live("rtsp://no-such-host.invalid/x"))).code == "camera_unknown_host"
    await server.stop()
    assert (
        await refusal(live(server.url("/cam1"), username=USER, password=PASSWORD))
    ).code == "camera_refused"


async def test_silent_server_times_out():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/x"
        assert (
            await refusal(live(url, open_timeout_s=0.5, username=USER, password=PASSWORD))
        ).code == "camera_timeout"


async def test_dying_server_is_an_error_not_an_end(server):
    seen: list[Described] = []

    async def die() -> None:
        await until(lambda: len(seen) > 5)
        await server.stop()

    failure, _ = await asyncio.gather(refusal(live(server.url("/cam1")), seen), die())
    assert failure.code == "camera_ended"


async def test_frozen_server_times_out(server):
    seen: list[Described] = []

    async def freeze() -> None:
        await until(lambda: len(seen) > 5)
        server.freeze("/cam1")

    spec = live(server.url("/cam1"), read_timeout_s=2.0)
    failure, _ = await asyncio.gather(refusal(spec, seen), freeze())
    assert failure.code in {"camera_timeout", "camera_ended"}


async def test_not_rtsp_at_all():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        writer.close()

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    failure = await refusal(live(f"rtsp://127.0.0.1:{web.sockets[0].getsockname()[1]}/x"))
    assert failure.code in {"camera_unreadable", "camera_refused"}
    web.close()


# --- TLS ---------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str, *, host: str = "127.0.0.1", issuer=None):
    """(certificate, key), written to NAME.pem and NAME.key; self-signed authority without `issuer`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signer_key = issuer or (None, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if signer is None else signer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
        )
    )
    made = builder.sign(signer_key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return made, key


async def tls_server(folder: Path, clip: Path, name: str) -> RtspServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    server = RtspServer(credentials=(USER, PASSWORD), ssl=context)
    await server.start()
    server.add("/cam1", clip)
    return server


async def test_rtsps_trusts_only_the_configured_authority(tmp_path, clips):
    authority = certificate(tmp_path, "authority")
    certificate(tmp_path, "stranger")
    certificate(tmp_path, "camera", issuer=authority)
    server = await tls_server(tmp_path, clips / "h264.mp4", "camera")
    url = server.url("/cam1")
    assert url.startswith("rtsps://")
    right = live(url, username=USER, password=PASSWORD, ca_file=str(tmp_path / "authority.pem"))
    assert len(await read(right, 3)) == 3
    for ca_file in (str(tmp_path / "stranger.pem"), None):
        spec = live(url, username=USER, password=PASSWORD, ca_file=ca_file)
        assert (await refusal(spec)).code == "camera_tls_untrusted"
    await server.stop()


async def test_rtsps_checks_whose_certificate_it_is(tmp_path, clips):
    authority = certificate(tmp_path, "authority")
    certificate(tmp_path, "camera", issuer=authority, host="10.9.9.9")
    server = await tls_server(tmp_path, clips / "h264.mp4", "camera")
    spec = live(
        server.url("/cam1"), username=USER, password=PASSWORD, ca_file=str(tmp_path / "authority.pem")
    )
    assert (await refusal(spec)).code == "camera_tls_untrusted"
    await server.stop()


async def test_rtsps_from_a_confined_child(tmp_path, clips, slot, bell):
    from lfr_edge.capture.keeper import CameraKeeper
    from lfr_edge.settings import CameraSettings

    authority = certificate(tmp_path, "authority")
    certificate(tmp_path, "camera", issuer=authority)
    server = await tls_server(tmp_path, clips / "h264.mp4", "camera")
    (tmp_path / "pw").write_text(PASSWORD)
    settings = CameraSettings(
        id="gate",
        url=server.url("/cam1"),
        username=USER,
        password_file=tmp_path / "pw",
        ca_file=tmp_path / "authority.pem",
    )
    keeper = CameraKeeper(settings, slot, bell[1], CLOCK)
    await keeper.start()
    for _ in range(800):
        if keeper.status.state == "live" or keeper.status.error_code:
            break
        await asyncio.sleep(0.05)
    assert keeper.status.state == "live", keeper.status
    await keeper.stop()
    await server.stop()


# --- recordings --------------------------------------------------------------------------------------------------


def recorded(path: Path, **fields) -> SourceSpec:
    return SourceSpec(
        **{"kind": "images" if path.is_dir() else "file", "url": str(path), "realtime": False, **fields}
    )


async def test_recording_at_its_own_pace(tmp_path):
    clip = encode(tmp_path / "clip.mp4", frames=20)
    began = time.monotonic()
    seen = await read(recorded(clip, realtime=True), 100)
    assert len(seen) == 20
    assert time.monotonic() - began > 0.7


async def test_images_in_order_of_names_at_any_size(tmp_path):
    for number, size in enumerate([(64, 48), (65, 49), (64, 48)]):
        pixels = np.full((size[1], size[0], 3), 40 + 60 * number, np.uint8)
        with av.open(
            str(tmp_path / f"{number:02}.jpg"), "w", format="image2", options={"update": "1"}
        ) as out:
            stream = out.add_stream("mjpeg", rate=1)
            stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuvj420p"
            for packet in (
                *stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")),
                *stream.encode(),
            ):
                out.mux(packet)
    (tmp_path / "05.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("ignored")
    seen = await read(recorded(tmp_path), 100)
    assert [item[:2] for item in seen] == [(64, 48), (64, 48), (64, 48)]
    # full range in, video range out: 16 + 219 / 255 of the grey
    assert all(abs(item[2] - (16 + (40 + 60 * n) * 219 / 255)) < 4 for n, item in enumerate(seen))
    assert len(await read(recorded(tmp_path, loop=True), 10)) == 10
    assert len(await read(recorded(tmp_path, realtime=True), 10)) == 3


async def test_unusable_recordings(tmp_path, clips):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (await refusal(recorded(empty))).code == "camera_not_found"
    (empty / "a.png").write_bytes(b"no picture")
    assert (await refusal(recorded(empty))).code == "camera_unreadable"
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"\0" * 4096)
    assert (await refusal(recorded(junk))).code == "camera_unreadable"
    assert (await refusal(recorded(tmp_path / "absent.mp4"))).code == "camera_not_found"
    assert (await refusal(recorded(clips / "mpeg4.mp4"))).code == "camera_codec_unsupported"
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode()):
            out.mux(packet)
    assert (await refusal(recorded(sound))).code in {"camera_unreadable", "camera_codec_unsupported"}


async def test_a_playlist_cannot_reach_other_files(tmp_path, clips):
    """FFmpeg would follow a concat list or an HLS playlist anywhere; the whitelist must not."""
    for name, text in (
        ("list.mp4", f"ffconcat version 1.0\nfile '{clips / 'h264.mp4'}'\n"),
        ("hls.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clips / 'h264.mp4'}\n#EXT-X-ENDLIST\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        assert (await refusal(recorded(path))).code.startswith("camera_")


async def test_damaged_pictures_are_counted_not_fatal(tmp_path, clips):
    damaged = bytearray((clips / "h264.mp4").read_bytes())
    start = damaged.index(b"mdat") + 2_000
    for at in range(start, min(start + 6_000, len(damaged)), 37):
        damaged[at] ^= 0xFF
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)

    def work() -> tuple[int, int]:
        with open_reader(recorded(path), CLOCK) as reader:
            return sum(1 for _ in reader.pictures()), reader.decode_errors

    pictures, errors = await asyncio.to_thread(work)
    assert pictures + errors >= 25


# --- the child's loop, in this process so that its coverage counts --------------------------------------------------


async def test_child_run_reports_and_publishes(clips, slot, bell):
    import json
    import os

    status_read, status_write = os.pipe()
    order = Order(recorded(clips / "h264.mp4", realtime=True), 7, slot.fd, bell[1], status_write)
    await asyncio.to_thread(child.run, order, child.StatusPipe(status_write), CLOCK)
    os.close(status_write)
    with os.fdopen(status_read) as pipe:
        messages = [json.loads(line) for line in pipe]
    assert messages[0]["kind"] == "opened"
    assert messages[-1] == {
        "kind": "ended", "code": "camera_ended", "message": "the recording has ended", "hint": "", "complete": True
    }  # fmt: skip
    beats = [message for message in messages if message["kind"] == "heartbeat"]
    assert len(beats) >= 3
    assert beats[-1]["frames"] == 50
    reader = FrameReader(slot.fd, "gate")
    frame = reader.take((0, 0))
    assert (frame.epoch, frame.sequence) == (7, 50)
    reader.close()


# --- the table of faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (av_error.ConnectionResetError(104, "x"), "camera_refused"),
        (av_error.OSError(113, "No route to host"), "camera_unreachable"),
        (av_error.OSError(5, "Input/output error", "rtsps://u:hunter2@h/x"), "camera_tls_untrusted"),
        (av_error.ExitError(1, "x"), "camera_timeout"),
        (av_error.HTTPForbiddenError(1, "x"), "camera_auth_refused"),
        (av_error.HTTPBadRequestError(1, "x"), "camera_unreadable"),
        (av_error.InvalidDataError(1, "x"), "camera_unreadable"),
        (av_error.UnknownError(1, "rtsps://u:hunter2@h/x failed"), "camera_unreadable"),
    ],
)
def test_opening_faults(error, code):
    spec = live("rtsps://h/x", username="u", password="hunter2")
    made = opening_error(error, spec, 0.0)
    assert made.code == code
    assert "hunter2" not in made.diagnostics()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (av_error.TimeoutError(110, "x"), "camera_timeout"),
        (av_error.BrokenPipeError(32, "x"), "camera_ended"),
        (av_error.EOFError(1, "x"), "camera_ended"),
        (av_error.InvalidDataError(1, "rtsp://u:hunter2@h/x"), "camera_unreadable"),
    ],
)
def test_reading_faults(error, code):
    made = reading_error(error, live("rtsp://h/x", username="u", password="hunter2"))
    assert made.code == code
    assert "hunter2" not in made.diagnostics()
