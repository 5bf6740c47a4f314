"""Recorded video with known passages through the recogniser's own loop, unhurried or at the cameras' pace."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import os
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from lfr_edge.capture.frame import Frame
from lfr_edge.capture.keeper import CameraKeeper
from lfr_edge.capture.picture import Picture
from lfr_edge.capture.reader import open_reader
from lfr_edge.capture.slot import FrameReader, FrameSlot
from lfr_edge.capture.source import SourceSpec
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.errors import CameraError, EvaluationError
from lfr_edge.evaluation.passages import ClipAlert, ClipRun
from lfr_edge.evaluation.truth import Truth
from lfr_edge.matching.judge import Judge, Policy
from lfr_edge.recogniser.hit import Hit
from lfr_edge.recogniser.loop import Recogniser
from lfr_edge.recogniser.probes import LOOKING_S
from lfr_edge.recogniser.shares import deal
from lfr_edge.recogniser.spec import CameraPlan
from lfr_edge.settings import CameraSettings, VisionSettings
from lfr_edge.vision.pipeline import VisionStack
from lfr_edge.watchlist.container import SealedWatchlist
from lfr_edge.watchlist.enrol import Rules, enrol_list
from lfr_edge.watchlist.entry import Response
from lfr_edge.watchlist.folder import read_folder
from lfr_edge.watchlist.index import WatchlistIndex
from lfr_edge.watchlist.unseal import unseal_templates

_WAIT_S: Final = 0.1
_START_S: Final = 30.0  # for the capture child to open a recording

Progress = Callable[[int, int], None]
"""Told (done, total) frames of the first camera."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Who is looked for: makes a fresh index for each replay, because a replay ends by wiping its list."""

    references: tuple[str, ...]
    make: Callable[[], WatchlistIndex] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Replay:
    """One or several clips, each as one camera."""

    clips: Mapping[str, Path]  # by camera
    truths: Mapping[str, Truth]
    policy: Policy
    vision: VisionSettings = field(default_factory=VisionSettings)
    side: int = 1280  # longest side of the detector's picture


def check_clips(clips: Mapping[str, Path], truths: Mapping[str, Truth]) -> None:
    """Open every clip for a moment: one that cannot be played, or is another than its truth's, is said at once.

    Raises:
        EvaluationError: ``clip_unreadable``, ``truth_of_another_clip``.
    """
    for camera, path in clips.items():
        try:
            with _frames(camera, path) as frames:
                first = next(frames, None)
        except CameraError as error:
            raise EvaluationError(
                "clip_unreadable", error.message, hint=error.hint or "name a recording that can be played"
            ) from None
        truth = truths[camera]
        if first is None or (first.width, first.height) != (truth.width, truth.height):
            shown = "no picture" if first is None else f"pictures of {first.width} × {first.height}"
            raise EvaluationError(
                "truth_of_another_clip",
                f"{path} has {shown}; its truth is of {truth.width} × {truth.height}",
                hint="name each clip's own --truth, in the same order",
            )


def gallery_of(path: Path, stack: VisionStack, *, key: bytes | None = None) -> Gallery:
    """A folder of pictures (one folder per person, or with a CSV) or a sealed list with its key.

    Raises:
        WatchlistError: a list that is refused. EvaluationError: ``gallery_key_missing``.
    """
    if path.is_dir():
        survey = read_folder(path, category="blue_list", response=Response.GREEN)
        rules = Rules(several_faces="central")
        enrolled = list(enrol_list(survey, stack, rules, skip_refused=True))
        rows = [(item.entry.reference, item.templates) for item in enrolled]

        def make() -> WatchlistIndex:
            index = WatchlistIndex(stack.dimension, capacity=sum(len(matrix) for _, matrix in rows))
            for reference, matrix in rows:
                index.add(reference, matrix)
            return index

        return Gallery(tuple(reference for reference, _ in rows), make)
    if key is None:
        raise EvaluationError(
            "gallery_key_missing", f"{path} is a sealed list", hint="name its key with --key-file"
        )
    with SealedWatchlist.open(path, key, fingerprint=stack.fingerprint) as opened:
        part, template_key = opened.template_part(), opened.template_key()
        references = tuple(entry.reference for entry in opened.entries())
    return Gallery(references, lambda: unseal_templates(part, template_key, fingerprint=stack.fingerprint))


