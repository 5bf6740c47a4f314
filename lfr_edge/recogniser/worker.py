"""The loop of the sealed process: bells and messages in, alerts, counters and tiles out."""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from dataclasses import asdict
from typing import Any, Final

from lfr_edge.capture.frame import Frame
from lfr_edge.capture.slot import FrameReader
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.errors import WatchlistError
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.models.store import ModelStore
from lfr_edge.recogniser.channel import BlockingChannel, Message
from lfr_edge.recogniser.hit import Hit
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.recogniser.spec import CameraPlan, StartSpec
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.vision.twins.options import Acceleration
from lfr_edge.watchlist.unseal import unseal_templates

PULSE_NS: Final = 250_000_000  # the desk's watchdog waits 2 s (reliability.md 5)
TILE_PATIENCE_NS: Final = 1_500_000_000
_STEPS_REMEMBERED: Final = 256


def build(spec: StartSpec, channel: BlockingChannel, *, templates: bytes, key: bytes) -> Worker:
    """Load networks and list. Everything that needs a file happens here, before the process is sealed.

    Raises:
        LfrError: of the models, vision or watchlist room; the desk shows it and does not start.
    """
    pack = ModelStore(spec.store).load(spec.models.pack)
    vision = VisionStack.open(
        pack,
        providers=spec.models.providers,
        threads=spec.models.threads,
        allow_cpu=spec.models.allow_cpu,
        min_score=spec.vision.min_score,
        acceleration=Acceleration.of(spec.models, spec.store),
    )
    index = unseal_templates(templates, key, fingerprint=pack.fingerprint)
    vision.warm({plan.detector_side for plan in spec.cameras})
    rules = spec.matching
    judge = Judge(Policy(spec.threshold, rules.agreement, rules.margin, rules.cooldown_s))
    recogniser = Recogniser(
        vision, index, judge, spec.vision, {plan.id: plan.detector_side for plan in spec.cameras}
    )
    recogniser.rehearse()
    worker = Worker(recogniser, channel, spec.cameras, SystemClock(), paused=spec.paused)
    worker.look_until(spec.remaining_s)
    return worker


class _Feed:
    """One camera's slot and bell, read side."""

    def __init__(self, plan: CameraPlan, clock: Clock) -> None:
        self.id = plan.id
        self.bell = plan.bell_fd
        os.set_blocking(self.bell, False)
        self.reader = FrameReader(plan.slot_fd, plan.id, max_age_s=plan.max_frame_age_s, clock=clock)
        self.last = (0, 0)

    def hush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self.bell, 4096)) == 4096:
                pass

    def take(self) -> Frame | None:
        frame = self.reader.take(self.last)
        if frame is not None:
            self.last = (frame.epoch, frame.sequence)
        return frame


