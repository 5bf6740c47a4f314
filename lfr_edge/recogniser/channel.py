"""Messages between the desk and the sealed process: one Unix socket pair, length-prefixed, bounded.

A message is a kind, a small JSON body and a few binary parts (a JPEG, a sealed container). JSON, because neither
side may ever run what the other one sent (no pickle), and because what leaves the recogniser should be readable
by whoever audits this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lfr_edge.errors import RecogniserError
from lfr_edge.sentences import say

_PREFIX: Final = struct.Struct("<4sIH")  # magic, length of the JSON head, number of parts
_MAGIC: Final = b"LFR1"
MAX_HEAD: Final = 1 << 20
MAX_PARTS: Final = 16
MAX_PART: Final = 1 << 31  # a sealed list of 500,000 × 512-d templates is 1 GiB


@dataclass(frozen=True, slots=True)
class Message:
    kind: str
    body: dict[str, Any] = field(default_factory=dict)
    parts: tuple[bytes, ...] = ()

    def encode(self) -> Iterator[bytes]:
        """The pieces to write, in order; the parts are not copied."""
        head = json.dumps(
            {"kind": self.kind, "body": self.body, "parts": [len(part) for part in self.parts]},
            separators=(",", ":"),
            allow_nan=False,
        ).encode()
        yield _PREFIX.pack(_MAGIC, len(head), len(self.parts)) + head
        yield from self.parts


def _broken(why: str) -> RecogniserError:
    return RecogniserError(
        "recogniser_protocol",
        say("the channel to the recogniser is broken: {why}", why=why),
        hint="the desk restarts it",
    )


def _parse_prefix(raw: bytes) -> tuple[int, int]:
    magic, length, parts = _PREFIX.unpack(raw)
    if magic != _MAGIC or length > MAX_HEAD or parts > MAX_PARTS:
        raise _broken("not a message")
    return length, parts


def _parse_head(raw: bytes, parts: int) -> tuple[str, dict[str, Any], list[int]]:
    try:
        head = json.loads(raw)
        kind, body, sizes = head["kind"], head["body"], head["parts"]
    except (ValueError, KeyError, TypeError):
        raise _broken("unreadable head") from None
    well_formed = isinstance(kind, str) and isinstance(body, dict) and isinstance(sizes, list)
    if not well_formed or len(sizes) != parts or not all(type(s) is int and 0 <= s < MAX_PART for s in sizes):
        raise _broken("inconsistent head")
    return kind, body, sizes


class BlockingChannel:
    """The recogniser's end. **Thread rule:** one thread sends and receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(True)

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message) -> None:
        """Raises RecogniserError when the desk is gone: the process then has nobody to work for and ends."""
        try:
            for piece in message.encode():
                self._sock.sendall(piece)
        except OSError as error:
            raise _broken(error.strerror or "closed") from None

    def receive(self) -> Message | None:
        """The next message, waiting for it; None once the desk has closed the channel."""
        raw = self._exactly(_PREFIX.size, may_end=True)
        if raw is None:
            return None
        length, parts = _parse_prefix(raw)
        kind, body, sizes = _parse_head(self._must(length), parts)
        return Message(kind, body, tuple(self._must(size) for size in sizes))

    def _must(self, size: int) -> bytes:
        raw = self._exactly(size)
        assert raw is not None
        return raw

    def _exactly(self, size: int, *, may_end: bool = False) -> bytes | None:
        buffer = bytearray(size)
        view, filled = memoryview(buffer), 0
        while filled < size:
            try:
                count = self._sock.recv_into(view[filled:])
            except OSError as error:
                raise _broken(error.strerror or "closed") from None
            if not count:
                if may_end and not filled:
                    return None
                raise _broken("cut in the middle of a message")
            filled += count
        return bytes(buffer)


class AsyncChannel:
    """The desk's end. **Thread rule:** one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sending = asyncio.Lock()

    @staticmethod
    async def over(sock: socket.socket) -> AsyncChannel:
        sock.setblocking(False)
        return AsyncChannel(*await asyncio.open_unix_connection(sock=sock))

    async def send(self, message: Message) -> None:
        async with self._sending:
            try:
                for piece in message.encode():
                    self._writer.write(piece)
                    await self._writer.drain()
            except (OSError, RuntimeError) as error:
                raise _broken(str(error)) from None

    async def receive(self) -> Message | None:
        try:
            raw = await self._reader.readexactly(_PREFIX.size)
        except (asyncio.IncompleteReadError, OSError):
            return None
        length, parts = _parse_prefix(raw)
        try:
            kind, body, sizes = _parse_head(await self._reader.readexactly(length), parts)
            return Message(kind, body, tuple([await self._reader.readexactly(size) for size in sizes]))
        except (asyncio.IncompleteReadError, OSError):
            raise _broken("cut in the middle of a message") from None

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
