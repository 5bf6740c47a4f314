"""Somebody between a camera and the box: each message of the camera may be held back, cut, or made hostile."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["answer", "packet"]
_MOST: Final = 1 << 20


@dataclass(frozen=True)
class Message:
    """One answer of the camera, or one interleaved packet of its stream."""

    kind: Kind
    number: int  # of its kind on this connection, from 0
    data: bytes


# What to send in its place; None: nothing more on this connection, which stays open.
Treatment = Callable[[Message], bytes | None]


def honest(message: Message) -> bytes:
    return message.data


class Door:
    """In front of an honest server on this machine. **Thread rule:** one event loop."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.treat: Callable[[], Treatment] = lambda: honest  # a treatment for each new connection
        self.asked: list[float] = []  # when somebody asked for something: a bare connection is none
        self.port = 0
        self.pause_s = 0.0  # between single bytes, for as long as it is not zero

    async def __aenter__(self) -> Door:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        while True:
            await asyncio.sleep(0.02)  # a connection that was just accepted has to begin before it can end
            if not self._tasks:
                return
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, path: str) -> str:
        return f"rtsp://127.0.0.1:{self.port}{path}"

    def hang_up(self) -> None:
        """Every connection ends."""
        for writer in self._writers:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one of the two is gone, or the trial is over
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        if not first:
            return
        self.asked.append(time.monotonic())
        treatment = self.treat()
        back, there = await asyncio.open_connection("127.0.0.1", self._target, limit=_MOST)
        asking = asyncio.create_task(self._pass_on(first, reader, there))
        answering = asyncio.create_task(self._answer(back, writer, treatment))
        try:
            await asyncio.wait((asking, answering), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (asking, answering):
                one.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)
            there.close()

    async def _pass_on(self, first: bytes, reader: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        data = first
        while data:
            there.write(data)
            with contextlib.suppress(
                ConnectionError
            ):  # the camera hung up; its last answer may be on its way
                await there.drain()
            data = await reader.read(65_536)

    async def _answer(
        self, back: asyncio.StreamReader, writer: asyncio.StreamWriter, treatment: Treatment
    ) -> None:
        numbers: dict[Kind, int] = {"answer": 0, "packet": 0}
        while (read := await _message(back)) is not None:
            kind, data = read
            told = treatment(Message(kind, numbers[kind], data))
            numbers[kind] += 1
            if told is None:
                await asyncio.Event().wait()  # the peer is gone, and nobody said so
            elif self.pause_s:
                for byte in told:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(self.pause_s)
            else:
                writer.write(told)
                await writer.drain()


async def _message(back: asyncio.StreamReader) -> tuple[Kind, bytes] | None:
    first = await back.read(1)
    if not first:
        return None
    if first == b"$":
        rest = await back.readexactly(3)
        return "packet", first + rest + await back.readexactly(struct.unpack(">H", rest[1:])[0])
    head = first + await back.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return "answer", head + await back.readexactly(length)