class Worker:
    """**Thread rule:** one thread; it waits in ``select`` and nowhere else."""

    def __init__(
        self,
        recogniser: Recogniser,
        channel: BlockingChannel,
        cameras: tuple[CameraPlan, ...],
        clock: Clock,
        *,
        paused: bool = False,
    ) -> None:
        self._recogniser = recogniser
        self._channel = channel
        self._clock = clock
        self._feeds = [_Feed(plan, clock) for plan in cameras]
        self._paused = paused
        self._running = True
        self._until_ns: int | None = None  # the authority's end: the desk ends this process, but may hang
        self._pulsed_ns = 0
        self._tiles: dict[str, list[tuple[int, int]]] = {}  # camera → (request, deadline)
        self._steps: deque[tuple[float, ...]] = deque(maxlen=_STEPS_REMEMBERED)  # seconds of each stage

    def description(self) -> dict[str, Any]:
        return self._recogniser.description()

    def run(self) -> None:
        """Until the desk says stop or goes away. Raises LfrError when recognition cannot go on."""
        bells = {feed.bell for feed in self._feeds}
        while self._running:
            patience_s = 0.0 if self._recogniser.explainer.busy else PULSE_NS / 2e9
            readable, _, _ = select.select([self._channel.fileno(), *bells], [], [], patience_s)
            if self._channel.fileno() in readable:
                message = self._channel.receive()
                if message is None:
                    return
                self._handle(message)
            for feed in self._feeds:
                if feed.bell in readable:
                    feed.hush()
            self._work()
            self._pulse()

    def look_until(self, remaining_s: float | None) -> None:
        """Look at nobody from then on, whatever the desk does. None: no end."""
        now_ns = self._clock.monotonic_ns()
        self._until_ns = None if remaining_s is None else now_ns + int(remaining_s * 1e9)

    def wipe(self) -> int:
        return self._recogniser.wipe()

    def _work(self) -> None:
        """The newest frame of every camera in one step: no camera waits for another's second frame."""
        frames = [frame for feed in self._feeds if (frame := feed.take()) is not None]
        now_ns = self._clock.monotonic_ns()
        if self._paused or (self._until_ns is not None and now_ns >= self._until_ns):
            frames = []  # taken, so that nothing old is met on resuming, and dropped unseen
        if frames:
            for hit in self._recogniser.step(frames):
                self._channel.send(_alert(hit))
            self._steps.append(tuple(asdict(self._recogniser.stages).values()))
        self._recogniser.idle(now_ns)
        self._explain()
        self._answer_tiles(now_ns)

    def _explain(self) -> None:
        """After the frames: an explanation waits for people who walk past, never the other way round."""
        answer = self._recogniser.explain()
        if answer is not None:
            body: dict[str, Any] = {"request": answer.request}
            self._channel.send(
                Message("answer", body | (asdict(answer.explanation) if answer.explanation else {}))
            )

    def _handle(self, message: Message) -> None:
        request = message.body.get("request")
        answer: dict[str, Any] = {"request": request}
        match message.kind:
            case "tile":
                camera = str(message.body["camera"])
                self._recogniser.want_tile(camera, int(message.body["width"]))
                deadline = self._clock.monotonic_ns() + TILE_PATIENCE_NS
                self._tiles.setdefault(camera, []).append((int(message.body["request"]), deadline))
                return
            case "explain":
                probe, candidate = message.parts
                if self._recogniser.explainer.ask(int(message.body["request"]), probe, candidate):
                    return
            case "withdraw":
                answer["found"] = self._recogniser.withdraw(str(message.body["reference"]))
            case "add":
                answer |= self._add(message.parts)
            case "threshold":
                self._recogniser.adopt(float(message.body["threshold"]))
            case "until":
                self.look_until(float(message.body["remaining_s"]))
            case "pause":
                self._paused = True
            case "resume":
                self._paused = False
            case "read":
                answer |= self._counters()
            case "stop":
                self._running = False
                self._recogniser.finish()
                answer |= self._counters()
                answer["wiped"] = self._recogniser.wipe()
            case _:
                answer["unknown"] = message.kind
        self._channel.send(Message("answer", answer))

    def _add(self, parts: tuple[bytes, ...]) -> dict[str, Any]:
        """A sealed addition and its key → what was added, or why not; recognition goes on either way."""
        part, key = parts
        try:
            added = self._recogniser.add(part, key)
        except WatchlistError as error:
            return {"code": error.code, "message": error.message, "hint": error.hint}
        return {
            "references": list(added.references),
            "templates": added.templates,
            "look_alikes": [list(near) for near in added.look_alikes],
        }

    def _answer_tiles(self, now_ns: int) -> None:
        for camera in list(self._tiles):
            jpeg = self._recogniser.take_tile(camera)
            waiting = self._tiles[camera]
            ready = waiting if jpeg is not None else [one for one in waiting if now_ns > one[1]]
            for request, _ in ready:
                parts = (jpeg,) if jpeg is not None else ()
                self._channel.send(Message("answer", {"request": request}, parts))
            left = [one for one in waiting if one not in ready]
            if left:
                self._tiles[camera] = left
            else:
                del self._tiles[camera]

    def _pulse(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._pulsed_ns >= PULSE_NS:
            self._pulsed_ns = now_ns
            self._channel.send(Message("pulse", self._counters()))

    def _counters(self) -> dict[str, Any]:
        recogniser, now_ns = self._recogniser, self._clock.monotonic_ns()
        views = recogniser.views(now_ns)
        return {
            "ledger": recogniser.reading().to_json(),
            "suppressed": recogniser.suppressed,
            "passed_over": recogniser.passed_over,
            "put_off": recogniser.put_off,
            "paused": self._paused,
            "cameras": {
                feed.id: {
                    **views[feed.id],
                    "dropped": feed.reader.dropped,
                    "stale": feed.reader.stale,
                    "forged": feed.reader.forged,
                }
                for feed in self._feeds
            },
            "stages_ms": self._stage_percentiles(),
        }

    def _stage_percentiles(self) -> dict[str, list[float]]:
        """Milliseconds p50, p95, p99 of each stage over the last steps."""
        names = list(asdict(self._recogniser.stages))
        table: dict[str, list[float]] = {}
        for name, column in zip(names, zip(*self._steps, strict=True), strict=False):
            ordered = sorted(column)
            ranks = [min(len(ordered) - 1, int(share * len(ordered))) for share in (0.5, 0.95, 0.99)]
            table[name] = [round(ordered[rank] * 1000, 2) for rank in ranks]
        return table


def _alert(hit: Hit) -> Message:
    body = {name: getattr(hit, name) for name in Hit.__slots__ if name != "jpeg"}
    return Message("alert", body, (hit.jpeg,))
