"""The authority that a deployment runs under: read, believed, held against the box, and watched to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lfr_edge.audit.disk import write_new
from lfr_edge.clock import Clock
from lfr_edge.deployment.authority import Clause, Facts, SignedAuthority, Window, clauses, read_authority
from lfr_edge.deployment.authority.document import believe, encode_document, parse_document
from lfr_edge.errors import AccessError, DeploymentError
from lfr_edge.service.box import Box

_KEPT: Final = "authority.json"


class Warrant:
    """**Thread rule:** one caller at a time; `read` and `bring` block on the disk.

    Args:
        folder: of the deployment: what was brought on the page is kept there, and outlives a restart.
        configured: path of ``deployment.authority``, which may lie on a medium.
    """

    def __init__(self, folder: Path, configured: Path | None, box: Box, clock: Clock) -> None:
        self._kept = folder / _KEPT
        self._configured = configured
        self._trust = box.trust
        self._cancellations = box.cancellations
        self._clock = clock
        self.signed: SignedAuthority | None = None
        self.refusal: DeploymentError | AccessError | None = None
        self.window: Window | None = None

    def read(self) -> None:
        """Take up the authority as its file is now; a refusal is kept for the readiness list."""
        path = self._kept if self._kept.exists() else self._configured
        self.signed = self.refusal = None
        if path is None:
            return
        try:
            self.signed = self._cancellations.known(read_authority(path, self._trust.keys("authority")))
        except (DeploymentError, AccessError) as error:
            self.refusal = error

    def believe(self, data: bytes) -> SignedAuthority:
        """A file that somebody brings, with every signature checked; nothing changes yet.

        Raises:
            DeploymentError: as :func:`read_authority`.
        """
        return self._cancellations.known(believe(parse_document(data), self._trust.keys("authority")))

    def cancel(self, by: str, why: str) -> None:
        """Never again under this authority, whichever copy of its file is brought. Raises OSError."""
        if self.signed is not None:
            self._cancellations.cancel(self.signed.sha256, by, why)

    def adopt(self, data: bytes) -> None:
        """Run under this file from now on. Raises as :meth:`believe`, and OSError."""
        signed = self.believe(data)
        write_new(self._kept, encode_document(parse_document(data)))
        self.signed, self.refusal = signed, None

    def keep(self) -> None:
        """Hold on to the configured file: its medium may leave while the deployment runs."""
        if self._configured is not None and not self._kept.exists():
            write_new(self._kept, self._configured.read_bytes())

    def open_window(self, seen_wall_ns: int = 0) -> None:
        """Count the time that is left from here. `seen_wall_ns`: the latest moment that the record knows."""
        if self.signed is not None:
            self.window = Window(self.signed, self._clock, seen_wall_ns=seen_wall_ns)

    def clauses(self, facts: Facts) -> tuple[Clause, ...] | None:
        """Every clause against the box; None where no authority was read."""
        return None if self.signed is None else clauses(self.signed, facts)

    @property
    def sha256(self) -> str:
        return "" if self.signed is None else self.signed.sha256

    @property
    def remaining_s(self) -> float | None:
        """Until the authority's end; None where there is none."""
        return None if self.window is None else self.window.remaining_s()

    @property
    def over(self) -> bool:
        return self.window is not None and self.window.over()

    def cancelled_on_file(self) -> str:
        """Why the Authorising Officer cancelled it, where the configured file says so now; otherwise nothing.

        A signed cancellation counts wherever it turns up; anything else in the file changes nothing while it runs.
        """
        if self.signed is None or self._configured is None:
            return ""
        try:
            found = read_authority(self._configured, self._trust.keys("authority"))
        except (DeploymentError, AccessError):
            return ""
        if found.sha256 != self.signed.sha256 or found.cancellation is None:
            return ""
        return found.cancellation.why
