"""A3 and A4 in bulk: every bit of 200 entries and 10,000 edits of 100,000, with both verifiers, every time.

A whole verification of a long log takes seconds. So each verifier goes on from a snapshot of itself, taken in the
untouched log before the edit; every so often it also runs whole, and both reports have to be the same. The Go verifier
gets all edits in one process (``-trials``).
"""

from __future__ import annotations

import os
import pickle
import random
import subprocess
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from lfr_edge.audit import check as check_module
from lfr_edge.audit.check import LogCheck, Trust
from lfr_edge.audit.entry import parse_entry
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import Certificate
from lfr_edge.audit.merkle import EMPTY_ROOT, Peaks
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.report import LogReport
from lfr_edge.audit.segment import BadFrame, Content, Frame, read_frame, read_frames
from lfr_edge.audit.verify import verify
from lfr_edge.errors import AuditError

from .conftest import OFFICER, Box, FaultyDisk, event_number
from .test_independent import go_verifier as go_verifier
from .test_tamper import SIGNED_FILES, as_a_power_cut


@dataclass(frozen=True)
class Edit:
    """`new` takes the place of the bytes from `start` to `stop` of the file `name`."""

    name: str
    start: int
    stop: int
    new: bytes

    def of(self, raw: bytes) -> bytes:
        return raw[: self.start] + self.new + raw[self.stop :]

    @property
    def line(self) -> str:
        return f"{self.name} {self.start} {self.stop} {self.new.hex() or '-'}\n"


@dataclass
class Snapshot:
    """What the verifier knew before entry number `len(offsets)`."""

    offset: int
    follows: int
    knows: bytes  # pickled: the peaks of the tree, and the duties
    offsets: array[int]
    roots: dict[int, bytes]


def last_before(snapshots: list[Snapshot], offset: int) -> Snapshot:
    return snapshots[bisect_right(snapshots, offset, key=attrgetter("offset")) - 1]


@dataclass
class ResumedCheck(LogCheck):
    """The verifier, from the last snapshot that lies before the byte `changed`. Its own snapshots if it has none."""

    snapshots: list[Snapshot] = field(default_factory=list)
    changed: int = 0
    every: int = 0  # entries between two snapshots, while they are taken

    def _stream(self, data: Content, certificate: Certificate | None, wanted: set[int]) -> BadFrame | None:
        offset, follows, peaks = 0, 0, Peaks()
        self.roots[0] = EMPTY_ROOT
        if not self.every:
            last = last_before(self.snapshots, self.changed)
            offset, follows = last.offset, last.follows
            peaks, self.duties = pickle.loads(last.knows)
            self.offsets, self.roots, self.end = last.offsets[:], dict(last.roots), last.offset
        while offset < len(data):
            if self.every and peaks.size % self.every == 0:
                knows = pickle.dumps((peaks, self.duties))
                now = Snapshot(offset, follows, knows, self.offsets[:], dict(self.roots))
                self.snapshots.append(now)
            frame = read_frame(data, offset)
            if isinstance(frame, Frame) and frame.batch not in {0, follows}:
                frame = BadFrame(offset, "the frame belongs to another write")
            if isinstance(frame, BadFrame):
                return frame
            seq, offset, follows = peaks.size, frame.end, frame.batch + frame.end - frame.offset
            self.offsets.append(frame.offset)
            self.end = frame.end
            peaks.append(frame.leaf)
            if peaks.size in wanted:
                self.roots[peaks.size] = peaks.root()
            try:
                self._check_entry(seq, parse_entry(frame.body), certificate)
            except AuditError as error:
                self._find("entry_malformed", error.message, seq)
        return None


