"""How each person decides: time, drills, agreement, overrides; for a supervisor, with intervals.

Sensitivity is d′ of signal detection theory: z(hit rate) − z(false alarm rate). Rates of 0 and 1 have no z, so
0.5 is added to the counts and 1 to the trials (the log-linear correction: Hautus, Behavior Research Methods,
Instruments & Computers 27, 1995, 46–51), always and for everybody. Its 95 % interval is by the variance of Gourevitch
and Galanter (Psychometrika 32, 1967, 25–33). With few drills it is wide, and says so.

In a drill *same person* is the yes of the signal; *cannot judge* is no yes: nobody is referred by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, median
from typing import Final

from lfr_edge.alerts.alert import Alert
from lfr_edge.alerts.factors import Answer

_NORMAL: Final = NormalDist()
_Z: Final = _NORMAL.inv_cdf(0.975)


@dataclass(slots=True)
class Operator:
    """One person's looks in this deployment. Drills are counted in the drill fields only."""

    account: str
    took_ms: list[int] = field(default_factory=list)  # each look at an alert
    drill_took_ms: list[int] = field(default_factory=list)
    overrides: int = 0  # looks at alerts that did not say *same person*, as the machine had
    unsure: int = 0  # of these, *cannot judge*
    shared: int = 0  # alerts that somebody else looked at, too
    agreed: int = 0  # of these, with the same answer as the other first or second look
    same_drills: int = 0
    hits: int = 0
    different_drills: int = 0
    false_alarms: int = 0

    @property
    def looks(self) -> int:
        return len(self.took_ms)

    @property
    def drills(self) -> int:
        return self.same_drills + self.different_drills


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """d′ with its 95 % interval, and the bias: below 0 leans to *same person*."""

    d_prime: float
    low: float
    high: float
    criterion: float


def operators(alerts: Iterable[Alert]) -> tuple[Operator, ...]:
    """Everybody who looked, by account. Only looks at decided alerts count: before, an answer is not to be told."""
    found: dict[str, Operator] = {}
    for alert in alerts:
        if alert.undecided:
            continue
        for at, look in enumerate(alert.looks):
            person = found.setdefault(look.account, Operator(look.account))
            yes = look.answer is Answer.SAME_PERSON
            if alert.drill is not None:
                person.drill_took_ms.append(look.took_ms)
                if alert.drill.truth is Answer.SAME_PERSON:
                    person.same_drills += 1
                    person.hits += yes
                else:
                    person.different_drills += 1
                    person.false_alarms += yes
                continue
            person.took_ms.append(look.took_ms)
            person.overrides += not yes
            person.unsure += look.answer is Answer.CANNOT_JUDGE
            if len(alert.looks) > 1 and at < 2:  # the third look exists because the first two differ
                person.shared += 1
                person.agreed += look.answer is alert.looks[1 - at].answer
    return tuple(found[account] for account in sorted(found))


def sensitivity(person: Operator) -> Sensitivity | None:
    """None until both kinds of drill were answered."""
    if not person.same_drills or not person.different_drills:
        return None
    signal, noise = person.same_drills + 1, person.different_drills + 1
    hit, alarm = (person.hits + 0.5) / signal, (person.false_alarms + 0.5) / noise
    z_hit, z_alarm = _NORMAL.inv_cdf(hit), _NORMAL.inv_cdf(alarm)
    variance = hit * (1 - hit) / (signal * _NORMAL.pdf(z_hit) ** 2)
    variance += alarm * (1 - alarm) / (noise * _NORMAL.pdf(z_alarm) ** 2)
    d_prime, reach = z_hit - z_alarm, _Z * math.sqrt(variance)
    return Sensitivity(d_prime, d_prime - reach, d_prime + reach, -(z_hit + z_alarm) / 2)


def median_interval(values: Sequence[int]) -> tuple[float, int, int] | None:
    """The median with its exact 95 % interval of order statistics; None under six values, which have none.

    The k-th smallest and k-th largest value enclose the median unless fewer than k of n fall on one side of it:
    a binomial with p = ½, whatever the distribution of the values.
    """
    n = len(values)
    below, k = 0.5**n, 0
    while below <= 0.025:
        k += 1
        below += math.comb(n, k) * 0.5**n
    if k == 0:
        return None
    ordered = sorted(values)
    return median(ordered), ordered[k - 1], ordered[n - k]
