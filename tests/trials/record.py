"""The record: power cuts, faults in system calls, alterations, and whether both verifiers agree (A1 to A4)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count, islice, product
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest

from lfr_edge.audit.note import VerifierKey
from tests.audit import test_every_edit as edits
from tests.audit import test_independent as independent
from tests.audit import test_power as power
from tests.audit import test_syscalls as syscalls
from tests.audit import test_tamper as tamper
from tests.audit.conftest import Box
from tests.trials.parts import go_verifier, plain
from tests.trials.running import within
from tests.trials.trial import Attempt, Outcome, Trial

_LONGEST_LIFE_S: Final = 2.0


# ── power ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def cut_power(attempt: Attempt) -> Outcome:
    return _cuts(attempt, lies=False)


def cut_power_of_a_lying_disk(attempt: Attempt) -> Outcome:
    return _cuts(attempt, lies=True)


def _cuts(attempt: Attempt, *, lies: bool) -> Outcome:
    disk, chance = power.LoopDisk(attempt.folder), attempt.chance("power")
    acknowledged, failures = 0, []
    try:
        for number in range(attempt.n):
            name = f"d{number}"
            told = power.live(disk, name, chance.uniform(0.02, _LONGEST_LIFE_S), lies=lies)
            acknowledged += len(told)
            missing = power.lost(disk, name, told)
            failures += [f"cut {number}: {missing}"] if missing else []
            shutil.rmtree(disk.mount / name, ignore_errors=True)
            attempt.step(1)
    finally:
        subprocess.run(["umount", "--lazy", str(disk.mount)], check=False, capture_output=True)
    return Outcome(attempt.n, tuple(failures), {"acknowledged": acknowledged})


# ── system calls ──────────────────────────────────────────────────────────────────────────────────────────────────

_FAULTS: Final = ("error=EIO", "error=ENOSPC", "signal=KILL")
_ACKNOWLEDGED: Final = 'print(log.append(Event("camera.lost")).seq, flush=True)'
_TOO_EARLY: Final = 'print(log.size, flush=True); log.append(Event("camera.lost"))'


def fail_system_calls(attempt: Attempt) -> Outcome:
    """Walk the fault through every occurrence of every call; n bounds the runs, spread over all combinations."""
    program = go_verifier(attempt.folder)
    combinations = list(product(syscalls.CALLS, _FAULTS, (False, True)))
    attempt.chance("order").shuffle(combinations)
    tried, met, failures = 0, 0, []
    walks = {one: count(1) for one in combinations}
    while walks and tried < attempt.n:
        for one in list(walks):
            if tried >= attempt.n:
                break
            call, fault, forever = one
            occurrence = next(walks[one])
            there, wrong = _one_fault(attempt.folder, call, fault, occurrence, forever, program)
            tried, met = tried + 1, met + there
            failures += [f"{call} {fault} {occurrence}{'+' if forever else ''}: {wrong}"] if wrong else []
            if not there:
                del walks[one]
            attempt.step(1)
    facts = {"faults met": met, "combinations walked to their end": len(combinations) - len(walks)}
    return Outcome(tried, tuple(failures), facts)


def _one_fault(
    folder: Path, call: str, fault: str, occurrence: int, forever: bool, program: Path
) -> tuple[bool, str]:
    """Whether the run met the fault, and what was wrong afterwards."""
    root = folder / "run"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    status, acknowledged, met = syscalls.live(
        root, call, fault, f"{occurrence}+" if forever else f"{occurrence}"
    )
    if status not in ({0, 5} if fault.startswith("error") else {0, -9, 137}):
        return met, f"the process ended with {status}"
    try:
        syscalls.recover(root, acknowledged, program)
    except Exception as error:  # whatever it is, the log did not survive
        return met, f"{type(error).__name__}: {error}"
    return met, ""


def fail_system_calls_of_a_hasty_log(attempt: Attempt) -> Outcome:
    with patch.object(syscalls, "CHILD", syscalls.CHILD.replace(_ACKNOWLEDGED, _TOO_EARLY)):
        program = go_verifier(attempt.folder)
        failures = []
        for occurrence in range(1, attempt.n + 1):
            _, wrong = _one_fault(attempt.folder, "write", "signal=KILL", occurrence, False, program)
            failures += [wrong] if wrong else []
    return Outcome(attempt.n, tuple(failures))


# ── alterations ───────────────────────────────────────────────────────────────────────────────────────────────────


class _Anything(int):
    """A checksum that every other one equals."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


