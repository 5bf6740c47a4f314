"""What the console asks of the rest of the house. ``service.py`` fills these in; the tests use small fakes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from lfr_edge.alerts.desk import AlertDesk, DeskCounts
from lfr_edge.alerts.record import Actor, Recorder
from lfr_edge.clock import Clock
from lfr_edge.energy import NOT_MEASURED, Energy
from lfr_edge.errors import DeploymentError

if TYPE_CHECKING:
    from lfr_edge.audit.note import VerifierKey
    from lfr_edge.console.deployment_port import DeploymentControl
    from lfr_edge.console.door.accounts import Accounts
    from lfr_edge.console.door.sessions import Sessions
    from lfr_edge.deployment.control.approvals import Approvals
    from lfr_edge.deployment.control.proposal import Proposal
    from lfr_edge.deployment.control.trust import TrustStore
    from lfr_edge.deployment.ending.anchors import Anchors
    from lfr_edge.deployment.keeping.holds import Holds
    from lfr_edge.deployment.notice import Notice
    from lfr_edge.recogniser.explanation import Explanation
    from lfr_edge.settings import Settings

Explain: TypeAlias = "Callable[[bytes, bytes], Awaitable[Explanation]]"
CarryOut: TypeAlias = "Callable[[Proposal, Actor], Awaitable[bool]]"
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
NOTHING_RAISED: Final = DeskCounts(0, 0, 0, 0, 0, 0, 0)
Phase = Literal["preparing", "running", "ended"]
CameraState = Literal["live", "connecting", "stalled", "lost", "paused"]
Health = Literal["ok", "degraded", "failed"]


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How well one camera can recognise now."""

    id: str
    state: CameraState
    fps: float  # frames taken a second, over the last seconds
    frame_age_ms: int | None  # None before the first frame
    faces_per_min: float
    median_eye_px: float | None  # None while nobody is in view
    sharpness: float | None  # 0..1, median of recent probes
    light: float | None  # 0..1, median of recent probes
    blind_s: int  # seconds of this deployment without recognition on this camera
    drops: int
    epoch: int
    note: str = ""  # why it is not live, in words, without any address
    drift: Mapping[str, float] = field(default_factory=dict)  # PSI by measure; empty: not enough passages yet
    looks_per_s: float | None = None  # frames looked at; None: not for ten seconds on end yet


@dataclass(frozen=True, slots=True)
class Ledger:
    """``processed = erased + retained`` at every moment; `held` are still undecided and not part of it."""

    processed: int
    erased: int
    retained: int
    held: int = 0  # templates of people who are still in front of a camera


@dataclass(frozen=True, slots=True)
class Counters:
    frames: int
    faces: int
    probes: int
    alerts: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    name: str
    task: str
    licence: str
    operational: bool  # whether the licence permits operational use as configured
    sha256: str
    provider: str


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    id: str
    site: str
    purpose: Literal["operational", "evaluation"]
    started_wall_ns: int | None  # None: not running
    ends_wall_ns: int | None
    threshold: float | None
    list_size: int
    list_digest: str = ""
    phase: Phase = "running"
    remaining_s: int | None = None  # until the authority ends, by the monotonic clock
    one_in: int | None = (
        None  # at most one false alert in so many faces of people not listed; None: cannot tell
    )


