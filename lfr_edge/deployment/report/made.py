"""That a report was made, for the record: what was handed out, to whom, counted from which signed heads.

A report is a disclosure (DPA 2018, section 62): the entry ``report.made`` names person and justification, and the
SHA-256 of what was given, so that a paper that turns up later can be told from a forgery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from lfr_edge.audit.event import LIST_MAX, Actor, Event
from lfr_edge.deployment.verified import VerifiedLog

NAMED_MAX: Final = 20  # logs that the entry names; `deployments` counts them all
assert NAMED_MAX <= LIST_MAX, "check_event would refuse it"


def report_made(
    what: str, given: bytes | Mapping[str, bytes], logs: Sequence[VerifiedLog], actor: Actor, why: str = ""
) -> Event:
    """The entry ``report.made``. `what` is the format or pack; `given` its bytes, or the files of a pack."""
    data: dict[str, object] = {
        "what": what,
        "sha256": digest(given),
        "deployments": len(logs),
        "from": [
            {"origin": log.report.origin, "size": log.signed, "root": log.root} for log in logs[:NAMED_MAX]
        ],
    }
    return Event("report.made", actor, data=data, why=why)


def digest(given: bytes | Mapping[str, bytes]) -> str:
    """SHA-256 of a file; of a pack, of its lines ``SHA-256  name`` in the order of names, as sha256sum writes them."""
    if isinstance(given, bytes):
        return sha256(given).hexdigest()
    lines = "".join(f"{sha256(given[name]).hexdigest()}  {name}\n" for name in sorted(given))
    return sha256(lines.encode()).hexdigest()
