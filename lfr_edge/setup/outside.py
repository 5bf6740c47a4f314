"""Whether heads of the record reach somebody outside the box (``[anchoring]``)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.note import WITNESS_KEY, read_key_file
from lfr_edge.audit.timestamp import stamped_sizes
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError
from lfr_edge.settings import Settings
from lfr_edge.setup.finding import Finding

_WAIT_S: Final = 3.0
_OLD_DAYS: Final = 14  # a van that stood so long without a network has had two weekends to find one
_LATER: Final = "heads wait in the box and go with the next connection; recognition never waits for them"


def examine_anchoring(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Key, addresses, and when something was last held outside. Connects and says nothing."""
    anchoring = settings.anchoring
    if anchoring.witness_url is None and anchoring.stamp_url is None:
        yield Finding(
            "anchoring", "warn", "nobody outside holds this box's heads",
            "name a witness or a time-stamp authority in [anchoring]; until then print the anchor sheet at each end",
        )  # fmt: skip
        return
    if anchoring.witness_key is not None:
        try:
            yield Finding("witness key", "ok", read_key_file(anchoring.witness_key, WITNESS_KEY).name)
        except AuditError as error:
            yield Finding(
                "witness key", "fail", f"{error.message} [{error.code}]", error.hint or "ask the force"
            )
    for check, url in (("witness", anchoring.witness_url), ("time stamps", anchoring.stamp_url)):
        if url is not None:
            yield _address(check, url)
    yield _last(settings.audit, clock)


def _address(check: str, url: str) -> Finding:
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), _WAIT_S).close()
    except OSError as error:
        return Finding(
            check, "warn", f"{where} does not answer: {error.strerror or 'no answer in time'}", _LATER
        )
    return Finding(check, "ok", f"{where} answers")


def _last(audit: Path, clock: Clock) -> Finding:
    """The newest head that is held outside, over all logs, as far as the files here tell."""
    times = [
        anchor.stat().st_mtime
        for entries in audit.glob("*/entries.lfr")
        for anchor in _anchors(LogFolder(entries.parent))
    ]
    if not times:
        return Finding(
            "last anchor", "warn", "none yet", "lfr-edge audit witness deliver, where there is a network"
        )
    days = (clock.wall_ns() / 1e9 - max(times)) / 86_400
    text = f"{days:.1f} days ago" if days >= 1 else f"{max(0.0, days) * 24:.1f} hours ago"
    return Finding(
        "last anchor", "warn" if days > _OLD_DAYS else "ok", text, f"bring the box to a network; {_LATER}"
    )


def _anchors(files: LogFolder) -> Iterator[Path]:
    yield from files.anchors.glob("*.note")
    yield from stamped_sizes(files).values()
