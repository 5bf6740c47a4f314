"""Group commit: who writes for whom, who is woken, and that nobody sleeps for ever."""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable

import pytest

from lfr_edge.audit.event import Event
from lfr_edge.audit.group import GroupCommit, Place
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.merkle import Tree
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError

from .conftest import OPERATOR, Box, FaultyDisk

LOST = Event("camera.lost", ref="gate")
DECIDED = Event("alert.decided", OPERATOR, "ab")
PATIENCE_S = 60.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "this does not come to pass"
        time.sleep(0.001)


class Crowded(FaultyDisk):
    """While the log waits for a sync, `arrives` brings somebody else; remembers which thread was at the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.arrives: Callable[[int], None] = lambda number: None
        self.at_the_disk: list[int] = []

    def datasync(self, descriptor: int) -> None:
        super().datasync(descriptor)
        self.at_the_disk.append(threading.get_ident())
        self.arrives(len(self.at_the_disk))


def beside(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def joined(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a caller sleeps for ever"


def test_a_caller_writes_for_others_a_few_times_and_goes_home(box: Box) -> None:
    disk = Crowded()
    log = box.create(disk=disk)
    others: list[threading.Thread] = []

    def arrives(number: int) -> None:
        if number <= 6:
            others.append(beside(lambda: log.append(LOST)))
            until(lambda: log._group.waiting == 1)

    disk.at_the_disk.clear()
    disk.arrives = arrives
    log.append(LOST)
    joined(others)
    me = threading.get_ident()
    assert disk.at_the_disk[:4] == [me] * 4
    assert me not in disk.at_the_disk[4:]
    assert len(disk.at_the_disk) == 7


def test_whoever_claims_the_disk_comes_before_the_next_write(box: Box) -> None:
    disk = Crowded()
    log = box.create(disk=disk)
    others: list[threading.Thread] = []
    heads: list[int] = []

    def arrives(number: int) -> None:
        if number == 1:
            others.append(beside(lambda: log.append(LOST)))
            until(lambda: log._group.waiting == 1)
            others.append(beside(lambda: heads.append(log.checkpoint().head.size)))
            until(lambda: log._group.claimed)

    disk.at_the_disk.clear()
    disk.arrives = arrives
    log.append(LOST)
    joined(others)
    # ours; then the head's thread writes what was lined up, the head and its signature
    assert [one == threading.get_ident() for one in disk.at_the_disk] == [True, False, False, False]
    assert len(set(disk.at_the_disk)) == 2
    assert heads == [3]


def test_who_waited_for_another_s_write_signs_for_itself_and_once_for_all(box: Box) -> None:
    disk = Crowded()
    log = box.create(disk=disk)
    others: list[threading.Thread] = []

    def arrives(number: int) -> None:
        if number == 1:
            others.extend(beside(lambda: log.append(DECIDED)) for _ in range(3))
            until(lambda: log._group.waiting == 3)

    disk.at_the_disk.clear()
    disk.arrives = arrives
    log.append(LOST)
    joined(others)
    assert log.latest is not None
    assert log.latest.head.size == log.size == 5
    me = threading.get_ident()
    # ours, theirs in one write, and one head with its signature over all three
    assert [one == me for one in disk.at_the_disk] == [True, True, False, False]


def test_a_write_that_fails_fails_for_all_who_shared_it(box: Box) -> None:
    disk = Crowded()
    log = box.create(disk=disk)
    others: list[threading.Thread] = []
    codes: list[str] = []

    def work() -> None:
        with pytest.raises(AuditError) as caught:
            log.append(DECIDED)
        codes.append(caught.value.code)

    def arrives(number: int) -> None:
        if number == 1:
            others.extend(beside(work) for _ in range(3))
            until(lambda: log._group.waiting == 3)
            disk.plan["datasync", disk.calls["datasync"]] = errno.EIO

    disk.at_the_disk.clear()
    disk.arrives = arrives
    with pytest.raises(AuditError):
        log.append(LOST)
    joined(others)
    assert codes == ["audit_log_failed"] * 3
    assert log.size == 2


class Interrupted(Place):
    """Control-C reaches the sleeper before, or just after, it is woken."""

    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self.before = before

    def wait(self) -> None:
        self.before()
        raise KeyboardInterrupt


class Paper:
    """A writer that only remembers."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write_entries(self, frames: bytearray) -> None:
        self.written.append(bytes(frames))


