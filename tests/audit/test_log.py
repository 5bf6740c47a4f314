"""Appending: durable before it returns, shared syncs, signed heads when they are due, death on a bad disk."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from lfr_edge.audit.checkpoint import parse_checkpoints
from lfr_edge.audit.disk import RealDisk
from lfr_edge.audit.event import Event
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from lfr_edge.audit.stamp import boot_id, time_source
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError

from .conftest import OFFICER, OPERATOR, Box, FaultyDisk

LOST = Event("camera.lost", ref="gate")


def code(error: pytest.ExceptionInfo[AuditError]) -> str:
    return error.value.code


def heads(box: Box, name: str = "d1") -> list[int]:
    raw = (box.folder(name) / "checkpoints").read_bytes()
    return [checkpoint.head.size for checkpoint in parse_checkpoints(raw).whole]


def test_append_numbers_entries_and_close_ends_it(box: Box) -> None:
    log = box.create()
    appended = log.append(Event("alert.raised", OPERATOR, "ab", {"score_e4": 6123}, "because"))
    assert appended.seq == 1
    assert log.size == 2
    assert log.state == "open"
    last = log.close(OFFICER, data={"reason": "end"})
    assert last.head.size == 3
    assert last.note.signed_by(log.keys.signer.verifier)
    assert log.state == "closed"
    view = LogView.load(box.folder())
    assert [entry.event.ev for _, entry in view.entries()] == ["log.opened", "alert.raised", "log.closed"]
    assert view.entry(1).event == Event("alert.raised", OPERATOR, "ab", {"score_e4": 6123}, "because")
    assert view.entry(1).t_wall_us == box.clock.wall // 1000
    assert view.entry(1).boot_id == "boot-1"
    assert view.entry(2).event.actor == OFFICER
    assert view.body(1) == view.entry(1).encode()
    for call in (lambda: log.append(LOST), log.close, log.checkpoint):
        with pytest.raises(AuditError) as caught:
            call()
        assert code(caught) == "audit_log_closed"
    log.tick()  # a timer that fires late does nothing
    assert not (box.folder() / "ballast").exists()


def test_the_entry_is_on_disk_before_append_returns(box: Box) -> None:
    order: list[str] = []

    class Watched(RealDisk):
        def append(self, descriptor: int, data: bytes) -> None:
            super().append(descriptor, data)
            order.append("write")

        def datasync(self, descriptor: int) -> None:
            super().datasync(descriptor)
            order.append("sync")

    log = box.create(disk=Watched())
    order.clear()
    log.append(LOST)
    assert order == ["write", "sync"]
    order.clear()
    log.append(Event("alert.decided", OPERATOR, "ab"))
    # entry, head, checkpoint: each durable before the next begins
    assert order == ["write", "sync"] * 3


def test_concurrent_callers_share_a_sync(box: Box) -> None:
    class Slow(FaultyDisk):
        def datasync(self, descriptor: int) -> None:
            super().datasync(descriptor)
            time.sleep(0.005)

    disk = Slow()
    log = box.create(disk=disk, checkpoint_every=100_000)
    before = disk.calls["datasync"]
    seqs: list[int] = []

    def work() -> None:
        for _ in range(10):
            seqs.append(log.append(LOST).seq)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(1, 201))
    # alone each of 200 appends would cost one; of twenty callers, nineteen line up while one waits for the disk
    assert disk.calls["datasync"] - before < 60
    log.close()
    view = LogView.load(box.folder())
    assert [entry.seq for _, entry in view.entries()] == list(range(202))
    times = [entry.t_mono_ns for _, entry in view.entries()]
    assert times == sorted(times)


def test_concurrent_decisions_share_heads(box: Box) -> None:
    class Slow(FaultyDisk):
        def datasync(self, descriptor: int) -> None:
            super().datasync(descriptor)
            time.sleep(0.002)

    log = box.create(disk=Slow())

    def work() -> None:
        for _ in range(8):
            seq = log.append(Event("alert.decided", OPERATOR, "ab")).seq
            assert log.latest is not None
            assert log.latest.head.size > seq

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.size == 65
    assert len(heads(box)) < 60


def test_a_head_is_signed_every_so_many_entries(box: Box) -> None:
    log = box.create(checkpoint_every=8)
    for _ in range(20):
        log.append(LOST)
    assert heads(box) == [1, 9, 17]
    assert LogOptions().checkpoint_every == 256
    assert LogOptions().checkpoint_after_s == 10.0


def test_a_head_is_signed_when_the_last_is_old(box: Box) -> None:
    log = box.create()
    log.append(LOST)
    box.clock.advance(9.999)
    log.tick()
    assert heads(box) == [1]
    box.clock.advance(0.001)
    log.tick()
    assert heads(box) == [1, 2]
    box.clock.advance(60)
    log.tick()  # nothing new
    assert heads(box) == [1, 2]
    log.append(LOST)  # an append notices, too
    assert heads(box) == [1, 2, 3]


def test_the_timer_signs_by_itself(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_edge.audit.log._TIMER_S", 0.01)
    log = box.create(timer=True)
    log.append(LOST)
    box.clock.advance(11)
    deadline = time.monotonic() + 60
    while heads(box) != [1, 2] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert heads(box) == [1, 2]
    log.suspend()
    assert not any(thread.name == "audit-checkpoints" for thread in threading.enumerate())


@pytest.mark.parametrize("verb", ["alert.decided", "deployment.opened", "deployment.closed"])
def test_decisions_are_signed_at_once(box: Box, verb: str) -> None:
    log = box.create()
    log.append(Event(verb, OPERATOR, "ab"))  # type: ignore[arg-type]
    assert log.latest is not None
    assert log.latest.head.size == 2
    assert heads(box) == [1, 2]


def test_checkpoint_signs_what_is_there_once(box: Box) -> None:
    log = box.create()
    log.append(LOST)
    one = log.checkpoint()
    assert one.head.size == 2
    assert log.checkpoint() is one
    assert log.latest is one


def test_proofs_of_an_open_log(box: Box) -> None:
    log = box.create()
    box.fill(log, 13)
    old = log.checkpoint()
    box.fill(log, 5)
    new = log.checkpoint()
    proof = log.consistency(old.head.size, new.head.size)
    assert verify_consistency(old.head.size, old.head.root, new.head.size, new.head.root, proof)
    appended = log.append(LOST)
    path = log.inclusion(appended.seq, log.size)
    assert verify_inclusion(appended.leaf_hash, appended.seq, log.size, path, log._group.tree.root())


def test_entries_feed_a_view(box: Box) -> None:
    log = box.create()
    box.fill(log, 6)
    everything = list(log.entries())
    assert [entry.seq for _, entry in everything] == list(range(7))
    assert everything[0][0] == 0
    assert list(log.entries(5)) == everything[5:]
    # what is on disk but not acknowledged is not handed out
    with (box.folder() / "entries.lfr").open("ab") as file:
        file.write(b"LFE1 torn")
    assert list(log.entries()) == everything


def test_nothing_is_recorded_of_an_invalid_event(box: Box) -> None:
    log = box.create()
    with pytest.raises(AuditError) as caught:
        log.append(Event("camera.lost", data={"score": 0.6}))
    assert code(caught) == "audit_event_invalid"
    assert log.append(LOST).seq == 1


def test_references_need_the_key(box: Box) -> None:
    log = box.create()
    name = log.reference("entry-17")
    assert name == log.reference("entry-17") == box.keys().reference("entry-17")
    assert name != log.reference("entry-18")
    assert len(name) == 20
    log.close()
    with pytest.raises(AuditError) as caught:
        log.reference("entry-17")
    assert code(caught) == "audit_key_destroyed"
    # a box that is stolen now cannot make the key again: the store gives a new one
    assert box.keys().reference("entry-17") != name


def test_suspend_and_go_on(box: Box) -> None:
    log = box.create()
    log.append(LOST)
    log.suspend()
    log.suspend()
    with pytest.raises(AuditError) as caught:
        log.append(LOST)
    assert code(caught) == "audit_log_closed"
    again = box.open()
    assert again.recovered is None
    assert again.append(LOST).seq == 2
    assert heads(box) == [1, 2, 2]
    again.close()
    assert verify(box.folder()).findings == ()


def test_create_and_open_refuse(box: Box, tmp_path: Path) -> None:
    log = box.create()
    for call, expected in (
        (box.create, "audit_log_exists"),
        (box.open, "audit_log_in_use"),
        (lambda: box.open("d2"), "audit_log_missing"),
    ):
        with pytest.raises(AuditError) as caught:
            call()
        assert code(caught) == expected
    log.suspend()
    for path in (tmp_path / "keys").glob("log-*"):
        box.store.destroy(path.name.removesuffix(".key"))
    with pytest.raises(AuditError) as caught:
        box.open()
    assert code(caught) == "audit_key_mismatch"
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(AuditError) as caught:
        AuditLog.create(blocked / "log", box.origin(), box.keys(), box.clock)
    assert code(caught) == "audit_log_unwritable"


def test_a_closed_log_cannot_be_opened(box: Box) -> None:
    box.closed()
    with pytest.raises(AuditError) as caught:
        box.open()
    assert code(caught) == "audit_log_closed"
    # the key went with the closing, and the one that was made in looking for it went, too
    assert [path.name for path in (box.root / "keys").iterdir()] == ["device.key"]


@pytest.mark.parametrize("call", ["append", "datasync"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_failing_disk_kills_the_log(box: Box, call: str, nth: int) -> None:
    told: list[AuditError] = []
    disk = FaultyDisk()
    log = box.create(disk=disk, on_failure=told.append)
    disk.plan[call, disk.calls[call] + nth] = errno.EIO
    with pytest.raises(AuditError) as caught:
        log.append(Event("alert.decided", OPERATOR, "ab"))  # three writes, three syncs
    assert code(caught) == "audit_log_failed"
    assert caught.value.message.endswith("is dead: Input/output error")
    assert log.state == "failed"
    for method in (lambda: log.append(LOST), log.checkpoint, log.close):
        with pytest.raises(AuditError) as caught:
            method()
        assert code(caught) == "audit_log_failed"
    log.tick()
    assert [error.code for error in told] == ["audit_log_failed"]
    log.suspend()
    again = box.open()
    again.close()
    assert verify(box.folder()).findings == ()


def test_waiting_callers_learn_that_the_log_died(box: Box) -> None:
    started = threading.Event()
    proceed = threading.Event()

    class Hanging(FaultyDisk):
        hang = False

        def datasync(self, descriptor: int) -> None:
            if self.hang:
                started.set()
                proceed.wait(60)
                raise OSError(errno.EIO, "Input/output error")

    disk = Hanging()
    log = box.create(disk=disk)
    disk.hang = True
    errors: list[str] = []

    def work() -> None:
        try:
            log.append(LOST)
        except AuditError as error:
            errors.append(error.code)

    first = threading.Thread(target=work)
    first.start()
    assert started.wait(60)
    others = [threading.Thread(target=work) for _ in range(3)]
    for thread in others:
        thread.start()
    while log._group.waiting < 3:
        time.sleep(0.001)
    proceed.set()
    for thread in (first, *others):
        thread.join()
    assert errors == ["audit_log_failed"] * 4


class Gate(FaultyDisk):
    """Holds one sync until it is let through, and says when it is held."""

    def __init__(self) -> None:
        super().__init__()
        self.shut = False
        self.held = threading.Event()
        self.passed = threading.Event()

    def datasync(self, descriptor: int) -> None:
        super().datasync(descriptor)
        if self.shut:
            self.shut = False
            self.held.set()
            assert self.passed.wait(60)


def beside(call: object) -> tuple[threading.Thread, list[object]]:
    """Run `call` in a thread; its result or its error's code ends up in the list."""
    result: list[object] = []

    def work() -> None:
        try:
            result.append(call())  # type: ignore[operator]
        except AuditError as error:
            result.append(error.code)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, result


