"""What must hold before anybody is looked at, line by line, and what to do where it does not.

Pure: the supervisor reads the box, this module judges what it read. The Deployment page shows the lines, and a
start is refused by the code of the first one that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lfr_edge.deployment.authority import Clause
from lfr_edge.deployment.authority.clauses import named
from lfr_edge.errors import DeploymentError, LfrError
from lfr_edge.matching.standing import Standing
from lfr_edge.models.licence import Purpose
from lfr_edge.sentences import listed, say

LIST_MAX_H: Final = 24  # domain.md 3: compiled at most 24 h before the deployment
FREE_MIN: Final = 2 << 30  # bytes; a day's log and pictures are a hundredth of it (docs/performance.md)
_HOUR_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class ListReading:
    """The unsealed list."""

    entries: int
    compiled_wall_ns: int
    approved: bool  # by two persons, exactly this list with these settings, and not used yet
    unlawful: int = 0  # entries that lack a field which the law asks for
    past_review: int = 0


@dataclass(frozen=True, slots=True)
class Readings:
    """The box at one moment."""

    purpose: Purpose
    wall_ns: int
    clauses: Sequence[Clause] | None  # None: no authority was read
    refusal: LfrError | None  # why the authority's file cannot be believed
    listing: ListReading | None  # None: sealed
    cameras: Mapping[str, str]  # id → state, as the keeper names it
    models: LfrError | None  # why the networks may not run
    clock_in_step: bool  # the kernel says that its clock is synchronised
    free: int  # bytes on the fuller of the disks that hold log and data
    log: str  # why the log cannot be written; empty where it can
    briefed: Mapping[str, str] = field(default_factory=dict)  # account → role
    standing: Standing | None = None  # of the threshold; None: the list is sealed
    resuming: bool = False  # it ran already: the outage must not outlive a camera or a briefing


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list. A line that is not required is advice."""

    code: str
    ok: bool
    required: bool
    text: str
    hint: str  # what to do; empty where it holds
    clauses: tuple[Clause, ...] = ()

    @property
    def holds(self) -> bool:
        return self.ok or not self.required


@dataclass(frozen=True, slots=True)
class _Rule:
    refusal: DeploymentError  # a pattern: code, and what to do
    check: Callable[[Readings], tuple[str, str]]  # (what holds, or nothing; what does not, or nothing)
    needed: Callable[[Readings], bool]

    @property
    def code(self) -> str:
        return self.refusal.code.removeprefix("readiness_")


def _refusal(code: str, message: str, *, hint: str) -> DeploymentError:
    return DeploymentError(code, message, hint=hint)


def _operational(now: Readings) -> bool:
    return now.purpose == "operational"


def _authority_matters(now: Readings) -> bool:
    return _operational(now) or now.clauses is not None or now.refusal is not None


def _at_a_start(now: Readings) -> bool:
    return not now.resuming


def _authority(now: Readings) -> tuple[str, str]:
    if now.refusal is not None:
        return "", now.refusal.message
    if now.clauses is None:
        return "", say("no authority was read")
    broken = [clause for clause in now.clauses if not clause.ok]
    if broken:
        return "", listed(map(named, broken), "; ")
    return say("all {count} clauses hold", count=len(now.clauses)), ""


def _unsealed(now: Readings) -> tuple[str, str]:
    if now.listing is None:
        return "", say("the watchlist is sealed")
    return say("{count:,} entries", count=now.listing.entries), ""


def _lawful(now: Readings) -> tuple[str, str]:
    if now.listing is None:
        return "", say("the watchlist is sealed")
    if now.listing.unlawful or now.listing.past_review:
        return "", say(
            "{unlawful} entries lack what the law asks for, {past_review} are past review",
            unlawful=now.listing.unlawful,
            past_review=now.listing.past_review,
        )
    return say("every entry says why, by whom and from where"), ""


def _fresh(now: Readings) -> tuple[str, str]:
    if now.listing is None:
        return "", say("the watchlist is sealed")
    age_h = (now.wall_ns - now.listing.compiled_wall_ns) / _HOUR_NS
    if not -1 / 60 <= age_h <= LIST_MAX_H:
        return "", say("compiled {hours:.0f} h ago", hours=age_h)
    return say("compiled {hours:.0f} h ago", hours=max(0.0, age_h)), ""


def _approved(now: Readings) -> tuple[str, str]:
    if now.listing is None:
        return "", say("the watchlist is sealed")
    if not now.listing.approved:
        return "", say("a second person has not approved exactly this list and these settings")
    return say("proposed by one person, approved by another"), ""


def _cameras(now: Readings) -> tuple[str, str]:
    dark = [
        say("{camera} is {state}", camera=camera, state=say(state))
        for camera, state in now.cameras.items()
        if state != "live"
    ]
    if dark or not now.cameras:
        return "", listed(dark) or say("there is no camera")
    return say("{cameras}", cameras=", ".join(now.cameras)), ""


def _threshold(now: Readings) -> tuple[str, str]:
    stands = now.standing
    if stands is None:
        return "", say("the watchlist is sealed")
    if stands.rests_on is None:
        return "", say(
            "cannot tell: no calibration of these networks covers {threshold:.4f} for {entries:,} entries",
            threshold=stands.threshold,
            entries=stands.list_size,
        )
    return say(
        "{threshold:.4f}: at most one false alert in {faces:,} faces of people not listed",
        threshold=stands.threshold,
        faces=stands.rests_on.one_in,
    ), ""


def _models(now: Readings) -> tuple[str, str]:
    if now.models is not None:
        return "", now.models.message
    return say("verified and licensed; warmed before the first face"), ""