@pytest.fixture
def group() -> GroupCommit:
    return GroupCommit(Paper(), Tree(), _raise)  # type: ignore[arg-type]


def _raise(error: BaseException) -> None:
    raise error


def asleep(group: GroupCommit, place: Place | None = None) -> Place:
    """Somebody whose entry is lined up."""
    group.add(b"{}")
    if place is None:
        place = group.line_up()
        assert place is not None
    else:
        group._pending.waiting.append(place)
    return place


def woken(place: Place) -> bool:
    return not place._gate.locked()


def test_who_leaves_before_the_write_is_not_handed_the_disk(group: GroupCommit) -> None:
    with group.turn:
        group.claim()
        gone = asleep(group, Interrupted(lambda: None))
        stays = asleep(group)
    with pytest.raises(KeyboardInterrupt):
        group.sleep(gone)
    with group.turn:
        group.pass_on()
    assert stays.holds
    assert not gone.holds
    assert group.waiting == 2  # the entry stays: nobody can tell whether it was seen


def test_who_leaves_with_the_disk_in_hand_passes_it_on(group: GroupCommit) -> None:
    def hand_over() -> None:
        with group.turn:
            group.pass_on()

    with group.turn:
        group.claim()
        gone = asleep(group, Interrupted(hand_over))
        stays = asleep(group)
    with pytest.raises(KeyboardInterrupt):
        group.sleep(gone)
    assert gone.holds
    assert stays.holds
    assert woken(stays)


def test_who_leaves_wakes_the_next_all_the_same(group: GroupCommit) -> None:
    def write() -> None:
        with group.turn:
            group.write()

    with group.turn:
        group.claim()
        gone = asleep(group, Interrupted(write))
        after = asleep(group)
    assert not woken(after)
    with pytest.raises(KeyboardInterrupt):
        group.sleep(gone)
    assert woken(after)
    after.wake()  # the one before wakes it, too: twice is once
    assert group.tree.size == 2


def test_a_claim_that_is_given_up(group: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_edge.audit.group.Place", lambda: Interrupted(lambda: None))
    with group.turn:
        group.claim()
        with pytest.raises(KeyboardInterrupt):
            group.claim()
        assert not group.claimed
        group.pass_on()
        group.claim()  # it is free again


def test_many_threads_of_every_kind(box: Box) -> None:
    """Entries, decisions, heads and ticks at once, and a close in the middle: each returns or is refused."""
    log = box.create(disk=FaultyDisk(), checkpoint_every=8)
    results: list[tuple[int, str]] = []
    refused: list[str] = []

    def work(place: int) -> None:
        chance = random.Random(place)
        for number in range(10**6):
            event = chance.choice([LOST, LOST, LOST, DECIDED])
            try:
                if chance.random() < 0.1:
                    log.tick()
                if chance.random() < 0.1:
                    log.checkpoint()
                seq = log.append(Event(event.ev, OPERATOR, f"{place}-{number}")).seq
            except AuditError as error:
                refused.append(error.code)
                return
            results.append((seq, f"{place}-{number}"))

    threads = [beside(lambda place=place: work(place)) for place in range(8)]  # type: ignore[misc]
    until(lambda: len(results) > 200)
    last = log.close()
    joined(threads)
    assert set(refused) == {"audit_log_closed"}
    assert len(refused) == 8
    view = LogView.load(box.folder())
    assert view.size == last.head.size == len(results) + 2
    assert all(view.entry(seq).event.ref == ref for seq, ref in results)
    assert verify(box.folder()).exit_code != 1


def test_a_disk_that_dies_wakes_everybody(box: Box) -> None:
    disk = FaultyDisk(dead=True)
    log = box.create(disk=disk, checkpoint_every=8)
    codes: list[str] = []

    def work(log: AuditLog, event: Event) -> None:
        try:
            while True:
                log.append(event)
        except AuditError as error:
            codes.append(error.code)

    threads = [beside(lambda event=event: work(log, event)) for event in [LOST, DECIDED] * 4]  # type: ignore[misc]
    until(lambda: log.size > 50)
    disk.plan = {(call, number): errno.EIO for call in ("datasync",) for number in range(10**4)}
    joined(threads)
    assert codes == ["audit_log_failed"] * 8
    log.suspend()
