"""What was known of faults in the bundle's packages when it was made, and how long ago that is.

``vulnerabilities.json`` of a bundle, as ``deploy/audit-packages`` writes it. A report that nobody made, or that saw
nothing (no database was reachable; pip-audit then says "No known vulnerabilities found" and exits 0), is said first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

MEMBER: Final = "vulnerabilities.json"
FORMAT: Final = "lfr-edge known faults 1"
MOST_DAYS: Final = 14  # within which a critical fix must be on the box (Cyber Essentials asks the same)


@dataclass(frozen=True, slots=True)
class KnownFaults:
    """`made`: when the database was asked; None where nobody asked. `why` says why, or why it was in vain."""

    made: date | None
    why: str
    asked: int  # packages that the database knew
    unknown: tuple[str, ...]  # packages of the lock that it did not know
    faults: tuple[str, ...]  # "aiohttp 3.9.1: PYSEC-2024-24"

    @property
    def blind(self) -> bool:
        return self.made is None or bool(self.why) or not self.asked

    def age_days(self, today: date) -> int | None:
        return None if self.made is None else (today - self.made).days

    def sentences(self, today: date) -> tuple[str, ...]:
        """What a person must know before approving, worst first."""
        age = self.age_days(today)
        if self.blind or age is None:
            when = "" if age is None else f" ({self.made}, {_ago(age)})"
            return (
                f"NOBODY KNOWS whether its packages have known faults{when}: {self.why or 'nothing was asked'}",
            )
        said = [f"{self.asked} packages held against the known faults of {self.made}, {_ago(age)}"]
        if self.faults:
            said.insert(0, f"KNOWN FAULTS: {'; '.join(self.faults)}")
        if self.unknown:
            said.append(f"not asked, the database does not know them: {', '.join(self.unknown)}")
        if age > MOST_DAYS:
            said.append(
                f"that is more than {MOST_DAYS} days: ask again where there is a network (deploy/audit-packages)"
            )
        if age < 0:
            said.append("that lies ahead: this box's clock is wrong, or the other's was")
        return tuple(said)

    def as_record(self, today: date) -> dict[str, Any]:
        return {
            "made": None if self.made is None else self.made.isoformat(),
            "age_days": self.age_days(today),
            "blind": self.blind,
            "why": self.why,
            "asked": self.asked,
            "unknown": list(self.unknown),
            "faults": list(self.faults),
        }


def read(raw: bytes) -> KnownFaults:
    """Of any bundle, also of those before this format; never an error: what cannot be read says nothing."""
    try:
        record = json.loads(raw)
        if not isinstance(record, Mapping) or record.get("format") != FORMAT:
            why = record.get("why") if isinstance(record, Mapping) else None
            return _nothing(str(why or "its report does not say whether the database could be reached"))
        packages = record["report"]["dependencies"]
        known = [entry for entry in packages if "skip_reason" not in entry]
        faults = tuple(
            f"{entry['name']} {entry['version']}: {', '.join(str(fault['id']) for fault in entry['vulns'])}"
            for entry in known
            if entry["vulns"]
        )
        unknown = tuple(str(entry["name"]) for entry in packages if "skip_reason" in entry)
        return KnownFaults(
            date.fromisoformat(record["made"]), str(record["why"]), len(known), unknown, faults
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _nothing("its report cannot be read")


def nobody(why: str) -> bytes:
    """The member of a bundle for which nobody asked."""
    return json.dumps({"report": None, "why": why}, sort_keys=True).encode()


def _nothing(why: str) -> KnownFaults:
    return KnownFaults(None, why, 0, (), ())


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago" if days > 0 else f"in {-days} days")
