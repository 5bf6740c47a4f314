"""Faults of a van, one by one, with real parts: what must heal, and what must stop loudly."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from pathlib import Path

import pytest

from lfr_edge.audit.disk import RealDisk
from lfr_edge.audit.verify import verify
from lfr_edge.demo.officers import APPROVER, PROPOSER, approve, arrive
from lfr_edge.service.changes import carry_out, propose
from lfr_edge.service.view import View
from lfr_edge.service.warden import MOST_RESTARTS
from tests.service.conftest import ALERT_S, SOUGHT, children, until

pytestmark = [pytest.mark.network, pytest.mark.timeout(150)]


def _camera(service, name: str = "gate"):
    return next(status for status in service.run.cameras.statuses if status.camera == name)


async def _another_alert(service) -> None:
    before = service.run.desk.counts().raised
    await until(lambda: service.run.desk.counts().raised > before, ALERT_S, "another alert")


async def test_a_camera_that_dies_freezes_or_changes_its_picture_heals_and_alerts_go_on(
    van, start, clips
) -> None:
    service = await start()
    await _another_alert(service)

    await van.server.stop()
    await until(lambda: _camera(service).state != "live", 10, "the dead camera is noticed")
    assert not View(service).status().recognising
    await until(lambda: any("gate" in trouble.text for trouble in View(service).status().troubles), 30)
    await van.server.start()
    await until(lambda: _camera(service).state == "live", 20, "the camera is back")
    await _another_alert(service)

    van.server.freeze("/gate")
    await until(lambda: _camera(service).state != "live", 10, "the hung camera is noticed")
    van.server.thaw("/gate")
    await until(lambda: _camera(service).state == "live", 20, "the camera is back")
    await _another_alert(service)

    van.server.swap("/gate", clips / "wide.mp4")
    await until(lambda: _camera(service).width == 960, 20, "the new resolution")
    await _another_alert(service)

    assert _camera(service).epoch > 2
    assert service.run.warden.restarts == 0, "a camera's fault is local"
    await service.stop()
    verbs = van.verbs()
    assert verbs.count("camera.lost") >= 2
    assert verbs.count("camera.connected") >= 3
    totals = service.run.warden.totals
    assert totals["probes"] == totals["processed"] == totals["erased"] + totals["retained"]


async def test_a_wrong_camera_password_is_said_and_never_shown(van, start, caplog, capfd) -> None:
    """The other camera loses nothing; the password is in no status, page, log, process list or record."""
    secret = "wr0ng-Secret-9Z"
    file = van.folder / "wrong.password"
    file.write_text(secret + "\n")
    van.cameras.append(van.cameras[0] | {"id": "yard", "password_file": str(file)})
    caplog.set_level("DEBUG")
    service = await start()
    yard = await until(
        lambda: (status := _camera(service, "yard")).error_code and status, 20, "the refusal is known"
    )
    assert yard.error_code == "camera_auth_refused"
    assert yard.error_hint
    await until(lambda: _camera(service).state == "live", 20, "the other camera")
    await until(lambda: "camera.lost" in van.verbs(), 30, "the record says so")
    shown = repr((service.run.cameras.statuses, View(service).status(), van.entries()))
    read = 0
    for pid in (os.getpid(), *children()):
        with contextlib.suppress(OSError):  # it ended meanwhile: yard's tries again and again
            for name in ("cmdline", "environ"):
                shown += Path(f"/proc/{pid}/{name}").read_bytes().decode("latin-1")
            read += 1
    assert read >= 2, "this process and the recogniser at least"
    await service.stop()
    out, err = capfd.readouterr()
    shown += caplog.text + out + err
    for path in (van.folder / "audit").rglob("*"):
        if path.is_file():
            shown += path.read_bytes().decode("latin-1")
    assert "camera_auth_refused" in shown
    assert secret not in shown
    assert file.read_text().strip() == secret, "the control: the search looks for the right thing"


async def test_a_killed_recogniser_comes_back_three_times_and_then_stops_loudly(van, start) -> None:
    service = await start()
    await _another_alert(service)
    for restart in range(1, MOST_RESTARTS + 1):
        os.kill(service.run.warden.team.members[0].pid, signal.SIGKILL)
        await until(lambda n=restart: service.run.warden.restarts == n, 10, "the death is noticed")
        await until(lambda: service.run.warden._team is not None, 60, "a new recogniser")
    assert not service.run.failed.is_set()
    await _another_alert(service)
    os.kill(service.run.warden.team.members[0].pid, signal.SIGKILL)
    await asyncio.wait_for(service.run.failed.wait(), ALERT_S)
    status = View(service).status()
    assert not status.recognising
    assert [trouble.health for trouble in status.troubles].count("failed") == 1
    await service.stop()
    entries = van.entries()
    verbs = [entry.event.ev for entry in entries]
    assert verbs.count("recogniser.started") == MOST_RESTARTS + 1
    died = [entry for entry in entries if entry.event.ev == "recogniser.stopped"]
    assert [entry.event.data["why"] for entry in died[: MOST_RESTARTS + 1]] == ["recogniser_died"] * (
        MOST_RESTARTS + 1
    )
    assert verify(van.log()).intact


async def test_of_two_recognisers_one_dies_and_both_come_back_with_an_exact_account(van, start) -> None:
    yard = {**van.cameras[0], "id": "yard"}
    service = await start(cameras=[van.cameras[0], yard], models={"recognisers": 2})
    warden = service.run.warden
    await _looked_at_by_both(service)
    gate, other = warden.team.of("gate").pid, warden.team.of("yard").pid
    frames = warden.totals["frames"]
    os.kill(gate, signal.SIGKILL)
    await until(lambda: warden.restarts == 1 and warden._team is not None, 60, "new recognisers")
    assert not {gate, other} & children(), "those before have ended, both of them"
    assert warden.totals["frames"] >= frames, "what they counted is not lost"
    await View(service).withdraw(SOUGHT, _actor(), "found")
    await _looked_at_by_both(service, since=warden.pulse)
    raised = service.run.desk.counts().raised
    frames = warden.totals["frames"]
    await until(lambda: warden.totals["frames"] > frames + 240, what="a whole walk past both")
    assert service.run.desk.counts().raised == raised, "withdrawn from both"
    await service.stop()
    assert warden.ending.code == "recogniser_stopped"
    totals = warden.totals
    assert totals["held"] == 0
    assert totals["probes"] == totals["processed"] == totals["erased"] + totals["retained"] > 0
    assert van.verbs().count("recogniser.started") == 2, "the two of them are one on the record"
    found = verify(van.log())
    assert found.intact
    assert found.logs[0].duties.processed == totals["processed"], (
        "what they counted before the death is on it, too"
    )


async def _looked_at_by_both(service, since: object = None) -> None:
    """By pulses of recognisers that are running: not by `since`, the last one of those before."""
    warden = service.run.warden

    def both() -> bool:
        views = {} if warden.pulse is since else warden.pulse.get("cameras", {})
        frames = [view["counts"]["frames"] for view in views.values()]
        return len(frames) == 2 and min(frames) > 25

    await until(both, 30, "both are looked at")


async def test_a_withdrawal_and_a_pause_survive_a_recogniser_that_dies(van, start) -> None:
    service = await start()
    view = View(service)
    os.kill(service.run.warden.team.members[0].pid, signal.SIGKILL)
    await until(lambda: service.run.warden.restarts == 1, 30)
    actor = _actor()
    await view.withdraw(SOUGHT, actor, "found")  # while there is no recogniser at all
    await view.pause(actor, "the van is moved")
    await until(lambda: van.verbs().count("recogniser.started") == 2, 60, "a new recogniser")
    assert (await service.run.warden.team.tell("read"))[0].body["paused"] is True
    await view.resume(actor, "the van stands")
    frames = service.run.warden.totals["frames"]
    raised = service.run.desk.counts().raised
    await until(lambda: service.run.warden.totals["frames"] > frames + 120, what="a whole walk")
    assert service.run.desk.counts().raised == raised


async def test_a_threshold_that_two_persons_changed_survives_a_recogniser_that_dies(van, start) -> None:
    service = await start()
    await arrive(service)
    run = service.run
    await _another_alert(service)

    async def change(value: str) -> None:
        await propose(run, "threshold", value, PROPOSER)
        await carry_out(run, await approve(service, "threshold.change"), APPROVER)

    await change("0.99")
    os.kill(run.warden.team.members[0].pid, signal.SIGKILL)
    await until(lambda: van.verbs().count("recogniser.started") == 2, 60, "a new recogniser")
    raised, frames = run.desk.counts().raised, run.warden.totals["frames"]
    await until(lambda: run.warden.totals["frames"] > frames + 120, what="a whole walk")
    assert run.desk.counts().raised == raised, "nobody reaches 0.99"
    assert run.threshold == 0.99
    await change("0.4")
    await _another_alert(service)  # the control: it is the threshold that kept him from being seen


def _actor():
    from lfr_edge.audit.event import Actor

    return Actor("hughes", "deployment_officer", "1")


@pytest.mark.parametrize("failure", [errno.EIO, errno.ENOSPC])
async def test_no_record_no_recognition(van, start, monkeypatch, failure) -> None:
    """The log's disk fails: recognition stops, nobody is shown an alert that is not recorded, the end is orderly."""
    service = await start()
    await until(lambda: _camera(service).state == "live", 20)

    def broken(self, descriptor: int, data: bytes) -> None:
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(RealDisk, "append", broken)
    shown = service.run.desk.counts().offered
    await asyncio.wait_for(service.run.failed.wait(), ALERT_S)
    await until(lambda: service.run.warden._team is None, 10, "the recogniser is ended")
    assert service.run.desk.counts().offered == shown
    assert "log" in service.run.failure
    assert View(service).status().troubles[0].health == "failed"
    monkeypatch.undo()
    await service.stop()
    assert not verify(van.log()).findings, "what is there is intact"
    # The disk is back: the next start goes on with the deployment, and the log with its own last entry.
    again = await start()
    assert again.run.session.deployment.resumed
    await _another_alert(again)


async def test_an_alert_that_cannot_be_raised_stops_recognition_and_says_no_more_than_where(
    van, start, monkeypatch, caplog
) -> None:
    service = await start()

    def broken(message):
        raise RuntimeError(f"holds a face: {message.parts[0]!r}")

    monkeypatch.setattr(service.run.listing, "_alert_of", broken)
    await asyncio.wait_for(service.run.failed.wait(), ALERT_S)
    assert service.run.failure == "an alert could not be raised"
    assert "RuntimeError" in caplog.text
    assert "holds a face" not in caplog.text
    monkeypatch.undo()
    await service.stop()
    assert service.run.counts_at_end.raised == 0


async def test_a_suspended_service_takes_its_deployment_up_again(van, start) -> None:
    service = van.service()
    await service.start()
    alert = (await until(service.run.desk.open_alerts))[0]
    name, size = service.run.session.deployment.id, service.run.session.log.size
    await service.suspend()
    assert children() == set()
    again = await start()
    assert (again.run.session.deployment.id, again.run.session.deployment.resumed) == (name, True)
    assert again.run.session.log.size > size
    assert again.run.desk.get(alert.id.token).facts == alert.facts
