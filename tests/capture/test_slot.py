"""The shared slot: newest wins, nothing torn or forged gets through, nothing can be resized."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.capture import slot as slot_module
from lfr_edge.capture.slot import FrameReader, FrameSlot, FrameWriter
from lfr_edge.errors import CameraError


def planes(value: int, width: int = 64, height: int = 48):
    y = np.full((height, width), value, np.uint8)
    return (
        y,
        np.full((height // 2, width // 2), value, np.uint8),
        np.full((height // 2, width // 2), value, np.uint8),
    )


def publish(
    writer: FrameWriter, sequence: int, *, epoch: int = 1, value: int = 7, captured_ns: int | None = None
):
    stamp = time.monotonic_ns() if captured_ns is None else captured_ns
    writer.publish(
        *planes(value),
        epoch=epoch,
        sequence=sequence,
        captured_ns=stamp,
        captured_wall_ns=1_700_000_000 * 10**9,
    )


@pytest.fixture
def pair(slot: FrameSlot):
    writer, reader = FrameWriter(slot.fd), FrameReader(slot.fd, "gate")
    yield writer, reader
    writer.close()
    reader.close()


def test_frame_survives_the_passage(pair):
    writer, reader = pair
    assert reader.take((0, 0)) is None
    rng = np.random.default_rng(1)
    wide = rng.integers(0, 255, (48, 100), dtype=np.uint8)  # strided, as FFmpeg's planes are
    u, v = rng.integers(0, 255, (24, 32), dtype=np.uint8), rng.integers(0, 255, (24, 32), dtype=np.uint8)
    writer.publish(wide[:, :64], u, v, epoch=3, sequence=9, captured_ns=11, captured_wall_ns=12)
    frame = reader.take((0, 0))
    assert frame is not None
    assert (frame.camera, frame.epoch, frame.sequence, frame.captured_ns, frame.captured_wall_ns) == (
        "gate",
        3,
        9,
        11,
        12,
    )
    assert frame.pixels.shape == (72, 64)
    assert (frame.pixels[:48] == wide[:, :64]).all()
    assert (frame.pixels[48:60].reshape(24, 32) == u).all()
    assert (frame.pixels[60:].reshape(24, 32) == v).all()


def test_newest_wins_and_drops_are_counted(pair):
    writer, reader = pair
    for sequence in range(1, 11):
        publish(writer, sequence, value=sequence)
    frame = reader.take((0, 0))
    assert frame is not None
    assert (frame.sequence, reader.dropped) == (10, 9)
    assert frame.pixels[0, 0] == 10
    assert reader.take((1, 10)) is None
    publish(writer, 12, value=12)
    assert reader.take((1, 10)).sequence == 12
    assert reader.dropped == 10
    publish(writer, 1, epoch=2)
    assert reader.take((1, 12)).epoch == 2
    assert reader.dropped == 10


def test_the_copy_is_the_readers_own(pair):
    writer, reader = pair
    publish(writer, 1, value=1)
    frame = reader.take((0, 0))
    for sequence in range(2, 8):
        publish(writer, sequence, value=200)
    assert (frame.pixels == 1).all()


def test_a_successor_process_continues_in_the_same_slot(pair, slot):
    writer, reader = pair
    publish(writer, 5)
    assert reader.take((0, 0)).sequence == 5
    successor = FrameWriter(slot.fd)
    publish(successor, 1, epoch=2, value=9)
    assert reader.take((1, 5)).pixels[0, 0] == 9
    successor.close()


def test_stale_frames_are_counted_not_given(slot):
    writer, reader = FrameWriter(slot.fd), FrameReader(slot.fd, "gate", max_age_s=10.0)
    publish(writer, 1, captured_ns=time.monotonic_ns() - 11 * 10**9)
    assert reader.take((0, 0)) is None
    assert reader.take((0, 0)) is None
    assert (reader.stale, reader.forged) == (1, 0)
    publish(writer, 2)
    assert reader.take((0, 0)).sequence == 2


def test_a_recording_has_no_age(slot):
    """At full speed a slow reader falls behind the recording's own time; no frame may be lost for that."""
    writer, reader = FrameWriter(slot.fd), FrameReader(slot.fd, "gate", max_age_s=0.5)
    y, u, v = planes(1)
    writer.publish(y, u, v, epoch=1, sequence=1, captured_ns=1, captured_wall_ns=1, recorded=True)
    assert reader.take((0, 0)).sequence == 1
    assert reader.stale == 0


def test_acknowledgement(pair):
    writer, reader = pair
    assert writer.taken()
    publish(writer, 1)
    assert not writer.wait_taken(0.01)
    reader.take((0, 0))
    assert writer.wait_taken(0.01)


