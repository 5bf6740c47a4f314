"""One log under the verifier: frames, entries, heads, signatures, anchors, duties.

What is altered becomes a *finding*, what is missing a *reservation*. The log streams through once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from lfr_edge.audit.anchored import cosigned, printed_size, witnessed_heads
from lfr_edge.audit.checkpoint import Checkpoint, Checkpoints, Head, parse_checkpoints
from lfr_edge.audit.duties import Duties
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.folder import Heads, LogFolder, parse_heads
from lfr_edge.audit.keys import Certificate, open_certificate, read_certificate
from lfr_edge.audit.merkle import EMPTY_ROOT, Peaks
from lfr_edge.audit.note import VerifierKey, encode64
from lfr_edge.audit.recovery import RECOVERY_ENTRIES
from lfr_edge.audit.report import AnchorReport, Finding, HeadReport, KeySource, LogReport
from lfr_edge.audit.segment import BadFrame, Content, judge_tail, map_segment, read_frames
from lfr_edge.audit.timestamp import stamped_at, stamped_sizes
from lfr_edge.audit.torn import is_torn_checkpoint, is_torn_head
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say


@dataclass(frozen=True, slots=True)
class Trust:
    """What the person who verifies holds outside the box."""

    device_key: VerifierKey | None = None
    witnesses: tuple[VerifierKey, ...] = ()
    since: tuple[Checkpoint, ...] = ()  # older checkpoints
    codes: tuple[str, ...] = ()  # printed codes that an officer signed
    stampers: Path | None = None  # PEM certificates of time-stamp authorities


@dataclass(slots=True)
class LogCheck:
    """One verification of one log."""

    folder: LogFolder
    trust: Trust
    findings: list[Finding] = field(default_factory=list)
    reservations: list[Finding] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    duties: Duties = field(default_factory=Duties)
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    roots: dict[int, bytes] = field(default_factory=dict)  # size → root, for the sizes somebody signed
    end: int = 0  # bytes of the segment that could be read
    closed: bool = False
    closed_at: int = -1
    said: set[tuple[str, str]] = field(default_factory=set)  # code of a finding, and of what

    def run(self) -> LogReport:
        device, source = self._device_key()
        certificate = self._certificate(device)
        anchors = witnessed_heads(self.folder, self.reservations)
        checkpoints, heads = self._signed_files()
        data = map_segment(self.folder.entries)  # last: a log that goes on meanwhile has what they cover
        wanted = {0}
        wanted.update(item.head.size for item in (*checkpoints.whole, *anchors, *self.trust.since))
        wanted.update(head.size for head in heads.whole)
        wanted.update(stamped_sizes(self.folder))
        bad = self._stream(data, certificate, wanted)
        device_log = certificate is not None and device is not None and certificate.key == device
        self.closed = self.closed_at >= 0 and self.closed_at == len(self.offsets) - 1
        if 0 <= self.closed_at < len(self.offsets) - 1:
            self._find("entry_after_close", "entries follow log.closed", self.closed_at + 1)
        self._check_heads(heads)
        signed = self._check_checkpoints(checkpoints, certificate, heads)
        if not self.findings and sum(map(bool, (bad, heads.rest, checkpoints.rest))) > 1:
            self._find("torn_twice", "more than one file ends in a torn write, and a power cut leaves one")
        self._check_tail(data, bad)
        anchored = self._check_anchors(anchors, certificate, checkpoints)
        self._reserve_open_points(signed, anchored, device_log=device_log)
        return LogReport(
            path=str(self.folder.path),
            origin=certificate.origin if certificate else "",
            entries=len(self.offsets),
            closed=self.closed,
            device=device_log,
            heads=HeadReport(
                len(checkpoints.whole),
                signed.size,
                encode64(signed.root),
                device.text if device else "",
                source,
            ),
            gaps=tuple(self.gaps),
            clock=self.duties.clock.report(),
            anchors=tuple(anchored),
            duties=self.duties.report(),
            control=self.duties.control.report(),
            authority=self.duties.mandate.report(),
            findings=tuple(self.findings),
            reservations=tuple(self.reservations),
        )

    def _find(self, code: str, message: str, seq: int | None = None, offset: int | None = None) -> None:
        if seq is not None and offset is None:
            offset = self.offsets[seq] if seq < len(self.offsets) else self.end
        self.findings.append(Finding(code, message, seq, offset))

    def _device_key(self) -> tuple[VerifierKey | None, KeySource]:
        """The device's key, preferably the one the auditor brought."""
        given = self.trust.device_key
        beside: VerifierKey | None = None
        if self.folder.device_key.exists():
            try:
                raw = self.folder.device_key.read_bytes()
                beside = VerifierKey.parse(raw.decode())
                if raw != f"{beside.text}\n".encode():
                    raise AuditError("audit_key_invalid", "device.vkey is not one line")
            except (AuditError, UnicodeDecodeError) as error:
                self._find("device_key", say("device.vkey cannot be used: {error}", error=error))
        elif given is None:
            self._find("device_key", "there is no device key beside the log and none was given")
        if given is not None and beside is not None and given != beside:
            self._find("device_key", "the key beside the log is not the device's")
        return (given, "given") if given is not None else (beside, "beside the log")

    def _certificate(self, device: VerifierKey | None) -> Certificate | None:
        try:
            note = read_certificate(self.folder.certificate)
            if str(note).encode() != self.folder.certificate.read_bytes() or len(note.signatures) != 1:
                raise AuditError("audit_certificate_wrong", "the certificate has more in it than it should")
            return open_certificate(note, device) if device else None
        except (AuditError, FileNotFoundError, UnicodeDecodeError) as error:
            self._find(
                "certificate", say("the certificate of the log's key does not hold: {error}", error=error)
            )
            return None

    def _signed_files(self) -> tuple[Checkpoints, Heads]:
        paths = (self.folder.checkpoints, self.folder.heads)
        for path in paths:
            if not path.exists():
                self._find("signatures_missing", say("{name} is missing", name=path.name))
        files, again = _read_all(paths), _read_all(paths)
        while files != again:  # somebody signs just now, and a head without its note looks like a loss
            files, again = again, _read_all(paths)
        return parse_checkpoints(files[0]), parse_heads(files[1])

    def _stream(self, data: Content, certificate: Certificate | None, wanted: set[int]) -> BadFrame | None:
        """Read every entry once; returns where reading had to stop."""
        peaks = Peaks()
        self.roots[0] = EMPTY_ROOT
        for frame in read_frames(data):
            if isinstance(frame, BadFrame):
                return frame
            seq = peaks.size
            self.offsets.append(frame.offset)
            self.end = frame.end
            peaks.append(frame.leaf)
            if peaks.size in wanted:
                self.roots[peaks.size] = peaks.root()
            try:
                entry = parse_entry(frame.body)
            except AuditError as error:
                self._find("entry_malformed", error.message, seq)
            else:
                self._check_entry(seq, entry, certificate)
        return None

    def _check_entry(self, seq: int, entry: Entry, certificate: Certificate | None) -> None:
        if entry.seq != seq:
            self._find(
                "entry_out_of_sequence",
                say("entry {seq} calls itself {seq_2}", seq=seq, seq_2=entry.seq),
                seq,
            )
        if certificate is not None and entry.dep != certificate.origin:
            self._find("entry_of_another_log", say("the entry belongs to {dep}", dep=entry.dep), seq)
        if (entry.event.ev == "log.opened") != (seq == 0):
            self._find("entry_misplaced", "log.opened is the first entry and only that", seq)
        if entry.event.ev == "log.closed" and self.closed_at < 0:
            self.closed_at = seq
        if entry.event.ev == "log.recovered":
            self.gaps.append(f"a torn write was cut off before entry {seq}")
        self.duties.feed(entry)

    def _check_heads(self, heads: Heads) -> None:
        complete = self._is_complete(heads.whole[-1] if heads.whole else None)
        if heads.rest and (complete or not is_torn_head(heads.rest, heads.end)):
            self._find("head_malformed", say("the heads file is wrong at byte {end}", end=heads.end))
        for before, head in zip((Head(0, EMPTY_ROOT), *heads.whole), heads.whole, strict=False):
            if head.size < before.size:
                self._find(
                    "head_smaller",
                    say(
                        "a head of {size} entries follows one of {size_2}", size=head.size, size_2=before.size
                    ),
                )
            self._check_root("head", head, before.size)

    def _is_complete(self, last: Head | None) -> bool:
        """Whether `last` covers a closed log: nothing was being written after it, so nothing can be torn."""
        return self.closed and last is not None and last.size == len(self.offsets)

    def _check_root(self, what: str, head: Head, good: int) -> bool:
        """Whether the first entries have this root; if not, the first bad one lies at `good` or after.

        Said of the first of its kind: those after it cover the same entries, and there may be thousands.
        """
        root = self.roots.get(head.size)
        if root is None and self._is_first("entries_missing", what):
            text = say(
                "{what} covers {size} entries, {readable} are readable",
                what=say(f"a {what}"),
                size=head.size,
                readable=len(self.offsets),
            )
            self._find("entries_missing", text, len(self.offsets))
        elif root is not None and root != head.root and self._is_first("entries_altered", what):
            text = say(
                "entries {first} to {last} are not those {what} covers",
                first=good,
                last=head.size - 1,
                what=say(f"a {what}"),
            )
            self._find("entries_altered", text, good)
        return root == head.root

    def _is_first(self, code: str, what: str) -> bool:
        first = (code, what) not in self.said
        self.said.add((code, what))
        return first

    def _check_checkpoints(
        self, checkpoints: Checkpoints, certificate: Certificate | None, heads: Heads
    ) -> Head:
        """Check every signed head; returns the largest that holds."""
        complete = self._is_complete(checkpoints.whole[-1].head if checkpoints.whole else None)
        last = heads.whole[-1] if heads.whole else None
        rest, at = checkpoints.rest, checkpoints.end
        torn = certificate is not None and is_torn_checkpoint(rest, certificate.origin, last, at)
        if rest and (complete or not torn):
            self._find(
                "checkpoint_malformed",
                say("{reason} (byte {end})", reason=checkpoints.reason, end=checkpoints.end),
            )
        self._check_unsigned(heads, checkpoints)
        known = set(heads.whole)
        good = Head(0, EMPTY_ROOT)
        for number, checkpoint in enumerate(checkpoints.whole):
            head = checkpoint.head
            if not self._signed(checkpoint, certificate, f"checkpoint {number}"):
                continue
            if len(checkpoint.note.signatures) != 1:
                self._find(
                    "checkpoint_malformed",
                    say("checkpoint {number} has more than the log's signature", number=number),
                )
            if head not in known:
                self._find(
                    "head_missing",
                    say("checkpoint {number} was signed without its head on disk", number=number),
                )
            if head.size < good.size:
                self._find(
                    "checkpoint_smaller",
                    say("checkpoint {number} is smaller than one before it", number=number),
                )
            elif self._check_root("checkpoint", head, good.size):
                good = head
        return good

    def _check_unsigned(self, heads: Heads, checkpoints: Checkpoints) -> None:
        """A head without its checkpoint is where the power went; the next was signed as soon as it came back."""
        signed = {checkpoint.head for checkpoint in checkpoints.whole}
        for head, following in pairwise(heads.whole):
            if head not in signed and following.size > head.size + RECOVERY_ENTRIES:
                text = say("the checkpoint over {size} entries is missing", size=head.size)
                self._find("checkpoint_missing", text, head.size)

    def _signed(self, checkpoint: Checkpoint, certificate: Certificate | None, name: str) -> bool:
        if certificate is None:
            return False
        try:
            if checkpoint.origin == certificate.origin and checkpoint.note.signed_by(certificate.key):
                return True
            self._find("signature", say("{name} is not signed by this log", name=name))
        except AuditError as error:
            self._find("signature", say("{name}: {error}", name=name, error=error))
        return False

    def _check_tail(self, data: Content, bad: BadFrame | None) -> None:
        if bad is None:
            return
        tail = judge_tail(data, bad)
        seq = len(self.offsets)
        if tail.damage or self.findings or self.closed or self.folder.frozen.exists():
            self.findings.insert(0, Finding("entry_damaged", bad.reason, seq, bad.offset))
        else:
            text = say("a write was torn at the end ({reason}); recovery moves it aside", reason=bad.reason)
            self.reservations.append(Finding("torn_write", text, seq, bad.offset))

    def _check_anchors(
        self,
        anchors: list[Checkpoint],
        certificate: Certificate | None,
        checkpoints: Checkpoints,
    ) -> list[AnchorReport]:
        reports = []
        for checkpoint in anchors:
            for report in cosigned(checkpoint, self.trust.witnesses, self.reservations):
                if self._check_root("witnessed head", checkpoint.head, 0):
                    reports.append(report)
        for checkpoint in self.trust.since:
            if certificate is not None and checkpoint.origin != certificate.origin:
                raise AuditError(
                    "audit_since_foreign",
                    say("the older checkpoint is of {origin}, not of this log", origin=checkpoint.origin),
                )
            if self._signed(checkpoint, certificate, "the older checkpoint") and self._check_root(
                "older checkpoint", checkpoint.head, 0
            ):
                reports.append(AnchorReport("older checkpoint", checkpoint.head.size, None))
        for code in self.trust.codes:
            size = printed_size(code, checkpoints.whole, self.roots)
            if size is None:
                self._find("code_contradicts", "the printed code fits no head of this log")
            else:
                reports.append(AnchorReport("printed code", size, None))
        return [*reports, *self._stamped(certificate)]

    def _stamped(self, certificate: Certificate | None) -> Iterator[AnchorReport]:
        """Time stamps by an authority that the auditor trusts; without one they are not looked at."""
        if self.trust.stampers is None or certificate is None:
            return
        for size, path in stamped_sizes(self.folder).items():
            root = self.roots.get(size)
            if root is None:
                self._find(
                    "entries_missing",
                    say(
                        "{name} covers {size} entries, {offsets_count} are left",
                        name=path.name,
                        size=size,
                        offsets_count=len(self.offsets),
                    ),
                    None,
                )
                continue
            try:
                when_s = stamped_at(path, certificate.origin, Head(size, root), self.trust.stampers)
            except AuditError as error:
                if error.code == "audit_stamp_contradicts":
                    self._find("stamp_contradicts", error.message)
                else:
                    self.reservations.append(Finding("anchor_unreadable", error.message))
            else:
                yield AnchorReport("time stamp", size, when_s)

    def _reserve_open_points(self, signed: Head, anchored: list[AnchorReport], *, device_log: bool) -> None:
        reserve = self.reservations.append
        entries = len(self.offsets)
        if not self.closed and not device_log:
            reserve(Finding("not_closed", "the log is not closed: it is still running, or was cut off"))
        if signed.size < entries:
            reserve(
                Finding(
                    "unsigned",
                    say("no head covers the last {entries} entries", entries=entries - signed.size),
                )
            )
        reach = max((anchor.size for anchor in anchored), default=0)
        if reach < signed.size:
            text = say("nothing is anchored outside the box: whoever owns it could have rewritten them")
            if reach:
                text = say(
                    "the entries from {reach} on are not anchored outside the box: "
                    "whoever owns it could have rewritten them",
                    reach=reach,
                )
            reserve(Finding("unanchored", text))
        if self.folder.frozen.exists():
            reserve(Finding("frozen", "the box found this log damaged and froze it"))
        self.reservations.extend(self.duties.reservations(closed=self.closed))


def _read_all(paths: tuple[Path, ...]) -> list[bytes]:
    return [path.read_bytes() if path.exists() else b"" for path in paths]
