"""What the desk and the console need of the audit log, and nothing more."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from lfr_edge.audit.event import SYSTEM, Actor, Event, Verb
from lfr_edge.audit.log import AuditLog

__all__ = ["Actor", "LogRecorder", "Plain", "Recorder", "Verb"]

# What an entry may hold: no floats (scores are × 10⁴) and nothing null.
Plain: TypeAlias = "int | str | bool | list[Plain] | dict[str, Plain]"


class Recorder(Protocol):
    def record(self, ev: Verb, *, actor: Actor | None, ref: str, data: dict[str, Plain], why: str) -> int:
        """Append one entry and return its sequence number once it is durable.

        **Thread rule:** blocks on the disk; safe from any thread. ``actor`` is None for the machine's own acts.

        Raises:
            AuditError: the entry is not durable; the caller must not let its effect happen.
        """


class LogRecorder:
    """The deployment's audit log as a recorder."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def record(self, ev: Verb, *, actor: Actor | None, ref: str, data: dict[str, Plain], why: str) -> int:
        return self._log.append(Event(ev, actor or SYSTEM, ref, data, why)).seq
