"""Checking the record, for anyone: is it what was signed, is it anchored, and do its counts add up?

Nothing here trusts the box. What is altered is a finding (exit 1); what is missing (an anchor, a decision, a
second person) is a reservation (exit 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lfr_edge.audit.check import LogCheck, Trust
from lfr_edge.audit.checkpoint import Checkpoint
from lfr_edge.audit.entry import parse_entry
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.keys import read_certificate
from lfr_edge.audit.note import VerifierKey, encode64
from lfr_edge.audit.report import Finding, LogReport, Verdict, VerifyReport
from lfr_edge.audit.segment import BadFrame, map_segment, read_frames
from lfr_edge.audit.view import unreadable
from lfr_edge.errors import AuditError

__all__ = ["VerifyReport", "verify"]


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
        raise AuditError("audit_log_unreadable", f"{path} holds no log")
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
    since = trust.since
    findings: list[Finding] = []
    reservations: list[Finding] = []
    logs: dict[str, LogReport] = {}
    reports: list[LogReport] = []
    for entries in sorted(
        path.glob("*/entries.lfr"), key=lambda item: (item.parent.name != DEVICE_LOG, item)
    ):
        folder = LogFolder(entries.parent)
        origin = _origin_of(folder)
        mine = tuple(checkpoint for checkpoint in since if checkpoint.origin == origin)
        report = LogCheck(folder, replace(trust, since=mine, codes=())).run()
        reports.append(report)
        logs[report.origin] = report
    opened, closed = _deployments(LogFolder(path / DEVICE_LOG))
    for origin, seq in opened.items():
        if origin not in logs:
            findings.append(Finding("deployment_missing", f"the log of {origin} is not here", seq))
        elif origin not in closed:
            reservations.append(Finding("deployment_unclosed", f"{origin} was opened and never closed", seq))
    for origin, (seq, size, root) in closed.items():
        log = logs.get(origin)
        if log is not None and (log.heads.last_size != size or log.heads.last_root != root):
            findings.append(
                Finding(
                    "deployment_contradicts", f"{origin} did not end with the head written down here", seq
                )
            )
    for origin, log in logs.items():
        if not log.device and origin not in opened:
            findings.append(Finding("deployment_unrecorded", f"the device log does not know {origin}"))
    return _conclude(path, tuple(reports), findings, reservations)


def _origin_of(folder: LogFolder) -> str:
    try:
        return read_certificate(folder.certificate).text.split("\n")[1]
    except (AuditError, OSError, UnicodeDecodeError, IndexError):
        return ""


def _deployments(folder: LogFolder) -> tuple[dict[str, int], dict[str, tuple[int, int, str]]]:
    """What the device log says was opened (seq) and closed (seq, size, root)."""
    opened: dict[str, int] = {}
    closed: dict[str, tuple[int, int, str]] = {}
    for frame in read_frames(map_segment(folder.entries)):
        try:
            entry = parse_entry(frame.body) if not isinstance(frame, BadFrame) else None
        except AuditError:
            continue
        if entry is not None and entry.event.ev == "device.deployment_opened":
            opened[entry.event.ref] = entry.seq
        elif entry is not None and entry.event.ev == "device.deployment_closed":
            data = entry.event.data
            root = data.get("root", "")
            encoded = encode64(bytes.fromhex(root)) if isinstance(root, str) and len(root) == 64 else ""
            size = data.get("size", -1)
            closed[entry.event.ref] = (entry.seq, size if isinstance(size, int) else -1, encoded)
    return opened, closed
