"""Cameras that go silent at every step, reboot as another one, freeze, or send what nobody can decode."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.capture.keeper import BACKOFF_S, JITTER
from lfr_edge.capture.watch import CHILD_START_S, KEYFRAME_WAIT_S
from lfr_edge.demo.rtsp_server import RtspServer
from tests.faults.cable import Cycle
from tests.faults.door import Door, Message, Treatment, honest
from tests.faults.stations import BACK_S, SEEN_S, Station, Untouched, within

# Somebody may be waiting for an answer that never comes, and then has to wait his turn.
ASKED_S: Final = (
    BACKOFF_S[-1] * (1 + JITTER) + CHILD_START_S + 5.0 + KEYFRAME_WAIT_S + 2.0
)  # 5 s: open_timeout_s; 2 s: a busy box
PATH: Final = "/cam1"
FROZEN_FLAG_S: Final = 10.0  # reliability.md 5

# ── half-open ─────────────────────────────────────────────────────────────────────────────────────────────────────

STEPS: Final = (
    "says nothing at all",
    "answers OPTIONS and no more",
    "answers DESCRIBE and no more",
    "answers SETUP and no more",
    "answers PLAY and sends nothing",
    "gives half of an answer",
    "gives half of the stream's description",
    "stops within a packet",
    "sends a moment of pictures and no more",
    "sends a byte now and then",
)


def silent_at(step: str) -> Treatment:
    """What new connections meet."""
    allowed = {"says": 0, "answers OPTIONS": 1, "answers DESCRIBE": 2, "answers SETUP": 3, "answers PLAY": 4}
    answers = next((number for name, number in allowed.items() if step.startswith(name)), 99)

    def treat(message: Message) -> bytes | None:
        half = message.data[: len(message.data) // 2]
        if message.kind == "answer":
            if message.number > answers or (message.number == answers):
                return None
            cut = {"gives half of an answer": 0, "gives half of the stream's description": 1}.get(step)
            if cut is not None and message.number >= cut:
                return half if message.number == cut else None
            return message.data
        if step.startswith("answers PLAY"):
            return None
        if step == "stops within a packet" and message.number >= 3:
            return half if message.number == 3 else None
        if step == "sends a moment of pictures and no more" and message.number >= 30:
            return None
        return message.data

    return treat


@dataclass(frozen=True)
class Silence:
    """A camera that lets everybody wait, and speaks again."""

    seen_s: float
    asked_s: float  # from its return until somebody asks it
    back_s: float  # from then on
    others: str

    @property
    def wrong(self) -> str:
        return self.judged(1)

    def judged(self, patience: float) -> str:
        """What is wrong; the bars are so many times as long."""
        if not self.asked_s <= patience * ASKED_S:
            return f"nobody asked it again for {self.asked_s:.1f} s"
        return Cycle(self.seen_s, self.back_s, self.others).judged(patience)


class Moody:
    """A camera behind a door that can be shut without a sound."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._old: list[list[bool]] = []
        self.step = ""
        door.treat = self._new

    def _new(self) -> Treatment:
        gone = [False]
        self._old.append(gone)
        inner = silent_at(self.step) if self.step else honest
        return lambda message: None if gone[0] else inner(message)

    def vanish(self, step: str) -> None:
        """Who is connected hears no more; who comes meets `step`."""
        for gone in self._old:
            gone[0] = True
        self._old.clear()
        self.step = step
        self.door.pause_s = 0.4 if step == "sends a byte now and then" else 0.0

    def speak(self) -> None:
        """To new connections; for those from before it is gone for good."""
        for gone in self._old:
            gone[0] = True
        self._old.clear()
        self.step, self.door.pause_s = "", 0.0


