"""What the console may ask of the running deployment, and what it hears when something is not there."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

import pytest

from lfr_edge.audit.event import Actor
from lfr_edge.errors import WatchlistError
from lfr_edge.service.view import View
from tests.service.conftest import SOUGHT, until

pytestmark = [pytest.mark.network, pytest.mark.timeout(90)]
OFFICER = Actor("hughes", "deployment_officer", "1")


async def test_what_the_pages_show(van, start) -> None:
    service = await start()
    view = View(service)
    alert = (await until(service.run.desk.open_alerts, what="an alert"))[0]
    await until(lambda: view.status().cameras[0].fps > 0, 30, "the camera's second heartbeat")
    status = view.status()
    (gate,) = status.cameras
    assert (gate.id, gate.state, gate.note) == ("gate", "live", "")
    assert gate.median_eye_px is None or gate.median_eye_px > 10
    assert status.recognising
    assert status.ledger.processed == status.ledger.erased + status.ledger.retained
    assert status.counters.alerts >= 1
    assert status.deployment.list_size == 1
    assert status.deployment.purpose == "evaluation"
    assert {model.provider for model in status.models} == {"CPUExecutionProvider"}
    assert any("Evaluation" in trouble.text for trouble in status.troubles)
    service.run.warden.ready["degraded"] = "running on the CPU: a card is missing"
    (told,) = (trouble for trouble in view.status().troubles if "on the CPU" in trouble.text)
    assert "how often it is wrong" in told.hint

    # A box that is too slow for its cameras says so; a camera that gives few pictures is none of its doing.
    def slow(looks: float | None, fps: float) -> list[str]:
        camera = replace(status.cameras[0], looks_per_s=looks, fps=fps)
        return [trouble.text for trouble in view._troubles((camera,)) if "looked at" in trouble.text]

    assert slow(4.9, 25.0) == ["camera gate is looked at 4.9 times a second"]
    assert slow(5.0, 25.0) == slow(None, 25.0) == slow(3.9, 4.0) == []

    # The page says that it is painted: the latency ends there, and no made-up token or time counts.
    view.painted(alert.id.token, time.monotonic_ns(), 0)
    assert view.status().latency.painted_p95 > 0
    view.painted("0" * 32, time.monotonic_ns(), 0)
    view.painted(alert.id.token, 1, 0)
    assert len(service.run.latencies.painted) == 1

    (entry,) = view.watchlist()
    assert (entry.reference, entry.images, entry.withdrawn) == (SOUGHT, 1, False)
    with pytest.raises(WatchlistError):
        await view.withdraw("NOBODY-1", OFFICER, "a slip of the pen")
    await view.withdraw(SOUGHT, OFFICER, "found")
    with pytest.raises(WatchlistError) as caught:
        await view.withdraw(SOUGHT, OFFICER, "found")
    assert caught.value.code == "watchlist_already_withdrawn"
    assert view.watchlist()[0].withdrawn
    assert view.status().deployment.list_size == 0

    unchecked = await view.log_summary(verify=False)
    assert (unchecked.verdict, unchecked.checked_wall_ns) == ("unknown", None)
    checked = await view.log_summary(verify=True)
    assert checked.verdict == "unanchored"
    assert checked.entries >= unchecked.entries > 5
    assert checked.lines

    assert (await view.tile("gate")).startswith(b"\xff\xd8")
    await view.pause(OFFICER, "the van is moved")
    assert view.status().cameras[0].state == "paused"
    assert not view.status().recognising
    await view.resume(OFFICER, "the van stands")
    await service.run.warden.stop()
    assert await view.tile("gate") is None, "no recogniser, no tile, no error"


async def test_what_the_pages_show_after_the_end(van, start, at_console) -> None:
    service = await start()
    await until(service.run.desk.open_alerts, what="an alert")
    auditor = at_console(service.address)
    await auditor.set_up(service.accounts.first_code(), "auditor")
    listed = len(service.run.listing.entries())
    await View(service).withdraw(SOUGHT, OFFICER, "found")
    await service.run.end(OFFICER, "end of the shift")
    counts = service.run.counts_at_end
    assert counts.raised == counts.undecided >= 1
    state = await auditor.get("/api/status")
    assert state["desk"] == asdict(counts), "what was raised stays told; it is not zero because it is over"
    assert View(service).watchlist() == (), "nobody is looked for, so nobody is in force"
    assert View(service).status().deployment.list_size == listed - 1, "how many there were stays told"
    assert service.run.listing.entries() == (), "and who they were has left the memory"
