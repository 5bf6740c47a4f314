"""When a head is signed, and that no head ever contradicts an older one (reliability.md 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from lfr_edge.audit.checkpoint import Checkpoint, Head, sign_head
from lfr_edge.audit.disk import Disk, RealDisk
from lfr_edge.audit.group import GroupCommit
from lfr_edge.audit.note import Signer
from lfr_edge.audit.stamp import boot_id, time_source
from lfr_edge.audit.writer import LogWriter
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What tests and small disks change. `timer` false: nobody calls :meth:`AuditLog.tick` but the owner."""

    checkpoint_every: int = 256
    checkpoint_after_s: float = 10.0
    ballast_bytes: int = 4 * 1024 * 1024  # about 8,000 entries to bring a deployment to an orderly end
    timer: bool = True
    disk: Disk = field(default_factory=RealDisk)
    source: Callable[[], str] = time_source
    boot_id: Callable[[], str] = boot_id


@dataclass(slots=True)
class HeadSigner:
    """The signed heads of one open log. **Thread rule:** whoever calls has the turn and the disk."""

    origin: str
    signer: Signer
    group: GroupCommit
    writer: LogWriter
    clock: Clock
    options: LogOptions
    head: Head  # the last one on disk, signed or about to be when the power went
    die: Callable[[BaseException], NoReturn]
    latest: Checkpoint | None = None
    signed_at_ns: int = 0

    def __post_init__(self) -> None:
        self.signed_at_ns = self.clock.monotonic_ns()

    def sign_if_due(self) -> None:
        size = self.group.tree.size
        waiting = size - self.head.size
        age_ns = self.clock.monotonic_ns() - self.signed_at_ns
        if waiting >= self.options.checkpoint_every or (
            waiting and age_ns >= self.options.checkpoint_after_s * 1e9
        ):
            self.sign()

    def sign(self) -> None:
        """Sign what is durable now."""
        tree = self.group.tree
        before, head = self.head, Head(tree.size, tree.root())
        # Never contradict what was signed before, whatever else has gone wrong.
        if before.size > head.size or tree.root(before.size) != before.root:
            self.die(AuditError("audit_head_inconsistent", "the tree no longer contains what was signed"))
        self.latest = self.group.alone(
            lambda: self.writer.write_head(before, head, lambda: sign_head(self.origin, head, self.signer))
        )
        self.head = head
        self.signed_at_ns = self.clock.monotonic_ns()
