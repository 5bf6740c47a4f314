"""The machine: raise → offer → look → decide → engage → erase → anchor → crash, by a seed.

What somebody was told while the power was on is the truth; after every crash the record, the desk, the pictures and
the witness have to agree with it, and with each other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lfr_edge.alerts.alert import State
from lfr_edge.alerts.store import FeedEvent
from lfr_edge.audit.checkpoint import Head, parse_checkpoint
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AlertError, AuditError, LfrError
from tests.faults.simulation.acts import HOUR, OFFICER, OPERATIONS, WEIGHTS
from tests.faults.simulation.disk import PowerCut
from tests.faults.simulation.promise import BrokenPromise, demand
from tests.faults.simulation.record import Record
from tests.faults.simulation.world import ORIGIN, POLICY, World, one_thread

LIFE_STEPS = 160  # of one deployment; then it is brought to its end and verified
Step = tuple[int, str]  # its number in the whole story, which decides its chances, and what is done
# What the desk told its clients, and the entry that must have been durable before.
ON_RECORD = {
    "offered": ("alert.offered",),
    "looked": ("alert.looked",),
    "decided": ("alert.decided",),
    "expired": ("alert.expired", "alert.suppressed"),
    "engaged": ("alert.engaged",),
    "outcome": ("alert.outcome",),
    "erased": ("alert.erased",),
    "held": ("alert.held",),
    "released": ("alert.released",),
    "receipt": ("receipt.issued",),
}


@dataclass
class Truth:
    """What people and machines were told."""

    raised: dict[str, str] = field(default_factory=dict)
    looks: list[tuple[str, str, str]] = field(default_factory=list)
    engaged: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)
    held: dict[str, bool] = field(default_factory=dict)
    shown: set[tuple[str, str]] = field(default_factory=set)
    heads: list[Head] = field(default_factory=list)


def story(seed: int, steps: int = LIFE_STEPS) -> tuple[Step, ...]:
    """What is done, by the seed."""
    chosen = random.Random(f"{seed}/story").choices(list(OPERATIONS), WEIGHTS, k=steps)
    return tuple(enumerate(chosen))


class Simulation:
    """One deployment from its first entry to its last.

    Each step draws from chances of its own, by the seed and its number: any part of a story can be told again, and
    what is left of it happens as it did, as far as it still can.
    """

    def __init__(self, folder: Path, seed: int, steps: int | Sequence[Step] = LIFE_STEPS) -> None:
        """`steps`: how many, or which."""
        self.seed = seed
        self.world = World(folder, seed)
        self.chance = self.world.chance
        self.truth = Truth()
        self.steps = story(seed, steps) if isinstance(steps, int) else tuple(steps)
        self.done = 0
        self.number = 0
        self.trail: list[str] = []
        self._due: dict[str, int] = {}  # token → monotonic ns since which this life has waited for a look
        self._born: dict[str, int] = {}  # token → monotonic ns of its raising in this life
        self._birthdays: dict[str, tuple[int, int]] = {}  # token → wall, monotonic ns
        self._latest_wall = 0
        self._unkept: frozenset[str] = frozenset()  # of raisings that the disk refused in this life

    def run(self) -> None:
        with one_thread(self.world.disk, random.Random(f"{self.seed}/tokens")) as loop:
            try:
                loop.run_until_complete(self._run())
            finally:
                loop.run_until_complete(self.world.abandon())

    async def _run(self) -> None:
        await self._start()
        for number, name in self.steps:
            self._draw(f"{number}")
            await self._step(name)
            self.done += 1
        self._draw("end")
        await self._end()

    def _draw(self, moment: str) -> None:
        self.chance.seed(f"{self.seed}/{moment}/world")
        self.world.disk.chance.seed(f"{self.seed}/{moment}/disk")

    async def _step(self, name: str) -> None:
        self.trail.append(name)
        try:
            await OPERATIONS[name](self)
        except (PowerCut, AlertError, AuditError, OSError) as error:
            self.trail.append(f"  {type(error).__name__} {getattr(error, 'code', '')}")
        self._latest_wall = max(self._latest_wall, self.world.clock.wall)
        self._hear()
        if self.world.disk.dead or self.world.log.state in {"failed", "closed"}:
            await self._restart()
        else:
            self._alive()

    # ── crashes ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        while True:
            try:
                await self.world.open()
                break
            except PowerCut:
                self.trail.append("  cut while starting")
            except OSError:
                self.trail.append("  input/output error while starting")
            except LfrError as error:
                if not self.world.disk.dead and self.world.disk.failed == self._failed_before:
                    raise BrokenPromise(f"it does not start again: {error.code}: {error}") from error
                self.trail.append(f"  {error.code} while starting")
            await self._power_cycle()
        self._due, self._born, self._unkept = {}, {}, frozenset()
        self.check()

    _failed_before = 0

    async def _restart(self) -> None:
        self.trail.append("— restart —")
        await self._power_cycle()
        await self._start()

    async def _power_cycle(self) -> None:
        disk = self.world.disk
        if not disk.dead:
            disk.cut()
        with disk.elsewhere():
            await self.world.abandon()
            disk.power_on()
            if self.chance.random() < 0.03:  # the view is lost with its file; the record is not
                self.trail.append("  the table is lost")
                for path in disk.live.glob("alerts.sqlite*"):
                    path.unlink()
        self._failed_before = disk.failed
        if self.chance.random() < 0.2:
            disk.cut_in = self.chance.randrange(1, 60)  # again, while it recovers

    # ── what is told ──────────────────────────────────────────────────────────────────────────────────────────

    def _acknowledged(self) -> bool:
        """Whether anybody could have been told just now."""
        return not self.world.disk.dead

    def _hear(self) -> None:
        for event in self.world.told:
            if event.kind in ON_RECORD:
                self.truth.shown.add((event.token, event.kind))
            self._time(event)
        self.world.told.clear()

    def _time(self, event: FeedEvent) -> None:
        now = self.world.clock.mono
        if event.kind in {"offered", "looked"}:
            self._due[event.token] = now
        elif event.kind in {"decided", "expired"}:
            since = self._due.pop(event.token, self._born.get(event.token))
            if event.kind == "expired" and since is not None and now - since < POLICY.expire_s * 1e9:
                raise BrokenPromise(f"{event.token} expired after {(now - since) / 1e9:.0f} s")

    # ── what has to be true ───────────────────────────────────────────────────────────────────────────────────

    def _alive(self) -> None:
        desk = self.world.desk
        counts = desk.counts()
        demand(counts.raised == counts.offered + counts.suppressed, f"the counts do not add up: {counts}")
        shown = [alert for alert in desk.open_alerts() if alert.drill is None]
        demand(len(shown) <= POLICY.max_open, f"{len(shown)} alerts are open")

    def check(self) -> None:
        """After a start: everything that was told is on the record, and everything agrees with the record."""
        world, truth = self.world, self.truth
        record = Record.of(entry for _, entry in world.log.entries())
        demand(not record.wrong, "; ".join(record.wrong))
        for token, category in truth.raised.items():
            demand(token in record.raised, f"alert {token} was raised and is not on record")
            demand(record.raised[token]["category"] == category, f"alert {token} is another one")
        for token, account, answer in truth.looks:
            known = record.drills & {token} or (account, answer) in record.looks[token]
            demand(bool(known), f"{account}'s look at {token} was acknowledged and is not on record")
        for token, kind in truth.shown - {(token, kind) for token in record.drills for kind in ON_RECORD}:
            some = any(record.verbs[token][verb] for verb in ON_RECORD[kind])
            demand(
                some or token not in truth.raised, f"{token} was told to be {kind}; the record does not know"
            )
        self._street(record)
        self._heads()
        self._desk(record)
        self._pictures(record)

    def _street(self, record: Record) -> None:
        truth = self.truth
        for token, account in truth.engaged.items():
            demand(record.engaged.get(token) == account, f"{token}: engagement of {account} lost")
        for token, came in truth.outcomes.items():
            demand(record.outcome.get(token) == came, f"{token}: outcome {came} lost")
        for token, digest in truth.receipts.items():
            demand(digest in record.receipts[token], f"{token}: a receipt was given that is not on record")
        for token, held in truth.held.items():
            demand(not held or token in record.held or record.erased(token), f"{token}: a hold was lost")
            demand(held or token not in record.held, f"{token}: a released hold is back")

    def _heads(self) -> None:
        """Every head that left the box is one of this log."""
        assert self.world.line is not None
        view = LogView.load(self.world.folder)
        heads = list(self.truth.heads)
        kept = {checkpoint.head for checkpoint in view.checkpoints}
        demand(kept.issuperset(heads), "a signed head was given out and is not kept")
        for path in self.world.line.book.folder.glob("*.note"):
            heads.append(parse_checkpoint(path.read_bytes().decode()).head)
        for head in heads:
            demand(
                head.size <= view.size, f"a head over {head.size} entries was given out; {view.size} are left"
            )
            demand(view.tree.root(head.size) == head.root, f"the head over {head.size} is of another history")

    def _desk(self, record: Record) -> None:
        for token, data in record.raised.items():
            if token in record.drills:
                continue
            demand(token in self.world.desk.book, f"alert {token} is on record and not on the desk")
            alert = self.world.desk.book.get(token)
            demand(alert.id.number == data["number"], f"{token} has another number")
            demand(
                alert.undecided != record.settled(token), f"{token} is {alert.state}: {record.verbs[token]}"
            )
            demand(alert.state is not State.RAISED, f"{token} was not offered")
            if not record.settled(token):
                due = record.should(token) in {"not decided yet", "a third look"}
                demand(due, f"{token} has every look and no decision: {record.looks[token]}")
            if token in record.result and token not in record.engaged and token not in record.outcome:
                demand(str(alert.state) == record.result[token], f"{token} is {alert.state}")
            demand(
                [look.account for look in alert.looks] == [account for account, _ in record.looks[token]],
                f"{token}: looks {alert.looks} {record.looks[token]}",
            )
            demand((alert.engagement is not None) == (token in record.engaged), f"{token}: engagement")
            demand((alert.outcome is not None) == (token in record.outcome), f"{token}: outcome")
            demand((alert.hold is not None) == (token in record.held), f"{token}: hold {alert.hold}")

    def _pictures(self, record: Record) -> None:
        left = self.world.material.tokens()
        for token in record.raised:
            if record.erased(token):
                demand(token not in left, f"{token}: erased pictures are there")
            elif token in self.truth.raised and not self._old(token):
                # An old one's key may be destroyed before that is recorded; the next tick says so.
                self.world.material.read(token)  # AlertError: they are gone or damaged
        strays = left - set(record.raised) - {alert.id.token for alert in self.world.desk.book}
        demand(not strays - self._unkept, f"pictures without an alert: {strays}")

    def _old(self, token: str) -> bool:
        wall, mono = self._birthdays[token]
        clock = self.world.clock
        return max(self._latest_wall - wall, clock.mono - mono) >= 24 * HOUR * 1e9

    async def _end(self) -> None:
        """Nothing fails any more: everything is settled, the log closes and verifies."""
        self.world.disk.cut_in = self.world.disk.fail_in = None
        if self.world.disk.dead or self.world.log.state != "open":
            await self._restart()
            self.world.disk.cut_in = None
        for seconds in (*[POLICY.expire_s + 1] * 6, 25 * HOUR, 25 * HOUR):
            self.world.clock.pass_s(seconds)
            await self.world.desk.tick()
        self.check()
        record = Record.of(entry for _, entry in self.world.log.entries())
        left = self.world.material.tokens()
        for token in set(record.raised) - record.drills:
            kept = token in left and token in record.held
            demand(kept or record.erased(token), f"{token}: erased without an entry, or never")
            demand(record.settled(token), f"{token} was never settled: {record.verbs[token]}")
        self.world.log.close(OFFICER)
        report = verify(self.world.folder)
        demand(not report.findings, "; ".join(finding.line() for finding in report.findings))


__all__ = ["LIFE_STEPS", "ORIGIN", "Simulation", "Step", "story"]
