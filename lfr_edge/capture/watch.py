"""One capture child, as seen from the desk: what it says is checked, and what it fails to say is a fault."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lfr_edge.clock import Clock
from lfr_edge.errors import CameraError
from lfr_edge.sentences import Sentence, say, unpacked
from lfr_edge.settings import CameraSettings

KEYFRAME_WAIT_S: Final = 10.0  # the longest keyframe interval met on cameras
CHILD_START_S: Final = 5.0  # interpreter and imports on a busy box
DOOR_S: Final = 2.0  # between looks whether a camera that was gone listens again
_TICK_S: Final = 0.2
_FAREWELL_S: Final = 2.0  # between a child's last word and its exit
_LINE_BYTES: Final = 65_536
_TEXT: Final = 300  # longest text of a child that is shown
_COUNT: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A child's counters within its epoch, bound-checked."""

    frames: int
    decode_errors: int
    width: int
    height: int
    last_captured_ns: int
    waiting: bool  # lossless: for the reader of the slot
    frozen: bool

    @classmethod
    def parse(cls, message: dict[str, Any]) -> Heartbeat:
        """Raises ValueError, KeyError or TypeError for what no honest child sends."""
        return cls(
            frames=_count(message["frames"]),
            decode_errors=_count(message["decode_errors"]),
            width=_count(message["width"]),
            height=_count(message["height"]),
            last_captured_ns=_count(message["last_captured_ns"]),
            waiting=message["waiting"] is True,
            frozen=message["frozen"] is True,
        )


class Listener(Protocol):
    """What the watch passes on to the keeper."""

    def confined(self, missing: tuple[str, ...]) -> None: ...

    def opened(self, codec: str, width: int, height: int) -> None: ...

    def progress(self, beat: Heartbeat) -> None: ...

    def live_for(self, seconds: float) -> None: ...

    def stalled(self) -> None: ...


class Watch:
    """**Thread rule:** one event loop. The caller kills the child afterwards, whatever the outcome."""

    def __init__(
        self,
        listener: Listener,
        settings: CameraSettings,
        clock: Clock,
        child: asyncio.subprocess.Process,
        *,
        live: bool,
    ) -> None:
        self._listener = listener
        self._settings = settings
        self._clock = clock
        self._child = child
        self._live = live
        self._began_ns = self._heard_ns = self._fresh_ns = clock.monotonic_ns()
        self._first_ns: int | None = None
        self._frames = 0
        self._waiting = False
        self._end: CameraError | None = None
        self._complete = False

    async def until_end(self, status_fd: int, stopping: asyncio.Event) -> CameraError | None:
        """Why the connection ended; None when a recording was played to its end or `stopping` was set."""
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(status_fd, "rb")
        )
        listening = asyncio.create_task(self._listen(reader))
        stop = asyncio.create_task(stopping.wait())
        try:
            while True:
                await asyncio.wait((listening, stop), timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
                if stop.done():
                    return None
                if listening.done():
                    return await self._verdict(listening.exception())
                if self._overdue():
                    self._listener.stalled()
                    return self._silence()
        finally:
            for task in (listening, stop):
                task.cancel()
            await asyncio.gather(listening, stop, return_exceptions=True)
            transport.close()

    def _silence(self) -> CameraError:
        """Whose silence it is. A child whose camera sends nothing still says so twice a second; one that hangs does
        not, and its camera need not be spared.
        """
        if self._first_ns is not None and self._heard_ns == self._fresh_ns:
            return _died(say("went silent"))
        return CameraError(
            "camera_stalled",
            "no picture came in time; the reader is replaced",
            hint="check power and network",
        )

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            self._heard_ns = self._clock.monotonic_ns()
            match message["kind"]:
                case "confined":
                    self._listener.confined(tuple(_text(text) for text in message["missing"]))
                case "opened":
                    size = _count(message["width"]), _count(message["height"])
                    self._listener.opened(_text(message["codec"]), *size)
                case "heartbeat":
                    self._beat(Heartbeat.parse(message))
                case "ended":
                    self._complete = message["complete"] is True
                    code, hint = _text(message["code"]), _text(message["hint"])
                    self._end = CameraError(code, _sentence(message["message"]), hint=hint)
                case _:
                    raise ValueError("unknown message")

    def _beat(self, beat: Heartbeat) -> None:
        self._waiting = beat.waiting
        if beat.frames > self._frames:
            self._frames = beat.frames
            self._fresh_ns = self._heard_ns
            self._first_ns = self._first_ns or self._heard_ns
            self._listener.live_for((self._heard_ns - self._first_ns) / 1e9)
        if beat.frames:
            self._listener.progress(beat)

    def _overdue(self) -> bool:
        """Whether the deadline that applies now has passed."""
        now_ns = self._clock.monotonic_ns()
        if self._waiting:  # lossless: the reader of the slot takes its time; only silence is a fault
            since_ns, allowed_s = self._heard_ns, self._settings.stall_s + CHILD_START_S
        elif self._first_ns is None:
            since_ns = self._began_ns
            allowed_s = (
                CHILD_START_S + self._settings.open_timeout_s + max(KEYFRAME_WAIT_S, self._settings.stall_s)
            )
        else:
            since_ns, allowed_s = self._fresh_ns, self._settings.stall_s
        return now_ns - since_ns > allowed_s * 1e9

    async def _verdict(self, broken: BaseException | None) -> CameraError | None:
        """Why the child stopped talking."""
        if broken is not None:
            return CameraError(
                "camera_child_broken",
                "the capture process broke the protocol",
                hint="the stream may be hostile; the process was confined and is replaced",
            )
        code: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                code = await self._child.wait()
        if self._end is not None:
            return None if self._complete and not self._live else self._end
        how = (
            say("went silent")
            if code is None
            else say("died (signal {signal})", signal=-code)
            if code < 0
            else say("died (exit status {status})", status=code)
        )
        return _died(how)


def _died(how: str) -> CameraError:
    return CameraError(
        "camera_child_died",
        say("the capture process {how}", how=how),
        hint="the stream may be damaged or hostile; the process was confined and is replaced",
    )


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < _COUNT:
        raise ValueError("not a count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return "".join(character for character in value[:_TEXT] if character.isprintable())


def _sentence(value: object) -> str:
    """A child's text, as a page can say it in its reader's language; plain English where anything is odd about it."""
    text = unpacked(value)
    plain = _text(str(text))
    if not isinstance(text, Sentence) or text != plain:
        return plain
    return text if all(str(value).isprintable() for value in text.values.values()) else plain


async def door_opens(
    endpoint: tuple[str, int], *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return when the endpoint accepts connections after it did not.

    A bare connection costs a camera nothing, so one that was pulled for an hour is back within seconds and not
    only after the longest wait.
    """
    shut = False
    while True:
        try:
            async with asyncio.timeout(DOOR_S):
                _, writer = await asyncio.open_connection(*endpoint)
        except (OSError, TimeoutError):
            shut = True
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            if shut:
                return
        await pause(DOOR_S)
