"""The record read a second way: what each entry means, without the product's own reading of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lfr_edge.audit.entry import Entry
from tests.faults.simulation.world import POLICY, TWO_LOOKS

SETTLES = {"alert.decided", "alert.expired", "alert.suppressed"}
SAME = "same_person"


@dataclass
class Record:
    raised: dict[str, dict[str, Any]] = field(default_factory=dict)
    drills: set[str] = field(default_factory=set)
    verbs: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    looks: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    result: dict[str, str] = field(default_factory=dict)
    engaged: dict[str, str] = field(default_factory=dict)
    outcome: dict[str, tuple[str, str]] = field(default_factory=dict)
    receipts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    held: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Record:
        record = cls()
        for seq, entry in enumerate(entries):
            if entry.seq != seq:
                record.wrong.append(f"entry {seq} calls itself {entry.seq}")
            record._read(entry)
        record._judge()
        return record

    def _read(self, entry: Entry) -> None:
        event = entry.event
        ref, data = event.ref, dict(event.data)
        if not event.ev.startswith(("alert.", "drill.", "receipt.")):
            return
        self.verbs[ref][event.ev] += 1
        if event.ev == "alert.raised":
            if ref in self.raised:
                self.wrong.append(f"{ref} was raised twice")
            self.raised[ref] = data
        elif event.ev == "drill.raised":
            self.drills.add(ref)
            self.raised.setdefault(ref, data)
        elif event.ev == "alert.looked":
            self.looks[ref].append((event.actor.account, str(data["answer"])))
        elif event.ev == "alert.decided":
            self.result[ref] = str(data["result"])
            if data["looks"] != len(self.looks[ref]):
                self.wrong.append(
                    f"{ref}: decided by {data['looks']} looks, {len(self.looks[ref])} on record"
                )
        elif event.ev == "alert.engaged":
            self.engaged[ref] = event.actor.account
        elif event.ev == "alert.outcome":
            self.outcome[ref] = (str(data["outcome"]), str(data["identity"]))
        elif event.ev == "receipt.issued":
            self.receipts[ref].add(str(data["code_sha256"]))
        elif event.ev == "alert.held":
            self.held.add(ref)
        elif event.ev in {"alert.released", "alert.erased"}:
            self.held.discard(ref)

    def settled(self, ref: str) -> bool:
        return any(self.verbs[ref][verb] for verb in SETTLES)

    def erased(self, ref: str) -> bool:
        return bool(self.verbs[ref]["alert.erased"])

    def _judge(self) -> None:
        numbers = Counter(data["number"] for data in self.raised.values())
        self.wrong += [
            f"number {number} was given {count} times" for number, count in numbers.items() if count > 1
        ]
        for ref in self.raised:
            self.wrong += [f"{ref}: {problem}" for problem in self._problems(ref)]

    def _problems(self, ref: str) -> list[str]:
        verbs, people = self.verbs[ref], [account for account, _ in self.looks[ref]]
        found = []
        if sum(verbs[verb] for verb in SETTLES) > 1:
            found.append(f"settled more than once: {dict(verbs)}")
        if len(set(people)) != len(people):
            found.append("somebody looked twice")
        if verbs["alert.engaged"] > 1 or verbs["alert.outcome"] > 1:
            found.append(f"taken or ended twice: {dict(verbs)}")
        if ref in self.drills and any(verb.startswith("alert.") and verb != "alert.erased" for verb in verbs):
            found.append(f"a drill is recorded as an alert: {dict(verbs)}")
        if (ref in self.engaged or ref in self.outcome) and self.result.get(ref) != "referred":
            found.append("went to the street without a referral")
        if (people or ref in self.result) and ref not in self.drills and not verbs["alert.offered"]:
            found.append("was answered and never offered")
        if ref in self.result and self.result[ref] != self.should(ref):
            found.append(f"{self.result[ref]} after {self.looks[ref]}")
        return found

    def should(self, ref: str) -> str:
        """What the looks lead to, from the policy's words: every required look, or two of three, agree."""
        answers = [answer for _, answer in self.looks[ref]]
        required = 2 if self.raised[ref]["category"] == TWO_LOOKS else POLICY.looks
        same = answers.count(SAME)
        if len(answers) < required:
            return "not decided yet"
        if len(answers) == 2 and required == 2 and same == 1:
            return "a third look"
        if len(answers) > required and not (required == 2 and len(answers) == 3 and SAME in answers[:2]):
            return "decided before"
        return "referred" if same >= (2 if len(answers) == 3 else len(answers)) else "not_referred"
