"""Keeps one camera's pictures coming: starts a capture child, watches it, and replaces it when it fails.

A child is never trusted to notice its own failure. FFmpeg's ``decode()`` simply ends when a server dies, and a
stalled link shows only after twice the read timeout (platform.md §2.3); the keeper goes by the age of the last
picture alone. Each replacement is a new epoch. A camera that was just rebooted is given ``grace_s`` before it
counts as failed, and is asked again after 1, 2, 4 … 30 s: asking every second keeps some cameras dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from lfr_edge.capture.order import Order
from lfr_edge.capture.slot import FrameSlot
from lfr_edge.capture.source import SourceSpec
from lfr_edge.capture.watch import Heartbeat, Watch, door_opens
from lfr_edge.clock import Clock
from lfr_edge.errors import CameraError
from lfr_edge.sentences import say
from lfr_edge.settings import CameraSettings

CameraState = Literal["connecting", "live", "stalled", "waiting", "ended", "stopped"]

BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # reliability.md §5
JITTER: Final = 0.2  # so that ten cameras behind one switch do not come back in step
STABLE_S: Final = 30.0  # live for so long: the next fault starts at 1 s again
_FPS_WINDOW: Final = 10  # heartbeats, 5 s
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
_GONE: Final = frozenset(
    {"camera_refused", "camera_unreachable", "camera_timeout", "camera_ended", "camera_stalled"}
)


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """What is known of one camera now."""

    camera: str
    state: CameraState = "connecting"
    epoch: int = 0  # connections tried so far
    codec: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0  # measured over the last 5 s
    frames: int = 0  # decoded and published, all epochs
    decode_errors: int = 0
    reconnects: int = 0
    blind_s: float = 0.0  # seconds since the start in which there was no fresh picture
    frame_age_ms: float | None = None  # of the newest picture; None before the first
    frozen: bool = False  # pictures come, but they are all the same
    overdue: bool = False  # no picture for longer than the grace
    error_code: str = ""  # of the last failure; kept after recovery
    error_message: str = ""
    error_hint: str = ""
    unconfined: tuple[str, ...] = ()  # what the kernel did not take from the capture child


class Backoff:
    """1, 2, 4 … 30 s, each ± 20 %."""

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._tries = 0

    def next_s(self, code: str = "") -> float:
        """Seconds to wait after a failure. Refused credentials go to the longest wait at once: cameras lock out. A
        capture child that died is not the camera's fault: its first replacement does not wait.
        """
        if code == "camera_child_died" and self._tries == 0:
            self._tries = 1
            return 0.0
        if code == "camera_auth_refused":
            self._tries = len(BACKOFF_S) - 1
        wait = BACKOFF_S[min(self._tries, len(BACKOFF_S) - 1)]
        self._tries += 1
        return wait * self._uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        self._tries = 0


class CameraKeeper:
    """Supervises the capture child of one camera. **Thread rule:** one event loop.

    `slot` and `bell_fd_write` belong to the caller and outlive the keeper; `on_status` is called with each
    change and each heartbeat, and must not block.
    """

    def __init__(
        self,
        settings: CameraSettings,
        slot: FrameSlot,
        bell_fd_write: int,
        clock: Clock,
        on_status: Callable[[CameraStatus], None] | None = None,
        *,
        backoff: Backoff | None = None,
        after: CameraStatus | None = None,
    ) -> None:
        """`after`: the last status of the keeper that this one replaces; epochs and counts go on from there."""
        self._settings = settings
        self._slot = slot
        self._bell_fd = bell_fd_write
        self._clock = clock
        self._on_status = on_status
        self._backoff = backoff or Backoff()
        self._status = CameraStatus(settings.id)
        if after is not None:
            self._status = replace(
                self._status, epoch=after.epoch, frames=after.frames, decode_errors=after.decode_errors
            )
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._rates: deque[tuple[int, int]] = deque(maxlen=_FPS_WINDOW)  # (time, frames of this epoch)
        self._began_ns = 0
        self._fresh_ns = 0  # when the last picture was reported; the start before the first
        self._blind_ns = 0 if after is None else int(after.blind_s * 1e9)
        self._last_captured_ns: int | None = None

    @property
    def status(self) -> CameraStatus:
        now_ns = self._clock.monotonic_ns()
        gap_ns = 0
        if self._task is not None and self._status.state not in {"ended", "stopped"}:
            gap_ns = self._gap(now_ns)
        age_ns = None if self._last_captured_ns is None else now_ns - self._last_captured_ns
        return replace(
            self._status,
            blind_s=(self._blind_ns + gap_ns) / 1e9,
            frame_age_ms=None if age_ns is None else age_ns / 1e6,
        )

    @property
    def child_pid(self) -> int | None:
        """The capture child's, while there is one."""
        return None if self._child is None or self._child.returncode is not None else self._child.pid

    async def start(self) -> None:
        """Begin; returns at once."""
        if self._task is None:
            self._began_ns = self._fresh_ns = self._clock.monotonic_ns()
            self._task = asyncio.create_task(self._keep(), name=f"keeper {self._settings.id}")

    async def stop(self) -> None:
        """Kill the child and wait until it is gone."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        if self._status.state != "ended":
            self._update(state="stopped", fps=0.0)

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            failure = await self._connection()
            if self._stopping.is_set():
                return
            if failure is None:
                self._blind_ns += self._gap(self._clock.monotonic_ns())
                self._update(state="ended", fps=0.0)
                return
            self._failed(failure)
            await self._wait(failure, self._backoff.next_s(failure.code))

    async def _connection(self) -> CameraError | None:
        """One child from start to end: why it ended, or None when a recording was played to its end."""
        epoch = self._status.epoch + 1
        self._rates.clear()
        self._update(epoch=epoch, reconnects=epoch - 1, **self._absent())
        try:
            spec = SourceSpec.from_settings(self._settings)
            self._child, status_fd = await self._spawn(spec, epoch)
        except CameraError as error:
            return error
        except OSError as error:
            return CameraError(
                "camera_child_failed",
                say("the capture process cannot start: {strerror}", strerror=error.strerror),
            )
        try:
            watch = Watch(self, self._settings, self._clock, self._child, live=spec.live)
            return await watch.until_end(status_fd, self._stopping)
        finally:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()  # it holds no state worth a farewell
            await self._child.wait()

    async def _spawn(self, spec: SourceSpec, epoch: int) -> tuple[asyncio.subprocess.Process, int]:
        """A fresh interpreter (never a fork: FFmpeg's locks would come along); the order goes through a pipe."""
        order_read, order_write = os.pipe()
        status_read, status_write = os.pipe()
        order = Order(spec, epoch, self._slot.fd, self._bell_fd, status_write)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            os.write(order_write, order.to_json())  # far below a pipe's 64 KiB
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing is imported from the folder the desk happens to run in
                "-m",
                "lfr_edge.capture.child",
                str(order_read),
                start_new_session=True,  # Ctrl-C is for the desk, which ends its cameras itself
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,  # FFmpeg's messages hold addresses with passwords
                pass_fds=(order_read, self._slot.fd, self._bell_fd, status_write),
                env=environment | {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )
        except BaseException:
            os.close(status_read)
            raise
        finally:
            for fd in (order_read, order_write, status_write):
                os.close(fd)
        return child, status_read

    async def _wait(self, failure: CameraError, wait_s: float) -> None:
        """Sleep before the next try, but not past the moment at which a camera that was gone listens again."""
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._stopping.wait())]
        if failure.code in _GONE and self._settings.url.lower().startswith(("rtsp://", "rtsps://")):
            tasks.append(asyncio.create_task(door_opens(SourceSpec.from_settings(self._settings).endpoint)))
        await asyncio.wait(tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def confined(self, missing: tuple[str, ...]) -> None:
        self._update(unconfined=missing)

    def opened(self, codec: str, width: int, height: int) -> None:
        self._update(codec=codec, width=width, height=height)

    def progress(self, beat: Heartbeat) -> None:
        now_ns = self._clock.monotonic_ns()
        before = self._rates[-1][1] if self._rates else 0
        if beat.frames > before:
            self._blind_ns += self._gap(now_ns)
            self._fresh_ns = now_ns
            self._last_captured_ns = min(now_ns, beat.last_captured_ns)
        self._rates.append((now_ns, beat.frames))
        (first_ns, first_frames), (last_ns, last_frames) = self._rates[0], self._rates[-1]
        fps = (last_frames - first_frames) * 1e9 / (last_ns - first_ns) if last_ns > first_ns else 0.0
        self._update(
            state="live",
            fps=round(fps, 2),
            frames=self._status.frames + max(0, beat.frames - before),
            decode_errors=beat.decode_errors,
            width=beat.width,
            height=beat.height,
            frozen=beat.frozen,
            overdue=False,
        )

    def live_for(self, seconds: float) -> None:
        """The connection has delivered for `seconds`."""
        if seconds >= STABLE_S:
            self._backoff.reset()

    def stalled(self) -> None:
        self._update(state="stalled", fps=0.0)

    def _failed(self, failure: CameraError) -> None:
        described = {"error_code": failure.code, "error_message": failure.message, "error_hint": failure.hint}
        absent = self._absent()
        if failure.code == "camera_stalled" and not absent["overdue"]:
            absent["state"] = "stalled"
        self._update(frozen=False, **absent, **described)

    def _absent(self) -> dict[str, Any]:
        """The part of the status that says: no picture now."""
        overdue = self._overdue()
        return {"state": "waiting" if overdue else "connecting", "overdue": overdue, "fps": 0.0}

    def _overdue(self) -> bool:
        return self._clock.monotonic_ns() - self._fresh_ns > self._settings.grace_s * 1e9

    def _gap(self, now_ns: int) -> int:
        """Blind nanoseconds since the last picture: the whole gap once it is longer than a stall."""
        gap_ns = now_ns - self._fresh_ns
        started = self._fresh_ns == self._began_ns
        return gap_ns if started or gap_ns > self._settings.stall_s * 1e9 else 0

    def _update(self, **changes: Any) -> None:
        self._status = replace(self._status, **changes)
        if self._on_status is not None:
            self._on_status(self.status)
