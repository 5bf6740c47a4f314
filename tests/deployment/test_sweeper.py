"""What is over is erased and recorded, of closed deployments too, through kills, bad clocks and refusing disks."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.alerts.alert import Alert, AlertId, Hold, State
from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.alerts.retention import pictures_due
from lfr_edge.audit.erasure import prove_erasure, views_of
from lfr_edge.audit.event import SYSTEM, Event
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.deployment.keeping.ageing import Ageing, pictures_over
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.keeping.remains import AlertRemains, HoldOn
from lfr_edge.deployment.keeping.sweeper import Sweeper
from lfr_edge.settings import Settings
from tests.deployment.conftest import OFFICER, MovedClock, Told, Van

PICTURES = AlertPictures(b"probe" * 300, b"candidate" * 200)
KEY = secrets.token_bytes(32)
HOUR_S = 3600
NAME = "2025-01-08-1"


class Recorder:
    """The box's log, as the service holds it open."""

    def __init__(self, van: Van) -> None:
        self.van = van

    def record(self, ev: Any, *, actor: Any, ref: str, data: Any, why: str) -> int:
        assert self.van.device is not None
        return self.van.device.log.append(Event(ev, actor or SYSTEM, ref, data, why)).seq


@dataclass
class Bench:
    van: Van
    settings: Settings
    register: Register
    keys: FileKeyStore

    def sweeper(self) -> Sweeper:
        return Sweeper(self.settings, self.van.clock, Recorder(self.van), self.register, self.keys)

    def sweep(self, running: str | None = None):
        return self.sweeper().sweep(running)

    @property
    def folder(self) -> Path:
        return self.settings.data / "deployments" / NAME

    @property
    def material(self) -> AlertMaterial:
        return AlertMaterial(self.folder / "material", KEY)

    def said(self, ev: str = "") -> list[Event]:
        view = LogView.load(self.settings.audit / "device")
        return [entry.event for _, entry in view.entries() if entry.event.ev.startswith(ev or "alert.")]

    def deployment(self, alerts: int = 2, **opened: Any) -> tuple[Told, list[str]]:
        story = self.van.deployment(NAME)
        story.open(people=5)
        if opened:
            story.say("retention.changed", actor=OFFICER, **opened)
        (self.folder / "alerts.sqlite").parent.mkdir(parents=True, exist_ok=True)
        (self.folder / "alerts.sqlite").write_bytes(b"W-0001 looked at by op.one" * 50)
        tokens = [secrets.token_hex(16) for _ in range(alerts)]
        for number, token in enumerate(tokens, 1):
            commitment = self.material.keep(token, PICTURES)
            story.say("alert.raised", ref=token, number=number, commitment=commitment)
            story.say("alert.decided", ref=token, result="not_referred")
        return story, tokens


@pytest.fixture
def bench(van: Van, tmp_path: Path) -> Bench:
    config = Settings.model_validate(
        {
            "site": "van",
            "data": tmp_path / "data",
            "audit": van.audit,
            "watchlist": {"path": tmp_path / "list.sealed"},
        }
    )
    keys = FileKeyStore(tmp_path / "data" / "keys")
    return Bench(van, config, Register(tmp_path / "data" / "register", keys, van.clock), keys)


def test_pictures_of_a_closed_deployment_go_in_time_recorded_by_the_box(bench: Bench) -> None:
    story, tokens = bench.deployment()
    story.close()
    bench.van.clock.advance(23 * HOUR_S)
    swept = bench.sweep()
    assert (swept.erased, swept.kept, swept.clean) == ([], 2, True)
    assert bench.material.tokens() == set(tokens)
    bench.van.clock.advance(1.1 * HOUR_S)
    swept = bench.sweep()
    assert {(one.what, one.number) for one in swept.erased} >= {("alert_images", 1), ("alert_images", 2)}
    entries = bench.said("alert.erased")
    assert {event.ref for event in entries} == set(tokens)
    raised = {
        entry.event.ref: entry.event
        for _, entry in LogView.load(story.folder).entries()
        if entry.event.ev == "alert.raised"
    }
    for event in entries:
        assert event.data["commitment"] == raised[event.ref].data["commitment"]
        assert event.data["origin"] == story.log.origin
        assert event.data["key_destroyed"] is True
    bench.van.device.log.checkpoint()
    proof = prove_erasure(views_of(bench.settings.audit), tokens[0], [bench.settings.data])
    assert proof.gone, "audit erase-proof shows it"
    assert verify(bench.settings.audit).intact
    assert not bench.sweep().erased, "nothing is done twice"