@contextmanager
def _blind() -> Iterator[None]:
    """Our verifier overlooks the header's checksum."""
    with patch("lfr_edge.audit.segment.crc32c", lambda data: _Anything()):
        yield


class _AnyHash(bytes):
    """A hash that every other one equals."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = bytes.__hash__


@contextmanager
def _trusting() -> Iterator[None]:
    """Our verifier takes the hash in a header for that of the body."""
    with patch("lfr_edge.audit.segment.leaf_hash", lambda body: _AnyHash()):
        yield


@contextmanager
def _credulous() -> Iterator[None]:
    """Our verifier takes every signature for good."""
    with patch.object(VerifierKey, "accepts", lambda self, *signed: True):
        yield


def flip_bits(attempt: Attempt) -> Outcome:
    """n bits of a log of 200 entries, all of them if n is large enough, spread evenly otherwise."""
    return _flip(attempt, edits.long_day(Box(within(attempt, "box").folder), 200), nullcontext)


def flip_bits_past_a_blind_check(attempt: Attempt) -> Outcome:
    return _flip(attempt, edits.long_day(Box(within(attempt, "box").folder), 40), _blind)


def _flip(attempt: Attempt, log: Path, sabotage: Callable[[], AbstractContextManager[None]]) -> Outcome:
    trial = edits.Trial(log, 1)
    raw = trial.files["entries.lfr"]
    bits = len(raw) * 8
    wanted = islice(edits.every_bit(raw, max(1, bits // attempt.n)), attempt.n)
    return _try(attempt, trial, wanted, 5000, sabotage)


def edit_at_random(attempt: Attempt) -> Outcome:
    return _edit(attempt, 100_000 if attempt.n >= 100 else 2_000, 500, nullcontext)


def edit_past_a_trusting_check(attempt: Attempt) -> Outcome:
    return _edit(attempt, 40, 8, _trusting)


def _edit(
    attempt: Attempt, entries: int, every: int, sabotage: Callable[[], AbstractContextManager[None]]
) -> Outcome:
    # Of a day on which every 64th entry begins an alert: one signature for each fourth entry is no day of anybody's,
    # and 25,000 of them to check for each edit is what an earlier run of this trial died of.
    trial = edits.Trial(edits.long_day(Box(within(attempt, "box").folder), entries), every)
    wanted = edits.random_edits(trial.files, attempt.n, attempt.seed)
    return _try(attempt, trial, wanted, 500, sabotage)


def _try(
    attempt: Attempt,
    trial: edits.Trial,
    wanted: Iterator[edits.Edit],
    whole_every: int,
    sabotage: Callable[[], AbstractContextManager[None]],
) -> Outcome:
    def counted() -> Iterator[edits.Edit]:
        for edit in wanted:
            yield edit
            attempt.step(1)

    with pytest.MonkeyPatch.context() as faster, sabotage():
        plain(edits._remembered)(faster)
        tried = trial.run(go_verifier(attempt.folder), counted(), whole_every=whole_every)
    facts = {"entries": trial.entries, "bits of the segment": len(trial.files["entries.lfr"]) * 8}
    return Outcome(tried, facts={**facts, "checked whole, too": -(-tried // whole_every)})


def leave_alone(attempt: Attempt) -> Outcome:
    return _clean(attempt, lambda folder: None)


def touch_one_byte(attempt: Attempt) -> Outcome:
    def touch(folder: Path) -> None:
        path = folder / "entries.lfr"
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)

    return _clean(attempt, touch)


def _clean(attempt: Attempt, touch: Callable[[Path], None]) -> Outcome:
    def verify_touched(log: Path) -> object:
        touch(log)
        return power.verify(log)

    chance, failures = attempt.chance("clean"), []
    for number in range(attempt.n):
        folder = attempt.folder / f"{number}"
        lengths = chance.randrange(60), chance.randrange(30)
        try:
            with patch.object(tamper, "verify", verify_touched):
                tamper.clean(folder, *lengths, chance.random() < 0.5)
        except AssertionError as error:
            failures.append(f"log {number}: {error}")
        shutil.rmtree(folder)
        attempt.step(1)
    return Outcome(attempt.n, tuple(failures))


def compare_verifiers(attempt: Attempt) -> Outcome:
    """Edits, cuts and flips: the Go program and ours say the same. Half on a closed log, half on one cut off."""
    return _compare(attempt, nullcontext)


def compare_with_a_credulous_verifier(attempt: Attempt) -> Outcome:
    return _compare(attempt, _credulous)


def _compare(attempt: Attempt, sabotage: Callable[[], AbstractContextManager[None]]) -> Outcome:
    program = go_verifier(attempt.folder)
    altered, tried = 0, 0
    for closed in (True, False):
        box = Box(within(attempt, f"box-{closed}").folder)
        log = box.create(checkpoint_every=8, ballast_bytes=0)
        box.fill(log, 30)
        (log.close if closed else log._release)()
        wanted = (attempt.n + closed) // 2
        while wanted:
            some = min(wanted, 25)
            with sabotage(), independent.asked(program) as ask:
                altered += independent.trials(ask, box.folder(), some, attempt.seed + tried)
            tried, wanted = tried + some, wanted - some
            attempt.step(some)
    return Outcome(tried, facts={"altered, and found by both": altered})


TRIALS: Final = (
    Trial(
        name="audit-power",
        bar="A1",
        promise="no acknowledged record, head or decision is lost to a power cut",
        does="four threads append to a log on a loop-mounted ext4 whose power goes (FS_IOC_SHUTDOWN) at a random "
        "moment; after the remount every acknowledged entry and head is there, the log goes on and verifies",
        sabotage="libeatmydata: a sync does nothing",
        unit="cuts",
        slice=3,
        full=3000,
        run=cut_power,
        control=cut_power_of_a_lying_disk,
        control_n=2,
        ci="tests/audit/test_power.py::test_three_power_cuts_and_the_control",
        needs=("root", "loop device", "libeatmydata"),
        about="2 h",
    ),
    Trial(
        name="audit-syscalls",
        bar="A2",
        promise="no I/O error and no kill at any system call leaves a bad log",
        does="strace fails one occurrence after the other of ten calls on the log's files (EIO, ENOSPC, SIGKILL; "
        "once, and from then on for ever); both verifiers find nothing, recovery keeps what was acknowledged",
        sabotage="the writer acknowledges before it writes",
        unit="runs",
        slice=8,
        full=2000,
        run=fail_system_calls,
        control=fail_system_calls_of_a_hasty_log,
        control_n=8,
        ci="tests/audit/test_syscalls.py::test_every_third_write_and_sync",
        needs=("strace", "go"),
        about="25 min; ends by itself when every occurrence was met",
    ),
    Trial(
        name="audit-bits",
        bar="A3",
        promise="any alteration is found and located: every bit of a log of 200 entries",
        does="turns one bit after the other; our verifier finds and locates it, the Go verifier finds it",
        sabotage="a verifier that ignores the header's checksum",
        unit="bits",
        slice=150,
        full=1_000_000,
        run=flip_bits,
        control=flip_bits_past_a_blind_check,
        control_n=2_000,
        ci="tests/audit/test_every_edit.py::test_a_slice_of_the_bits_and_of_the_edits",
        needs=("go",),
        about="30 min",
    ),
    Trial(
        name="audit-edits",
        bar="A3",
        promise="any alteration is found and located: random edits of a log of 100,000 entries",
        does="overwrites, inserts, deletes, reverses, doubles and appends; both verifiers, every time",
        sabotage="a verifier that takes the hash in a header for that of the body",
        unit="edits",
        slice=50,
        full=10_000,
        run=edit_at_random,
        control=edit_past_a_trusting_check,
        control_n=500,
        ci="tests/audit/test_every_edit.py::test_a_slice_of_the_bits_and_of_the_edits",
        needs=("go",),
        about="90 min",
    ),
    Trial(
        name="audit-clean",
        bar="A3",
        promise="no false alarm: a log that nobody touched verifies",
        does="writes, suspends, reopens, closes or cuts off logs of random lengths, and verifies each",
        sabotage="one byte of each log is touched",
        unit="logs",
        slice=30,
        full=1000,
        run=leave_alone,
        control=touch_one_byte,
        control_n=5,
        ci="tests/audit/test_tamper.py::test_no_false_alarm",
    ),
    Trial(
        name="audit-go",
        bar="A4",
        promise="anyone can check without this code",
        does="edits, cuts and flips of a closed and of an open log; the Go verifier gives the same verdict",
        sabotage="our verifier takes every signature for good",
        unit="logs",
        slice=50,
        full=5000,
        run=compare_verifiers,
        control=compare_with_a_credulous_verifier,
        control_n=100,
        ci="tests/audit/test_independent.py::test_go_gives_the_same_verdict_on_every_trial",
        needs=("go",),
    ),
)