@dataclass
class Trial:
    """A closed log, the snapshots of its verification, and the Go verifier beside it."""

    folder: Path
    every: int
    snapshots: list[Snapshot] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = {name: (self.folder / name).read_bytes() for name in ("entries.lfr", *SIGNED_FILES)}
        clean = ResumedCheck(LogFolder(self.folder), Trust(), every=self.every)
        report = clean.run()
        assert report.findings == ()
        self.entries = report.entries
        self.snapshots = clean.snapshots

    def report(self, edit: Edit, *, whole: bool) -> LogReport:
        """Edit, verify, mend."""
        self._write(edit, edit.new, edit.stop)
        changed = edit.start if edit.name == "entries.lfr" else len(self.files["entries.lfr"])
        check = ResumedCheck(LogFolder(self.folder), Trust(), snapshots=self.snapshots, changed=changed)
        report = check.run()
        if whole:
            (plain,) = verify(self.folder).logs
            assert plain == report, edit
        self._write(edit, b"", edit.start)
        return report

    def _write(self, edit: Edit, new: bytes, rest: int) -> None:
        """The file as it was up to the edit, then `new`, then as it was from `rest` on."""
        with (self.folder / edit.name).open("r+b") as file:
            file.seek(edit.start)
            file.write(new)
            file.write(memoryview(self.files[edit.name])[rest:])
            file.truncate()

    def run(self, program: Path, edits: Iterator[Edit], *, whole_every: int) -> int:
        """How many edits were tried; each was found by both verifiers, or by neither where nothing changed."""
        lines, ours = [], []
        resumed = ["-every", str(self.every), "-whole", str(whole_every)] if whole_every > 1 else []
        command = [program, "-trials", *resumed, self._copy()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as go:
            assert go.stdin is not None
            assert go.stdout is not None
            for number, edit in enumerate(edits):
                same = self.files[edit.name][edit.start : edit.stop] == edit.new
                report = self.report(edit, whole=number % whole_every == 0)
                unsigned = not same and edit.name == "checkpoints" and self._as_a_power_cut(edit)
                assert bool(report.findings) is not (same or unsigned), edit
                assert not unsigned or "unsigned" in {item.code for item in report.reservations}
                self._located(edit, report, same=same)
                ours.append("0" if same or unsigned else "1")
                lines.append(edit.line)
            theirs, _ = go.communicate("".join(lines))
        assert theirs.split() == ours
        assert go.returncode == 0
        return len(ours)

    def _as_a_power_cut(self, edit: Edit) -> bool:
        raw = self.files[edit.name]
        return as_a_power_cut(edit.name, raw, edit.of(raw))

    def _copy(self) -> Path:
        """For the Go verifier, which reads the files once: ours are edited under its eyes."""
        copy = self.folder.with_name("untouched")
        copy.mkdir(exist_ok=True)
        for name, raw in self.files.items():
            (copy / name).write_bytes(raw)
        return copy

    def _located(self, edit: Edit, report: LogReport, *, same: bool) -> None:
        """An edit of the segment is found at the entry that it hit, or at the next one where it begins there."""
        if same or edit.name != "entries.lfr":
            return
        seqs = [item.seq for item in report.findings if item.seq is not None]
        first = last_before(self.snapshots, edit.start)
        hit = len(first.offsets)
        for frame in read_frames(self.files["entries.lfr"][first.offset :]):
            assert isinstance(frame, Frame)
            if first.offset + frame.end > edit.start:
                break
            hit += 1
        # A copy of the very bytes that follow moves the first difference to the right.
        assert hit <= min(seqs), (edit, hit, seqs)
        assert min(seqs) <= hit + 2 + (edit.stop - edit.start + len(edit.new)) // 200, (edit, hit, seqs)


def every_bit(raw: bytes, step: int = 1) -> Iterator[Edit]:
    for bit in range(0, len(raw) * 8, step):
        yield Edit("entries.lfr", bit // 8, bit // 8 + 1, bytes([raw[bit // 8] ^ 1 << bit % 8]))


def random_edits(files: dict[str, bytes], count: int, seed: int) -> Iterator[Edit]:
    """Overwritten, inserted, deleted, swapped, doubled or appended: 1 to 500 bytes, six in ten in the segment.

    Each changes something: a byte that is put in its own place is no edit.
    """
    chance = random.Random(seed)
    while count:
        name = chance.choice([*["entries.lfr"] * 6, *SIGNED_FILES])
        edit = _random_edit(name, files[name], chance)
        if edit.new != files[name][edit.start : edit.stop]:
            count -= 1
            yield edit


def _random_edit(name: str, raw: bytes, chance: random.Random) -> Edit:
    start = chance.randrange(len(raw))
    stop = min(len(raw), start + chance.choice([1, 1, 2, 8, 64, 500]))
    part = raw[start:stop]
    match chance.randrange(6):
        case 0:
            return Edit(name, start, stop, chance.randbytes(len(part)))
        case 1:
            return Edit(name, start, start, chance.randbytes(len(part)))
        case 2:
            return Edit(name, start, stop, b"")
        case 3:
            return Edit(name, start, stop, part[::-1])
        case 4:
            return Edit(name, start, start, part)
        case _:
            return Edit(name, len(raw), len(raw), part)


@pytest.fixture
def _remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes parse to the same value, and the same signature is good twice: only the trial is faster."""
    monkeypatch.setattr(check_module, "parse_checkpoints", lru_cache(64)(check_module.parse_checkpoints))
    monkeypatch.setattr(check_module, "parse_heads", lru_cache(64)(check_module.parse_heads))
    accepts = lru_cache(100_000)(VerifierKey.accepts)
    monkeypatch.setattr(VerifierKey, "accepts", lambda self, *signed: accepts(self, *signed))


def closed_log(box: Box, entries: int, every: int, **changes: Any) -> Trial:
    folder = box.closed(entries=entries, ballast_bytes=0, disk=FaultyDisk(), **changes)
    return Trial(folder, every)


def long_day(box: Box, entries: int) -> Path:
    """A closed log of a busy day: an alert among 64 entries, looked at and decided, the rest counts of faces."""
    log = box.create(ballast_bytes=0, disk=FaultyDisk())
    for number in range(entries - 2):
        box.clock.advance(0.25)
        of_alert, place = number % 64 < 3, number // 64 * 4
        log.append(event_number(place + number % 64 if of_alert else number | 3))
    log.close(OFFICER)
    return box.folder()


def test_a_slice_of_the_bits_and_of_the_edits(go_verifier: Path, box: Box) -> None:
    trial = closed_log(box, 200, 16, checkpoint_every=64)
    assert trial.run(go_verifier, every_bit(trial.files["entries.lfr"], 8 * 499 + 1), whole_every=1) > 100
    assert trial.run(go_verifier, random_edits(trial.files, 40, seed=6), whole_every=3) == 40
    assert trial.run(go_verifier, random_edits(trial.files, 100, seed=7), whole_every=1) == 100


def test_a_verifier_that_overlooks_something_is_caught(go_verifier: Path, box: Box) -> None:
    """The control: a check that ignores the checksum of the header misses what the other sees."""
    trial = closed_log(box, 40, 8)
    with pytest.MonkeyPatch.context() as sabotage:
        sabotage.setattr("lfr_edge.audit.segment.crc32c", lambda data: 0)
        with pytest.raises(AssertionError):
            trial.run(go_verifier, every_bit(trial.files["entries.lfr"], 7), whole_every=1)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(10_800)
@pytest.mark.usefixtures("_remembered")
def test_every_bit_of_200_entries(go_verifier: Path, box: Box) -> None:
    """Half an hour of one core; ``EVERY_BIT_STEP=31`` takes every 31st."""
    step = int(os.environ.get("EVERY_BIT_STEP", "1"))
    trial = Trial(long_day(box, 200), 1)
    raw = trial.files["entries.lfr"]
    tried = trial.run(go_verifier, every_bit(raw, step), whole_every=5000)
    print(f"{tried} of {len(raw) * 8} bits")
    assert tried == -(-len(raw) * 8 // step)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(10_800)
@pytest.mark.usefixtures("_remembered")
def test_ten_thousand_edits_of_a_hundred_thousand_entries(go_verifier: Path, box: Box) -> None:
    """Half an hour of one core; ``LOG_EDITS=500`` tries fewer."""
    count = int(os.environ.get("LOG_EDITS", "10000"))
    trial = Trial(long_day(box, 100_000), 250)
    assert trial.run(go_verifier, random_edits(trial.files, count, seed=8), whole_every=500) == count
    print(f"{count} edits")
