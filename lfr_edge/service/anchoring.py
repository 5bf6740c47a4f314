"""Signed heads go to a witness, and to a time-stamp authority, whenever the van has a network.

Nothing queues up: the newest head of a log covers everything before it. What was closed without a network goes with
the next one, days later if need be. Recognition never waits for any of it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from lfr_edge.alerts.record import Plain, Recorder
from lfr_edge.audit.checkpoint import parse_checkpoints
from lfr_edge.audit.event import SYSTEM
from lfr_edge.audit.folder import DEVICE_LOG, LogFolder
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.note import WITNESS_KEY, VerifierKey, read_key_file
from lfr_edge.audit.timestamp import HttpStamper, stamp, stamped_sizes
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness import Delivery, HttpWitness, cosigned_size, deliver
from lfr_edge.deployment.session import BoxRecord, DeploymentSession
from lfr_edge.errors import AuditError
from lfr_edge.settings import AnchoringSettings

log = logging.getLogger("lfr_edge.service")

RETRY_S: Final = 15.0  # after the first failure; doubled after each further one, up to the interval
TIMEOUT_S: Final = 10.0
# No network; or the deployment was closed meanwhile, and its last head goes with the next round.
_LATER: Final = frozenset({"audit_witness_unreachable", "audit_stamp_unreachable", "audit_log_closed"})


class Anchoring:
    """**Thread rule:** :meth:`keep_going` is of the event loop; the rest blocks, on the disk and on the network, and
    takes one caller at a time.

    Attributes:
        witness: whose cosignatures count; None where no witness is configured.
        trouble: what is wrong apart from a missing network, in words; empty while all is well.
    """

    def __init__(self, settings: AnchoringSettings, audit: Path, box: BoxRecord) -> None:
        """Raises AuditError: the witness's key cannot be read."""
        self.witness: VerifierKey | None = None
        self.trouble = ""
        self._every_s = settings.every_s
        self._audit, self._box = audit, box
        self._http: HttpWitness | None = None
        self._stamper = HttpStamper(settings.stamp_url, TIMEOUT_S) if settings.stamp_url else None
        self._turn = threading.Lock()
        if settings.witness_url is not None and settings.witness_key is not None:
            self.witness = read_key_file(settings.witness_key, WITNESS_KEY)
            self._http = HttpWitness(settings.witness_url, self.witness, TIMEOUT_S)

    @property
    def wanted(self) -> bool:
        return self._http is not None or self._stamper is not None

    async def keep_going(self, session: Callable[[], DeploymentSession]) -> None:
        """Deliver at the start, at every interval and at each close; sooner and then later while it fails."""
        failures = 0
        while self.wanted:
            before = session()
            open_before = before.closed is None
            failures = 0 if await asyncio.to_thread(self.deliver, before) else failures + 1
            wait_s = min(self._every_s, RETRY_S * 2 ** (failures - 1)) if failures else self._every_s
            for _ in range(max(1, round(wait_s * 2))):
                await asyncio.sleep(min(0.5, wait_s))
                if open_before and before.closed is not None:
                    break

    def deliver(self, session: DeploymentSession) -> bool:
        """Everything that nobody outside holds yet; whether it went. Never raises LfrError."""
        with self._turn:
            wrong = ""
            try:
                for folder, source, record in self._logs(session):
                    try:
                        self._send(folder, source or LogView.load(folder), record)
                    except (AuditError, OSError) as error:
                        if getattr(error, "code", "") in _LATER:
                            return False
                        # One log's contradiction must not keep the others from their anchors.
                        wrong = wrong or str(error)
                        log.error("anchoring: %s", error)
            except (AuditError, OSError) as error:
                wrong = wrong or str(error)
                log.error("anchoring: %s", error)
            self.trouble = wrong
            return not wrong

    def held(self, folder: Path) -> int:
        """How many heads of the log in `folder` are held outside, as far as the files here tell."""
        files = LogFolder(folder)
        return len(list(files.anchors.glob("*.note"))) + len(stamped_sizes(files))

    def _logs(self, session: DeploymentSession) -> Iterator[tuple[Path, AuditLog | None, Recorder | None]]:
        """Closed logs, the open one, the box's own last: it holds what is recorded of the closed ones.

        With each, who records that it was witnessed; nobody does for the box's own, which would never come to rest.
        """
        mine = session.log.folder
        for entries in sorted(self._audit.glob("*/entries.lfr")):
            folder = entries.parent
            if folder.name != DEVICE_LOG and (folder != mine or session.closed) and not self._done(folder):
                yield folder, None, self._box
        if session.closed is None:
            yield mine, session.log, session
        own = self._box.log.log
        own.checkpoint()
        yield own.folder, own, None

    def _send(self, folder: Path, source: AuditLog | LogView, record: Recorder | None) -> None:
        if self._http is not None:
            delivery = deliver(folder, source, self._http)
            if delivery is not None and record is not None:
                data = _data(delivery)
                record.record("anchor.witnessed", actor=SYSTEM, ref=source.origin, data=data, why="")
        if self._stamper is not None:
            stamp(folder, source, self._stamper)

    def _done(self, folder: Path) -> bool:
        """Whether the last head of a closed log is held already; without reading the log."""
        files = LogFolder(folder)
        raw = files.checkpoints.read_bytes() if files.checkpoints.exists() else b""
        heads = parse_checkpoints(raw).whole
        size = heads[-1].head.size if heads else 0
        witnessed = self.witness is None or cosigned_size(files, self.witness) >= size
        return witnessed and (self._stamper is None or size in stamped_sizes(files))


def _data(delivery: Delivery) -> dict[str, Plain]:
    head = delivery.checkpoint.head
    return {
        "size": head.size,
        "root": head.root.hex(),
        "witness": delivery.cosignature.witness,
        "witnessed_s": delivery.cosignature.when_s,
    }