@dataclass(frozen=True, slots=True)
class Latency:
    """Frame captured → alert offered, milliseconds; ``painted_p95``: → on the operator's screen."""

    p50: float | None
    p95: float | None
    p99: float | None
    painted_p95: float | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence for the banner. `health` failed means that people pass unrecognised."""

    health: Health
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class SystemStatus:
    recognising: bool
    paused: bool
    cameras: tuple[CameraStatus, ...]
    ledger: Ledger
    counters: Counters
    models: tuple[ModelStatus, ...]
    deployment: DeploymentStatus
    latency: Latency
    loop_lag_ms: float
    troubles: tuple[Trouble, ...] = ()
    energy: Energy = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """A watchlist entry as a page may show it: no name, no picture."""

    reference: str
    category: str
    requested_response: str
    images: int
    source: str
    taken: str | None  # ISO date of the newest image
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class LogSummary:
    origin: str
    entries: int
    signed_size: int
    root: str  # hex or base64, as the verifier prints it
    verdict: Literal["intact", "unanchored", "altered", "unreadable", "unknown"]
    anchors: int
    undecided: int
    checked_wall_ns: int | None
    lines: tuple[str, ...] = ()  # the verifier's own words


class SystemView(Protocol):
    """**Thread rule:** all methods are called on the event loop; coroutines must not block it."""

    def status(self) -> SystemStatus: ...

    async def tile(self, camera: str) -> bytes | None:
        """A JPEG in which every face that is no open alert is blurred; None while there is none.

        Asked only while somebody looks: the recogniser makes tiles on request.
        """

    async def pause(self, actor: Actor, why: str) -> None:
        """Stop recognition and record it (``recognition.paused``)."""

    async def resume(self, actor: Actor, why: str) -> None: ...

    async def withdraw(self, reference: str, actor: Actor, why: str) -> None:
        """Take an entry off the live list and record it. Raises WatchlistError for an unknown reference."""

    def watchlist(self) -> tuple[ListedEntry, ...]: ...

    async def log_summary(self, *, verify: bool) -> LogSummary:
        """The log's state; `verify` reads the whole log and checks every entry."""

    def painted(self, token: str, received_ns: int, client_wall_ns: int) -> None:
        """A page says that an alert stands on its screen. `received_ns`: our CLOCK_MONOTONIC at receipt, so
        the latency needs no trust in the browser's clock.
        """


@dataclass(frozen=True, slots=True)
class ConsolePorts:
    desk_now: Callable[[], AlertDesk]  # raises DeploymentError deployment_not_started or deployment_ended
    system: SystemView
    accounts: Accounts
    sessions: Sessions
    recorder: Recorder
    clock: Clock
    site: str
    tls: bool  # decides the cookie's name and its Secure attribute
    hosts: frozenset[str] = frozenset()  # further names by which the console may be addressed, without port
    explain: Explain | None = None  # (probe JPEG, candidate JPEG) → which regions carried the similarity
    settings: Settings | None = None  # where records and measurements lie, and who else is told
    counts_at_end: Callable[[], DeskCounts | None] = lambda: None  # of an ended deployment
    approvals_now: Callable[[], Approvals] | None = None  # of the deployment whose log is open
    carry_out: CarryOut | None = (
        None  # an approved change: records it, lets it take effect; False: later, by others
    )
    trust: TrustStore | None = None  # whose signatures this box believes
    deployment: DeploymentControl | None = None  # prepare, start and end; None: a console without a box
    holds: Holds | None = None  # which alert pictures outlive their retention
    anchors: Anchors | None = None  # closed logs on paper
    witness: VerifierKey | None = None  # whose cosignatures count when a page checks a log
    notice_now: Callable[[], Notice | None] | None = (
        None  # what the public is told; None without an authority
    )

    @property
    def approvals(self) -> Approvals:
        """Two-person control of the deployment whose log is open.

        Raises:
            DeploymentError: ``deployment_not_started``, ``deployment_ended``; pages show an empty state.
        """
        if self.approvals_now is None:
            raise DeploymentError("deployment_not_started", "no deployment is open", hint="open one first")
        return self.approvals_now()

    @property
    def desk(self) -> AlertDesk:
        """The desk of the running deployment.

        Raises:
            DeploymentError: ``deployment_not_started``, ``deployment_ended``; pages show an empty state.
        """
        return self.desk_now()

    @property
    def dns_name(self) -> str | None:
        """The name under which passkeys are kept; None: passwords only."""
        return self.settings.console.dns_name if self.settings else None

    def desk_counts(self, *, as_shown: bool = False) -> DeskCounts:
        """What the desk holds, or held at its end; zeros before. `as_shown`: see :meth:`AlertDesk.counts`."""
        try:
            return self.desk.counts(as_shown=as_shown)
        except DeploymentError:
            return self.counts_at_end() or NOTHING_RAISED

    def answers_to(self, name: str) -> bool:
        """Stops DNS rebinding. With TLS the certificate already does: another name does not get this far."""
        return self.tls or name in LOOPBACK_NAMES or name in self.hosts
