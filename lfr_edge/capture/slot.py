"""The newest frame of one camera, in memory shared by two processes that do not trust each other.

A **memfd** holds a control block and three I420 buffers. The writer (a capture child, which decodes hostile
bytes) fills the buffer that has been out of use longest, stamps its header and only then names it the newest;
the reader (the recogniser, which holds templates) copies the newest buffer out and proves afterwards that it
did not change underneath. Neither ever waits for the other, except in the lossless mode that evaluation uses.

The memfd is sealed against shrinking and growing, so that a hijacked writer cannot turn the reader's next
access into SIGBUS, and it has no name, so that nothing is left in ``/dev/shm`` after a crash. Every number in a
header is checked against the size of the slot itself, never against another number from the header.

::

    0     control: magic u32, version u32, newest u32, 0 u32, acknowledged epoch u64, acknowledged sequence u64
    256   header of buffer 0   (64 bytes used, see _HEADER)
    512   header of buffer 1
    768   header of buffer 2
    4096  buffers, each max_width * max_height * 3 // 2 bytes, rounded up to whole pages
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from lfr_edge.capture.frame import Frame, UInt8Array
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.errors import CameraError
from lfr_edge.sentences import say

BUFFERS: Final = 3
MIN_SIDE: Final = 16  # one macroblock
_PAGE: Final = 4096
_MAGIC: Final = 0x4C465246  # "FRFL"
_VERSION: Final = 1  # of the control block, and of a header whose stamps are the clock's
_RECORDED: Final = 2  # of a header whose stamps are a recording's own time, which has no age
_CONTROL: Final = struct.Struct("<IIII")
_ACK: Final = struct.Struct("<QQ")
_ACK_AT: Final = 16
_NEWEST: Final = struct.Struct("<I")
_NEWEST_AT: Final = 8
# lock, magic, version, width, height, epoch, sequence, captured_ns, captured_wall_ns, crc of all before it
_HEADER: Final = struct.Struct("<QIIIIQQQQI")
_LOCK: Final = struct.Struct("<Q")
_CRC_AT: Final = _HEADER.size - 4
_HEADER_STRIDE: Final = 256
_ATTEMPTS: Final = 3  # three buffers: two publications must fall into one copy before a retry is needed
_EPOCH_LEAP: Final = 1_000_000  # a year of connections that fail every 30 s; more is a forged header
# Recordings at full speed carry the time of the recording, which runs ahead of the clock; a day is a forged header.
_FUTURE_NS: Final = 86_400 * 1_000_000_000
_ACK_POLL_S: Final = 0.0005
_fence_lock: Final = threading.Lock()


def _fence() -> None:
    # Taking and releasing a lock twice orders all stores before against all stores after it, also on ARM.
    for _ in range(2):
        with _fence_lock:
            pass


def _buffer_bytes(max_width: int, max_height: int) -> int:
    return -(-(max_width * max_height * 3 // 2) // _PAGE) * _PAGE


@dataclass(frozen=True, slots=True)
class FrameSlot:
    """Owner of the shared memory. **Lifetime:** pixels stay in it until overwritten or until every process that
    maps it has ended; the owner closes it at the end of the deployment."""

    fd: int
    max_width: int
    max_height: int

    @classmethod
    def create(cls, max_width: int = 3840, max_height: int = 2160) -> Self:
        """A new, zeroed slot. Pages cost memory only once a frame touches them."""
        if max_width < MIN_SIDE or max_height < MIN_SIDE or max_width % 2 or max_height % 2:
            raise ValueError(f"slot sides must be even and at least {MIN_SIDE}: {max_width} x {max_height}")
        fd = os.memfd_create("lfr-frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, _PAGE + BUFFERS * _buffer_bytes(max_width, max_height))
        control = _CONTROL.pack(_MAGIC, _VERSION, BUFFERS, 0)  # newest = BUFFERS: nothing published yet
        os.pwrite(fd, control + _ACK.pack(0, 0), 0)
        os.pwrite(fd, struct.pack("<II", max_width, max_height), 32)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return cls(fd, max_width, max_height)

    def close(self) -> None:
        os.close(self.fd)


class _Mapping:
    """The mapped slot. Its size comes from the kernel (sealed), never from what is written in it."""

    def __init__(self, fd: int) -> None:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK or not seals & fcntl.F_SEAL_GROW:
            raise CameraError("camera_slot_invalid", "the frame slot is not sealed against resizing")
        size = os.fstat(fd).st_size
        self.capacity = (size - _PAGE) // BUFFERS
        if self.capacity < MIN_SIDE * MIN_SIDE * 3 // 2:
            raise CameraError("camera_slot_invalid", say("the frame slot has {size} bytes", size=size))
        self.memory = mmap.mmap(fd, size)
        self.pixels: UInt8Array = np.frombuffer(self.memory, np.uint8, offset=_PAGE)  # (BUFFERS * capacity,)

    def buffer(self, index: int) -> UInt8Array:
        return self.pixels[index * self.capacity : (index + 1) * self.capacity]

    def close(self) -> None:
        del self.pixels
        try:
            self.memory.close()
        except BufferError:  # a caller still holds a view; the mapping ends with it
            del self.memory


class FrameWriter:
    """The capture child's side. **Thread rule:** one thread."""

    def __init__(self, fd: int) -> None:
        self._map = _Mapping(fd)
        newest = _NEWEST.unpack_from(self._map.memory, _NEWEST_AT)[0]
        self._next = (newest + 1) % BUFFERS if newest < BUFFERS else 0
        self._lock = max(self._header_lock(index) for index in range(BUFFERS)) & ~1
        self._last = (0, 0)

    @property
    def capacity(self) -> int:
        """Bytes of the largest I420 picture that fits."""
        return self._map.capacity

    def publish(
        self,
        y: UInt8Array,  # (height, width), may be strided
        u: UInt8Array,  # (height // 2, width // 2)
        v: UInt8Array,  # (height // 2, width // 2)
        *,
        epoch: int,
        sequence: int,
        captured_ns: int,
        captured_wall_ns: int,
        recorded: bool = False,
    ) -> None:
        """Make this the newest frame. Never waits. `recorded`: `captured_ns` is a recording's time, not the clock's.

        Raises:
            CameraError: ``camera_too_large`` when the picture does not fit, ``camera_size_odd`` when it is no I420.
        """
        height, width = y.shape
        if width % 2 or height % 2 or u.shape != (height // 2, width // 2) or v.shape != u.shape:
            raise CameraError(
                "camera_size_odd",
                say("the picture of {width} x {height} is not 4:2:0", width=width, height=height),
            )
        luma, chroma = width * height, (width // 2) * (height // 2)
        if luma + 2 * chroma > self._map.capacity:
            raise CameraError(
                "camera_too_large",
                say(
                    "the picture of {width} x {height} is larger than the frame slot",
                    width=width,
                    height=height,
                ),
                hint="choose a smaller stream on the camera",
            )
        index, self._next = self._next, (self._next + 1) % BUFFERS
        at = _HEADER_STRIDE * (index + 1)
        self._lock += 1
        _LOCK.pack_into(self._map.memory, at, self._lock)
        _fence()
        target = self._map.buffer(index)
        target[:luma].reshape(height, width)[:] = y
        target[luma : luma + chroma].reshape(u.shape)[:] = u
        target[luma + chroma : luma + 2 * chroma].reshape(v.shape)[:] = v
        self._lock += 1
        fields = (
            _MAGIC,
            _RECORDED if recorded else _VERSION,
            width,
            height,
            epoch,
            sequence,
            captured_ns,
            captured_wall_ns,
        )
        header = _HEADER.pack(self._lock, *fields, 0)[:_CRC_AT]
        _fence()
        self._map.memory[at : at + _HEADER.size] = header + struct.pack("<I", zlib.crc32(header))
        _fence()
        _NEWEST.pack_into(self._map.memory, _NEWEST_AT, index)
        self._last = (epoch, sequence)

    def taken(self) -> bool:
        """Whether the reader has copied the frame published last."""
        ack: tuple[int, int] = _ACK.unpack_from(self._map.memory, _ACK_AT)
        return ack >= self._last

    def wait_taken(self, timeout_s: float) -> bool:
        """Lossless mode: wait until the reader has the last frame; False when it has not within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not self.taken():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_ACK_POLL_S)
        return True

    def close(self) -> None:
        self._map.close()

    def _header_lock(self, index: int) -> int:
        lock: int = _LOCK.unpack_from(self._map.memory, _HEADER_STRIDE * (index + 1))[0]
        # A predecessor that was hijacked may have left a counter at the top of its range.
        return lock if lock < 1 << 62 else 0


@dataclass(frozen=True, slots=True)
class _Claim:
    """A header within bounds."""

    width: int
    height: int
    epoch: int
    sequence: int
    captured_ns: int
    captured_wall_ns: int
    newer: bool
    stale: bool

    @property
    def wanted(self) -> bool:
        return self.newer and not self.stale


class FrameReader:
    """The recogniser's side: believes nothing. **Thread rule:** one thread.

    ``dropped`` counts frames that were published and never taken, ``torn`` frames that were overwritten while
    being copied, ``forged`` headers that are impossible, ``stale`` frames older than `max_age_s`.
    """

    def __init__(
        self, fd: int, camera: str, *, max_age_s: float | None = None, clock: Clock | None = None
    ) -> None:
        self._map = _Mapping(fd)
        self._camera = camera
        self._clock = clock or SystemClock()
        self._max_age_ns = None if max_age_s is None else int(max_age_s * 1e9)
        self._counted = (0, 0)
        self._rejected = b""
        self.dropped = 0
        self.torn = 0
        self.forged = 0
        self.stale = 0

    def take(self, after: tuple[int, int]) -> Frame | None:
        """A copy of the newest frame if its (epoch, sequence) is greater than `after`, else None. Never waits."""
        for _ in range(_ATTEMPTS):
            index = _NEWEST.unpack_from(self._map.memory, _NEWEST_AT)[0]
            if index == BUFFERS:
                return None
            if index > BUFFERS:
                self._reject(b"newest %d" % index)
                return None
            at = _HEADER_STRIDE * (index + 1)
            header = bytes(self._map.memory[at : at + _HEADER.size])
            if header[0] & 1:  # being written again: a newer one exists by now
                continue
            _fence()
            claim = self._claim(header, after)
            frame = self._copy(claim, index) if claim is not None and claim.wanted else None
            _fence()
            if bytes(self._map.memory[at : at + _HEADER.size]) != header:
                continue
            if claim is None:
                self._reject(header)
            elif claim.newer:
                self._settle(claim)
            return frame
        self.torn += 1
        return None

    def close(self) -> None:
        self._map.close()

    def _claim(self, header: bytes, after: tuple[int, int]) -> _Claim | None:
        """What `header` says, or None where it cannot be true."""
        fields = _HEADER.unpack(header)
        _, magic, version, width, height, epoch, sequence, captured_ns, wall_ns, crc = fields
        now_ns = self._clock.monotonic_ns()
        possible = (
            crc == zlib.crc32(header[:_CRC_AT])
            and magic == _MAGIC
            and version in (_VERSION, _RECORDED)
            and width >= MIN_SIDE
            and height >= MIN_SIDE
            and not width % 2
            and not height % 2
            and width * height * 3 // 2 <= self._map.capacity
            and epoch <= max(after[0], self._counted[0]) + _EPOCH_LEAP
            and sequence >= 1
            and captured_ns <= now_ns + _FUTURE_NS
            and wall_ns < 1 << 63
        )
        if not possible:
            return None
        newer = (epoch, sequence) > after
        aged = self._max_age_ns is not None and now_ns - captured_ns > self._max_age_ns
        stale = aged and version != _RECORDED
        return _Claim(width, height, epoch, sequence, captured_ns, wall_ns, newer, stale)

    def _copy(self, claim: _Claim, index: int) -> Frame:
        rows = claim.height * 3 // 2
        pixels = self._map.buffer(index)[: rows * claim.width].copy().reshape(rows, claim.width)
        return Frame(
            self._camera,
            claim.epoch,
            claim.sequence,
            claim.captured_ns,
            claim.captured_wall_ns,
            claim.width,
            claim.height,
            pixels,
        )

    def _settle(self, claim: _Claim) -> None:
        """Count and acknowledge a frame that was taken or found too old."""
        identity = (claim.epoch, claim.sequence)
        if identity > self._counted:
            before = self._counted[1] if claim.epoch == self._counted[0] else 0
            self.dropped += claim.sequence - before - 1
            self.stale += claim.stale
            self._counted = identity
        _ACK.pack_into(self._map.memory, _ACK_AT, *identity)

    def _reject(self, evidence: bytes) -> None:
        # The same bad header is met again at every bell; it is one forgery.
        if evidence != self._rejected:
            self._rejected = evidence
            self.forged += 1
