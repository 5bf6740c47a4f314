"""What the Deployment page asks of the supervisor; ``lfr_edge.service.control`` answers, the tests use a small fake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from lfr_edge.alerts.record import Actor
from lfr_edge.deployment.control.proposal import Proposal
from lfr_edge.deployment.ending.receipts import Receipts
from lfr_edge.deployment.readiness import Line

Change = Literal["watchlist", "threshold", "retention", "model"]


@dataclass(frozen=True, slots=True)
class Briefing:
    text: str
    sha256: str
    acknowledged: tuple[str, ...]  # accounts


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """The authority as people read it; texts are the Authorising Officer's."""

    sha256: str
    operation: str
    place: str
    use_case: str
    start: str
    end: str
    threshold_floor: float
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeploymentPicture:
    """One deployment at one moment, for the page; no person in it."""

    id: str
    site: str
    purpose: str
    phase: Literal["preparing", "running", "ended"]
    busy: str  # "starting", "ending" or nothing
    resuming: bool
    paused: bool
    failure: str
    lines: tuple[Line, ...]  # empty once it has started
    authority: AuthorityView | None
    remaining_s: int | None  # None: no authority, no hard stop
    started_wall_ns: int | None
    threshold: float | None
    alert_images_h: float
    pack: str
    list_size: int
    list_sha256: str
    passphrase: bool  # the sealed list opens with one
    briefing: Briefing
    proposed: tuple[Proposal, ...]  # open ones
    imports: int  # copies on the medium that can be erased at the end
    why_ended: str = ""
    receipts: Receipts | None = None
    root: str = ""  # hex, of the closed log
    log_size: int = 0

    @property
    def ready(self) -> bool:
        return self.phase == "preparing" and all(line.holds for line in self.lines)


class DeploymentControl(Protocol):
    """**Thread rule:** coroutines on the event loop, which they do not block.

    Each raises what its step refuses: DeploymentError, WatchlistError, ControlError, AuditError and their kin.
    """

    async def picture(self) -> DeploymentPicture: ...

    async def unseal(self, passphrase: str | None, actor: Actor) -> None:
        """With the passphrase, or with the configured key file; an interrupted deployment then goes on."""

    async def acknowledge(self, sha256: str, actor: Actor) -> None:
        """This person has read the briefing with this digest."""

    async def bring_authority(self, data: bytes, actor: Actor) -> None:
        """Before the start: the authority. While it runs: its extension, which is a new authority."""

    async def propose(self, what: Change, value: str, actor: Actor) -> Proposal: ...

    async def add_list(self, path: Path, credential: bytes | str | None, actor: Actor) -> Proposal:
        """While it runs: propose the entries of another sealed list. None: the configured key file opens it."""

    async def start(self, actor: Actor) -> None: ...

    async def end(self, actor: Actor, why: str, *, erase_imports: bool) -> None: ...

    async def cancel(self, actor: Actor, why: str) -> None: ...

    async def prepare_next(self, actor: Actor) -> None: ...
