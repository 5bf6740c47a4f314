"""What people, time and faults do: one step of the machine each, by chance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.alerts.alert import AWAITING_LOOK, Alert, Drill, Hold, State
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.event import Actor
from lfr_edge.audit.receipt import code_digest
from lfr_edge.audit.witness import deliver
from lfr_edge.errors import AlertError, AuditError, LfrError
from tests.fakes.box import raised
from tests.faults.simulation.disk import PowerCut
from tests.faults.simulation.promise import BrokenPromise, demand
from tests.faults.simulation.world import CODES, POLICY, TWO_LOOKS

if TYPE_CHECKING:
    from tests.faults.simulation.run import Simulation

HOUR: Final = 3600.0
PEOPLE: Final = tuple(Actor(name, "operator", f"s-{name}") for name in ("miller", "reed", "okafor"))
OFFICER: Final = Actor("hughes", "deployment_officer", "s-hughes")
WHY: Final = Factors.of(["features_agree"])


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
            demand("alert.decided" not in bare, "a decision was acknowledged without a signed head over it")
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
                demand(token not in sim.truth.engaged, f"{token} was given to two people")
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
            demand(
                not late or alert.pictures_erased or alert.hold is not None, f"{token}: pictures after 24 h"
            )


def _punctual(sim: Simulation) -> None:
    if not sim._acknowledged():
        return
    now, desk = sim.world.clock.mono, sim.world.desk
    for token, since in sim._due.items():
        if token in desk.book and desk.book.get(token).state in AWAITING_LOOK:
            demand(
                now - since <= POLICY.expire_s * 1e9, f"{token} still waits after {(now - since) / 1e9:.0f} s"
            )
    waiting = [alert for alert in desk.book if alert.state is State.SUPPRESSED]
    demand(not waiting or len(desk.open_alerts()) >= POLICY.max_open, "suppressed, and the desk has room")


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


_WEIGHED: Final[tuple[tuple[int, Callable[[Simulation], Any]], ...]] = (
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
OPERATIONS: Final = {operation.__name__: operation for _, operation in _WEIGHED}
WEIGHTS: Final = [weight for weight, _ in _WEIGHED]
