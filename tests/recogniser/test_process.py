"""The sealed process as the desk meets it: a real child, a real slot, real networks."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.clock import SystemClock
from lfr_edge.errors import RecogniserError
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.explanation import GRID, explain
from lfr_edge.recogniser.handle import HANG_S, RecogniserHandle
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.watchlist.container import SealedWatchlist
from tests.recogniser.conftest import picture
from tests.recogniser.street import Street, specification

pytestmark = [pytest.mark.network, pytest.mark.timeout(120)]


class Desk:
    """A camera whose pictures the test draws, a sealed list of one, and whatever the recogniser says."""

    def __init__(self, pack: Pack, sealed: SealedWatchlist, store: ModelStore) -> None:
        self.street = Street("cam")
        self.sealed = sealed
        self.said: list[Message] = []
        self.spec = specification(pack, store, self.street.plan)
        plan = self.street.plan
        self.handle = RecogniserHandle(SystemClock(), (plan.slot_fd, plan.bell_fd), self.hear)

    async def hear(self, message: Message) -> None:
        self.said.append(message)

    async def start(self, spec: StartSpec | None = None, **parts: bytes) -> dict[str, object]:
        sealed = self.sealed
        return await self.handle.start(
            (spec or self.spec).model_dump(mode="json"),
            (parts.get("templates", sealed.template_part()), parts.get("key", sealed.template_key())),
        )

    def show(self, bgr: np.ndarray) -> None:
        self.street.show(bgr)

    async def show_walk(self, portrait: np.ndarray, *, seconds: float, until: str = "") -> None:
        for step in range(int(seconds / 0.1)):
            self.show(picture(portrait, (20 + 6 * step % 600, 100)))
            await asyncio.sleep(0.1)
            if until and any(message.kind == until for message in self.said):
                return

    def alerts(self) -> list[Message]:
        return [message for message in self.said if message.kind == "alert"]


@pytest.fixture
async def desk(default_pack: Pack, model_store: ModelStore, sealed: SealedWatchlist) -> AsyncIterator[Desk]:
    desk = Desk(default_pack, sealed, model_store)
    yield desk
    if desk.handle.pid is not None:
        await desk.handle.kill()
    desk.street.close()


async def test_a_deployment_from_the_first_frame_to_the_receipt(desk: Desk, portrait: np.ndarray) -> None:
    ready = await desk.start()
    assert ready["persons"] == 1
    assert ready["providers"] == ["CPUExecutionProvider"]
    await desk.show_walk(portrait, seconds=20, until="alert")
    (alert,) = desk.alerts()
    assert alert.body["reference"] == "SOUGHT-1"
    assert alert.parts[0].startswith(b"\xff\xd8")
    # Nothing but what was named may leave: no template, in any form.
    assert set(alert.body) == {
        "camera", "track", "captured_ns", "captured_wall_ns", "reference", "score", "threshold",
        "runner_up_reference", "runner_up_score", "box", "quality",
    }  # fmt: skip

    waiting = asyncio.create_task(desk.handle.request("tile", {"camera": "cam", "width": 320}))
    await asyncio.sleep(0.05)
    desk.show(picture(portrait, (300, 100)))
    tile = await waiting
    assert tile.parts[0].startswith(b"\xff\xd8")

    told = await explain(desk.handle, alert.parts[0], alert.parts[0])
    assert told.score_e4 == 10_000
    assert max(max(row) for row in told.cells) > 200
    with pytest.raises(RecogniserError) as caught:
        await explain(desk.handle, b"no picture", alert.parts[0])
    assert caught.value.code == "recogniser_cannot_explain"

    ending = await desk.handle.stop()
    assert ending.expected
    assert ending.wiped == 1  # the list's one row: the slots were empty
    assert ending.ledger is not None
    assert ending.ledger["held"] == 0
    assert ending.ledger["probes"] == ending.ledger["erased"] + ending.ledger["retained"]
    assert ending.ledger["retained"] == 1
    assert ending.ledger["explained"] == 2 + GRID * GRID


async def test_the_process_is_sealed_before_the_first_frame(desk: Desk) -> None:
    ready = await desk.start()
    status = Path(f"/proc/{desk.handle.pid}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if "seccomp" not in str(ready["not_confined_by"]):
        assert facts["Seccomp"].strip() == "2"
    assert facts["NoNewPrivs"].strip() == "1"
    opened = {str(fd.readlink()) for fd in Path(f"/proc/{desk.handle.pid}/fd").iterdir()}
    files = {
        name
        for name in opened
        if name.startswith("/") and not name.startswith(("/dev/", "/memfd:", "/proc/"))
    }
    assert files == set(), "no file may stay open"


async def test_a_withdrawal_works_at_once(desk: Desk, portrait: np.ndarray) -> None:
    await desk.start()
    answer = await desk.handle.request("withdraw", {"reference": "SOUGHT-1"})
    assert answer.body["found"] is True
    await desk.show_walk(portrait, seconds=2)
    assert desk.alerts() == []


async def test_while_paused_nothing_is_looked_at(desk: Desk, portrait: np.ndarray) -> None:
    await desk.start()
    await desk.handle.request("pause")
    before = (await desk.handle.request("read")).body["ledger"]["frames"]
    await desk.show_walk(portrait, seconds=1)
    assert (await desk.handle.request("read")).body["ledger"]["frames"] == before
    await desk.handle.request("resume")
    await desk.show_walk(portrait, seconds=20, until="alert")
    assert desk.alerts()


async def test_after_the_authority_s_end_nothing_is_looked_at_whatever_the_desk_does(
    desk: Desk, portrait: np.ndarray
) -> None:
    await desk.start()
    await desk.handle.request("until", {"remaining_s": 0.0})
    before = (await desk.handle.request("read")).body["ledger"]["frames"]
    await desk.show_walk(portrait, seconds=1)
    assert (await desk.handle.request("read")).body["ledger"]["frames"] == before
    await desk.handle.request("until", {"remaining_s": 600.0})  # the extension
    await desk.handle.request("threshold", {"threshold": 0.99})
    await desk.show_walk(portrait, seconds=2)
    assert (await desk.handle.request("read")).body["ledger"]["frames"] > before
    assert desk.alerts() == [], "another threshold, from the next look on"
    await desk.handle.request("threshold", {"threshold": 0.45})
    await desk.show_walk(portrait, seconds=20, until="alert")
    assert desk.alerts()


async def test_a_hung_process_is_killed_and_said_so(desk: Desk) -> None:
    await desk.start()
    assert desk.handle.pid is not None
    os.kill(desk.handle.pid, signal.SIGSTOP)
    ending = await asyncio.wait_for(desk.handle.ended(), 10)
    assert (ending.expected, ending.code) == (False, "recogniser_died")
    assert "no progress" in ending.message
    with pytest.raises(RecogniserError) as caught:
        await desk.handle.request("read")
    assert caught.value.code == "recogniser_gone"


async def test_a_desk_that_was_held_up_ends_no_recogniser(desk: Desk) -> None:
    """A stalled event loop reads no sign of progress: that is its own fault. The control is the test above."""
    await desk.start()
    for _ in range(2):
        time.sleep(HANG_S + 0.5)  # nothing of the loop turns
        await asyncio.sleep(0.1)
    assert (await desk.handle.request("read", timeout_s=10)).body["paused"] is False


async def test_a_crash_is_noticed_at_once(desk: Desk) -> None:
    await desk.start()
    assert desk.handle.pid is not None
    os.kill(desk.handle.pid, signal.SIGSEGV)
    ending = await asyncio.wait_for(desk.handle.ended(), 5)
    assert not ending.expected
    assert "signal 11" in ending.message


@pytest.mark.parametrize("fault", ["another key", "altered templates", "another model", "no such provider"])
async def test_the_start_is_refused(desk: Desk, fault: str, tmp_path: Path) -> None:
    """Wrong key, altered list, wrong hash, wrong provider: a code and no process."""
    part, key, spec = bytearray(desk.sealed.template_part()), desk.sealed.template_key(), desk.spec
    expected = "watchlist_altered"
    if fault == "another key":
        key = bytes(32)
    elif fault == "altered templates":
        part[-20] ^= 1
    elif fault == "another model":
        store = tmp_path / "store"
        shutil.copytree(spec.store / "default", store / "default")
        onnx = next((store / "default").glob("*.onnx"))
        onnx.write_bytes(onnx.read_bytes()[:-1] + b"\0")
        spec, expected = spec.model_copy(update={"store": store}), "model_altered"
    else:
        models = spec.models.model_copy(update={"providers": ("cuda",)})
        spec, expected = spec.model_copy(update={"models": models}), "vision_provider_missing"
    with pytest.raises(RecogniserError) as caught:
        await desk.start(spec, templates=bytes(part), key=key)
    assert caught.value.code == expected
    assert caught.value.hint
    assert not (await asyncio.wait_for(desk.handle.ended(), 10)).expected


async def test_nobody_gets_a_tile_of_a_camera_without_pictures(desk: Desk) -> None:
    await desk.start()
    answer = await desk.handle.request("tile", {"camera": "cam", "width": 320}, timeout_s=4)
    assert answer.parts == ()


def test_a_hit_cannot_carry_more_than_its_fields() -> None:
    from lfr_edge.recogniser.hit import Hit

    hit = Hit("c", 1, 1, 1, "r", 0.5, 0.4, None, None, (0, 0, 1, 1), {}, b"")
    assert not hasattr(replace(hit), "__dict__")
