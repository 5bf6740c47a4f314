"""A1 and A2 in one process: disks that fail at every call, lose power, or are killed; and the sabotaged controls.

The outside harness (FS_IOC_SHUTDOWN, strace) lives in tests/faults; this is the same promise against a disk that
we can stop between any two of its calls, thousands of times a minute.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lfr_edge.audit.event import Event
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError

from .conftest import OFFICER, OPERATOR, Box, FaultyDisk

REPOSITORY = Path(__file__).resolve().parents[2]


def live(box: Box, disk: FaultyDisk) -> tuple[list[int], bool]:
    """A short life of a log; returns the acknowledged numbers and whether it came to its end."""
    acknowledged: list[int] = []
    try:
        log = box.create(disk=disk, checkpoint_every=3)
        for number in range(4):
            acknowledged.append(log.append(Event("camera.lost", data={"n": number})).seq)
        acknowledged.append(log.append(Event("alert.decided", OPERATOR, "ab")).seq)
        log.close(OFFICER)
    except AuditError as error:
        if error.code != "audit_log_failed":
            raise
        return acknowledged, False
    return acknowledged, True


def recovered_well(box: Box, acknowledged: list[int], finished: bool) -> None:
    """Whatever happened: reopened, nothing acknowledged is lost, nothing is altered."""
    for log in box.logs:
        log._release()
    if not finished:
        try:
            box.open().close()
        except AuditError as error:
            # Only the last signature was missing; open() made up for it.
            if error.code != "audit_log_closed":
                raise
    view = LogView.load(box.folder())
    for seq in acknowledged:
        assert view.entry(seq).event.ev in {"camera.lost", "alert.decided", "disk.full"}
    report = verify(box.folder())
    assert report.findings == (), report.findings
    assert view.entry(view.size - 1).event.ev == "log.closed"
    assert report.logs[0].heads.last_size == view.size


@pytest.mark.parametrize("forever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["append", "datasync", "truncate"])
def test_every_call_fails_once_and_for_ever(tmp_path: Path, call: str, code: int, forever: bool) -> None:
    """Move the fault one call at a time until a life passes without meeting it."""
    for nth in range(60):
        box = Box(tmp_path / f"{nth}")
        disk = FaultyDisk({(call, nth): code}, dead=forever)
        acknowledged, finished = live(box, disk)
        recovered_well(box, acknowledged, finished)
        if not disk.failed:
            assert finished
            assert (nth > 10) == (call != "truncate")
            return
    pytest.fail("the fault never left the run")


class PowerCutError(Exception):
    """The moment the power goes."""


class PowerCutDisk(FaultyDisk):
    """Remembers what was synced; at call number `at` the power goes and each file keeps what it must.

    What was written and not synced survives by chance, page by page, as on a real disk: not at all, in part, or
    with a hole. `lies` is the sabotage: a sync that does nothing, as under libeatmydata.
    """

    def __init__(self, at: int, chance: random.Random, *, lies: bool = False) -> None:
        super().__init__()
        self.at = at
        self.chance = chance
        self.lies = lies
        self.number = 0
        self.synced: dict[str, int] = {}

    def append(self, descriptor: int, data: bytes) -> None:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        self.synced.setdefault(name, os.fstat(descriptor).st_size)
        self._tick()
        super().append(descriptor, data)

    def datasync(self, descriptor: int) -> None:
        self._tick()
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if not self.lies:
            self.synced[name] = os.fstat(descriptor).st_size

    def _tick(self) -> None:
        if self.number == self.at:
            raise PowerCutError
        self.number += 1

    def cut(self) -> None:
        for name, size in self.synced.items():
            path = Path(name)
            raw = path.read_bytes()
            rest = bytearray(raw[size : size + self.chance.choice([0, 1, len(raw), len(raw) // 2])])
            if path.name == "entries.lfr" and rest and self.chance.random() < 0.5:
                hole = self.chance.randrange(len(rest))
                rest[hole : hole + 64] = bytes(len(rest[hole : hole + 64]))
            path.write_bytes(raw[:size] + bytes(rest))


def cut_once(box: Box, disk: PowerCutDisk) -> bool:
    """Run into the cut, recover, check. False: something acknowledged was lost or the log was found damaged."""
    acknowledged, finished = live(box, disk)
    for log in box.logs:
        log._release()
    if finished:
        return True
    disk.cut()
    try:
        recovered_well(box, acknowledged, finished=False)
    except (AssertionError, AuditError):
        return False
    return True


def test_no_power_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(5)
    for number in range(150):
        disk = PowerCutDisk(chance.randrange(2, 40), chance)
        assert cut_once(Box(tmp_path / f"{number}"), disk), number


def test_a_sync_that_lies_is_caught_by_the_same_trial(tmp_path: Path) -> None:
    chance = random.Random(5)
    lost = 0
    for number in range(30):
        disk = PowerCutDisk(chance.randrange(2, 40), chance, lies=True)
        lost += not cut_once(Box(tmp_path / f"{number}"), disk)
    assert lost > 10


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from lfr_edge.audit.event import Event
from lfr_edge.audit.keys import FileKeyStore, deployment_keys, device_keys
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.clock import SystemClock
root, clock = Path(sys.argv[1]), SystemClock()
store = FileKeyStore(root / "keys")
keys = deployment_keys(store, device_keys(store, "van/device", clock), "van/d1", clock)
begin = AuditLog.open if (root / "log" / "entries.lfr").exists() else AuditLog.create
log = begin(root / "log", "van/d1", keys, clock, options=LogOptions(checkpoint_every=4, ballast_bytes=4096))
while True:
    print(log.append(Event("camera.lost")).seq, flush=True)
"""


def test_sigkill_at_any_moment(tmp_path: Path) -> None:
    """A process that does nothing but append is killed again and again; the next one goes on."""
    chance = random.Random(11)
    highest = -1
    for _ in range(8):
        command = [sys.executable, "-c", CHILD.format(repository=str(REPOSITORY)), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 40)):
                line = child.stdout.readline()
                assert line, "the child died by itself"
                highest = int(line)
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().splitlines()
        highest = int(rest[-1]) if rest and rest[-1].isdecimal() else highest
        report = verify(tmp_path / "log")
        assert report.findings == ()
        assert report.entries > highest
