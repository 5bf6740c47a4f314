"""Where the figures come from, and what the reader has to know before the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lfr_edge.deployment.report.document import Fact
from lfr_edge.deployment.verified import VerifiedLog

_RESERVATIONS: Final = {
    "alert_unknown": "Entries that settle an alert which was never raised",
    "unanchored": "Not, or not to its end, checked against a head that somebody outside the box holds",
    "alert_undecided": "Alerts that nobody decided",
    "control_missing": "Changes without a second person",
    "templates_unaccounted": "Watchlist templates whose end is not recorded",
    "authority_missing": "Recognition started without an authority on record",
    "authority_exceeded": "Recognition went on after the authority had ended",
    "not_closed": "The log is not closed",
    "unsigned": "The last entries are not signed yet and are not counted",
    "ledger_inexact": "The erasure ledger does not balance",
}


def record(logs: Sequence[VerifiedLog]) -> tuple[Fact, ...]:
    """From which signed record the figures come: anyone who holds the log can make this report again."""
    facts = []
    for log in logs:
        report = log.report
        verdict = "intact" if not report.reservations else "intact, with reservations"
        facts.append(
            Fact(report.origin, f"{log.signed:,} entries, {verdict}", f"root {report.heads.last_root}")
        )
    return tuple(facts)


def notices(logs: Sequence[VerifiedLog]) -> tuple[str, ...]:
    """What the reader has to know before the first figure."""
    said = []
    if any(log.statistics.purpose == "evaluation" for log in logs):
        said.append("Evaluation: demonstration, training or test. Not an operational deployment.")
    running = [log.statistics.name for log in logs if not log.statistics.closed]
    if running:
        said.append(f"Not closed when this was made: {', '.join(running)}. The figures are those so far.")
    codes: dict[str, int] = {}
    for log in logs:
        for item in log.report.reservations:
            codes[item.code] = codes.get(item.code, 0) + 1
    said += [
        f"{_RESERVATIONS.get(code, code.replace('_', ' '))} ({times})"
        for code, times in sorted(codes.items())
    ]
    return tuple(said)
