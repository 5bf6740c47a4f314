"""A log that was verified before a single figure was taken from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.proof import EntryProof, prove_entry
from lfr_edge.audit.report import LogReport, VerifyReport
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.deployment.statistics import Statistics, fold
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """One deployment's log up to its newest signed head, what the verifier said, and the figures.

    Entries behind that head are not counted: nobody has signed them yet. A running log signs every ten seconds.
    **Thread rule:** any thread; a snapshot.
    """

    view: LogView
    report: LogReport
    signed: int  # entries that the newest head covers
    statistics: Statistics

    def prove(self, seq: int) -> EntryProof:
        """Raises AuditError: ``audit_entry_unsigned``, ``audit_entry_missing``."""
        return prove_entry(self.view, seq, self.view.body(seq))

    @property
    def root(self) -> str:
        return self.report.heads.last_root


def read_verified(
    path: Path, *, device_key: VerifierKey | None = None, witnesses: Iterable[VerifierKey] = ()
) -> tuple[VerifiedLog, ...]:
    """Verify the log in `path`, or every deployment of the box in `path`, in order of their opening.

    Raises:
        AuditError: ``audit_report_refused`` for an altered log, ``audit_log_unreadable``,
            ``audit_report_empty`` where there is no deployment.
    """
    # The view first: a log that grows while it is verified is then at least as long in the verification.
    folders = _folders(path)
    views = [LogView.load(folder) for folder in folders]
    outcome = verify(path, device_key=device_key, witnesses=witnesses)
    _refuse_unfit(outcome)
    reports = {Path(report.path).resolve(): report for report in outcome.logs}
    logs = [_log(view, reports[view.folder.path.resolve()]) for view in views]
    return tuple(sorted(logs, key=lambda log: (log.statistics.opened_us, log.statistics.origin)))


def _folders(path: Path) -> list[Path]:
    if LogFolder(path).entries.exists():
        found = [path]
    else:
        found = [item.parent for item in sorted(path.glob("*/entries.lfr")) if item.parent.name != DEVICE_LOG]
    if not found:
        raise AuditError(
            "audit_report_empty",
            say("{path} holds no deployment's log", path=path),
            hint="give a folder with entries.lfr, or the folder above all deployments",
        )
    return found


def _refuse_unfit(outcome: VerifyReport) -> None:
    if outcome.intact:
        return
    first = outcome.first_bad or (outcome.findings[0] if outcome.findings else None)
    raise AuditError(
        "audit_report_refused",
        say(
            "{path} is {verdict}: no figure is taken from it ({first})",
            path=outcome.path,
            verdict=say(outcome.verdict),
            first=first.message,
        )
        if first
        else say(
            "{path} is {verdict}: no figure is taken from it", path=outcome.path, verdict=say(outcome.verdict)
        ),
        hint=say("see what is wrong: lfr-edge audit verify {path}", path=outcome.path),
    )


def _log(view: LogView, report: LogReport) -> VerifiedLog:
    signed = view.signed.size if view.signed else 0
    if report.device:
        raise AuditError(
            "audit_report_empty",
            say("{path} is the device's own log", path=view.folder.path),
            hint="name a deployment's folder",
        )
    if not signed or signed > view.size:
        raise AuditError(
            "audit_report_unsigned",
            say("{path} has no entry that a signed head covers", path=view.folder.path),
            hint="a running log signs every 10 seconds; try again",
        )
    if view.signed is not None and view.tree.root(signed) != view.signed.root:
        raise AuditError(
            "audit_report_refused",
            say(
                "{path} changed while it was read: its entries are not those that were signed",
                path=view.folder.path,
            ),
            hint=say("see what is wrong: lfr-edge audit verify {path}", path=view.folder.path),
        )
    statistics = fold(view.entry(seq) for seq in range(signed))
    return VerifiedLog(view, report, signed, statistics)