def replay_unhurried(
    stack: VisionStack, gallery: Gallery, replay: Replay, *, progress: Progress | None = None
) -> ClipRun:
    """Every frame of every clip, as fast as it goes; all cameras' frames of one moment in one step.

    How fast this machine is changes nothing: every look that is due is taken.
    """
    recogniser = _recogniser(stack, gallery, replay, looking_s=math.inf)
    alerts: list[ClipAlert] = []
    frames = dict.fromkeys(replay.clips, 0)
    total = max(truth.frames for truth in replay.truths.values())
    with ExitStack() as opened:
        streams = {
            camera: opened.enter_context(_frames(camera, path)) for camera, path in replay.clips.items()
        }
        while step := [frame for stream in streams.values() if (frame := next(stream, None)) is not None]:
            began = time.perf_counter()
            hits = recogniser.step(step)
            took_ms = 1000 * (time.perf_counter() - began)
            for frame in step:
                frames[frame.camera] += 1
            times = {frame.camera: _clip_time(frame, replay) for frame in step}
            alerts += [_alert(hit, times[hit.camera], took_ms) for hit in hits]
            if progress:
                progress(max(frames.values()), total)
    return _finish(recogniser, alerts, frames, dict.fromkeys(replay.clips, 0))


def replay_at_pace(
    stacks: Sequence[VisionStack],
    gallery: Gallery,
    replay: Replay,
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> ClipRun:
    """As cameras would give it: capture children at the recorded pace, the newest frame wins, the rest is dropped.

    Args:
        stacks: one for each recogniser, at most as many as clips. They share the clips out as a deployment's do, but
            are threads of this process, where those are processes.
    """
    return asyncio.run(_at_pace(stacks, gallery, replay, clock or SystemClock(), progress))


async def _at_pace(
    stacks: Sequence[VisionStack], gallery: Gallery, replay: Replay, clock: Clock, progress: Progress | None
) -> ClipRun:
    with ExitStack() as opened:
        lines = {
            camera: _Line(camera, path, replay.side, clock, opened) for camera, path in replay.clips.items()
        }
        plans = [line.plan for line in lines.values()]
        groups = [[lines[plan.id] for plan in mine] for mine in deal(plans, len(stacks))]
        recognisers = []
        for stack, group in zip(stacks, groups, strict=True):
            part = dataclasses.replace(
                replay, clips={line.camera: replay.clips[line.camera] for line in group}
            )
            recognisers.append(_recogniser(stack, gallery, part, looking_s=LOOKING_S))
            recognisers[-1].rehearse()
        try:
            for line in lines.values():
                await line.keeper.start()
            told = [progress] + [None] * (len(groups) - 1)  # of the first one's clips
            watching = zip(recognisers, groups, told, strict=True)
            watched = await asyncio.gather(
                *(asyncio.to_thread(_watch, one, group, replay, clock, tell) for one, group, tell in watching)
            )
        finally:
            for line in lines.values():
                await line.keeper.stop()
        runs = [
            _finish(recogniser, alerts, frames, {line.camera: line.dropped for line in group})
            for recogniser, group, (alerts, frames) in zip(recognisers, groups, watched, strict=True)
        ]
    return runs[0] if len(runs) == 1 else _together(runs)


def _together(runs: Sequence[ClipRun]) -> ClipRun:
    alerts = sorted((alert for run in runs for alert in run.alerts), key=lambda alert: alert.time_s)
    return ClipRun(
        tuple(alerts),
        {camera: count for run in runs for camera, count in run.frames.items()},
        {camera: count for run in runs for camera, count in run.drops.items()},
        {name: sum(run.ledger[name] for run in runs) for name in runs[0].ledger},
        sum(run.suppressed for run in runs),
    )


class _Line:
    """One clip as a camera: slot, bell, capture child, read side."""

    def __init__(self, camera: str, path: Path, side: int, clock: Clock, opened: ExitStack) -> None:
        self.camera = camera
        slot = FrameSlot.create()
        opened.callback(slot.close)
        self.bell, ring = os.pipe()
        for descriptor in (self.bell, ring):
            os.set_blocking(descriptor, False)
            opened.callback(os.close, descriptor)
        # A recording does not stall: on a box that stands still it must not be begun anew and counted twice.
        settings = CameraSettings(id=camera, url=str(path), realtime=True, stall_s=_START_S)
        self.keeper = CameraKeeper(settings, slot, ring, clock)
        self.reader = FrameReader(slot.fd, camera, max_age_s=settings.max_frame_age_s, clock=clock)
        opened.callback(self.reader.close)
        self.plan = CameraPlan(
            id=camera,
            slot_fd=slot.fd,
            bell_fd=self.bell,
            detector_side=side,
            max_frame_age_s=settings.max_frame_age_s,
        )
        self.last = (0, 0)

    def take(self) -> Frame | None:
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self.bell, 4096)) == 4096:
                pass
        frame = self.reader.take(self.last)
        if frame is not None:
            self.last = (frame.epoch, frame.sequence)
        return frame

    @property
    def dropped(self) -> int:
        """Published and never looked at: passed over for a newer one, or too old when it was met."""
        return self.reader.dropped + self.reader.stale

    @property
    def over(self) -> bool:
        return self.keeper.status.state == "ended"


