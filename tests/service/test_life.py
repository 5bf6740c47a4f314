"""The life of a deployment with real parts: who may start it, what ends it, what may change meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.audit.verify import verify
from lfr_edge.demo.officers import (
    APPROVER,
    OPERATOR,
    PROPOSER,
    approve,
    authority_for,
)
from lfr_edge.deployment.authority import Document
from lfr_edge.deployment.authority.document import cancelled, encode_document, signed
from lfr_edge.errors import LfrError
from lfr_edge.service import Service
from lfr_edge.service.changes import carry_out
from lfr_edge.service.control import Control
from lfr_edge.service.phase import Phase
from lfr_edge.service.view import View
from lfr_edge.settings import Settings
from tests.service.conftest import PASSPHRASE, children, until
from tests.service.officers import HERE, HandOnTheClock, Officers, refused

pytestmark = [pytest.mark.network, pytest.mark.timeout(150)]


async def test_every_step_is_needed_and_then_changes_take_effect_on_the_next_face(van, prepared) -> None:
    officers = await prepared(matching={"threshold": 0.3, "cooldown_s": 0.5})
    service, control, run = officers.service, officers.control, officers.service.run
    assert run.phase is Phase.PREPARING
    assert await refused(control.start(PROPOSER)) == "readiness_list_approved"
    with pytest.raises(LfrError) as caught:
        _ = run.desk
    assert caught.value.code == "deployment_not_started"
    assert "recogniser.started" not in van.verbs(), "nobody is looked at"

    # One person alone does not start it, nor does an approval of something else.
    await control.propose("watchlist", "", PROPOSER)
    assert await refused(control.start(PROPOSER)) == "readiness_list_approved"
    proposal = await approve(service, "watchlist.activate")
    assert await carry_out(run, proposal, APPROVER) is False, "used at the start, not before"
    await officers.bring(cameras=("another",))
    assert await refused(control.start(PROPOSER)) == "authority_cameras"
    await officers.bring()
    assert await refused(control.start(PROPOSER)) == "readiness_list_approved", (
        "approved without this authority"
    )
    await control.propose("watchlist", "", PROPOSER)
    await approve(service, "watchlist.activate")
    assert await refused(control.start(PROPOSER)) == "readiness_briefing"
    assert await refused(control.acknowledge("00" * 32, OPERATOR)) == "briefing_changed"
    await officers.brief()
    await control.start(PROPOSER)
    assert run.phase is Phase.RUNNING
    assert await refused(control.start(PROPOSER)) == "deployment_running"
    assert await refused(control.propose("watchlist", "", PROPOSER)) == "deployment_running"

    # A threshold by two persons counts from the next probe; below the authority's floor nobody can ask for it.
    await until(run.desk.open_alerts, what="an alert")
    assert await refused(control.propose("threshold", "0.29", PROPOSER)) == "authority_threshold"
    assert await refused(control.propose("threshold", "high", PROPOSER)) == "change_value_invalid"
    await officers.two_persons("threshold", "0.99", "threshold.change")
    assert View(service).status().deployment.threshold == 0.99
    raised, frames = run.desk.counts().raised, run.warden.totals["frames"]
    await until(lambda: run.warden.totals["frames"] > frames + 60, what="a walk")
    assert run.desk.counts().raised <= raised + 1, "one may have been under way"
    await officers.two_persons("retention", "12", "retention.change")
    assert run.desk.policy.alert_images_h == 12
    assert await refused(control.propose("retention", "25", PROPOSER)) == "authority_retention"

    # The Authorising Officer cancels: recognition is over before anything else happens.
    began = time.monotonic()
    document = officers.document()
    document = replace(document, authority=run.warrant.signed.authority)
    document = signed(Document(document.authority), officers.key)
    at_ns = service.clock.wall_ns()
    gone = cancelled(document, officers.key, by="A. Example", why="the intelligence was wrong", at_ns=at_ns)
    await control.bring_authority(encode_document(gone), PROPOSER)
    assert run.phase is Phase.ENDED
    assert time.monotonic() - began < 10
    entries = van.entries()
    verbs = [entry.event.ev for entry in entries]
    assert entries[verbs.index("model.loaded")].event.data == {"pack": run.pack.name, "precision": "fp32"}
    assert (
        verbs.index("recogniser.stopped")
        < verbs.index("deployment.cancelled")
        < verbs.index("deployment.closed")
    )
    for earlier, later in (
        ("deployment.authorised", "watchlist.activated"), ("watchlist.activated", "threshold.set"),
        ("threshold.set", "recogniser.started"), ("recogniser.started", "deployment.started"),
        ("deployment.started", "alert.raised"), ("threshold.changed", "deployment.cancelled"),
    ):  # fmt: skip
        assert verbs.index(earlier) < verbs.index(later), (earlier, later)
    report = verify(van.log())
    assert report.intact, report
    assert not [
        found for found in report.reservations if found.code.startswith(("control", "template", "mandate"))
    ]
    assert run.receipts is not None
    assert run.receipts.complete, run.receipts.text()

    # The console stays, and prepares the next one.
    assert await refused(control.start(PROPOSER)) == "deployment_ended"
    assert await refused(control.end(PROPOSER, "again", erase_imports=False)) == "deployment_ended"
    await control.prepare_next(PROPOSER)
    assert service.run is not run
    assert service.run.phase is Phase.PREPARING
    assert service.run.session.deployment.id != run.session.deployment.id
    assert await refused(control.prepare_next(PROPOSER)) == "deployment_running"

    # A copy of the file from before its cancellation brings nothing back.
    await control.bring_authority(encode_document(document), PROPOSER)
    reading = service.run.warrant.signed
    assert reading.sha256 == run.warrant.sha256
    assert reading.cancellation is not None
    assert reading.cancellation.why == "the intelligence was wrong"


async def test_the_authority_ends_it_by_itself_and_no_hand_on_the_clock_lengthens_it(van, prepared) -> None:
    clock = HandOnTheClock()
    officers = await prepared(clock)
    run = officers.service.run
    await officers.start(3600)
    before = run.warrant.remaining_s
    clock.set_by_s = -7200
    await asyncio.sleep(0.3)
    assert run.warrant.remaining_s <= before, "set back by two hours: not a second gained"

    # A new authority, by hand, extends or shortens; an old one does not fit any more.
    clock.set_by_s = 0
    assert await refused(officers.bring(3600, cameras=("another",))) == "authority_cameras"
    await officers.bring(7200)
    assert 7100 < run.warrant.remaining_s < 7201
    assert van.verbs().count("deployment.authorised") == 2

    await officers.bring(30)
    frames = lambda: run.warden.totals["frames"]  # noqa: E731
    await until(lambda: frames() > 5, 20, "recognition runs")
    # The control: without the end it would go on.
    seen = frames()
    await until(lambda: frames() > seen, 5, "it still runs")
    clock.set_by_s = 31  # past the end at once
    jumped = time.monotonic()
    await until(lambda: run.warden._team is None, 2, "recognition stops")
    assert time.monotonic() - jumped < 1.0
    await until(lambda: run.phase is Phase.ENDED, 20, "the end")
    assert run.why_ended == "the authority has ended"
    clock.set_by_s = -7200
    assert run.warrant.over, "set back after the end: still over"
    assert verify(van.log()).intact
    assert children() == set()


async def test_an_interrupted_deployment_waits_for_its_list_and_goes_on(van, prepared) -> None:
    officers = await prepared()
    service, run = officers.service, officers.service.run
    await officers.start(3600)
    alert = (await until(run.desk.open_alerts, what="an alert"))[0]
    name = run.session.deployment.id
    await service.suspend()
    assert children() == set()

    raw = van.raw(deployment=HERE, watchlist={"key_file": str(van.folder / "not-here.key")})
    again = Service(Settings.model_validate(raw))
    await again.start()
    try:
        control = Control(again)
        assert (again.run.phase, again.run.resuming) == (Phase.PREPARING, True)
        assert again.run.session.deployment.id == name
        assert 0 < again.run.warrant.remaining_s <= 3600
        assert await refused(control.unseal("not the words", PROPOSER)) == "watchlist_passphrase_wrong"
        await control.unseal(PASSPHRASE, PROPOSER)
        assert again.run.phase is Phase.RUNNING, "it goes on by itself"
        assert again.run.desk.get(alert.id.token).facts == alert.facts
        await control.end(PROPOSER, "end of the shift", erase_imports=False)
        assert van.verbs().count("watchlist.activated") == van.verbs().count("deployment.started") == 1
        report = verify(van.log())
        assert report.intact, report
        assert not [found for found in report.reservations if found.code.startswith(("control", "template"))]
    finally:
        await again.stop()


async def test_an_operational_box_never_starts_without_authority(van) -> None:
    over = {
        "models": {"purpose": "operational", "licence_reference": "TEST-1"},
        "deployment": {**HERE, "destroy_list": True},
    }
    service = van.service(**over)
    await service.start()
    try:
        officers = Officers(service)
        await officers.come()
        await officers.brief()
        await officers.two_persons("watchlist", "", "watchlist.activate")
        assert await refused(officers.control.start(PROPOSER)) == "readiness_authority"
        await officers.bring()  # for an evaluation
        assert await refused(officers.control.start(PROPOSER)) == "authority_purpose"
        stranger = signed(Document(authority_for(service)), Ed25519PrivateKey.generate())
        bring = officers.control.bring_authority(encode_document(stranger), PROPOSER)
        assert await refused(bring) == "authority_signer_unknown"
        assert "recogniser.started" not in van.verbs()
        assert van.lists.sought.exists()
    finally:
        await service.stop()
    assert "watchlist.activated" not in van.verbs()
    assert van.lists.sought.exists(), "a list that was never active is not destroyed"


async def test_a_start_that_fails_is_taken_back_and_leaves_preparation(van, prepared, monkeypatch) -> None:
    officers = await prepared()
    run = officers.service.run
    monkeypatch.setattr(run, "cameras", _NoPlans(run.cameras))
    await officers.bring()
    await officers.two_persons("watchlist", "", "watchlist.activate")
    await officers.brief()
    with pytest.raises(LfrError):
        await officers.control.start(PROPOSER)
    assert run.phase is Phase.PREPARING
    assert not run.busy
    assert van.verbs()[-1] == "watchlist.destroyed"
    assert "deployment.started" not in van.verbs()


class _NoPlans:
    """Cameras that cannot be described to the recogniser."""

    def __init__(self, cameras) -> None:
        self._cameras = cameras

    def __getattr__(self, name):
        if name == "plans":
            raise LfrError("recogniser_refused_here", "no plan", hint="none")
        return getattr(self._cameras, name)