def test_the_desks_table_goes_with_the_last_picture(bench: Bench) -> None:
    story, _ = bench.deployment()
    story.close()
    bench.van.clock.advance(25 * HOUR_S)
    swept = bench.sweep()
    assert not bench.folder.exists()
    assert [one.what for one in swept.erased] == ["alert_images", "alert_images", "alert_table"]
    (entry,) = bench.said("material.erased")
    assert (entry.data["what"], entry.data["items"]) == ("alert_table", 1)
    assert not (bench.settings.data / "erasing.json").exists()


def test_an_empty_deployments_table_stays_as_long_as_pictures_would(bench: Bench) -> None:
    story, _ = bench.deployment(alerts=0)
    story.close()
    bench.sweep()
    assert bench.folder.exists()
    bench.van.clock.advance(25 * HOUR_S)
    bench.sweep()
    assert not bench.folder.exists()


def test_the_running_deployment_is_its_desks_affair(bench: Bench) -> None:
    _, tokens = bench.deployment()
    bench.van.clock.advance(50 * HOUR_S)
    assert not bench.sweep(running=NAME).erased
    assert bench.material.tokens() == set(tokens)


def test_an_interrupted_deployment_is_swept_but_keeps_its_table(bench: Bench) -> None:
    bench.deployment()
    bench.van.clock.advance(50 * HOUR_S)
    assert len(bench.sweep().erased) == 2
    assert (bench.folder / "alerts.sqlite").exists(), "the next start goes on with it"
    assert bench.material.tokens() == frozenset()


def test_the_shortest_of_law_settings_and_record_counts(bench: Bench) -> None:
    story, _ = bench.deployment(alert_images_h=2)
    story.close()
    bench.van.clock.advance(2.1 * HOUR_S)
    assert len([one for one in bench.sweep().erased if one.what == "alert_images"]) == 2


def test_a_hold_keeps_and_its_end_erases(bench: Bench) -> None:
    story, (held, free) = bench.deployment()
    until = bench.van.clock.wall_ns() // 10**9 + 100 * HOUR_S
    story.say("alert.held", ref=held, actor=OFFICER, why="complaint 12/25", number=1, expires_s=until)
    story.close()
    bench.van.clock.advance(50 * HOUR_S)
    swept = bench.sweep()
    assert (swept.held, len(swept.erased)) == (1, 1)
    assert bench.material.tokens() == {held}
    bench.van.clock.advance(51 * HOUR_S)
    swept = bench.sweep()
    assert bench.material.tokens() == frozenset()
    assert [event.why for event in bench.said("alert.erased")] == [
        "retention ended",
        "hold and retention ended",
    ]
    assert free not in str(swept.failed)


def test_a_hold_of_the_boxs_log_counts_and_so_does_its_release(bench: Bench) -> None:
    story, (held, _) = bench.deployment()
    origin = story.log.origin
    story.close()
    record, clock = Recorder(bench.van), bench.van.clock
    until = clock.wall_ns() // 10**9 + 1000 * HOUR_S
    data = {"origin": origin, "number": 1, "expires_s": until}
    record.record("alert.held", actor=OFFICER, ref=held, data=data, why="evidence")
    clock.advance(50 * HOUR_S)
    sweeper = bench.sweeper()
    sweeper.sweep()
    assert bench.material.tokens() == {held}
    data = {"origin": origin, "number": 1}
    record.record("alert.released", actor=OFFICER, ref=held, data=data, why="case closed")
    sweeper.sweep()
    assert bench.material.tokens() == frozenset()


def test_pictures_without_an_alert_go_by_the_age_of_their_files(bench: Bench) -> None:
    story, _ = bench.deployment(alerts=0)
    token = secrets.token_hex(16)
    bench.material.keep(token, PICTURES)
    born = bench.van.clock.wall_ns()
    for path in (bench.folder / "material").iterdir():
        os.utime(path, ns=(born, born))
    story.close()
    bench.van.clock.advance(20 * HOUR_S)
    assert bench.sweep().kept == 1
    bench.van.clock.advance(5 * HOUR_S)
    bench.sweep()
    assert bench.material.tokens() == frozenset()
    assert "knows no alert" in bench.said("alert.erased")[0].why


