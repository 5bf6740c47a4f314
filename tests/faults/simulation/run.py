"""The machine: raise → offer → look → decide → engage → erase → anchor → crash, by a seed.

What somebody was told while the power was on is the truth; after every crash the record, the desk, the pictures and
the witness have to agree with it, and with each other.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lfr_edge.alerts.alert import AWAITING_LOOK, Alert, Drill, Hold, State
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.store import FeedEvent
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.checkpoint import Head, parse_checkpoint
from lfr_edge.audit.event import Actor
from lfr_edge.audit.receipt import code_digest
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness import deliver
from lfr_edge.errors import AlertError, AuditError, LfrError
from tests.fakes.box import raised
from tests.faults.simulation.disk import PowerCut
from tests.faults.simulation.record import Record
from tests.faults.simulation.world import CODES, ORIGIN, POLICY, TWO_LOOKS, World, one_thread

HOUR = 3600.0
PEOPLE = tuple(Actor(name, "operator", f"s-{name}") for name in ("miller", "reed", "okafor"))
OFFICER = Actor("hughes", "deployment_officer", "s-hughes")
WHY = Factors.of(["features_agree"])
LIFE_STEPS = 160  # of one deployment; then it is brought to its end and verified
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


class BrokenPromise(AssertionError):  # noqa: N818 - it is one, not an error
    """What the simulation exists to find."""


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


class Simulation:
    """One deployment from its first entry to its last."""

    def __init__(self, folder: Path, seed: int, steps: int = LIFE_STEPS, *, harsh: bool = False) -> None:
        self.seed = seed
        self.world = World(folder, seed, harsh=harsh)
        self.chance = self.world.chance
        self.truth = Truth()
        self.steps = steps
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
        weights = [weight for weight, _ in OPERATIONS]
        operations = [operation for _, operation in OPERATIONS]
        while self.done < self.steps:
            (operation,) = self.chance.choices(operations, weights)
            await self._step(operation)
            self.done += 1
        await self._end()

    async def _step(self, operation: Callable[[Simulation], Any]) -> None:
        self.trail.append(operation.__name__)
        try:
            await operation(self)
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
    _table_lost = False

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
                self._table_lost = True
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
        _demand(counts.raised == counts.offered + counts.suppressed, f"the counts do not add up: {counts}")
        shown = [alert for alert in desk.open_alerts() if alert.drill is None]
        _demand(len(shown) <= POLICY.max_open, f"{len(shown)} alerts are open")

    def check(self) -> None:
        """After a start: everything that was told is on the record, and everything agrees with the record."""
        world, truth = self.world, self.truth
        record = Record.of(entry for _, entry in world.log.entries())
        wrong = record.wrong
        if self._table_lost and not world.harsh:
            wrong = [problem for problem in wrong if "was given" not in problem]
        _demand(not wrong, "; ".join(wrong))
        for token, category in truth.raised.items():
            _demand(token in record.raised, f"alert {token} was raised and is not on record")
            _demand(record.raised[token]["category"] == category, f"alert {token} is another one")
        for token, account, answer in truth.looks:
            known = record.drills & {token} or (account, answer) in record.looks[token]
            _demand(bool(known), f"{account}'s look at {token} was acknowledged and is not on record")
        for token, kind in truth.shown - {(token, kind) for token in record.drills for kind in ON_RECORD}:
            some = any(record.verbs[token][verb] for verb in ON_RECORD[kind])
            _demand(
                some or token not in truth.raised, f"{token} was told to be {kind}; the record does not know"
            )
        self._street(record)
        self._heads()
        self._desk(record)
        self._pictures(record)

    def _street(self, record: Record) -> None:
        truth = self.truth
        for token, account in truth.engaged.items():
            _demand(record.engaged.get(token) == account, f"{token}: engagement of {account} lost")
        for token, came in truth.outcomes.items():
            _demand(record.outcome.get(token) == came, f"{token}: outcome {came} lost")
        for token, digest in truth.receipts.items():
            _demand(digest in record.receipts[token], f"{token}: a receipt was given that is not on record")
        for token, held in truth.held.items():
            _demand(not held or token in record.held or record.erased(token), f"{token}: a hold was lost")
            _demand(held or token not in record.held, f"{token}: a released hold is back")

    def _heads(self) -> None:
        """Every head that left the box is one of this log."""
        assert self.world.line is not None
        view = LogView.load(self.world.folder)
        heads = list(self.truth.heads)
        kept = {checkpoint.head for checkpoint in view.checkpoints}
        _demand(kept.issuperset(heads), "a signed head was given out and is not kept")
        for path in self.world.line.book.folder.glob("*.note"):
            heads.append(parse_checkpoint(path.read_bytes().decode()).head)
        for head in heads:
            _demand(
                head.size <= view.size, f"a head over {head.size} entries was given out; {view.size} are left"
            )
            _demand(
                view.tree.root(head.size) == head.root, f"the head over {head.size} is of another history"
            )

    def _desk(self, record: Record) -> None:
        for token, data in record.raised.items():
            if token in record.drills:
                continue
            _demand(token in self.world.desk.book, f"alert {token} is on record and not on the desk")
            alert = self.world.desk.book.get(token)
            _demand(alert.id.number == data["number"], f"{token} has another number")
            _demand(
                alert.undecided != record.settled(token), f"{token} is {alert.state}: {record.verbs[token]}"
            )
            _demand(alert.state is not State.RAISED, f"{token} was not offered")
            if not record.settled(token):
                due = record.should(token) in {"not decided yet", "a third look"}
                _demand(due, f"{token} has every look and no decision: {record.looks[token]}")
            if token in record.result and token not in record.engaged and token not in record.outcome:
                _demand(str(alert.state) == record.result[token], f"{token} is {alert.state}")
            _demand(
                [look.account for look in alert.looks] == [account for account, _ in record.looks[token]],
                f"{token}: looks {alert.looks} {record.looks[token]}",
            )
            _demand((alert.engagement is not None) == (token in record.engaged), f"{token}: engagement")
            _demand((alert.outcome is not None) == (token in record.outcome), f"{token}: outcome")
            _demand((alert.hold is not None) == (token in record.held), f"{token}: hold {alert.hold}")

    def _pictures(self, record: Record) -> None:
        left = self.world.material.tokens()
        for token in record.raised:
            if record.erased(token):
                _demand(token not in left, f"{token}: erased pictures are there")
            elif token in self.truth.raised and not self._old(token):
                # An old one's key may be destroyed before that is recorded; the next tick says so.
                self.world.material.read(token)  # AlertError: they are gone or damaged
        strays = left - set(record.raised) - {alert.id.token for alert in self.world.desk.book}
        _demand(not strays - self._unkept, f"pictures without an alert: {strays}")

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
            _demand(kept or record.erased(token), f"{token}: erased without an entry, or never")
            _demand(record.settled(token), f"{token} was never settled: {record.verbs[token]}")
        self.world.log.close(OFFICER)
        report = verify(self.world.folder)
        _demand(not report.findings, "; ".join(finding.line() for finding in report.findings))


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenPromise(otherwise)


# ── what people, time and faults do ───────────────────────────────────────────────────────────────────────────────


async def raise_alert(sim: Simulation) -> None:
    sim.number += 1
    category = TWO_LOOKS if sim.chance.random() < 0.3 else "wanted on warrant"
    reference = CODES[sim.number % len(CODES)]
    facts = raised(
        1, probe_jpeg=b"probe" * 9, candidate_jpeg=b"list" * 7, category=category, reference=reference
    )
    before = sim.world.material.tokens()
    try:
        alert = await sim.world.desk.raise_alert(facts)
    except AlertError:
        _note_unkept(sim, before)
        raise
    if sim._acknowledged():
        sim.truth.raised[alert.id.token] = category
        sim._born[alert.id.token] = sim.world.clock.mono
        sim._birthdays[alert.id.token] = (sim.world.clock.wall, sim.world.clock.mono)


async def raise_drill(sim: Simulation) -> None:
    facts = raised(1, probe_jpeg=b"drill", candidate_jpeg=b"drill")
    before = sim.world.material.tokens()
    try:
        await sim.world.desk.raise_drill(facts, Drill(Answer.SAME_PERSON, "case-1"))
    except AlertError:
        _note_unkept(sim, before)
        raise


def _note_unkept(sim: Simulation, before: frozenset[str]) -> None:
    """Refused pictures are erased at once, unless the disk refuses that, too: then by the next start."""
    if sim.world.disk.dead or sim.world.disk.failed > sim._failed_before + 1:
        sim._unkept |= sim.world.material.tokens() - before


async def look(sim: Simulation) -> None:
    alert = _some(sim, sim.world.desk.open_alerts())
    if alert is not None:
        stale = sim.chance.random() < 0.1
        await _look(sim, alert, sim.chance.choice(PEOPLE), alert.version - stale)


async def race(sim: Simulation) -> None:
    """Two people, or one who clicks twice."""
    alert = _some(sim, sim.world.desk.open_alerts())
    if alert is None:
        return
    people = sim.chance.choices(PEOPLE, k=2)
    done = await asyncio.gather(
        *(_look(sim, alert, person, alert.version) for person in people), return_exceptions=True
    )
    for problem in done:
        if isinstance(problem, BaseException) and not isinstance(problem, LfrError | PowerCut | OSError):
            raise problem


async def _look(sim: Simulation, alert: Alert, person: Actor, version: int) -> None:
    answer = sim.chance.choice((Answer.SAME_PERSON, Answer.SAME_PERSON, Answer.DIFFERENT_PERSON))
    after = await sim.world.desk.decide(alert.id.token, person, answer, WHY, "", version)
    if sim._acknowledged():
        sim.truth.looks.append((alert.id.token, person.account, str(answer)))
        if after.state not in AWAITING_LOOK and after.drill is None:
            latest = sim.world.log.latest
            assert latest is not None
            bare = [entry.event.ev for _, entry in sim.world.log.entries(latest.head.size)]
            _demand("alert.decided" not in bare, "a decision was acknowledged without a signed head over it")
            sim.truth.heads.append(latest.head)


async def street(sim: Simulation) -> None:
    """Take a referral, or end one; two may try at once."""
    alert = _some(sim, [a for a in sim.world.desk.book if a.state in {State.REFERRED, State.ENGAGED}])
    if alert is None:
        return
    token, desk = alert.id.token, sim.world.desk
    if alert.state is State.REFERRED:
        one, other = sim.chance.sample(PEOPLE, 2)
        done = await asyncio.gather(
            *(desk.engage(token, person, alert.version) for person in (one, other)), return_exceptions=True
        )
        for person, after in zip((one, other), done, strict=True):
            if isinstance(after, Alert) and sim._acknowledged():
                _demand(token not in sim.truth.engaged, f"{token} was given to two people")
                sim.truth.engaged[token] = person.account
            elif isinstance(after, BaseException) and not isinstance(after, LfrError | PowerCut | OSError):
                raise after
        return
    if sim.chance.random() < 0.4:
        after = await desk.issue_receipt(token, PEOPLE[0])
        _keep_receipt(sim, after)
        return
    came = (Outcome.ARREST, Identity.SAME_PERSON)
    after = await desk.record_outcome(token, PEOPLE[0], *came, alert.version)
    if sim._acknowledged():
        sim.truth.outcomes[token] = (str(came[0]), str(came[1]))
        _keep_receipt(sim, after)


def _keep_receipt(sim: Simulation, alert: Alert) -> None:
    if sim._acknowledged() and alert.receipt is not None:
        sim.truth.receipts[alert.id.token] = code_digest(alert.receipt.code)


async def hold(sim: Simulation) -> None:
    alert = _some(sim, [a for a in sim.world.desk.book if not a.pictures_erased and a.drill is None])
    if alert is None:
        return
    token, desk = alert.id.token, sim.world.desk
    sim.truth.held.pop(token, None)  # until somebody is told, either is right
    if alert.hold is None:
        until = (sim.world.clock.wall // 10**9 + 1000 * 3600) * 10**9
        await desk.hold(token, OFFICER, Hold("a complaint", OFFICER.account, until))
    else:
        await desk.release(token, OFFICER, "answered")
    if sim._acknowledged():
        sim.truth.held[token] = alert.hold is None


async def view(sim: Simulation) -> None:
    alert = _some(sim, [a for a in sim.world.desk.book if not a.pictures_erased])
    if alert is not None:
        await sim.world.desk.picture(alert.id.token, PEOPLE[0], "probe")


async def moments(sim: Simulation) -> None:
    sim.world.clock.pass_s(sim.chance.uniform(0.2, 20))
    await sim.world.desk.tick()
    sim.world.log.tick()
    _punctual(sim)


async def minutes(sim: Simulation) -> None:
    sim.world.clock.pass_s(sim.chance.choice((60, 300, 601)))
    await sim.world.desk.tick()
    _punctual(sim)


async def a_day(sim: Simulation) -> None:
    sim.world.clock.pass_s(25 * HOUR)
    await sim.world.desk.tick()
    await sim.world.desk.tick()  # what expired just now is erased by the next one
    if sim._acknowledged():
        _punctual(sim)
        for token, born in sim._born.items():
            alert = sim.world.desk.book.get(token)
            late = sim.world.clock.mono - born > 24 * HOUR * 1e9
            _demand(
                not late or alert.pictures_erased or alert.hold is not None, f"{token}: pictures after 24 h"
            )


def _punctual(sim: Simulation) -> None:
    if not sim._acknowledged():
        return
    now, desk = sim.world.clock.mono, sim.world.desk
    for token, since in sim._due.items():
        if token in desk.book and desk.book.get(token).state in AWAITING_LOOK:
            _demand(
                now - since <= POLICY.expire_s * 1e9, f"{token} still waits after {(now - since) / 1e9:.0f} s"
            )
    waiting = [alert for alert in desk.book if alert.state is State.SUPPRESSED]
    _demand(not waiting or len(desk.open_alerts()) >= POLICY.max_open, "suppressed, and the desk has room")


async def wall_clock_jumps(sim: Simulation) -> None:
    """A GPS fix, a hand on the keyboard; no deadline may follow."""
    sim.world.clock.wall += int(sim.chance.choice((-2, -1, 1, 2)) * HOUR * 1e9)
    await sim.world.desk.tick()


async def anchor(sim: Simulation) -> None:
    assert sim.world.line is not None
    sim.world.line.down = sim.chance.random() < 0.2
    try:
        deliver(sim.world.folder, sim.world.log, sim.world.line)
    except AuditError as error:
        if error.code in {"audit_witness_contradicts", "audit_witness_wrong_key", "audit_note_malformed"}:
            raise BrokenPromise(f"the witness: {error}") from error
        raise


async def orderly_restart(sim: Simulation) -> None:
    await sim.world.desk.stop()
    sim.world.log.suspend()


async def power_cut_soon(sim: Simulation) -> None:
    sim.world.disk.cut_in = sim.chance.randrange(1, 40)


async def disk_error_soon(sim: Simulation) -> None:
    sim.world.disk.fail_in = sim.chance.randrange(1, 30)


def _some(sim: Simulation, alerts: Iterable[Alert]) -> Alert | None:
    found = tuple(alerts)
    return sim.chance.choice(found) if found else None


OPERATIONS: tuple[tuple[int, Callable[[Simulation], Any]], ...] = (
    (24, raise_alert),
    (2, raise_drill),
    (26, look),
    (8, race),
    (10, street),
    (4, hold),
    (3, view),
    (10, moments),
    (3, minutes),
    (1, a_day),
    (2, wall_clock_jumps),
    (6, anchor),
    (1, orderly_restart),
    (5, power_cut_soon),
    (1, disk_error_soon),
)


def simulate(steps: int, seed: int, step: Callable[[int], None] = lambda done: None) -> dict[str, int]:
    """`steps` steps in deployments of :data:`LIFE_STEPS`, each from a seed of its own.

    Returns:
        What happened: deployments, restarts, power cuts, entries.

    Raises:
        BrokenPromise: with the seed and what led there.
    """
    told = dict.fromkeys(("deployments", "starts", "power cuts", "disk errors", "alerts", "looks"), 0)
    done = 0
    while done < steps:
        own = seed * 1_000_003 + told["deployments"]
        with tempfile.TemporaryDirectory(prefix="lfr-sim-", dir=_memory()) as folder:
            sim = Simulation(Path(folder), own, min(LIFE_STEPS, steps - done))
            try:
                sim.run()
            except (BrokenPromise, AlertError, AuditError) as error:
                led = " · ".join(sim.trail[-12:])
                raise BrokenPromise(f"seed {own}, step {sim.done}: {error} (after {led})") from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        done += sim.done
        step(sim.done)
        told["deployments"] += 1
        told["starts"] += sim.world.lives
        told["power cuts"] += sim.world.disk.cuts
        told["disk errors"] += sim.world.disk.failed
        told["alerts"] += len(sim.truth.raised)
        told["looks"] += len(sim.truth.looks)
    return told | {"steps": done}


def _memory() -> str | None:
    """RAM where there is some: nothing here has to survive this machine."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


__all__ = ["ORIGIN", "BrokenPromise", "Simulation", "simulate"]