def _watch(
    recogniser: Recogniser, lines: list[_Line], replay: Replay, clock: Clock, progress: Progress | None
) -> tuple[list[ClipAlert], dict[str, int]]:
    """The worker's loop over real slots, until every clip has ended."""
    alerts: list[ClipAlert] = []
    frames = {line.camera: 0 for line in lines}
    began_ns = clock.monotonic_ns()
    while True:
        over = all(line.over for line in lines)  # asked before taking: the last frame is not lost
        select.select([line.bell for line in lines], [], [], 0 if over else _WAIT_S)
        step = [frame for line in lines if (frame := line.take()) is not None]
        hits = recogniser.step(step) if step else []
        now_ns = clock.monotonic_ns()
        taken = {frame.camera: frame for frame in step}
        for hit in hits:
            latency_ms = (now_ns - hit.captured_ns) / 1e6
            alerts.append(_alert(hit, _clip_time(taken[hit.camera], replay), latency_ms))
        for frame in step:
            frames[frame.camera] += 1
        recogniser.idle(now_ns)
        if progress and step:
            progress(max(frame.sequence for frame in step), max(t.frames for t in replay.truths.values()))
        if over and not step:
            return alerts, frames
        if not any(frames.values()) and (now_ns - began_ns) / 1e9 > _START_S:
            raise EvaluationError(
                "clip_not_playing",
                "no clip gave a picture: " + "; ".join(line.keeper.status.error_message for line in lines),
                hint="play the clip without --realtime to see what is wrong with it",
            )


@contextlib.contextmanager
def _frames(camera: str, path: Path) -> Iterator[Iterator[Frame]]:
    spec = SourceSpec(kind="file", url=str(path.absolute()), realtime=False)
    with open_reader(spec, SystemClock()) as reader:
        yield (
            _frame(camera, sequence, picture) for sequence, picture in enumerate(reader.pictures(), start=1)
        )


def _frame(camera: str, sequence: int, picture: Picture) -> Frame:
    height, width = picture.y.shape
    pixels = np.empty((height * 3 // 2, width), np.uint8)
    pixels[:height] = picture.y
    half = (height // 2, width // 2)
    chroma = pixels[height:].reshape(2, *half)
    chroma[0], chroma[1] = picture.u, picture.v
    return Frame(camera, 1, sequence, picture.captured_ns, picture.captured_wall_ns, width, height, pixels)


def _recogniser(stack: VisionStack, gallery: Gallery, replay: Replay, *, looking_s: float) -> Recogniser:
    sides = dict.fromkeys(replay.clips, replay.side)
    stack.warm(set(sides.values()))  # the very networks that a deployment runs
    judge = Judge(replay.policy)
    return Recogniser(stack, gallery.make(), judge, replay.vision, sides, looking_s=looking_s)


def _clip_time(frame: Frame, replay: Replay) -> float:
    return (frame.sequence - 1) / replay.truths[frame.camera].fps


def _alert(hit: Hit, time_s: float, latency_ms: float) -> ClipAlert:
    return ClipAlert(hit.camera, time_s, hit.reference, hit.score, hit.box, latency_ms)


def _finish(
    recogniser: Recogniser, alerts: list[ClipAlert], frames: dict[str, int], drops: dict[str, int]
) -> ClipRun:
    reading = recogniser.finish().to_json()
    suppressed = recogniser.suppressed
    recogniser.wipe()
    return ClipRun(tuple(alerts), frames, drops, reading, suppressed)
