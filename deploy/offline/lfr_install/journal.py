"""What was installed, when, approved by whom: lines of JSON, each naming the digest of the line before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lfr_install.disk import sync_folder
from lfr_install.faults import InstallError


class Journal:
    """Append-only. A line that is cut off by a power failure at the very end is left out and said."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **data: Any) -> None:
        """Durable when it returns; where the disk refuses, what stood there stands there.

        Raises:
            InstallError: ``install_journal_broken``, ``install_journal_unwritable``.
        """
        lines, torn = self._lines()
        before = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        record = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "before": before,
            "event": event,
            **data,
        }
        if torn:  # in the line that follows it: the cut stays visible and the chain goes on after it
            record["torn_bytes"] = torn
        line = json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        try:
            self._append(sum(len(before) + 1 for before in lines), line)
        except OSError as error:
            raise InstallError(
                "install_journal_unwritable",
                f"{self._path}: {error.strerror or error}",
                hint="what runs is whole, and no line is lost; make room there, or mount it writable, then: "
                "lfr-edge-install recover",
            ) from None

    def _append(self, end: int, line: bytes) -> None:
        new = not self._path.exists()
        with self._path.open("ab", buffering=0) as file:
            file.truncate(end)
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):  # half a line would be taken for a cut
                    file.truncate(end)
                raise
        if new:
            sync_folder(self._path.parent)

    def read(self) -> list[dict[str, Any]]:
        """Every whole line. Raises InstallError ``install_journal_broken`` where the chain does not hold."""
        return [json.loads(line) for line in self._lines()[0]]

    def _lines(self) -> tuple[list[bytes], int]:
        raw = self._path.read_bytes() if self._path.exists() else b""
        *lines, tail = raw.split(b"\n")
        before = ""
        for number, line in enumerate(lines, 1):
            try:
                holds = json.loads(line)["before"] == before
            except (ValueError, KeyError, TypeError):
                holds = False
            if not holds:
                raise InstallError(
                    "install_journal_broken",
                    f"{self._path}, line {number}: it does not follow from the line before",
                    hint="keep a copy for the auditor, move the file away, and start again",
                )
            before = hashlib.sha256(line).hexdigest()
        return lines, len(tail)
