"""What the desk and the console need of the audit log, and nothing more."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from lfr_edge.audit.event import Actor, Verb

__all__ = ["Actor", "Plain", "Recorder", "Verb"]

# What an entry may hold: no floats (scores are × 10⁴) and nothing null.
Plain: TypeAlias = "int | str | bool | list[Plain] | dict[str, Plain]"


class Recorder(Protocol):
    def record(self, ev: Verb, *, actor: Actor | None, ref: str, data: dict[str, Plain], why: str) -> int:
        """Append one entry and return its sequence number once it is durable.

        **Thread rule:** blocks on the disk; safe from any thread. ``actor`` is None for the machine's own acts.

        Raises:
            AuditError: the entry is not durable; the caller must not let its effect happen.
        """
