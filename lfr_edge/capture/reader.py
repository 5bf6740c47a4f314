"""Pictures out of a camera, a file or a folder: the one module of the product that decodes (PyAV, FFmpeg inside).

Everything read here is hostile: only H.264 and H.265 are ever handed to a decoder (JPEG and PNG for a folder),
only the protocols of RTSP are spoken, and the process that runs this holds nothing worth stealing.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lfr_edge.capture.faults import ended, opening_error, reading_error
from lfr_edge.capture.hardware import nvdec, nvdec_fault
from lfr_edge.capture.picture import Picture, Reader, StreamInfo
from lfr_edge.capture.source import IMAGE_SUFFIXES, SourceSpec
from lfr_edge.clock import Clock
from lfr_edge.errors import CameraError
from lfr_edge.sentences import say

CODECS: Final = ("h264", "hevc")
IMAGE_FPS: Final = Fraction(25)  # FFmpeg's own default for a folder of images
_MAX_PIXELS: Final = 7680 * 4320  # 8K; FFmpeg refuses anything larger before it allocates
# First frame in 0.3 s instead of 2.5 s (platform.md §2.2). Not nobuffer: it throws away what was read while
# probing, which is the first keyframe.
_LOW_DELAY: Final = {"analyzeduration": "0", "probesize": "32", "flags": "low_delay"}
_BOUNDS: Final = {"max_pixels": str(_MAX_PIXELS), "codec_whitelist": ",".join(CODECS)}
# No playlists: HLS, DASH and concat would open whatever other file they name.
_CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,h264,hevc"
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
_TIMED_OUT: Final = av.error.TimeoutError(errno.ETIMEDOUT, "no packet in time")
_PAUSE_NS: Final = 300_000_000  # longer than the time between two pictures of any camera worth watching
_SANE_WALL_NS: Final = 946_684_800_000_000_000  # 2000-01-01: a camera whose clock was never set


def open_reader(spec: SourceSpec, clock: Clock) -> Reader:
    """Open the source.

    Raises:
        CameraError: ``camera_refused``, ``camera_auth_refused``, ``camera_not_found``, ``camera_timeout``,
            ``camera_tls_untrusted``, ``camera_codec_unsupported``, ``camera_unknown_host``, ``camera_unreadable``.
    """
    if spec.kind == "rtsp":
        return LiveReader(spec, clock)
    return FileReader(spec, clock) if spec.kind == "file" else ImagesReader(spec, clock)


class _Closing:
    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LiveReader(_Closing):
    """RTSP over TCP or UDP, with or without TLS."""

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self.decode_errors = 0
        _resolve(spec)
        self._container = _open(spec, spec.secret_url(), _live_options(spec), "rtsp")
        try:
            self._stream = _video(self._container)
        except CameraError:
            self._container.close()
            raise
        self.info = _info(self._stream, spec)

    def pictures(self) -> Iterator[Picture]:
        camera_times: dict[int, int] = {}  # of pictures that wait in the decoder, by timestamp
        try:
            asked_ns = self._clock.monotonic_ns()
            for packet in self._container.demux(self._stream):
                # With B pictures this is the packet that released the picture, not its own: times stay in order.
                received_ns, received_wall_ns = self._received(asked_ns)
                camera_ns = _camera_time(packet)
                if camera_ns is not None and packet.pts is not None:
                    camera_times[packet.pts] = camera_ns
                    if (
                        len(camera_times) > 64
                    ):  # more than any reorder depth: of pictures that were never shown
                        del camera_times[next(iter(camera_times))]
                for frame in self._decode(packet):
                    shown = -1 if frame.pts is None else frame.pts
                    yield _picture(frame, received_ns, camera_times.pop(shown, received_wall_ns))
                asked_ns = self._clock.monotonic_ns()
        except FFmpegError as error:
            raise reading_error(error, self._spec) from None
        # The demuxer just ends when the server dies (platform.md §2.3): for a live source that is a fault.
        raise ended(self._spec)

    def close(self) -> None:
        self._container.close()

    def _received(self, asked_ns: int) -> tuple[int, int]:
        """(monotonic, wall) time of the packet that came after a wait since `asked_ns`.

        FFmpeg holds each packet back until the next one begins: after a pause its packet is as old as the pause.
        When the read times out it gives out the packet it held, and reports the time-out after a second wait.

        Raises:
            CameraError: ``camera_timeout``.
        """
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        waited_ns = now_ns - asked_ns
        if waited_ns >= self._spec.read_timeout_s * 1e9:
            raise reading_error(_TIMED_OUT, self._spec)
        return (asked_ns, wall_ns - waited_ns) if waited_ns > _PAUSE_NS else (now_ns, wall_ns)

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except (av.error.InvalidDataError, av.error.PatchWelcomeError):
            self.decode_errors += 1
            return []


class FileReader(_Closing):
    """A recording, at its own pace or as fast as it is taken."""

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self.decode_errors = 0
        options = _BOUNDS | {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
        self._container = _open(spec, f"file:{spec.url}", options, None)
        try:
            self._stream = _video(self._container)
        except CameraError:
            self._container.close()
            raise
        self.info = _info(self._stream, spec)

    def pictures(self) -> Iterator[Picture]:
        pace = _Pace(self._clock, realtime=self._spec.realtime)
        step = 1 / self.info.fps if self.info.fps else float(1 / IMAGE_FPS)
        offset, first = 0.0, None
        while True:
            shown = 0.0
            for frame in self._frames():
                moment = frame.time if frame.time is not None else shown + step
                first = moment if first is None else first
                shown = max(0.0, moment - first)
                yield _picture(frame, *pace.wait(offset + shown))
            if not self._spec.loop:
                return
            offset += shown + step
            try:
                self._container.seek(0)
            except FFmpegError as error:
                raise reading_error(error, self._spec) from None

    def close(self) -> None:
        self._container.close()

    def _frames(self) -> Iterator[VideoFrame]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except (av.error.InvalidDataError, av.error.PatchWelcomeError):
                    self.decode_errors += 1
                except av.error.EOFError:
                    return
        except FFmpegError as error:
            raise reading_error(error, self._spec) from None


class ImagesReader(_Closing):
    """A folder of JPEG or PNG pictures, in the order of their names."""

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self.decode_errors = 0
        folder = Path(spec.url)
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not self._paths:
            raise CameraError(
                "camera_not_found",
                say("no JPEG or PNG in {name}", name=folder.name),
                hint="name a folder of .jpg or .png files",
            )
        first = self._decode(self._paths[0])
        if first is None:
            raise CameraError("camera_unreadable", say("{name} is no JPEG or PNG", name=self._paths[0].name))
        self.info = StreamInfo("images", first.width, first.height, float(IMAGE_FPS))
        self.decode_errors = 0

    def pictures(self) -> Iterator[Picture]:
        pace = _Pace(self._clock, realtime=self._spec.realtime)
        number = 0
        while True:
            for path in self._paths:
                frame = self._decode(path)
                if frame is not None:
                    yield _picture(frame, *pace.wait(float(number / IMAGE_FPS)))
                    number += 1
            if not self._spec.loop or not number:
                return

    def close(self) -> None:
        pass

    def _decode(self, path: Path) -> VideoFrame | None:
        options = {
            "protocol_whitelist": "file",
            "codec_whitelist": "mjpeg,png",
            "max_pixels": str(_MAX_PIXELS),
        }
        options["format_whitelist"] = "image2,jpeg_pipe,png_pipe"
        try:
            with av.open(f"file:{path}", options=options) as container:
                return next(container.decode(video=0))
        except (FFmpegError, StopIteration, IndexError):
            self.decode_errors += 1
            return None


class _Pace:
    """When a recorded picture is due, and the time it is stamped with."""

    def __init__(self, clock: Clock, *, realtime: bool) -> None:
        self._clock = clock
        self._realtime = realtime
        self._began_ns = clock.monotonic_ns()
        self._began_wall_ns = clock.wall_ns()

    def wait(self, moment_s: float) -> tuple[int, int]:
        """Wait until `moment_s` after the start (real time only); (captured_ns, captured_wall_ns)."""
        due_ns = int(moment_s * 1e9)
        if not self._realtime:
            return self._began_ns + due_ns, self._began_wall_ns + due_ns
        time.sleep(max(0.0, (self._began_ns + due_ns - self._clock.monotonic_ns()) / 1e9))
        return self._clock.monotonic_ns(), self._clock.wall_ns()


def _live_options(spec: SourceSpec) -> dict[str, str]:
    options = _LOW_DELAY | _BOUNDS
    options |= {"rtsp_transport": spec.transport, "protocol_whitelist": "rtp,tcp,udp,tls"}
    options["allowed_media_types"] = "video"
    if spec.url.startswith("rtsps:"):
        options["tls_verify"] = "1"  # FFmpeg's default is off
        if spec.ca_file is not None:
            options["ca_file"] = spec.ca_file
    return options


def _resolve(spec: SourceSpec) -> None:
    # FFmpeg reports a name that nobody knows as a bare input/output error.
    host, port = spec.endpoint
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise CameraError(
            "camera_unknown_host",
            say("no address is known for {host}", host=host),
            hint="check the camera's name, or use its IP",
        ) from None


def _open(
    spec: SourceSpec, url: str, options: dict[str, str], container_format: str | None
) -> InputContainer:
    began = time.monotonic()
    timeout = (spec.open_timeout_s, spec.read_timeout_s)
    try:
        # A camera may call itself what it likes, in any encoding: nobody reads it.
        return av.open(
            url,
            "r",
            format=container_format,
            options=options,
            timeout=timeout,
            metadata_errors="replace",
            hwaccel=nvdec()[0] if spec.decoder == "nvdec" else None,
        )
    except (FFmpegError, OSError, ValueError) as error:
        raise opening_error(error, spec, time.monotonic() - began) from None


def _video(container: InputContainer) -> VideoStream:
    if not container.streams.video:
        raise CameraError("camera_unreadable", "the source has no video", hint="check the path of the stream")
    stream = container.streams.video[0]
    name = stream.codec_context.name if stream.codec_context is not None else "unknown"
    if name not in CODECS:
        raise CameraError(
            "camera_codec_unsupported",
            say("the source sends {name}", name=name),
            hint="set the camera to H.264 or H.265",
        )
    stream.thread_type = "SLICE"  # frame threads would hold every picture back by one period
    return stream


def _info(stream: VideoStream, spec: SourceSpec) -> StreamInfo:
    rate = stream.average_rate or stream.guessed_rate
    fps = float(rate) if rate and rate < 1000 else 0.0
    codec = stream.codec_context.name
    if spec.decoder == "nvdec":
        # Shown wherever the codec is shown: nobody shall believe that a card decodes when it does not.
        taken = stream.codec_context.is_hwaccel
        codec += " by NVDEC" if taken else f", not by NVDEC: {nvdec_fault() or 'not this kind of stream'}"
    return StreamInfo(codec, stream.codec_context.width, stream.codec_context.height, fps)


def _camera_time(packet: Packet[VideoStream]) -> int | None:
    """The camera's own UTC (from RTCP) in nanoseconds, where it sent a sane one."""
    with suppress(FFmpegError, KeyError):
        if packet.has_sidedata("prft"):  # AVProducerReferenceTime: microseconds since 1970, int64
            wall_ns = int.from_bytes(bytes(packet.get_sidedata("prft"))[:8], "little", signed=True) * 1000
            return wall_ns if _SANE_WALL_NS < wall_ns < 1 << 62 else None
    return None


def _picture(frame: VideoFrame, captured_ns: int, captured_wall_ns: int) -> Picture:
    if frame.format.name != "yuv420p" or frame.color_range == _FULL_RANGE:
        # 10-bit, 4:2:2 or full range: the rest of the house counts on 8-bit 4:2:0 in video range.
        frame = frame.reformat(format="yuv420p", dst_color_range="MPEG")
    width, height = frame.width & ~1, frame.height & ~1
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in frame.planes
    )
    half = (height // 2, width // 2)
    return Picture(
        y[:height, :width],
        u[: half[0], : half[1]],
        v[: half[0], : half[1]],
        captured_ns,
        captured_wall_ns,
    )
