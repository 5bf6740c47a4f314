"""The frames of the segment file, and how to tell a torn tail from damage.

Frame, big-endian, 48 bytes before the body::

    0   4  magic "LFE1"
    4   4  length of the body
    8   4  batch: bytes from the first frame of the same write to this frame
    12  4  crc32c of bytes 0–11 and 16–47
    16  32 leaf hash: SHA-256 of 0x00 and the body (RFC 6962)
    48  …  body

`batch` is what makes recovery exact: several frames share one write and one fdatasync, and a power cut may keep
a later page of that write and lose an earlier one. Good frames after a bad one are damage only if they belong to
a later write, because a later write starts only when the one before it is durable.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from lfr_edge.audit.crc32c import crc32c
from lfr_edge.audit.entry import ENTRY_MAX_BYTES
from lfr_edge.audit.merkle import leaf_hash

MAGIC: Final = b"LFE1"
HEADER: Final = struct.Struct(">4sIII32s")
HEADER_BYTES: Final = 48
Content: TypeAlias = bytes | mmap.mmap


def map_segment(path: Path) -> Content:
    """The file's bytes, mapped rather than read: a long log is half a gigabyte."""
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@dataclass(frozen=True, slots=True)
class Frame:
    """A good frame: where it starts, its body, its leaf hash, and its distance from the start of its write."""

    offset: int
    body: bytes
    leaf: bytes
    batch: int

    @property
    def end(self) -> int:
        return self.offset + HEADER_BYTES + len(self.body)


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Where reading stopped and why."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows the last good frame of the unbroken prefix."""

    offset: int
    reason: str
    damage: bool  # true: later writes are good, so this was once durable; false: a torn write


def pack_frame(body: bytes, leaf: bytes, batch: int) -> bytes:
    """The bytes of one frame; `batch` is its distance from the start of the write it belongs to."""
    front = struct.pack(">4sII", MAGIC, len(body), batch)
    return front + struct.pack(">I", crc32c(front + leaf)) + leaf + body


def read_frame(data: Content, offset: int) -> Frame | BadFrame:
    """The frame at `offset`, checked on its own: magic, length, checksum, leaf hash."""
    header = bytes(data[offset : offset + HEADER_BYTES])
    if len(header) < HEADER_BYTES:
        return BadFrame(offset, "the header is cut short")
    magic, length, batch, checksum, leaf = HEADER.unpack(header)
    if magic != MAGIC:
        return BadFrame(offset, "no frame starts here")
    if crc32c(header[:12] + leaf) != checksum:
        return BadFrame(offset, "the header's checksum is wrong")
    if length > ENTRY_MAX_BYTES:
        return BadFrame(offset, "the body is longer than allowed")
    body = bytes(data[offset + HEADER_BYTES : offset + HEADER_BYTES + length])
    if len(body) < length:
        return BadFrame(offset, "the body is cut short")
    if leaf_hash(body) != leaf:
        return BadFrame(offset, "the body does not match its hash")
    return Frame(offset, body, leaf, batch)


def read_frames(data: Content) -> Iterator[Frame | BadFrame]:
    """Good frames in order; a :class:`BadFrame` is the last item, if there is one."""
    offset, follows = 0, 0
    while offset < len(data):
        frame = read_frame(data, offset)
        if isinstance(frame, Frame) and frame.batch not in {0, follows}:
            frame = BadFrame(offset, "the frame belongs to another write")
        yield frame
        if isinstance(frame, BadFrame):
            return
        offset, follows = frame.end, frame.batch + frame.end - frame.offset


def judge_tail(data: Content, bad: BadFrame) -> Tail:
    """Whether the bytes from `bad` on are a torn write or damage (reliability.md 1.8)."""
    raw = bytes(data[bad.offset :])
    at = raw.find(MAGIC)
    while at >= 0:
        frame = read_frame(raw, at)
        # A good frame right here was refused for belonging to another write: something was cut out before it.
        if isinstance(frame, Frame) and (at == 0 or frame.batch < at):
            return Tail(bad.offset, bad.reason, damage=True)
        at = raw.find(MAGIC, at + 1)
    return Tail(bad.offset, bad.reason, damage=False)