def test_what_does_not_fit_is_refused(pair):
    writer, _ = pair
    with pytest.raises(CameraError) as caught:
        writer.publish(*planes(1, 1280, 720), epoch=1, sequence=1, captured_ns=1, captured_wall_ns=1)
    assert caught.value.code == "camera_too_large"
    y, u, v = planes(1)
    with pytest.raises(CameraError) as caught:
        writer.publish(y[:47], u, v, epoch=1, sequence=1, captured_ns=1, captured_wall_ns=1)
    assert caught.value.code == "camera_size_odd"


def test_nobody_can_resize_the_slot(slot):
    for size in (0, 4096, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(slot.fd, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(slot.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


def test_an_unsealed_or_tiny_slot_is_refused():
    fd = os.memfd_create("bare", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 20)
    with pytest.raises(CameraError) as caught:
        FrameReader(fd, "gate")
    assert caught.value.code == "camera_slot_invalid"
    os.ftruncate(fd, 5000)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    with pytest.raises(CameraError):
        FrameReader(fd, "gate")
    os.close(fd)
    with pytest.raises(ValueError):
        FrameSlot.create(639, 480)


@settings(max_examples=300, deadline=None)
@given(
    noise=st.binary(min_size=0, max_size=64),
    at=st.integers(0, 1023),
    newest=st.integers(0, 2**32 - 1) | st.integers(0, 3),
)
def test_no_bytes_in_the_header_reach_outside(noise, at, newest):
    """Whatever a hijacked writer leaves in the control page, the reader answers None or a well-formed frame."""
    slot = FrameSlot.create(64, 48)
    writer, reader = FrameWriter(slot.fd), FrameReader(slot.fd, "gate")
    for sequence in (1, 2, 3):
        publish(writer, sequence)
    with mmap.mmap(slot.fd, 0) as memory:
        memory[at : at + len(noise)] = noise
        struct.pack_into("<I", memory, 8, newest)
        frame = reader.take((0, 0))
    if frame is not None:
        assert frame.pixels.shape == (frame.height * 3 // 2, frame.width)
        assert frame.pixels.size <= 64 * 48 * 3 // 2
    for mapped in (writer, reader, slot):
        mapped.close()


@settings(max_examples=200, deadline=None)
@given(
    width=st.integers(0, 2**32 - 1),
    height=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 2**64 - 1),
    sequence=st.integers(0, 2**64 - 1),
    captured=st.integers(0, 2**64 - 1),
)
def test_a_forged_header_with_a_right_crc_is_bounded_by_the_slot(width, height, epoch, sequence, captured):
    slot = FrameSlot.create(64, 48)
    reader = FrameReader(slot.fd, "gate")
    fields = (2, 0x4C465246, 1, width, height, epoch, sequence, captured, 5)
    header = struct.pack("<QIIIIQQQQ", *fields)
    with mmap.mmap(slot.fd, 0) as memory:
        memory[256 : 256 + len(header) + 4] = header + struct.pack("<I", slot_module.zlib.crc32(header))
        struct.pack_into("<I", memory, 8, 0)
    frame = reader.take((0, 0))
    assert frame is None or frame.pixels.size == width * height * 3 // 2 <= 4096 * 2
    assert (frame is None) == (reader.forged == 1)
    reader.take((0, 0))
    assert reader.forged <= 1  # one forgery is counted once
    reader.close()
    slot.close()


_STORM = """
import sys, time
import numpy as np
from lfr_edge.capture.slot import FrameWriter
writer, sequence, end = FrameWriter(int(sys.argv[1])), 0, time.monotonic() + 1.0
while time.monotonic() < end:
    sequence += 1
    value = sequence % 251
    y, c = np.full((48, 64), value, np.uint8), np.full((24, 32), value, np.uint8)
    writer.publish(y, c, c, epoch=1, sequence=sequence, captured_ns=1, captured_wall_ns=1)
"""


def test_no_torn_frame_ever_leaves(slot):
    """A writer at full speed in another process; each frame taken must be of one piece."""
    reader, after, taken = FrameReader(slot.fd, "gate"), (0, 0), 0
    storm = subprocess.Popen([sys.executable, "-c", _STORM, str(slot.fd)], pass_fds=[slot.fd])
    while storm.poll() is None:
        frame = reader.take(after)
        if frame is not None:
            taken += 1
            after = (frame.epoch, frame.sequence)
            assert (frame.pixels == frame.sequence % 251).all()
    assert storm.returncode == 0
    assert taken > 50
    assert reader.forged == 0


def test_the_torn_check_is_what_catches_it(slot, monkeypatch):
    """Positive control: the header changes while the pixels are copied, and only the second look notices."""
    writer, reader = FrameWriter(slot.fd), FrameReader(slot.fd, "gate")
    publish(writer, 1, value=1)
    honest = reader._copy

    def overtaken(claim, index):
        frame = honest(claim, index)
        for _ in range(3):  # the writer comes round to the same buffer during the copy
            overtaken.sequence += 1
            publish(writer, overtaken.sequence, value=2)
        return frame

    overtaken.sequence = 1
    monkeypatch.setattr(reader, "_copy", overtaken)
    assert reader.take((0, 0)) is None
    assert reader.torn == 1
