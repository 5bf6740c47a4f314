"""The desk's side of the sealed process: start it, talk to it, notice when it hangs, end it.

The recogniser is a fresh interpreter (``exec``), not a fork: it inherits one socket, the cameras' slots and
nothing else of the desk's memory. It never outlives the desk (it is killed with its parent) nor the deployment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lfr_edge.clock import Clock
from lfr_edge.errors import RecogniserError
from lfr_edge.recogniser.channel import AsyncChannel, Message
from lfr_edge.sentences import say

START_TIMEOUT_S: Final = 120.0  # loading and warming networks; a first CUDA start takes most of a minute
HANG_S: Final = 2.0  # reliability.md 5: the watchdog's limit between two signs of progress
STOP_TIMEOUT_S: Final = 5.0

OnMessage = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the process is gone. An orderly end leaves a receipt: slots and index rows overwritten, last ledger."""

    expected: bool
    code: str
    message: str
    wiped: int | None = None
    counters: dict[str, Any] | None = None  # as in a pulse, after the last passage was ended

    @property
    def ledger(self) -> dict[str, int] | None:
        return None if self.counters is None else self.counters["ledger"]


class RecogniserHandle:
    """One recogniser process. **Thread rule:** one event loop.

    Args:
        fds: descriptors the child inherits under the same numbers (slots and bells of the cameras).
        on_message: awaited for every message that is not an answer to a request, in order. It must not wait for
            a disk or a person: while it runs no sign of progress is read.
    """

    def __init__(self, clock: Clock, fds: Sequence[int], on_message: OnMessage) -> None:
        self._clock = clock
        self._fds = tuple(fds)
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._channel: AsyncChannel | None = None
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._next_request = 0
        self._progress_ns = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: asyncio.Future[Ending] | None = None
        self._stopping = False
        self._fault = ""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, body: dict[str, Any], parts: tuple[bytes, ...]) -> dict[str, Any]:
        """Spawn, hand over the specification, wait until networks and list are loaded and the process is sealed.

        Returns:
            The body of the ``ready`` message: providers, dimension, entries, confinement.

        Raises:
            RecogniserError: whatever the child refused (its own code and hint), or ``recogniser_start_failed``.
        """
        ours, theirs = socket.socketpair()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LFR_", "AWS_"))}
        # OpenBLAS's second thread spins after each search: 24 ms of CPU for one dummy search against 0.24.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lfr_edge.recogniser", str(theirs.fileno())),
                pass_fds=(theirs.fileno(), *self._fds),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment,
            )
        finally:
            theirs.close()
        self._channel = await AsyncChannel.over(ours)
        self._ended = asyncio.get_running_loop().create_future()
        ready: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[0] = ready
        self._tasks.append(asyncio.create_task(self._listen(), name="recogniser-listen"))
        await self._channel.send(Message("start", body, parts))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answer = await ready
        except TimeoutError:
            await self.kill()
            raise RecogniserError(
                "recogniser_start_failed",
                say(
                    "the recogniser was not ready after {start_timeout_s:.0f} s",
                    start_timeout_s=START_TIMEOUT_S,
                ),
                hint="lfr-edge doctor shows what this machine lacks",
            ) from None
        self._progress_ns = self._clock.monotonic_ns()
        self._tasks.append(asyncio.create_task(self._watch(), name="recogniser-watch"))
        return answer.body

    async def ended(self) -> Ending:
        """Wait for the end, whoever caused it."""
        assert self._ended is not None, "not started"
        return await asyncio.shield(self._ended)

    async def request(
        self,
        kind: str,
        body: dict[str, Any] | None = None,
        timeout_s: float = 2.0,
        parts: tuple[bytes, ...] = (),
    ) -> Message:
        """Send and wait for the answer.

        Raises:
            RecogniserError: ``recogniser_gone`` or ``recogniser_timeout``.
        """
        if self._channel is None or self._ended is None or self._ended.done():
            raise RecogniserError(
                "recogniser_gone", "the recogniser is not running", hint="see the System page"
            )
        self._next_request += 1
        number = self._next_request
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            await self._channel.send(Message(kind, {**(body or {}), "request": number}, parts))
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise RecogniserError(
                "recogniser_timeout",
                say(
                    "the recogniser did not answer '{kind}' in {timeout_s:g} s",
                    kind=kind,
                    timeout_s=timeout_s,
                ),
            ) from None
        finally:
            self._answers.pop(number, None)

    async def stop(self) -> Ending:
        """End in order: wipe, receipt, exit. A process that does not comply is killed."""
        assert self._ended is not None, "not started"
        if not self._ended.done():
            self._stopping = True
            try:
                receipt = await self.request("stop", timeout_s=STOP_TIMEOUT_S)
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self.ended()
                body = receipt.body
                return Ending(True, "recogniser_stopped", "ended and wiped", int(body["wiped"]), body)
            except (RecogniserError, TimeoutError):
                await self.kill()
        return await self.ended()

    async def kill(self) -> None:
        """SIGKILL: the kernel takes back the memory; nothing of it was ever on a disk."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
        if self._ended is not None:
            await self.ended()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def _listen(self) -> None:
        assert self._channel is not None
        assert self._process is not None
        assert self._ended is not None
        try:
            while (message := await self._channel.receive()) is not None:
                self._progress_ns = self._clock.monotonic_ns()
                await self._dispatch(message)
        except RecogniserError as error:
            self._fault = self._fault or str(error)
        finally:
            await self._channel.close()
            if self._process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STOP_TIMEOUT_S):
                        await self._process.wait()
                if self._process.returncode is None:
                    self._process.kill()
            await self._finish(await self._process.wait())

    async def _dispatch(self, message: Message) -> None:
        number = message.body.get("request", 0 if message.kind in {"ready", "refused"} else None)
        waiting = self._answers.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            if message.kind == "refused":
                body = message.body
                error = RecogniserError(str(body["code"]), str(body["message"]), hint=str(body["hint"]))
                waiting.set_exception(error)
            else:
                waiting.set_result(message)
        elif message.kind == "fault":
            self._fault = str(message.body.get("message", "fault"))
        else:
            await self._on_message(message)

    async def _finish(self, status: int) -> None:
        assert self._ended is not None
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(
                    RecogniserError(
                        "recogniser_gone",
                        self._fault or f"the recogniser ended with status {status}",
                        hint="the reason is in the service's log",
                    )
                )
        if not self._ended.done():
            how = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
            message = self._fault or f"the recogniser was {how}" if status else "ended"
            code = "recogniser_stopped" if self._stopping and not status else "recogniser_died"
            self._ended.set_result(Ending(self._stopping, code, message))

    async def _watch(self) -> None:
        """Kill a process that shows no progress: a hung GPU call never returns by itself."""
        while True:
            asleep_ns = self._clock.monotonic_ns()
            await asyncio.sleep(HANG_S / 4)
            now_ns = self._clock.monotonic_ns()
            if (now_ns - asleep_ns) / 1e9 > HANG_S / 2:
                continue  # the desk itself was held up; what the recogniser sent is still unread
            if (now_ns - self._progress_ns) / 1e9 > HANG_S:
                self._fault = f"no progress for {HANG_S:g} s"
                await self.kill()
                return
