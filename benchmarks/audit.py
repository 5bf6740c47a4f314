"""The record's cost: group commit against the disk's bare rate, a long log verified, one entry proved.

    python -m benchmarks.audit --quick --json

``append`` holds :meth:`AuditLog.append` against the disk alone, in turns: for a quarter of a second threads append as
fast as they can; then one thread that does nothing else repeats the writes they caused, each of the same length and
with its fdatasync. The share is the median over the turns of the time the disk alone took by the time we took, which
is our rate of batches by the disk's.

``verify`` is the whole verification of a log of ``--entries`` entries, ``proof`` one inclusion proof of it, made and
checked.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import _line
from lfr_edge.audit.disk import RealDisk
from lfr_edge.audit.event import Actor, Event
from lfr_edge.audit.keys import (
    FileKeyStore,
    deployment_keys,
    device_keys,
    open_certificate,
    read_certificate,
)
from lfr_edge.audit.log import AuditLog, LogOptions
from lfr_edge.audit.note import LOG_KEY, VerifierKey, read_key_file
from lfr_edge.audit.proof import prove_entry
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.clock import SystemClock

_ORIGIN: Final = "bench.example/van/1"
_OPERATOR: Final = Actor("op.one", "operator", "s-17")
_CALLERS: Final = (1, 4, 16)  # threads that append at once: the desk has a handful
_VERIFY_GOAL_S: Final = 60.0  # issue 5.8, a million entries on 2 cores
_PROOF_GOAL_MS: Final = 50.0
_APPEND_GOAL: Final = 0.5  # of the disk's own rate, issue 5.8
_TURN_S: Final = 0.25


class RememberingDisk(RealDisk):
    """The real disk, and what it was asked to make durable: the length of each write, one fdatasync after each."""

    def __init__(self) -> None:
        self.writes: list[int] = []

    def append(self, descriptor: int, data: bytes | bytearray) -> None:
        self.writes.append(len(data))
        super().append(descriptor, data)


class LazyDisk(RealDisk):
    """Does not wait for the platter: only to make the long log that is then verified."""

    def datasync(self, descriptor: int) -> None:
        pass


def main(argv: list[str] | None = None) -> int:
    options = _line.parser(__doc__)
    options.add_argument("--entries", type=int, metavar="N", help="of the long log (default: 1,000,000)")
    options.add_argument("--folder", type=Path, metavar="PATH", help="on the disk to measure (default: here)")
    args = options.parse_args(argv)
    report = _line.Report("audit", args)
    entries = args.entries or (20_000 if args.quick else 1_000_000)
    root = Path(tempfile.mkdtemp(prefix="audit-bench-", dir=args.folder or Path.cwd()))
    try:
        figures: dict[str, Any] = {"append": _append(root, 1.0 if args.quick else 20.0, report)}
        figures |= _long(root, entries, report)
    finally:
        shutil.rmtree(root)
    report.emit(figures, shapes={"entries": entries, "callers": list(_CALLERS)})
    return 0


def _append(root: Path, seconds: float, report: _line.Report) -> list[dict[str, Any]]:
    """Per number of callers: ours and the bare disk in turns of a quarter of a second, because a disk that others
    use is four times as fast in one second as in the next."""
    rows = []
    for callers in _CALLERS:
        disk = RememberingDisk()
        log = open_log(root / f"append-{callers}", disk)
        turns = [_turn(log, disk, callers, root / "bare") for _ in range(max(3, round(seconds / _TURN_S)))]
        log.close()
        share = statistics.median(turn.bare_s / turn.ours_s for turn in turns)
        rate = _line.spread([turn.entries / turn.ours_s for turn in turns], 0)
        row = {
            "callers": callers,
            "turns": len(turns),
            "entries_per_batch": _line.spread([turn.entries / turn.batches for turn in turns], 2),
            "batches_per_s": _line.spread([turn.batches / turn.ours_s for turn in turns], 0),
            "disk_alone_batches_per_s": _line.spread([turn.batches / turn.bare_s for turn in turns], 0),
            "entries_per_s": rate,
            "cpu_us_per_entry": round(1e6 * sum(t.cpu_s for t in turns) / sum(t.entries for t in turns), 1),
            "share_of_disk": round(share, 2),
            "share_of_disk_in_all": round(sum(t.bare_s for t in turns) / sum(t.ours_s for t in turns), 2),
            "within_goal": share >= _APPEND_GOAL,
        }
        report.say(f"{callers} callers: {rate['median']:.0f} entries/s, {share:.2f} of the disk")
        rows.append(row)
    return rows


@dataclass(frozen=True, slots=True)
class _Turn:
    entries: int
    batches: int  # writes with their fdatasync, those of heads and checkpoints among them
    ours_s: float
    bare_s: float  # the very same writes by one thread that does nothing else
    cpu_s: float


def _turn(log: AuditLog, disk: RememberingDisk, callers: int, bare: Path) -> _Turn:
    disk.writes.clear()
    cpu = time.process_time()
    entries, ours_s = _callers(log, callers, _TURN_S)
    cpu = time.process_time() - cpu
    return _Turn(entries, len(disk.writes), ours_s, _bare_s(bare, disk.writes), cpu)


def _callers(log: AuditLog, callers: int, seconds: float) -> tuple[int, float]:
    """Entries appended by so many threads in so many seconds, and how long that took."""
    until = time.perf_counter() + seconds
    counts = [0] * callers

    def work(place: int) -> None:
        while time.perf_counter() < until:
            log.append(_event(counts[place]))
            counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(callers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - began


def _bare_s(path: Path, writes: Sequence[int]) -> float:
    """How long the disk takes for writes of these lengths with an fdatasync after each."""
    data = memoryview(os.urandom(max(writes)))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        began = time.perf_counter()
        for length in writes:
            os.write(descriptor, data[:length])
            os.fdatasync(descriptor)
        return time.perf_counter() - began
    finally:
        os.close(descriptor)


def open_log(folder: Path, disk: RealDisk) -> AuditLog:
    clock, store = SystemClock(), FileKeyStore(folder.parent / "keys")
    keys = deployment_keys(store, device_keys(store, "bench.example/van/device", clock), _ORIGIN, clock)
    return AuditLog.create(
        folder, _ORIGIN, keys, clock, options=LogOptions(disk=disk, ballast_bytes=0, timer=False)
    )


def _long(root: Path, entries: int, report: _line.Report) -> dict[str, Any]:
    folder = root / "long"
    log = open_log(folder, LazyDisk())
    began = time.perf_counter()
    for number in range(entries - 2):
        log.append(_event(number))
    made_s = time.perf_counter() - began
    log.close()
    report.say(f"made {entries} entries in {made_s:.1f} s")
    wall, cpu = time.perf_counter(), _cpu_s()
    result = verify(folder)
    wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu
    assert not result.findings, result.findings
    report.say(f"verified in {wall:.1f} s")
    return {
        "entries": result.entries,
        "segment_mib": round((folder / "entries.lfr").stat().st_size / 2**20, 1),
        "verify_s": round(wall, 2),
        "verify_cpu_s": round(cpu, 2),
        "verify_cpu_us_per_entry": round(1e6 * cpu / entries, 1),
        # One process does it all: on a box that has a core for it, this is the wall time.
        "verify_within_goal": cpu * 1_000_000 / entries <= _VERIFY_GOAL_S,
        **_prove(folder, entries),
    }


def _cpu_s() -> float:
    """Of this process and its children."""
    return sum(os.times()[:4])


def _prove(folder: Path, entries: int) -> dict[str, Any]:
    began = time.perf_counter()
    view = LogView.load(folder)
    load_s = time.perf_counter() - began
    key = _key(view)
    times, longest = [], 0
    for number in range(200):
        seq = number * 7919 % entries
        began = time.process_time()
        proof = prove_entry(view, seq, view.body(seq))
        assert proof.holds(key)
        times.append(1000 * (time.process_time() - began))
        longest = max(longest, len(proof.path))
    return {
        "load_s": round(load_s, 2),
        "proof_cpu_ms": _line.spread(times),
        "proof_hashes": longest,
        "proof_within_goal": max(times) <= _PROOF_GOAL_MS,
    }


def _key(view: LogView) -> VerifierKey:

    return open_certificate(
        read_certificate(view.folder.certificate), read_key_file(view.folder.device_key, LOG_KEY)
    ).key


def _event(number: int) -> Event:
    """What a long day writes: counts, an alert now and then, decided at once."""
    ref = f"{number // 64:020x}"
    match number % 64:
        case 0:
            return Event("alert.raised", ref=ref, data={"score_e4": 6400 + number % 900, "camera": "gate"})
        case 1:
            data = {"look": 1, "answer": "different_person", "factors": ["light", "pose"], "took_ms": 4000}
            return Event("alert.looked", _OPERATOR, ref, data, "other person, ears differ")
        case 2:
            return Event("alert.decided", _OPERATOR, ref, {"result": "not_referred", "looks": 1})
        case _:
            counts = {"processed": number * 3, "erased": number * 3, "retained": 0, "frames": number * 9}
            return Event("ledger.counted", data=counts)


if __name__ == "__main__":
    sys.exit(main())