def test_whoever_needs_a_head_waits_for_the_writer(box: Box) -> None:
    """While one thread writes, another wants a head, a third closes: one after the other, nothing twice."""
    disk = Gate()
    log = box.create(disk=disk, checkpoint_every=1)
    disk.shut = True
    writer, written = beside(lambda: log.append(LOST).seq)
    assert disk.held.wait(60)
    signer, signed = beside(lambda: log.append(Event("alert.decided", OPERATOR, "ab")).seq)
    while log._group.waiting < 1:
        time.sleep(0.001)
    closer, closed = beside(lambda: log.close().head.size)
    while log._group.waiting < 2:
        time.sleep(0.001)
    late, refused = beside(lambda: log.append(LOST))
    late.join()
    assert refused == ["audit_log_closed"]
    disk.passed.set()
    for thread in (writer, signer, closer):
        thread.join()
    assert (written, signed, closed) == ([1], [2], [4])
    assert verify(box.folder()).findings == ()


def test_nobody_signs_after_the_log_died(box: Box) -> None:
    """A decision waits for its head while the head before it fails: it may not try another."""
    disk = Gate()
    log = box.create(disk=disk)
    log.append(LOST)
    disk.plan["append", disk.calls["append"] + 1] = errno.EIO  # the head is written, its signature is not
    disk.shut = True
    first, failed = beside(log.checkpoint)
    assert disk.held.wait(60)
    second, waited = beside(lambda: log.append(Event("alert.decided", OPERATOR, "ab")))
    third, also = beside(log.checkpoint)
    while log._group.waiting < 1:
        time.sleep(0.001)
    disk.passed.set()
    for thread in (first, second, third):
        thread.join()
    assert (failed, waited, also) == (["audit_log_failed"],) * 3
    calls = disk.calls["append"]
    log.suspend()
    assert disk.calls["append"] == calls


