"""Where proposals lie: one small file, replaced in one step, with a lock that holds between threads and processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.deployment.control.proposal import OPEN, RULES, ControlError, Proposal, Stamp, digest
from lfr_edge.formats import Ladder
from lfr_edge.sentences import say

FORMATS: Final = Ladder("lfr-edge approvals")
KEPT: Final = 500  # settled proposals; the audit log keeps them all


class ProposalStore:
    """**Thread rule:** any thread, any process; whoever changes anything does it within :meth:`locked`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def locked(self) -> Iterator[tuple[Proposal, ...]]:
        """What stands on disk, and nobody else changes it until the end of the block."""
        make_folder(self._path.parent)
        # A file description of its own for every entry: flock then excludes threads as well as processes.
        handle = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield self.read()
        finally:
            os.close(handle)

    def read(self) -> tuple[Proposal, ...]:
        """Raises ControlError: ``control_store_damaged`` where a change and its digest disagree, or worse;
        ConfigError: ``format_newer``."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            raw = FORMATS.climb(json.loads(data), self._path)
            return tuple(_proposal(item) for item in raw["proposals"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ControlError):
            raise ControlError(
                "control_store_damaged",
                say("{path} is not what this program wrote", path=self._path),
                hint="keep the file for the auditor, remove it, and propose anew what is still needed",
            ) from None

    def write(self, proposals: tuple[Proposal, ...]) -> None:
        """Durable on return. Forgets the oldest of what is settled."""
        settled = [proposal.id for proposal in proposals if proposal.state not in OPEN]
        forgotten = set(settled[:-KEPT])
        kept = [asdict(proposal) for proposal in proposals if proposal.id not in forgotten]
        write_new(self._path, json.dumps({"format": FORMATS.stamp, "proposals": kept}).encode())


def _proposal(raw: dict[str, Any]) -> Proposal:
    stamps = {name: raw[name] and Stamp(**raw[name]) for name in ("proposed", "approved")}
    proposal = Proposal(**{**raw, **stamps, "summary": tuple(raw["summary"])})
    if proposal.kind not in RULES or digest(proposal.kind, proposal.change) != proposal.sha256:
        raise ValueError
    return proposal
