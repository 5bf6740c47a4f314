"""What a verification found, as values, as JSON and as text for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, TypeAlias

from lfr_edge.clock import utc_text

Verdict: TypeAlias = Literal["intact", "qualified", "altered", "unreadable"]
KeySource: TypeAlias = Literal["given", "beside the log"]
EXIT_CODES: Final[Mapping[Verdict, int]] = {"intact": 0, "altered": 1, "qualified": 2, "unreadable": 3}
_SENTENCES: Final[Mapping[Verdict, str]] = {
    "intact": "INTACT: nothing was altered, everything is anchored, decided and accounted for.",
    "qualified": "INTACT WITH RESERVATIONS: nothing was found altered, but see above.",
    "altered": "ALTERED: this record is not what was signed.",
    "unreadable": "UNREADABLE: nothing could be checked.",
}
NAMED_MAX: Final = 50  # what is spelt out; the counts are always complete
REPORT_FORMAT: Final = "lfr-edge/audit-verification/v1"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (a finding) or missing (a reservation), with its place where it has one."""

    code: str
    message: str
    seq: int | None = None
    offset: int | None = None

    def line(self) -> str:
        place = "" if self.seq is None else f" (entry {self.seq}"
        if self.seq is not None:
            place += ")" if self.offset is None else f", byte {self.offset})"
        return f"{self.code}: {self.message}{place}"


@dataclass(frozen=True, slots=True)
class HeadReport:
    """Signed heads: how many, the last one, and who is trusted for the key."""

    signed: int = 0
    last_size: int = 0
    last_root: str = ""
    key: str = ""
    key_from: KeySource = "beside the log"


@dataclass(frozen=True, slots=True)
class ClockReport:
    """Wall clock against monotonic clock. Jumps are reported, not punished: vans have bad clocks."""

    first_us: int = 0
    last_us: int = 0
    boots: int = 0
    sources: tuple[str, ...] = ()
    jumps: tuple[tuple[int, int], ...] = ()  # (seq, milliseconds that the wall clock jumped before it)


@dataclass(frozen=True, slots=True)
class AnchorReport:
    """A head held outside the box that agrees with this log."""

    by: str
    size: int
    when_s: int | None


@dataclass(frozen=True, slots=True)
class DutyReport:
    """Do the counts add up?"""

    alerts_raised: int = 0
    alerts_decided: int = 0
    alerts_suppressed: int = 0
    undecided: tuple[str, ...] = ()  # references, by name
    processed: int = 0
    erased: int = 0
    retained: int = 0
    templates_in: int = 0
    templates_out: int = 0
    drills_raised: int = 0  # known-answer tests of the desk; in none of the counts above
    drills_answered: int = 0
    drills_right: int = 0
    drills_unanswered: tuple[str, ...] = ()  # references, by name


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """One change that needs two persons."""

    seq: int
    ev: str
    change: str
    proposer: str
    approver: str
    ok: bool


@dataclass(frozen=True, slots=True)
class MandateStep:
    """One step of the deployment's authority: authorised, started, cancelled."""

    seq: int
    ev: str
    at_us: int
    sha256: str  # of the authority, as the entry says
    operation: str
    until_us: int | None  # the end that this step sets


