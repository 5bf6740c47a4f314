"""Checking the record, for anyone: is it what was signed, is it anchored, and do its counts add up?

Nothing here trusts the box. What is altered is a finding (exit 1); what is missing (an anchor, a decision, a
second person) is a reservation (exit 2).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from lfr_edge.audit.anchor import find_printed, printed_code
from lfr_edge.audit.check import LogCheck, Trust
from lfr_edge.audit.checkpoint import Checkpoint, parse_checkpoints
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder, logs_of
from lfr_edge.audit.keys import read_certificate
from lfr_edge.audit.note import VerifierKey, encode64
from lfr_edge.audit.report import AnchorReport, Finding, LogReport, Verdict, VerifyReport
from lfr_edge.audit.segment import BadFrame, map_segment, read_frames
from lfr_edge.audit.view import unreadable
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

__all__ = ["VerifyReport", "verify"]
_ROOT: Final = re.compile(r"[0-9a-f]{64}")


def verify(
    path: Path,
    *,
    device_key: VerifierKey | None = None,
    witnesses: Iterable[VerifierKey] = (),
    since: Checkpoint | None = None,
    codes: Iterable[str] = (),
    stampers: Path | None = None,
) -> VerifyReport:
    """Verify one log, or the folder of a box: its device log and every deployment. Never raises AuditError."""
    trust = Trust(device_key, tuple(witnesses), (since,) if since else (), tuple(codes), stampers)
    try:
        if LogFolder(path).entries.exists():
            return _conclude(path, (LogCheck(LogFolder(path), trust).run(),), [], [])
        if LogFolder(path / DEVICE_LOG).entries.exists():
            return _verify_box(path, trust)
        if count := len(logs_of(path)):
            raise AuditError(
                "audit_log_unreadable",
                say(
                    "{path} holds {count} log(s) and no device log: check each by itself, or copy the whole folder of "
                    "the box",
                    path=path,
                    count=count,
                ),
            )
        raise AuditError("audit_log_unreadable", say("{path} holds no log", path=path))
    except (AuditError, OSError) as error:
        problem = error if isinstance(error, AuditError) else unreadable(path, error)
        return VerifyReport(str(path), "unreadable", (), (Finding(problem.code, problem.message),), ())


def _conclude(
    path: Path, logs: tuple[LogReport, ...], findings: list[Finding], reservations: list[Finding]
) -> VerifyReport:
    every = (*(item for log in logs for item in log.findings), *findings)
    open_points = (*(item for log in logs for item in log.reservations), *reservations)
    verdict: Verdict = "altered" if every else "qualified" if open_points else "intact"
    return VerifyReport(str(path), verdict, logs, every, open_points)


def _verify_box(path: Path, trust: Trust) -> VerifyReport:
    """The device log, every deployment it names, and every deployment that lies there."""
    findings: list[Finding] = []
    reservations: list[Finding] = []
    logs: dict[str, LogReport] = {}
    reports: list[LogReport] = []
    shares, unclaimed = _share_out(path, trust)
    if unclaimed:
        findings.append(Finding("code_contradicts", "a printed code fits no head of any log here"))
    for folder, mine in shares:
        report = LogCheck(folder, mine).run()
        reports.append(report)
        if report.origin and report.origin in logs:
            text = say("the log of {origin} lies here more than once", origin=report.origin)
            findings.append(Finding("deployment_twice", text))
        logs[report.origin] = report
    opened, closed = _deployments(LogFolder(path / DEVICE_LOG))
    for origin, seq in opened.items():
        if origin not in logs:
            findings.append(
                Finding("deployment_missing", say("the log of {origin} is not here", origin=origin), seq)
            )
        elif origin not in closed:
            reservations.append(
                Finding(
                    "deployment_unclosed", say("{origin} was opened and never closed", origin=origin), seq
                )
            )
    for origin, (seq, size, root) in closed.items():
        log = logs.get(origin)
        if log is not None and (log.heads.last_size != size or log.heads.last_root != root):
            findings.append(
                Finding(
                    "deployment_contradicts",
                    say("{origin} did not end with the head written down here", origin=origin),
                    seq,
                )
            )
    for log in reports:
        if not log.device and log.origin not in opened:
            text = say("the device log does not know {origin}", origin=log.origin or log.path)
            findings.append(Finding("deployment_unrecorded", text))
    sheets, odd = _sheets(LogFolder(path / DEVICE_LOG), closed)
    findings += odd
    shown = [
        replace(log, anchors=(*log.anchors, sheets[log.origin])) if log.origin in sheets else log
        for log in reports
    ]
    return _conclude(path, tuple(shown), findings, reservations)


def _share_out(path: Path, trust: Trust) -> tuple[list[tuple[LogFolder, Trust]], set[str]]:
    """Each log with what the auditor holds of it, and the printed codes that fit none.

    Raises:
        AuditError: ``audit_since_foreign``: the older checkpoint is of no log here; ``audit_code_mistyped`` and
            ``audit_code_misread``.
    """
    folders = logs_of(path)
    origins = [_origin_of(folder) for folder in folders]
    for checkpoint in trust.since:
        if checkpoint.origin not in origins:
            raise AuditError(
                "audit_since_foreign",
                say("the older checkpoint is of {origin}, which is not here", origin=checkpoint.origin),
                hint="a log that you hold a checkpoint of is missing, or this is another box",
            )
    printed = _printed(folders) if trust.codes else {}
    found = {code: find_printed(code, printed) for code in trust.codes}
    shares = []
    for folder, origin in zip(folders, origins, strict=True):
        since = tuple(checkpoint for checkpoint in trust.since if checkpoint.origin == origin)
        codes = tuple(code for code, one in found.items() if one is not None and printed[one] == folder)
        shares.append((folder, replace(trust, since=since, codes=codes)))
    return shares, {code for code, one in found.items() if one is None}


def _printed(folders: Iterable[LogFolder]) -> dict[str, LogFolder]:
    """The printed code of every signed head, and whose it is."""
    printed: dict[str, LogFolder] = {}
    for folder in folders:
        raw = folder.checkpoints.read_bytes() if folder.checkpoints.exists() else b""
        printed |= {printed_code(one.origin, one.head): folder for one in parse_checkpoints(raw).whole}
    return printed


def _origin_of(folder: LogFolder) -> str | None:
    try:
        return read_certificate(folder.certificate).text.split("\n")[1]
    except (AuditError, OSError, UnicodeDecodeError, IndexError):
        return None


def _deployments(folder: LogFolder) -> tuple[dict[str, int], dict[str, tuple[int, int, str]]]:
    """What the device log says was opened (seq) and closed (seq, size, root)."""
    opened: dict[str, int] = {}
    closed: dict[str, tuple[int, int, str]] = {}
    for entry in _entries(folder):
        if entry.event.ev == "device.deployment_opened":
            opened[entry.event.ref] = entry.seq
        elif entry.event.ev == "device.deployment_closed":
            closed[entry.event.ref] = (entry.seq, *_head_in(entry))
    return opened, closed


def _sheets(
    folder: LogFolder, closed: Mapping[str, tuple[int, int, str]]
) -> tuple[dict[str, AnchorReport], list[Finding]]:
    """Sheets of paper that somebody confirmed having signed, by origin, and those that show another head.

    What the box says of itself anchors nothing: the sheet does, and whoever holds it checks it with its code.
    """
    sheets: dict[str, AnchorReport] = {}
    findings = []
    for entry in _entries(folder):
        if entry.event.ev == "anchor.confirmed":
            origin, head = entry.event.ref, _head_in(entry)
            if origin not in closed or closed[origin][1:] != head:
                text = say("a sheet was confirmed for {origin} that does not show its end", origin=origin)
                findings.append(Finding("sheet_contradicts", text, entry.seq))
            else:
                by = f"paper, confirmed by {entry.event.actor.account} (check it with --code)"
                sheets[origin] = AnchorReport(by, head[0], entry.t_wall_us // 1_000_000)
    return sheets, findings


def _entries(folder: LogFolder) -> Iterator[Entry]:
    """What can be read of the device log; what cannot is a finding already."""
    for frame in read_frames(map_segment(folder.entries)):
        if not isinstance(frame, BadFrame):
            with contextlib.suppress(AuditError):
                yield parse_entry(frame.body)


def _head_in(entry: Entry) -> tuple[int, str]:
    """Size and root as an entry gives them; −1 and nothing where it gives none."""
    root, size = entry.event.data.get("root"), entry.event.data.get("size")
    encoded = encode64(bytes.fromhex(root)) if isinstance(root, str) and _ROOT.fullmatch(root) else ""
    return size if isinstance(size, int) else -1, encoded