def test_a_key_that_cannot_be_destroyed_is_told(box: Box) -> None:
    log = box.create()

    def burn() -> None:
        raise OSError(errno.EIO, "Input/output error")

    log.keys._burn = burn
    with pytest.raises(AuditError) as caught:
        log.close()
    assert code(caught) == "audit_key_not_destroyed"
    assert LogView.load(box.folder()).entry(1).event.ev == "log.closed"
    assert verify(box.folder()).findings == ()


def test_letting_go_waits_for_the_writer(box: Box) -> None:
    disk = Gate()
    log = box.create(disk=disk)
    disk.shut = True
    writer, written = beside(lambda: log.append(LOST).seq)
    assert disk.held.wait(60)
    leaver, left = beside(log._release)
    disk.passed.set()
    writer.join()
    leaver.join()
    assert (written, left) == ([1], [None])
    assert log.state == "closed"


def test_a_failure_in_the_timer_reaches_the_owner(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_edge.audit.log._TIMER_S", 0.01)
    told: list[AuditError] = []
    disk = FaultyDisk()
    log = box.create(disk=disk, on_failure=told.append, timer=True)
    log.append(LOST)
    disk.plan["datasync", disk.calls["datasync"]] = errno.EIO
    box.clock.advance(11)
    deadline = time.monotonic() + 60
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [error.code for error in told] == ["audit_log_failed"]
    assert log.state == "failed"
    log.suspend()


def test_a_full_disk_is_recorded_from_the_ballast(box: Box) -> None:
    disk = FaultyDisk()
    log = box.create(disk=disk)
    disk.plan["append", disk.calls["append"]] = errno.ENOSPC
    assert log.append(LOST).seq == 1  # recorded all the same
    assert log.state == "disk_full"
    assert not (box.folder() / "ballast").exists()
    with pytest.raises(AuditError) as caught:
        log.append(Event("alert.raised", ref="ab"))
    assert code(caught) == "audit_disk_full"
    log.append(Event("alert.decided", OPERATOR, "cd"))
    log.tick()
    log.close()
    view = LogView.load(box.folder())
    assert [entry.event.ev for _, entry in view.entries()] == [
        "log.opened",
        "camera.lost",
        "disk.full",
        "alert.decided",
        "log.closed",
    ]
    assert verify(box.folder()).findings == ()


@pytest.mark.parametrize("nth", [1, 2])
def test_a_disk_that_fills_up_while_signing(box: Box, nth: int) -> None:
    disk = FaultyDisk()
    log = box.create(disk=disk)
    disk.plan["append", disk.calls["append"] + nth] = errno.ENOSPC
    log.append(Event("alert.decided", OPERATOR, "ab"))
    log.append(LOST)
    assert log.state == "disk_full"
    log.close()
    assert verify(box.folder()).findings == ()


def test_a_disk_that_fills_up_at_the_very_end_still_closes(box: Box) -> None:
    disk = FaultyDisk()
    log = box.create(disk=disk)
    disk.plan["append", disk.calls["append"]] = errno.ENOSPC
    log.close()
    assert LogView.load(box.folder()).entry(1).event.ev == "log.closed"
    assert verify(box.folder()).findings == ()


def test_no_ballast_left_is_the_end(box: Box) -> None:
    disk = FaultyDisk(dead=True)
    log = box.create(disk=disk)
    (box.folder() / "ballast").unlink()
    disk.plan["append", disk.calls["append"]] = errno.ENOSPC
    with pytest.raises(AuditError) as caught:
        log.append(LOST)
    assert code(caught) == "audit_log_failed"
    log.suspend()
    again = box.open()
    assert again.recovered is not None  # the half that was written
    again.close()
    assert verify(box.folder()).findings == ()


def test_a_disk_too_full_for_the_ballast_opens_for_ending_only(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = box.create()
    log.suspend()

    def full(path: Path, size: int) -> None:
        path.write_bytes(b"part of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lfr_edge.audit.writer.allocate", full)
    again = box.open()
    assert again.state == "disk_full"
    assert not (box.folder() / "ballast").exists()
    again.close()
    assert verify(box.folder()).findings == ()


def test_a_broken_ballast_is_an_error(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    log = box.create()
    log.suspend()

    def broken(path: Path, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("lfr_edge.audit.writer.allocate", broken)
    with pytest.raises(AuditError) as caught:
        box.open()
    assert code(caught) == "audit_log_unwritable"


def test_a_head_that_somebody_else_wrote_stops_everything(box: Box) -> None:
    log = box.create()
    log.append(LOST)
    path = box.folder() / "heads"
    path.write_bytes(path.read_bytes() + path.read_bytes().replace(b"1 ", b"9 "))
    with pytest.raises(AuditError, match="the last head on disk") as caught:
        log.checkpoint()
    assert code(caught) == "audit_log_failed"


def test_heads_that_vanish_under_an_open_log_stop_everything(box: Box) -> None:
    log = box.create()
    log.append(LOST)
    (box.folder() / "heads").write_bytes(b"")
    with pytest.raises(AuditError, match="the last head on disk"):
        log.checkpoint()


def test_a_tree_that_lost_what_was_signed_is_never_signed(box: Box) -> None:
    log = box.create()
    box.fill(log, 4)
    log.checkpoint()
    before = heads(box)
    log._group.tree._levels[0][0] ^= 1  # a bit flips in memory
    log._group.tree._levels[1][0] ^= 1
    log._group.tree._levels[2][0] ^= 1
    with pytest.raises(AuditError, match="no longer contains") as caught:
        box.fill(log, 3)
    assert code(caught) == "audit_log_failed"
    assert heads(box) == before


def test_a_smaller_tree_is_never_signed(box: Box) -> None:
    log = box.create()
    log._heads.head = type(log._heads.head)(5, log._heads.head.root)
    with pytest.raises(AuditError, match="no longer contains"), log._at_the_disk():
        log._heads.sign()


def test_the_monotonic_clock_wraps_after_104_days(box: Box) -> None:
    """2⁵³ nanoseconds: more than RFC 8785 can write."""
    log = box.create()
    box.clock.mono = 2**53 - 1
    log.append(LOST)
    box.clock.mono = 2**53 + 5
    log.append(LOST)
    log.close()
    view = LogView.load(box.folder())
    assert [view.entry(seq).t_mono_ns for seq in (1, 2)] == [2**53 - 1, 5]
    assert verify(box.folder()).findings == ()


def test_where_time_and_boot_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/run/systemd/timesync/synchronized")
    assert time_source() == "ntp"
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert time_source() == "rtc"
    assert len(boot_id()) == 36

    def missing(path: Path, encoding: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert boot_id().startswith("process-")


def test_the_source_of_time_is_asked_once_a_second(box: Box) -> None:
    answers = iter(["rtc", "ntp", "gps"])
    log = box.create(source=lambda: next(answers))
    for step in (0.5, 0.499, 0.001, 0.9):
        box.clock.advance(step)
        log.append(LOST)
    log.suspend()
    sources = [entry.t_src for _, entry in LogView.load(box.folder()).entries()]
    assert sources == ["rtc", "rtc", "rtc", "ntp", "ntp"]


def test_defaults_work_on_a_real_disk(box: Box) -> None:
    log = AuditLog.create(box.folder(), box.origin(), box.keys(), box.clock)
    log.append(LOST)
    assert (box.folder() / "ballast").stat().st_blocks * 512 >= 4 * 1024 * 1024
    assert (box.folder() / "entries.lfr").stat().st_mode & 0o777 == 0o600
    assert box.folder().stat().st_mode & 0o777 == 0o700
    log.suspend()


def test_a_full_disk_is_still_signed(box: Box) -> None:
    """What ends the deployment is recorded in the last room there is, and signed in time like all before."""
    disk = FaultyDisk()
    log = box.create(disk=disk)
    disk.plan["append", disk.calls["append"]] = errno.ENOSPC
    log.append(Event("alert.decided", OPERATOR, "ab"))
    assert heads(box) == [1, 3]  # the decision and disk.full under one head, not under two
    log.append(LOST)
    box.clock.advance(11)
    log.tick()
    assert heads(box) == [1, 3, 4]
    log.append(LOST)
    log.suspend()
    assert heads(box) == [1, 3, 4, 5]


def test_an_error_without_words_has_its_name(box: Box) -> None:
    class Speechless(FaultyDisk):
        broken = False

        def datasync(self, descriptor: int) -> None:
            if self.broken:
                raise ValueError
            super().datasync(descriptor)

    disk = Speechless()
    log = box.create(disk=disk)
    disk.broken = True
    with pytest.raises(AuditError) as caught:
        log.append(LOST)
    assert caught.value.message.endswith("is dead: ValueError")


def test_the_timer_does_not_hold_the_process(box: Box) -> None:
    log = box.create(timer=True)
    (timer,) = [thread for thread in threading.enumerate() if thread.name == "audit-checkpoints"]
    assert timer.daemon
    log.suspend()
    assert not timer.is_alive()


def test_a_successor_takes_options_and_handler(box: Box) -> None:
    damaged = box.closed()
    told: list[AuditError] = []
    disk = FaultyDisk()
    successor = AuditLog.succeed(
        damaged,
        box.folder("d2"),
        box.origin("d2"),
        box.keys("d2"),
        box.clock,
        options=box.options(disk=disk),
        on_failure=told.append,
    )
    box.logs.append(successor)
    assert heads(box, "d2") == [1, 2]
    disk.plan["datasync", disk.calls["datasync"]] = errno.EIO
    with pytest.raises(AuditError):
        successor.append(LOST)
    assert [error.code for error in told] == ["audit_log_failed"]


def test_closing_gives_its_reason_and_the_ballast_back(box: Box) -> None:
    log = box.create()
    assert (box.folder() / "ballast").stat().st_size == 65_536
    log.close(OFFICER, data={"reason": "end"})
    assert not (box.folder() / "ballast").exists()
    closing = LogView.load(box.folder()).entry(1).event
    assert (closing.actor, closing.data) == (OFFICER, {"reason": "end"})
    other = box.create("d2")
    (box.folder("d2") / "ballast").unlink()
    other.close()
    assert LogView.load(box.folder("d2")).entry(1).event.data == {}


def test_a_head_may_be_taken_at_any_time_and_costs_nothing_twice(box: Box) -> None:
    disk = FaultyDisk()
    log = box.create(disk=disk)
    box.fill(log, 3)
    first = log.checkpoint()
    calls = dict(disk.calls)
    assert log.checkpoint() is first
    assert disk.calls == calls


def test_proofs_between_heads_that_are_not_the_newest(box: Box) -> None:
    log = box.create()
    heads = []
    for _ in range(3):
        box.fill(log, 3)
        heads.append(log.checkpoint().head)
    old, middle, _ = heads
    log.append(LOST)
    for source in (log, LogView.load(log.folder)):
        proof = source.consistency(old.size, middle.size)
        assert verify_consistency(old.size, old.root, middle.size, middle.root, proof)
        for size in (middle.size, log.size):
            path = source.inclusion(2, size)
            root = log._group.tree.root(size)
            assert verify_inclusion(leaf_hash(LogView.load(log.folder).body(2)), 2, size, path, root)


def test_who_writes_for_others_signs_for_itself_only(box: Box) -> None:
    """A head for each batch that others line up would make every entry cost as much as a decision."""
    disk = Gate()
    log = box.create(disk=disk)
    disk.shut = True
    first, decided = beside(lambda: log.append(Event("alert.decided", OPERATOR, "ab")).seq)
    assert disk.held.wait(60)
    second, lost = beside(lambda: log.append(LOST).seq)
    while log._group.waiting < 1:
        time.sleep(0.001)
    disk.passed.set()
    for thread in (first, second):
        thread.join()
    assert (decided, lost) == ([1], [2])
    assert heads(box) == [1, 2]


def test_any_ballast_that_is_asked_for_is_laid(box: Box) -> None:
    box.create(ballast_bytes=1)
    assert (box.folder() / "ballast").stat().st_size == 1
    box.create("d2", ballast_bytes=0)
    assert not (box.folder("d2") / "ballast").exists()


def test_what_cannot_be_read_says_why(box: Box, tmp_path: Path) -> None:
    folder = box.closed()
    (folder / "key.cert").write_bytes(b"garbage")
    for path, reason in ((folder, "a signed note cannot be read"), (tmp_path, "No such file or directory")):
        with pytest.raises(AuditError, match=reason) as caught:
            LogView.load(path)
        assert caught.value.code == "audit_log_unreadable"


def test_every_refusal_names_the_log_it_is_about(box: Box, tmp_path: Path) -> None:
    log = box.create()
    blocked = tmp_path / "file"
    blocked.write_text("no folder")

    def refused(call: object) -> str:
        with pytest.raises(AuditError) as caught:
            call()  # type: ignore[operator]
        return caught.value.message

    assert str(box.folder()) in refused(box.create)
    assert str(box.folder()) in refused(box.open)
    assert str(box.folder("d2")) in refused(lambda: box.open("d2"))
    assert str(blocked / "log") in refused(
        lambda: AuditLog.create(blocked / "log", box.origin(), box.keys(), box.clock)
    )
    log.close()
    assert box.origin() in refused(box.open)
    assert box.origin() in refused(lambda: log.append(LOST))
    shutil.copytree(box.folder(), box.folder("d3"))
    assert str(box.folder("d3")) in refused(lambda: box.open("d3"))
