"""What a camera sends, measured before it is relied on, and what a face in its picture would measure.

The camera is opened exactly as in a deployment: in a confined child, through the slot.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.capture.keeper import CameraKeeper, CameraStatus
from lfr_edge.capture.slot import FrameReader, FrameSlot
from lfr_edge.clock import Clock
from lfr_edge.errors import CameraError
from lfr_edge.settings import CameraSettings

FACE_WIDTH_M: Final = 0.16  # head breadth with ears, adults, rounded (ISO/TR 7250-2: 152-159 mm)
EYE_DISTANCE_M: Final = 0.063  # mean of adults (Dodgson 2004, "Variation and extrema of human IPD")
SHARES: Final = (10, 20, 40, 60, 80, 120)  # a face is one n-th of the picture's width
_POLL_S: Final = 0.25
_SHORTEST_NS: Final = 1_000_000_000  # the kernel counts processor time in hundredths of a second


@dataclass(frozen=True, slots=True)
class FaceSize:
    """A face 16 cm wide that fills one `share`-th of the picture's width, looking into the camera."""

    share: int
    view_m: float  # width of the scene in metres at the distance of that face
    face_px: float
    eye_px: float  # between the eyes, in the full picture
    enough: bool  # for a probe


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """One camera, watched for a while."""

    codec: str
    width: int
    height: int
    fps: float  # pictures published a second, measured
    frames: int
    first_frame_s: float  # from the start of the capture process
    latency_ms: float  # p50 of picture taken minus captured, by the camera's clock where it sends one
    latency_p95_ms: float
    jitter_ms: float  # p95 of the distance of an interval between pictures from the median interval
    decode_errors: int
    frozen: bool
    faces: tuple[FaceSize, ...]
    unconfined: tuple[str, ...]
    cores: float | None = None  # share of a processor that its capture process takes, measured


def face_sizes(width: int, min_eye_px: float) -> tuple[FaceSize, ...]:
    """What faces measure in a picture `width` pixels wide."""
    sizes = []
    for share in SHARES:
        face_px = width / share
        eye_px = face_px * EYE_DISTANCE_M / FACE_WIDTH_M
        sizes.append(
            FaceSize(
                share,
                round(FACE_WIDTH_M * share, 1),
                round(face_px, 1),
                round(eye_px, 1),
                eye_px >= min_eye_px,
            )
        )
    return tuple(sizes)


async def probe_camera(
    settings: CameraSettings, clock: Clock, *, seconds: float, min_eye_px: float
) -> ProbeReport:
    """Watch the camera for `seconds` after its first picture.

    Raises:
        CameraError: the camera's own failure at the first try, or ``camera_timeout`` when no picture came.
    """
    slot = FrameSlot.create()
    bell_read, bell_write = os.pipe()
    os.set_blocking(bell_read, False)
    keeper = CameraKeeper(settings, slot, bell_write, clock)
    watcher = _Watcher(FrameReader(slot.fd, settings.id), bell_read, clock)
    asyncio.get_running_loop().add_reader(bell_read, watcher.ring)
    began_ns = clock.monotonic_ns()
    effort = _Effort(keeper, clock)
    try:
        await keeper.start()
        status = await _watch(keeper, watcher, clock, effort, seconds)
    finally:
        asyncio.get_running_loop().remove_reader(bell_read)
        await keeper.stop()
        watcher.close()
        for fd in (bell_read, bell_write):
            os.close(fd)
        slot.close()
    return watcher.report(status, began_ns, min_eye_px, effort.cores)


class _Effort:
    """Processor time of the capture child since its first picture: starting an interpreter is not decoding."""

    def __init__(self, keeper: CameraKeeper, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock
        self._first: tuple[int, float] | None = None  # (monotonic ns, seconds of processor)
        self._last: tuple[int, float] | None = None

    def note(self) -> None:
        pid = self._keeper.child_pid
        spent_s = None if pid is None else _processor_s(pid)
        if spent_s is not None:
            self._last = (self._clock.monotonic_ns(), spent_s)
            self._first = self._first or self._last

    @property
    def cores(self) -> float | None:
        if self._first is None or self._last is None or self._last[0] - self._first[0] < _SHORTEST_NS:
            return None
        return round((self._last[1] - self._first[1]) * 1e9 / (self._last[0] - self._first[0]), 3)


def _processor_s(pid: int) -> float | None:
    """User and system time of a process, proc(5); None once it is gone."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _watch(
    keeper: CameraKeeper, watcher: _Watcher, clock: Clock, effort: _Effort, seconds: float
) -> CameraStatus:
    """The status at the end of the watch."""
    while True:
        await asyncio.sleep(_POLL_S)
        status = keeper.status
        if status.state == "ended":
            break
        if status.error_code:
            raise CameraError(status.error_code, status.error_message, hint=status.error_hint)
        if watcher.first_ns is not None:
            effort.note()
            if clock.monotonic_ns() - watcher.first_ns >= seconds * 1e9:
                break
    if watcher.first_ns is None:
        raise CameraError(
            "camera_unreadable", "the source ended without a picture", hint="check the recording"
        )
    return status


class _Watcher:
    """Takes each picture and keeps its times, not its pixels. **Thread rule:** event loop only."""

    def __init__(self, reader: FrameReader, bell: int, clock: Clock) -> None:
        self._reader = reader
        self._bell = bell
        self._clock = clock
        self._after = (0, 0)
        self._size = (0, 0)
        self._captured_ns: list[int] = []
        self._latencies_ms: list[float] = []
        self.first_ns: int | None = None

    def ring(self) -> None:
        os.read(self._bell, 4096)
        frame = self._reader.take(self._after)
        if frame is not None:
            self._note(frame)

    def close(self) -> None:
        self._reader.close()

    def report(
        self, status: CameraStatus, began_ns: int, min_eye_px: float, cores: float | None
    ) -> ProbeReport:
        assert self.first_ns is not None
        intervals_ms = np.diff(np.array(self._captured_ns, np.float64)) / 1e6
        median_ms = float(np.median(intervals_ms)) if intervals_ms.size else 0.0
        jitter_ms = float(np.percentile(np.abs(intervals_ms - median_ms), 95)) if intervals_ms.size else 0.0
        span_ms = float(intervals_ms.sum())
        return ProbeReport(
            codec=status.codec,
            width=self._size[0],
            height=self._size[1],
            fps=round(intervals_ms.size * 1000 / span_ms, 2) if span_ms else 0.0,
            frames=len(self._captured_ns) + self._reader.dropped,
            first_frame_s=round((self.first_ns - began_ns) / 1e9, 3),
            latency_ms=round(float(np.percentile(self._latencies_ms, 50)), 1),
            latency_p95_ms=round(float(np.percentile(self._latencies_ms, 95)), 1),
            jitter_ms=round(jitter_ms, 1),
            decode_errors=status.decode_errors,
            frozen=status.frozen,
            faces=face_sizes(self._size[0], min_eye_px),
            unconfined=status.unconfined,
            cores=cores,
        )

    def _note(self, frame: Frame) -> None:
        self.first_ns = self.first_ns or self._clock.monotonic_ns()
        self._after = (frame.epoch, frame.sequence)
        self._size = (frame.width, frame.height)
        self._captured_ns.append(frame.captured_ns)
        self._latencies_ms.append((self._clock.wall_ns() - frame.captured_wall_ns) / 1e6)
