"""The whole service on a real camera: what must arrive, in which order, and what is left at the end."""

from __future__ import annotations

import asyncio

import pytest

from lfr_edge.alerts.store import FeedEvent
from lfr_edge.audit.verify import verify
from tests.service.conftest import SOUGHT, children, until

pytestmark = [pytest.mark.network, pytest.mark.timeout(120)]


async def test_from_the_camera_to_the_record(van, start, at_console) -> None:
    """An alert is durable and recorded before it is offered; a person decides; a pause and a withdrawal hold."""
    service = await start()
    on_disk: list[list[str]] = []  # what the log's file held each time clients were told of something
    publish = service.run.desk.feed.publish

    def look_at_the_disk(event: FeedEvent) -> None:
        on_disk.append(van.verbs())
        publish(event)

    service.run.desk._store.follow(look_at_the_disk)
    alert = (await until(service.run.desk.open_alerts, what="an alert"))[0]
    assert alert.facts.reference == SOUGHT
    await until(lambda: on_disk, 30, "clients are told")
    assert on_disk[0].index("alert.raised") < on_disk[0].index("alert.offered")
    await until(
        lambda: service.run.latencies.offered, 30, "the offer is timed a moment after clients are told"
    )
    assert 0 < service.run.latencies.offered[0] < 10_000

    person = at_console(service.address)
    assert await person.get("/healthz") == b"ok\n"
    await person.set_up(service.accounts.first_code(), "operator")
    shown = (await person.get("/api/alerts"))["open"][0]
    assert shown["token"] == alert.id.token
    assert SOUGHT not in str(shown)
    for which in ("probe", "candidate"):
        assert (await person.get(f"/alerts/{alert.id.token}/{which}.jpg")).startswith(b"\xff\xd8")
    assert (await person.get("/tiles/gate.jpg")).startswith(b"\xff\xd8")
    decided = await person.post(
        f"/api/alerts/{alert.id.token}/looks",
        {
            "answer": "same_person",
            "factors": {"subject": ["features_agree"]},
            "version": shown["version"],
        },
    )
    assert decided["after"]["reference"] == SOUGHT
    measured = dict(decided["after"]["candidate_quality"])
    assert measured["eye_px"] > 20
    assert 0 < measured["overall"] <= 1
    assert "alert.decided" in van.verbs(), "durable before the answer"

    paused = await person.post("/api/pause", {"why": "the van is moved"})
    assert paused["recognising"] is False
    frames = (await service.run.warden.team.tell("read"))[0].body["ledger"]["frames"]
    await asyncio.sleep(1)
    assert (await service.run.warden.team.tell("read"))[0].body["ledger"]["frames"] == frames
    assert (await person.post("/api/resume", {"why": "the van stands"}))["recognising"] is True

    await service_view(service).withdraw(SOUGHT, _officer(), "found")
    raised = service.run.desk.counts().raised
    frames = service.run.warden.totals["frames"]
    await until(lambda: service.run.warden.totals["frames"] > frames + 50, what="another walk")
    assert service.run.desk.counts().raised == raised, "nobody may be stopped for a withdrawn entry"

    await service.stop(why="end of the test")
    assert children() == set()
    totals = service.run.warden.totals
    assert totals["held"] == 0
    assert totals["probes"] == totals["processed"] == totals["erased"] + totals["retained"] > 0
    assert totals["retained"] >= raised
    assert service.run.warden.ending is not None
    assert service.run.warden.ending.wiped is not None
    report = verify(van.log())
    assert report.intact, report
    counted = [entry.event.data for entry in van.entries() if entry.event.ev == "statistics.counted"]
    seen = [minute["cameras"]["gate"] for minute in counted]
    assert sum(gate["frames"] for gate in seen) == totals["frames"]
    assert sum(gate["probes"] for gate in seen) == totals["probes"]
    opportunities = sum(gate["opportunities"] for gate in seen)
    assert raised <= opportunities <= sum(gate["passages"] for gate in seen)
    assert sum(sum(minute.get("score_e4", {}).values()) for minute in counted) == opportunities
    assert sum(sum(minute.get("latency_ms", {}).values()) for minute in counted) == raised
    verbs = van.verbs()
    for earlier, later in (
        ("deployment.opened", "watchlist.activated"),
        ("watchlist.activated", "recogniser.started"),
        ("recogniser.started", "alert.raised"),
        ("recogniser.stopped", "watchlist.destroyed"),
        ("watchlist.destroyed", "deployment.closed"),
        ("deployment.closed", "log.closed"),
    ):
        assert verbs.index(earlier) < verbs.index(later), (earlier, later)
    assert verbs[-1] == "log.closed"
    assert {"camera.connected", "recognition.paused", "recognition.resumed", "watchlist.withdrawn"} <= set(
        verbs
    )


async def test_nobody_on_the_list_nobody_alerted(van, start) -> None:
    """The control: the same camera and another list give no alert, and every template is erased."""
    service = await start(watchlist={"path": str(van.lists.strangers)})
    await until(
        lambda: service.run.warden.totals["frames"] > 120 and service.run.warden.totals["probes"] > 5,
        what="a whole walk",
    )
    await service.stop()
    assert service.run.counts_at_end.raised == 0
    assert service.run.warden.totals["processed"] == service.run.warden.totals["erased"] > 0
    assert service.run.warden.totals["retained"] == 0


def service_view(service):
    from lfr_edge.service.view import View

    return View(service)


def _officer():
    from lfr_edge.audit.event import Actor

    return Actor("hughes", "deployment_officer", "1")