def _clock(now: Readings) -> tuple[str, str]:
    return (say("in step"), "") if now.clock_in_step else ("", say("not in step with any source"))


def _disk(now: Readings) -> tuple[str, str]:
    text = say("{free:.1f} GiB free", free=now.free / (1 << 30))
    return (text, "") if now.free >= FREE_MIN else ("", text)


def _log(now: Readings) -> tuple[str, str]:
    return (say("written and signed"), "") if not now.log else ("", now.log)


def _briefing(now: Readings) -> tuple[str, str]:
    roles = set(now.briefed.values())
    missing = [
        words
        for role, words in (
            ("operator", say("an operator")),
            ("deployment_officer", say("the deployment officer")),
        )
        if role not in roles
    ]
    if missing:
        return "", say("not acknowledged by {who}", who=listed(missing, " + "))
    return say("acknowledged by {who}", who=", ".join(sorted(now.briefed))), ""


_RULES: Final = (
    _Rule(
        _refusal(
            "readiness_authority",
            "there is no authority that can be believed",
            hint="choose the signed authority's file on the Deployment page, or name it in deployment.authority",
        ),
        _authority,
        _authority_matters,
    ),
    _Rule(
        _refusal(
            "readiness_list_unsealed",
            "the watchlist is not unsealed",
            hint="unseal it on the Deployment page, with its passphrase or its key file",
        ),
        _unsealed,
        lambda _: True,
    ),
    _Rule(
        _refusal(
            "readiness_list_lawful",
            "entries lack what the law asks for",
            hint="compile the list again without these entries; lfr-edge watchlist check names them",
        ),
        _lawful,
        lambda now: _operational(now) and _at_a_start(now),  # while it runs, such entries leave by themselves
    ),
    _Rule(
        _refusal(
            "readiness_list_fresh",
            "the list was not compiled in the last 24 hours",
            hint="compile the list again from current data",
        ),
        _fresh,
        lambda now: _operational(now) and _at_a_start(now),
    ),
    _Rule(
        _refusal(
            "readiness_list_approved",
            "two persons have not approved this list",
            hint="propose its activation on the Deployment page; an authorising officer approves it",
        ),
        _approved,
        _at_a_start,
    ),
    _Rule(
        _refusal(
            "readiness_cameras",
            "a camera gives no picture",
            hint="power, cable, password: see the System page",
        ),
        _cameras,
        _at_a_start,
    ),
    _Rule(
        _refusal(
            "readiness_threshold",
            "nobody can say how often this threshold is wrong",
            hint="calibrate for this list's length: lfr-edge calibrate faces DIR --out FILE",
        ),
        _threshold,
        lambda now: _operational(now) and _at_a_start(now),
    ),
    _Rule(
        _refusal(
            "readiness_models",
            "the networks may not run",
            hint="see lfr-edge models list, and models.licence_reference",
        ),
        _models,
        lambda _: True,
    ),
    _Rule(
        _refusal(
            "readiness_clock",
            "the clock is not in step",
            hint="run chrony or systemd-timesyncd, or a GPS receiver: the authority's window counts by this clock",
        ),
        _clock,
        lambda now: _operational(now) and _at_a_start(now),
    ),
    _Rule(
        _refusal(
            "readiness_disk",
            "the disk is too full",
            hint="keep 2 GiB free: recognition stops when the log cannot be written",
        ),
        _disk,
        _at_a_start,
    ),
    _Rule(
        _refusal(
            "readiness_log",
            "the audit log cannot be written",
            hint="without a record nobody is looked at: lfr-edge audit verify says what is wrong",
        ),
        _log,
        lambda _: True,
    ),
    _Rule(
        _refusal(
            "readiness_briefing",
            "the briefing is not acknowledged",
            hint="each operator and the deployment officer acknowledge it on the Deployment page",
        ),
        _briefing,
        _at_a_start,
    ),
)
CODES: Final = tuple(rule.code for rule in _RULES)
_OF_A_LIST: Final = frozenset({"list_lawful", "list_fresh"})


def readiness(now: Readings) -> tuple[Line, ...]:
    """Every line with its verdict, in the order in which they are dealt with."""
    return tuple(_judged(rule, now) for rule in _RULES)


def refuse_unready(lines: Sequence[Line]) -> None:
    """Return only where every required line holds.

    Raises:
        DeploymentError: ``readiness_<code>`` of the first that does not, or ``authority_<clause>`` where the
            authority was read and one of its clauses does not hold; the message names the line.
    """
    for line in lines:
        if line.holds:
            continue
        broken = next((clause for clause in line.clauses if not clause.ok), None)
        code = f"readiness_{line.code}" if broken is None else f"authority_{broken.code}"
        raise DeploymentError(code, line.text, hint=line.hint)


def refuse_list(listing: ListReading, purpose: Purpose, wall_ns: int) -> None:
    """A list that joins a live one is as lawful and as fresh as the one that was activated had to be.

    Raises:
        DeploymentError: ``readiness_list_lawful``, ``readiness_list_fresh``.
    """
    now = Readings(purpose, wall_ns, None, None, listing, {}, None, True, 0, "")
    refuse_unready([_judged(rule, now) for rule in _RULES if rule.code in _OF_A_LIST])


def _judged(rule: _Rule, now: Readings) -> Line:
    says, problem = rule.check(now)
    clauses = tuple(now.clauses or ()) if rule.code == "authority" else ()
    hint = "" if not problem else next((c.hint for c in clauses if not c.ok), rule.refusal.hint)
    if problem and rule.code == "authority" and now.refusal is not None:
        hint = now.refusal.hint
    return Line(rule.code, not problem, rule.needed(now), problem or says, hint, clauses)
