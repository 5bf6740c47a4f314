"""Opening a log after whatever happened: a torn write is cut off and recorded, damage stops everything.

A power cut can leave at most one incomplete write at the end. Anything else that is wrong (a bad frame before
good ones of a later write, fewer entries than were signed, a root that changed) is damage: the log is frozen and
a successor that cites it has to be opened. Nothing is ever repaired silently.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from lfr_edge.audit.checkpoint import Checkpoints, Head, parse_checkpoints
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.event import Event
from lfr_edge.audit.folder import Heads, LogFolder, head_line, parse_heads
from lfr_edge.audit.merkle import EMPTY_ROOT, Tree
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.segment import BadFrame, Frame, judge_tail, map_segment, read_frames
from lfr_edge.audit.torn import is_torn_checkpoint, is_torn_head
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

RECOVERY_ENTRIES: Final = 2  # that opening may add before it signs: log.recovered and disk.full


@dataclass(frozen=True, slots=True)
class TornWrite:
    """What recovery moved aside."""

    offset: int
    size: int
    sha256: str
    aside: str  # file name in the log's ``aside`` folder

    @property
    def event(self) -> Event:
        """How the log that goes on records it."""
        data = {"offset": self.offset, "bytes": self.size, "sha256": self.sha256, "aside": self.aside}
        return Event("log.recovered", data=data)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state in which a log goes on."""

    tree: Tree
    last: Entry | None
    head: Head  # the last one that may have been signed
    torn: TornWrite | None


def recover(folder: LogFolder, origin: str, key: VerifierKey) -> Recovered:
    """Read the log back and cut off a torn write. The caller holds the log's lock and made its files.

    Raises:
        AuditError: ``audit_log_frozen``, ``audit_log_damaged`` (the log is frozen now).
    """
    if folder.frozen.exists():
        raise AuditError(
            "audit_log_frozen",
            say("{path} was found damaged and is frozen", path=folder.path),
            hint="keep it as evidence; AuditLog.succeed opens a new log that cites it",
        )
    data = map_segment(folder.entries)
    tree, last_frame, bad = Tree(), None, None
    for frame in read_frames(data):
        if isinstance(frame, BadFrame):
            bad = frame
            break
        tree.append(frame.leaf)
        last_frame = frame
    if bad is not None and judge_tail(data, bad).damage:
        raise _freeze(
            folder,
            say(
                "entry {size} at byte {offset}: {reason}, with later writes after it",
                size=tree.size,
                offset=bad.offset,
                reason=bad.reason,
            ),
        )
    end = last_frame.end if last_frame else 0
    heads, checkpoints = _signed_files(folder, origin, key, torn=bytes(data[end:]))
    head = heads.whole[-1] if heads.whole else Head(0, EMPTY_ROOT)
    _check_head(folder, head, tree)
    last = _last_entry(folder, last_frame, origin, tree.size)
    # Nothing is touched before everything was found good: a damaged log is evidence.
    _cut(folder.heads, heads.end, len(heads.rest))
    _cut(folder.checkpoints, checkpoints.end, len(checkpoints.rest))
    torn = _move_aside(folder, end) if bad is not None else None
    _write_again(folder.entries, last_frame.offset - last_frame.batch if last_frame else 0)
    _write_again(folder.heads, heads.end - sum(len(head_line(one)) for one in heads.whole[-1:]))
    notes = checkpoints.whole[-1:]
    _write_again(folder.checkpoints, checkpoints.end - sum(len(f"{one}\n".encode()) for one in notes))
    return Recovered(tree, last, head, torn)


def citation(damaged: Path) -> Event:
    """What a successor says about a frozen log: what was last signed there, what is left, and why it ended."""
    view = LogView.load(damaged)
    head = view.signed or Head(0, EMPTY_ROOT)
    frozen = view.folder.frozen
    data = {
        "origin": view.origin,
        "signed_size": head.size,
        "signed_root": head.root.hex(),
        "readable": view.size,
        "reason": frozen.read_text(encoding="utf-8").strip()[:900] if frozen.exists() else "",
    }
    return Event("log.succeeded", data=data)


def _signed_files(
    folder: LogFolder, origin: str, key: VerifierKey, *, torn: bytes
) -> tuple[Heads, Checkpoints]:
    """Heads and checkpoints, their torn ends at most torn (no signature over them was released)."""
    heads = parse_heads(folder.heads.read_bytes())
    checkpoints = parse_checkpoints(folder.checkpoints.read_bytes())
    if heads.rest and not is_torn_head(heads.rest, heads.end):
        raise _freeze(folder, say("the heads file is wrong at byte {end}", end=heads.end))
    newest = heads.whole[-1] if heads.whole else None
    if not is_torn_checkpoint(checkpoints.rest, origin, newest, checkpoints.end):
        raise _freeze(
            folder,
            say(
                "the checkpoints are wrong at byte {end}: {reason}",
                end=checkpoints.end,
                reason=checkpoints.reason,
            ),
        )
    if sum(map(bool, (torn, heads.rest, checkpoints.rest))) > 1:
        raise _freeze(folder, "more than one file ends in a torn write, and a power cut leaves one")
    if checkpoints.whole:
        last = checkpoints.whole[-1]
        if last.origin != origin or not last.note.signed_by(key):
            raise _freeze(folder, "the last checkpoint is not by this log's key")
        if last.head not in heads.whole:
            raise _freeze(
                folder,
                say("a head of {size} entries was signed that was never written down", size=last.head.size),
            )
    return heads, checkpoints


def _check_head(folder: LogFolder, head: Head, tree: Tree) -> None:
    if head.size > tree.size:
        raise _freeze(
            folder, say("{size} entries were signed, {size_2} are left", size=head.size, size_2=tree.size)
        )
    if tree.root(head.size) != head.root:
        raise _freeze(folder, say("the first {size} entries are not those that were signed", size=head.size))


def _last_entry(folder: LogFolder, frame: Frame | None, origin: str, size: int) -> Entry | None:
    last = parse_entry(frame.body) if frame else None
    if last is not None and (last.dep != origin or last.seq != size - 1):
        raise _freeze(
            folder,
            say(
                "the last entry says {dep} {seq}, not {origin} {size}",
                dep=last.dep,
                seq=last.seq,
                origin=origin,
                size=size - 1,
            ),
        )
    return last


def _move_aside(folder: LogFolder, end: int) -> TornWrite:
    raw = folder.entries.read_bytes()[end:]
    digest = sha256(raw).hexdigest()
    make_folder(folder.aside)
    name = f"torn-at-{end}-{digest[:8]}.bin"
    write_new(folder.aside / name, raw)
    _cut(folder.entries, end, len(raw))
    return TornWrite(end, len(raw), digest, name)


def _cut(path: Path, end: int, torn: int) -> None:
    if torn:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, end)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_again(path: Path, start: int) -> None:
    """Write the file's last write once more where it stands.

    A sync that failed leaves bytes that this process reads and the disk never got; the kernel holds them for clean
    and a later sync would not bring them there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        rest = os.pread(descriptor, os.fstat(descriptor).st_size - start, start)
        while rest:
            done = os.pwrite(descriptor, rest, start)
            start, rest = start + done, rest[done:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _freeze(folder: LogFolder, reason: str) -> AuditError:
    write_new(folder.frozen, (reason + "\n").encode())
    return AuditError(
        "audit_log_damaged",
        say("{path} is damaged: {reason}", path=folder.path, reason=reason),
        hint="keep the folder as evidence and verify it; AuditLog.succeed opens a new log that cites it",
    )