def test_pictures_that_come_back_from_a_copy_are_erased_again(bench: Bench) -> None:
    story, tokens = bench.deployment()
    story.close()
    saved = {path.name: path.read_bytes() for path in (bench.folder / "material").iterdir()}
    bench.van.clock.advance(25 * HOUR_S)
    bench.sweep()
    (bench.folder / "material").mkdir(parents=True)
    for name, data in saved.items():
        (bench.folder / "material" / name).write_bytes(data)
    assert len([one for one in bench.sweep().erased if one.what == "alert_images"]) == len(tokens)
    assert not bench.folder.exists()


class Killed(BaseException):
    """No handler of ours catches it, as none catches SIGKILL."""


_STEPS = (
    "lfr_edge.alerts.material._overwrite",
    "lfr_edge.alerts.material.sync_folder",
    "lfr_edge.deployment.keeping.pending.destroy_file",
    "lfr_edge.deployment.keeping.pending.write_new",
    "lfr_edge.deployment.keeping.pending.sync_folder",
    "lfr_edge.deployment.keeping.register.destroy_file",
)


@pytest.mark.parametrize("killed_at", range(1, 16))
def test_a_kill_at_any_step_is_finished_by_the_next_sweep(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    """Each call that touches the disk or the record, one after another; then a fresh process sweeps."""
    import importlib

    story, tokens = bench.deployment(alerts=1)
    bench.register.enter(NAME, story.log.origin, ["A"])
    story.close()
    bench.van.clock.advance(400 * 24 * HOUR_S)
    calls = 0

    def dying(real: Any):
        def step(*words: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == killed_at:
                raise Killed
            return real(*words, **more)

        return step

    with monkeypatch.context() as patched:
        for place in _STEPS:
            module, _, name = place.rpartition(".")
            patched.setattr(place, dying(getattr(importlib.import_module(module), name)))
        patched.setattr(Recorder, "record", dying(Recorder.record))
        try:
            bench.sweep()
        except Killed:
            pass
        else:
            assert calls < killed_at, "no step is left"
    assert killed_at < 15 or calls < killed_at, "the last case comes after the last step"
    swept = bench.sweep()
    assert swept.clean, swept.failed
    assert not bench.folder.exists()
    assert not (bench.settings.data / "erasing.json").exists()
    assert {event.ref for event in bench.said("alert.erased")} == set(tokens)
    said = [event.data["what"] for event in bench.said("material.erased")]
    assert set(said) == {"alert_table", "register"}, said
    assert bench.register.pages() == ()
    again = bench.sweep()
    assert not again.erased
    assert again.clean


def test_what_cannot_be_erased_is_said_and_the_rest_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    story, (bad, good) = bench.deployment()
    story.close()
    bench.van.clock.advance(25 * HOUR_S)
    real = AlertMaterial.erase

    def refusing(self: AlertMaterial, token: str) -> None:
        if token == bad:
            raise OSError(30, "Read-only file system")
        real(self, token)

    monkeypatch.setattr(AlertMaterial, "erase", refusing)
    swept = bench.sweep()
    assert not swept.clean
    assert "Read-only" in swept.failed[0].reason
    assert "Read-only" in caplog.text
    assert bench.material.tokens() == {bad}
    assert [event.ref for event in bench.said("alert.erased")] == [good]
    monkeypatch.undo()
    assert bench.sweep().clean
    assert not bench.folder.exists()


def test_a_log_that_refuses_is_said_and_the_entry_follows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfr_edge.errors import AuditError

    story, tokens = bench.deployment()
    story.close()
    bench.van.clock.advance(25 * HOUR_S)

    def dead(*_: Any, **__: Any) -> int:
        raise AuditError("audit_log_failed", "the log is dead")

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "record", dead)
        swept = bench.sweep()
    assert len(swept.failed) == 2
    assert bench.material.tokens() == frozenset(), "erased all the same"
    assert bench.sweep().clean
    assert {event.ref for event in bench.said("alert.erased")} == set(tokens)


def test_a_clock_set_back_keeps_nothing_and_is_said(bench: Bench) -> None:
    story, _ = bench.deployment()
    story.close()
    clock = bench.van.clock
    clock.advance(10)
    Recorder(bench.van).record("report.made", actor=None, ref="", data={}, why="")
    sweeper = bench.sweeper()
    sweeper.sweep()
    clock.wall -= 20 * 365 * 24 * HOUR_S * 10**9  # a flat battery
    clock.advance(25 * HOUR_S)
    swept = sweeper.sweep()
    assert bench.material.tokens() == frozenset()
    assert "behind the record" in swept.failed[0].reason


def test_a_clock_set_back_over_a_restart_keeps_nothing(bench: Bench) -> None:
    story, _ = bench.deployment()
    story.close()
    clock = bench.van.clock
    clock.advance(25 * HOUR_S)
    Recorder(bench.van).record("report.made", actor=None, ref="", data={}, why="")
    clock.wall -= 20 * 365 * 24 * HOUR_S * 10**9
    clock.mono = 10**9  # another boot
    assert len([one for one in bench.sweep().erased if one.what == "alert_images"]) == 2


def test_a_hold_is_not_cut_short_by_an_old_entry_from_the_future(bench: Bench) -> None:
    """A clock that was once years ahead must not cost evidence, nor the register its pages."""
    story, (held, _) = bench.deployment()
    now = bench.van.clock.wall_ns()
    story.say("alert.held", ref=held, why="x", number=1, expires_s=now // 10**9 + 100 * HOUR_S)
    bench.register.enter(NAME, story.log.origin, ["A"])
    bench.van.clock.wall += 5 * 365 * 24 * HOUR_S * 10**9
    story.say("report.made")
    bench.van.clock.wall = now
    story.close()
    swept = bench.sweep()
    assert bench.material.tokens() == {held}
    assert swept.held == 1
    assert bench.register.ask("A")


def test_a_damaged_log_costs_no_privacy(bench: Bench) -> None:
    story, _ = bench.deployment()
    story.close()
    path = story.folder / "entries.lfr"
    path.write_bytes(path.read_bytes()[:300])
    for file in (bench.folder / "material").iterdir():
        os.utime(file, ns=(bench.van.clock.wall_ns(), bench.van.clock.wall_ns()))
    bench.van.clock.advance(25 * HOUR_S)
    bench.sweep()
    assert bench.material.tokens() == frozenset()


def test_without_a_log_it_is_said_and_the_files_tell_their_age(bench: Bench) -> None:
    bench.van.deployment("2025-01-01-1").close()
    bench.material.keep(secrets.token_hex(16), PICTURES)
    for file in (bench.folder / "material").iterdir():
        os.utime(file, ns=(bench.van.clock.wall_ns(), bench.van.clock.wall_ns()))
    swept = bench.sweep()
    assert (swept.failed[0].what, swept.failed[0].deployment, swept.kept) == ("log", NAME, 1)
    bench.van.clock.advance(25 * HOUR_S)
    swept = bench.sweep()
    assert not swept.clean
    assert bench.material.tokens() == frozenset()


def test_the_evidence_key_goes_with_the_last_picture(bench: Bench) -> None:
    story, _ = bench.deployment()
    story.close()
    bench.keys.write(f"evidence-{NAME}", KEY)
    bench.van.clock.advance(2 * HOUR_S)
    bench.sweep()
    assert bench.keys.read(f"evidence-{NAME}") == KEY
    bench.van.clock.advance(25 * HOUR_S)
    assert "evidence_key" in {one.what for one in bench.sweep().erased}
    assert bench.keys.read(f"evidence-{NAME}") is None


@pytest.mark.parametrize("purpose", ["operational", "evaluation"])
def test_a_list_that_nobody_destroyed_is_destroyed_after_a_day(bench: Bench, purpose: str) -> None:
    path = bench.settings.watchlist.path
    models = bench.settings.models.model_copy(update={"purpose": purpose})
    object.__setattr__(bench, "settings", bench.settings.model_copy(update={"models": models}))
    story, _ = bench.deployment(alerts=0)
    path.write_bytes(b"sealed" * 100)
    born = bench.van.clock.wall_ns()
    os.utime(path, ns=(born, born))
    assert bench.sweeper().list_due_ns(NAME) is None, "it is in use"
    story.close()
    bench.van.clock.advance(23 * HOUR_S)
    bench.sweep()
    assert path.exists()
    bench.van.clock.advance(2 * HOUR_S)
    bench.sweep(running="another")
    assert path.exists(), "another deployment uses it"
    bench.sweep()
    assert path.exists() == (purpose == "evaluation")
    said = [event.data["what"] for event in bench.said("material.erased")]
    assert ("sealed_list" in said) == (purpose == "operational")


def test_a_list_that_was_never_deployed_has_a_day_more(bench: Bench) -> None:
    path = bench.settings.watchlist.path
    story, _ = bench.deployment(alerts=0)
    story.close()
    bench.van.clock.advance(HOUR_S)
    path.write_bytes(b"sealed" * 100)
    born = bench.van.clock.wall_ns()
    os.utime(path, ns=(born, born))
    bench.van.clock.advance(47 * HOUR_S)
    bench.sweep()
    assert path.exists()
    bench.van.clock.advance(2 * HOUR_S)
    bench.sweep()
    assert not path.exists()


def test_the_register_ends_in_time(bench: Bench) -> None:
    story, _ = bench.deployment(alerts=0)
    bench.register.enter(NAME, story.log.origin, ["A", "B"])
    story.close()
    bench.van.clock.advance(364 * 24 * HOUR_S)
    bench.sweep()
    assert bench.register.ask("A")
    bench.van.clock.advance(2 * 24 * HOUR_S)
    bench.sweep()
    assert bench.register.pages() == ()
    (entry,) = [event for event in bench.said("material.erased") if event.data["what"] == "register"]
    assert (entry.ref, entry.data["items"], entry.data["key_destroyed"]) == (story.log.origin, 2, True)


def test_a_damaged_job_is_said(bench: Bench) -> None:
    bench.settings.data.mkdir(parents=True, exist_ok=True)
    (bench.settings.data / "erasing.json").write_text("{")
    assert bench.sweep().failed[0].what == "unfinished erasure"


def test_a_box_without_any_deployment_has_nothing_to_sweep(bench: Bench) -> None:
    assert bench.sweep().clean


ages = st.integers(0, 40 * 24 * 60)


@settings(max_examples=200, deadline=None)
@given(age_min=ages, hold_min=st.none() | ages, lived_min=ages, kept_h=st.floats(0.1, 2000))
def test_desk_and_sweeper_keep_one_rule(
    age_min: int, hold_min: int | None, lived_min: int, kept_h: float
) -> None:
    """The desk's plain rule is the reference."""
    minute, raised = 60 * 10**9, 1_795_000_000 * 10**9
    wall = raised + age_min * minute
    expires = None if hold_min is None else raised + hold_min * minute
    hold = None if expires is None else Hold("x", "a", expires)
    alert = Alert(AlertId.new(1), 1, State.CLOSED, None, raised, hold=hold)  # type: ignore[arg-type]
    kept = None if expires is None else HoldOn("x", "r", "a", 0, expires // 10**9)
    remains = AlertRemains("0" * 32, 1, raised // 1000, "", False, hold=kept)
    latest = max(wall, raised + lived_min * minute)
    assert pictures_over(remains, wall, latest, kept_h) == pictures_due(
        alert, wall, lived_min * minute, kept_h
    )


def test_two_clocks_and_the_record() -> None:
    clock = MovedClock(10**18)
    ageing = Ageing(clock)
    clock.advance(10)
    assert ageing.steady_ns() == ageing.latest_ns() == 10**18 + 10 * 10**9
    clock.wall -= 10**17
    assert ageing.steady_ns() == 10**18 + 10 * 10**9
    assert ageing.behind_s() == 10**8
    clock.wall = 2 * 10**18
    assert ageing.steady_ns() == ageing.latest_ns() == 2 * 10**18
    clock.wall = 10**18
    clock.advance(5)
    assert ageing.steady_ns() < 1.1 * 10**18
    assert ageing.latest_ns() == 2 * 10**18 + 5 * 10**9
    ageing.recorded(3 * 10**15)
    assert ageing.latest_ns() == 3 * 10**18
