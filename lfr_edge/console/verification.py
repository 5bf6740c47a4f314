"""One check of one record, running beside everything else, that says how far it has come."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from lfr_edge.audit.check import LogCheck, Trust
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.report import Finding, Verdict, VerifyReport
from lfr_edge.clock import Clock, utc_text
from lfr_edge.console.sayings import Sayings
from lfr_edge.errors import AuditError

_WORDS: Final = {
    "intact": "intact",
    "altered": "altered",
    "qualified": "unanchored",
    "unreadable": "unreadable",
}


class Verification:
    """**Thread rule:** of the event loop; the check itself runs in a thread."""

    def __init__(self, folder: LogFolder, entries: int, clock: Clock, trust: Trust) -> None:
        self._check = LogCheck(folder, trust)
        self._of = entries
        self._clock = clock
        self._task: asyncio.Task[VerifyReport] | None = None
        self.checked_wall_ns: int | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(asyncio.to_thread(self._run))

    async def wait(self) -> None:
        """Returns when the check is done; a page that goes away in the meantime does not stop it."""
        assert self._task is not None, "started"
        await asyncio.shield(self._task)

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def report(self) -> VerifyReport | None:
        return self._task.result() if self._task is not None and self._task.done() else None

    @property
    def verdict(self) -> str:
        """In the words of the pages: intact, unanchored, altered, unreadable, unknown."""
        return _WORDS[self.report.verdict] if self.report else "unknown"

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self.report.text().splitlines()) if self.report else ()

    @property
    def found(self) -> tuple[Finding, ...]:
        """What is wrong and what is missing, one by one."""
        return (*self.report.findings, *self.report.reservations) if self.report else ()

    def to_json(self, said: Sayings) -> dict[str, Any]:
        # The check keeps the offset of each entry that it has read: that many are done.
        done = len(self._check.offsets)
        checked = self.checked_wall_ns
        return {
            "running": self.running,
            "done": done,
            "of": max(self._of, done),
            "verdict": self.verdict,
            "lines": list(self.lines),
            "found": [{"seq": one.seq, **said.told(one.code, text=one.message)} for one in self.found],
            "checked": utc_text(checked) if checked and not self.running else None,
        }

    def _run(self) -> VerifyReport:
        path = str(self._check.folder.path)
        try:
            log = self._check.run()
            verdict: Verdict = "altered" if log.findings else "qualified" if log.reservations else "intact"
            report = VerifyReport(path, verdict, (log,), log.findings, log.reservations)
        except (AuditError, OSError) as error:
            code = error.code if isinstance(error, AuditError) else "audit_log_unreadable"
            report = VerifyReport(
                path,
                "unreadable",
                (),
                (Finding(code, error.message if isinstance(error, AuditError) else str(error)),),
                (),
            )
        self.checked_wall_ns = self._clock.wall_ns()
        return report
