"""Authorities that were cancelled: a copy of the file from before does not bring one back.

A cancellation is final (domain.md 4), and the file that says so may stay away while an older copy turns up. So the box
keeps every cancellation that it has seen, under the SHA-256 of its authority, beyond the deployment.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.clock import Clock
from lfr_edge.deployment.authority import SignedAuthority
from lfr_edge.deployment.authority.terms import CANCELLATION_FORMAT, Cancellation
from lfr_edge.deployment.authority.words import instant_text

log = logging.getLogger("lfr_edge.deployment")
_read: Callable[[bytes], Cancellation] = TypeAdapter(Cancellation).validate_json


class Cancellations:
    """**Thread rule:** any thread; every method blocks on the disk."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def known(self, signed: SignedAuthority) -> SignedAuthority:
        """The same authority, cancelled where this box ever saw it cancelled; what it says now is kept."""
        if signed.cancellation is not None:
            try:
                self._keep(signed.cancellation)
            except OSError as error:  # it counts all the same, here and now
                log.error("the cancellation of an authority could not be kept: %s", error)
            return signed
        found = self._find(signed.sha256)
        return signed if found is None else replace(signed, cancellation=found)

    def cancel(self, sha256: str, by: str, why: str) -> None:
        """Somebody at the console cancelled it: durable when this returns. The first cancellation stays.

        Raises:
            OSError: it could not be kept.
        """
        at = instant_text(self._clock.wall_ns())
        self._keep(Cancellation(CANCELLATION_FORMAT, sha256, at, by, why))

    def _keep(self, cancellation: Cancellation) -> None:
        path = self._path(cancellation.authority_sha256)
        if not path.exists():
            make_folder(self._folder)
            write_new(path, json.dumps(asdict(cancellation)).encode())

    def _find(self, sha256: str) -> Cancellation | None:
        try:
            return _read(self._path(sha256).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):  # that it was cancelled is certain; by whom and why is not
            at = instant_text(self._clock.wall_ns())
            return Cancellation(CANCELLATION_FORMAT, sha256, at, "unknown", "the note of it cannot be read")

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.json"
