"""Receipts of a deployment's end, as they are recorded, shown and printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from lfr_edge.audit.entry import Entry
from lfr_edge.clock import utc_text
from lfr_edge.deployment.reading import count, word
from lfr_edge.deployment.report.document import Document, Fact, Section, Table

FORMAT: Final = "lfr-edge/wipe-receipts/v1"
NAMES: Final = {
    "templates": "Templates of the list in memory",
    "alert_images": "Pictures of alerts",
    "sealed_list": "Sealed list: images and templates",
    "compile_remnant": "Remnant of an unfinished compile",
    "addition": "Added list: images and templates",
    "key_file": "Key file of the list",
    "import_copy": "Import copy on its medium",
    "register": "Register page",
    "alert_table": "Desk's table of alerts",
    "evidence_key": "Key of kept alert pictures",
}
_UNIT: Final = {"templates": "templates", "alert_images": "alerts"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """One thing that was to be destroyed. `left` says what is still there; empty: nothing."""

    what: str  # a key of NAMES
    items: int  # templates, alerts or files
    size: int  # bytes overwritten
    when_us: int
    how: str
    key_destroyed: bool
    checked: str  # absent, found again, …
    left: str

    @property
    def ok(self) -> bool:
        return not self.left

    def to_data(self) -> dict[str, object]:
        """As an entry of the record holds it; paths stay out, `left` is the entry's *why*."""
        return {
            "what": self.what,
            "items": self.items,
            "bytes": self.size,
            "how": self.how,
            "key_destroyed": self.key_destroyed,
            "checked": self.checked,
            "ok": self.ok,
        }

    def line(self) -> str:
        what = f"{NAMES.get(self.what, self.what)}: {self.items:,} {_UNIT.get(self.what, 'file(s)')}"
        if self.size:
            what += f", {self.size:,} bytes"
        state = self.checked if self.ok else f"STILL THERE: {self.left}"
        return f"{utc_text(self.when_us * 1000)}  {what}; {self.how}; {state}"


@dataclass(frozen=True, slots=True)
class Receipts:
    deployment: str
    origin: str
    items: tuple[Receipt, ...]
    unrecorded: int = 0  # receipts that a dead log refused

    @property
    def complete(self) -> bool:
        """Everything that had to go is gone, and the record says so."""
        return all(item.ok for item in self.items) and not self.unrecorded

    def text(self) -> str:
        lines = [f"receipts of {self.origin}", *(item.line() for item in self.items)]
        if self.unrecorded:
            lines.append(f"{self.unrecorded} receipt(s) are NOT in the log, which is dead: keep this sheet")
        lines.append("complete" if self.complete else "NOT COMPLETE: see what is still there")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "deployment": self.deployment,
            "origin": self.origin,
            "complete": self.complete,
            "unrecorded": self.unrecorded,
            "receipts": [
                item.to_data() | {"when_us": item.when_us, "left": item.left} for item in self.items
            ],
        }

    def document(self) -> Document:
        rows = tuple(
            (
                NAMES.get(item.what, item.what),
                f"{item.items:,}",
                f"{item.size:,}",
                utc_text(item.when_us * 1000)[:19].replace("T", " "),
                item.how,
                "yes" if item.key_destroyed else "no",
                item.checked if item.ok else f"still there: {item.left}",
            )
            for item in self.items
        )
        columns = ("What", "Items", "Bytes", "When (UTC)", "How", "Key destroyed", "Looked for again")
        notices = () if self.complete else ("Not everything is gone, or not everything is recorded.",)
        return Document(
            title="Receipts of destruction",
            subtitle=self.origin,
            sections=(
                Section(
                    "What was destroyed at the end of this deployment",
                    tables=(Table("Receipts", columns, rows, frozenset({1, 2})),),
                ),
                Section(
                    "What a receipt means",
                    (
                        "Overwritten, unlinked, then opened again and looked for in its folder. On flash media a drive"
                        " may keep old blocks that no program reaches; an encrypted list is unreadable for good once"
                        " its key is gone. Each line is an entry of the signed log.",
                    ),
                    facts=(Fact("Complete", "yes" if self.complete else "no"),),
                ),
            ),
            notices=notices,
        )


def receipts_of(deployment: str, entries: Iterable[Entry]) -> Receipts:
    """The receipts that stand in a record, its own log's or the box's; the last one of each thing counts."""
    found: dict[tuple[str, int], Receipt] = {}
    origin = ""
    several = 0
    for entry in entries:
        event = entry.event
        origin = origin or entry.dep
        what = word(event, "what")
        if event.ev not in {"material.erased", "watchlist.destroyed"} or what not in NAMES:
            continue
        many = what in {"import_copy", "compile_remnant", "addition"}
        several += many
        found[(what, several if many else 0)] = Receipt(
            what,
            count(event, "items") or 0,
            count(event, "bytes") or 0,
            entry.t_wall_us,
            word(event, "how"),
            event.data.get("key_destroyed") is True,
            word(event, "checked"),
            "" if event.data.get("ok") is True else event.why or "not recorded as done",
        )
    return Receipts(deployment, origin, tuple(found.values()))