@dataclass(frozen=True, slots=True)
class LogReport:
    path: str
    origin: str
    entries: int
    closed: bool
    device: bool
    heads: HeadReport
    gaps: tuple[str, ...]
    clock: ClockReport
    anchors: tuple[AnchorReport, ...]
    duties: DutyReport
    control: tuple[ChangeReport, ...]
    authority: tuple[MandateStep, ...]
    findings: tuple[Finding, ...]
    reservations: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result for one log, or for a box's device log and all its deployments."""

    path: str
    verdict: Verdict
    logs: tuple[LogReport, ...]
    findings: tuple[Finding, ...]
    reservations: tuple[Finding, ...]
    format: str = field(default=REPORT_FORMAT)

    @property
    def exit_code(self) -> int:
        """0 intact, 1 altered, 2 intact but unanchored, undecided or unaccounted, 3 unreadable."""
        return EXIT_CODES[self.verdict]

    @property
    def intact(self) -> bool:
        """Nothing was altered, whatever else may be missing."""
        return self.verdict in {"intact", "qualified"}

    @property
    def entries(self) -> int:
        return sum(log.entries for log in self.logs)

    @property
    def first_bad(self) -> Finding | None:
        """The finding with the lowest entry number."""
        placed = [finding for finding in self.findings if finding.seq is not None]
        return min(placed, key=lambda finding: finding.seq or 0, default=None)

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "exit_code": self.exit_code, "entries": self.entries}

    def text(self) -> str:
        lines = [line for log in self.logs for line in _log_lines(log)]
        own = {id(finding) for log in self.logs for finding in (*log.findings, *log.reservations)}
        lines += [f"! {finding.line()}" for finding in self.findings if id(finding) not in own]
        lines += [f"? {finding.line()}" for finding in self.reservations if id(finding) not in own]
        return "\n".join([*lines, _SENTENCES[self.verdict]])


def _log_lines(log: LogReport) -> list[str]:
    heads, clock = log.heads, log.clock
    lines = [
        f"origin    {log.origin}  ({log.path})",
        f"entries   {log.entries}, {'closed' if log.closed else 'not closed'}",
        f"heads     {heads.signed} signed, last over {heads.last_size} entries: {heads.last_root}",
        f"key       {heads.key} ({heads.key_from})",
        f"gaps      {'; '.join(log.gaps) or 'none'}",
        f"clock     {clock.boots} boot(s), source {', '.join(clock.sources) or 'unknown'}, {len(clock.jumps)} jump(s)",
        f"anchors   {'; '.join(map(_anchor_text, log.anchors)) or 'none'}",
    ]
    if not log.device:
        lines += _deployment_lines(log)
    lines += [f"! {finding.line()}" for finding in log.findings]
    lines += [f"? {finding.line()}" for finding in log.reservations]
    return [*lines, ""]


def _anchor_text(anchor: AnchorReport) -> str:
    when = "" if anchor.when_s is None else f" at {utc_text(anchor.when_s * 1_000_000_000)}"
    return f"{anchor.by} over {anchor.size} entries{when}"


def _deployment_lines(log: LogReport) -> list[str]:
    duties = log.duties
    approved = sum(change.ok for change in log.control)
    lines = [f"authority {_step_text(step)}" for step in log.authority]
    lines += [
        f"duties    alerts {duties.alerts_raised} = {duties.alerts_decided} decided"
        f" + {duties.alerts_suppressed} suppressed + {len(duties.undecided)} undecided",
        f"          faces {duties.processed} = {duties.erased} erased + {duties.retained} retained",
        f"          templates {duties.templates_in} in, {duties.templates_out} out",
    ]
    if duties.drills_raised:
        named = f": {', '.join(duties.drills_unanswered[:NAMED_MAX])}" if duties.drills_unanswered else ""
        lines.append(
            f"          drills {duties.drills_raised} = {duties.drills_answered} answered"
            f" ({duties.drills_right} rightly) + {len(duties.drills_unanswered)} unanswered{named}"
        )
    lines.append(f"control   {len(log.control)} change(s), {approved} by two persons")
    return lines + [
        f"          entry {change.seq} {change.ev}: {change.proposer or 'nobody'} proposed,"
        f" {change.approver or 'nobody'} approved"
        for change in log.control
    ]


def _step_text(step: MandateStep) -> str:
    parts = [f"entry {step.seq} {step.ev} {utc_text(step.at_us * 1000)}", step.operation]
    parts.append(f"sha256 {step.sha256}" if step.sha256 else "")
    parts.append(f"until {utc_text(step.until_us * 1000)}" if step.until_us is not None else "")
    return ", ".join(part for part in parts if part)