async def fall_silent(camera: Moody, gate: Station, yard: Station, step: str, out_s: float) -> Silence:
    await gate.live()
    gate.backoff.reset()  # as of a camera that was fine for half a minute
    before = Untouched.since(yard)
    camera.vanish(step)
    seen = await within(lambda: gate.status.state != "live", 2 * SEEN_S)
    await asyncio.sleep(out_s)
    camera.speak()
    spoke, asked_before = time.monotonic(), len(camera.door.asked)
    asked = await within(lambda: len(camera.door.asked) > asked_before, 2 * ASKED_S)
    back = await within(lambda: gate.fresh_since(spoke), 2 * BACK_S)
    return Silence(seen, asked, back, before.wrong)


# ── a reboot ──────────────────────────────────────────────────────────────────────────────────────────────────────

CLIPS: Final = (
    ("h264", 320, 240),
    ("h264", 640, 480),
    ("hevc", 352, 288),
    ("h264", 704, 576),
    ("hevc", 160, 120),
)


async def reboot(
    server: RtspServer, gate: Station, yard: Station, clip: Path, size: tuple[int, int], chance: random.Random
) -> Cycle:
    """The camera goes away and returns as another one; sometimes it answers before it has a picture."""
    await gate.live()
    gate.backoff.reset()
    before = Untouched.since(yard)
    await server.stop()
    seen = await within(lambda: gate.status.state != "live", 2 * SEEN_S)
    await asyncio.sleep(chance.uniform(0, 4))
    server._mounts.clear()  # 404, as of a camera whose encoder is not up yet
    await server.start()
    await asyncio.sleep(chance.choice((0, 0, 1.5)))
    server.add(PATH, clip)
    returned = time.monotonic()
    back = await within(lambda: gate.fresh_since(returned) and gate.size == size, 2 * BACK_S)
    status = gate.status
    others = before.wrong or ("" if (status.width, status.height) == size else f"it is said to be {status}")
    return Cycle(seen, back, others)


async def change_size(
    server: RtspServer, gate: Station, yard: Station, clip: Path, size: tuple[int, int]
) -> Cycle:
    """The same connection goes on with another picture."""
    await gate.live()
    gate.backoff.reset()
    before = Untouched.since(yard)
    server.swap(PATH, clip)
    changed = time.monotonic()
    back = await within(lambda: gate.fresh_since(changed) and gate.size == size, 2 * BACK_S)
    return Cycle(0.0, back, before.wrong)


# ── pictures that are none ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Frozen:
    flagged_s: float
    cleared_s: float
    false_alarm: bool
    others: str

    @property
    def wrong(self) -> str:
        if self.false_alarm:
            return "a moving picture was called frozen"
        if not self.flagged_s <= FROZEN_FLAG_S:
            return f"the frozen picture was flagged after {self.flagged_s:.1f} s"
        if not self.cleared_s <= BACK_S:
            return f"the flag stayed for {self.cleared_s:.1f} s"
        return self.others


async def freeze_picture(
    server: RtspServer, gate: Station, yard: Station, clips: tuple[Path, Path], moving_s: float
) -> Frozen:
    """`clips`: a picture that never changes, and one that does."""
    still, moving = clips
    await gate.live()
    before = Untouched.since(yard)
    false_alarm = await within(lambda: gate.status.frozen, moving_s) <= moving_s
    server.swap(PATH, still)
    flagged = await within(lambda: gate.status.frozen, 2 * FROZEN_FLAG_S)
    server.swap(PATH, moving)
    cleared = await within(lambda: not gate.status.frozen and gate.status.state == "live", 2 * BACK_S)
    return Frozen(flagged, cleared, false_alarm, before.wrong)


async def damage(server: RtspServer, gate: Station, yard: Station, share: float, seconds: float) -> Cycle:
    """`share` of the packets holds wrong bytes for `seconds`; it need not be seen, only survived."""
    await gate.live()
    gate.backoff.reset()
    before = Untouched.since(yard)
    server.damage(PATH, share)
    await asyncio.sleep(seconds)
    server.damage(PATH, 0)
    healed = time.monotonic()
    back = await within(lambda: gate.fresh_since(healed + 0.5), 2 * BACK_S)
    return Cycle(0.0, back, before.wrong)
