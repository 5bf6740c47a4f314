"""The few FlatBuffers reads that a ``.tflite`` file needs, each within the buffer's bounds."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_UINT16: Final = struct.Struct("<H")
_INT32: Final = struct.Struct("<i")
_UINT32: Final = struct.Struct("<I")


class FlatBufferError(ValueError):
    """An offset points outside the file, or a vector is longer than it."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table at ``position``; fields are numbered in the order of the schema."""

    data: bytes
    position: int

    @staticmethod
    def root(data: bytes) -> Table:
        return Table(data, _read(_UINT32, data, 0))

    def _field(self, number: int) -> int:
        """Absolute position of the field, or 0 where the file leaves it out."""
        vtable = self.position - _read(_INT32, self.data, self.position)
        slot = 4 + 2 * number
        if slot + 2 > _read(_UINT16, self.data, vtable):
            return 0
        offset = _read(_UINT16, self.data, vtable + slot)
        return self.position + offset if offset else 0

    def byte(self, number: int, default: int = 0) -> int:
        at = self._field(number)
        if not at:
            return default
        if not 0 <= at < len(self.data):
            raise FlatBufferError("field outside the file")
        return self.data[at]

    def integer(self, number: int, default: int = 0) -> int:
        """A 32-bit signed field."""
        at = self._field(number)
        return _read(_INT32, self.data, at) if at else default

    def table(self, number: int) -> Table | None:
        at = self._field(number)
        return Table(self.data, at + _read(_UINT32, self.data, at)) if at else None

    def tables(self, number: int) -> tuple[Table, ...]:
        """A vector of tables."""
        start, count = self._vector(number, 4)
        entries = (start + 4 * i for i in range(count))
        return tuple(Table(self.data, at + _read(_UINT32, self.data, at)) for at in entries)

    def integers(self, number: int) -> tuple[int, ...]:
        """A vector of 32-bit signed integers."""
        start, count = self._vector(number, 4)
        return struct.unpack_from(f"<{count}i", self.data, start)

    def bytes(self, number: int) -> bytes:
        start, count = self._vector(number, 1)
        return self.data[start : start + count]

    def _vector(self, number: int, width: int) -> tuple[int, int]:
        at = self._field(number)
        if not at:
            return 0, 0
        at += _read(_UINT32, self.data, at)
        count = _read(_UINT32, self.data, at)
        if at + 4 + count * width > len(self.data):
            raise FlatBufferError("vector longer than the file")
        return at + 4, count


def _read(kind: struct.Struct, data: bytes, at: int) -> int:
    if not 0 <= at <= len(data) - kind.size:
        raise FlatBufferError("offset outside the file")
    value: int = kind.unpack_from(data, at)[0]
    return value
