"""A deployment's identity and record: begun, resumed after a crash, closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lfr_edge.audit.event import Actor
from lfr_edge.audit.verify import verify
from lfr_edge.clock import SystemClock
from lfr_edge.deployment.session import POINTER, BoxRecord, DeploymentSession
from lfr_edge.errors import AuditError, DeploymentError
from lfr_edge.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(site="Van 3, North", data=tmp_path / "data", audit=tmp_path / "audit")


def begin(settings: Settings) -> DeploymentSession:
    """Each start of the service opens the box's record and lets go of it at its end."""
    box = BoxRecord.open(settings, SystemClock())
    try:
        session = DeploymentSession.begin(settings, SystemClock(), box)
    except BaseException:
        box.close()
        raise
    close, suspend = session.close, session.suspend

    def close_both(**why: str) -> None:
        close(**why)
        box.close()

    def suspend_both() -> None:
        suspend()
        box.close()

    session.close, session.suspend = close_both, suspend_both
    return session


def test_a_deployment_opens_records_and_closes(settings: Settings) -> None:
    session = begin(settings)
    assert not session.deployment.resumed
    assert session.record("deployment.opened", data={"site": settings.site}) > 0
    folder = session.log.folder
    session.close(why="end of the test")
    report = verify(folder)
    assert report.intact, report
    assert not (settings.data / POINTER).exists()


def test_the_next_deployment_of_the_day_has_the_next_number(settings: Settings) -> None:
    first = begin(settings)
    first.close()
    second = begin(settings)
    assert second.deployment.id[:-1] == first.deployment.id[:-1]
    assert second.deployment.id != first.deployment.id
    second.close()


def test_a_restart_goes_on_with_the_same_deployment(settings: Settings) -> None:
    session = begin(settings)
    session.record("deployment.opened")
    size, name = session.log.size, session.deployment.id
    session.suspend()  # what is left after a crash, too: an open log and the pointer
    again = begin(settings)
    assert again.deployment.resumed
    assert again.deployment.id == name
    assert again.log.size >= size
    assert abs(again.deployment.opened_wall_ns - session.deployment.opened_wall_ns) < 5e9
    again.close()


def test_two_services_cannot_write_one_log(settings: Settings) -> None:
    session = begin(settings)
    with pytest.raises(AuditError):
        begin(settings)
    session.close()


def test_a_pointer_that_names_no_deployment_is_refused(settings: Settings) -> None:
    settings.data.mkdir(parents=True)
    (settings.data / POINTER).write_text("../../etc\n")
    with pytest.raises(DeploymentError) as caught:
        begin(settings)
    assert caught.value.code == "deployment_pointer_invalid"
    (settings.data / POINTER).unlink()
    begin(settings).close()  # the refusal left nothing locked


@pytest.mark.parametrize("device_knows", [True, False])
def test_a_power_cut_between_the_last_entry_and_the_pointer(settings: Settings, device_knows: bool) -> None:
    """The log is closed and its key destroyed, but the pointer is still there: the next start is a new deployment."""
    session = begin(settings)
    session.record("deployment.opened")
    pointer = (settings.data / POINTER).read_text()
    if device_knows:
        session.close()
    else:
        session.log.close()
        session._box.close()
    (settings.data / POINTER).write_text(pointer)
    after = begin(settings)
    assert not after.deployment.resumed
    assert after.deployment.id != session.deployment.id
    after.close()
    report = verify(settings.audit)
    assert report.intact, report.text()


def test_a_restart_reads_from_the_record_what_people_decided(settings: Settings) -> None:
    session = begin(settings)
    hughes, reed = Actor("hughes", "deployment_officer"), Actor("reed", "operator")
    assert not session.standing().started
    session.record("deployment.opened")
    session.record("model.loaded", ref="ab" * 32)
    session.record("briefing.acknowledged", actor=reed, data={"sha256": "cd" * 32})
    session.record("deployment.authorised", data={"sha256": "ef" * 32, "operation": "OP", "ends_s": 1})
    session.record("watchlist.activated", actor=hughes, ref="list", data={"templates": 10, "entries": 8})
    session.record("threshold.set", data={"threshold_e4": 4800, "list_size": 8})
    session.record("deployment.started", actor=hughes)
    session.record("watchlist.added", ref="more", data={"templates": 3, "entries": 2})
    session.record("watchlist.withdrawn", ref="one", data={"templates": 2}, why="found")
    session.record("watchlist.added", ref="lost", data={"templates": 4, "entries": 2})
    session.record("watchlist.withdrawn", ref="two", data={"templates": 1, "list": "lost"}, why="found")
    assert session.standing().added == {"more": 3, "lost": 3}, "what a loss would take with it"
    session.record("watchlist.destroyed", ref="lost", data={"templates": 3, "where": "lost in a restart"})
    session.record("threshold.changed", data={"threshold_e4": 5200, "list_size": 9})
    session.record("retention.changed", data={"alert_images_h": 12})
    session.record("recognition.paused", actor=reed, why="the van is moved")
    now = session.standing()
    assert (now.started, now.paused, now.list_ref, now.templates) == (True, True, "list", 11)
    assert (now.withdrawn, now.threshold_e4, now.alert_images_h) == ({"one", "two"}, 5200, 12)
    assert now.added == {"more": 3}
    assert (now.authority, now.pack, now.briefed) == ("ef" * 32, "ab" * 32, {"reed": "operator"})
    assert 0 < now.started_wall_us <= now.last_wall_us
    session.record("recognition.resumed", actor=reed, why="it stands")
    session.record("watchlist.destroyed", ref="list", data={"templates": 11, "where": "memory"})
    after = session.standing()
    assert (after.paused, after.templates) == (False, 0)
    session.close()
