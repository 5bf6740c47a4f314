"""What is wrong with a list as a whole: too old, too long, past review, doubled, beyond its authority.

A survey (findings.py) has judged each entry's fields, and counts what an operational list may not leave unsaid; the
compiler has judged each picture. Here stands what only the whole
shows. On an operational list what the law or the authority forbids refuses it; on a list for evaluation the same is
a warning, so that a training list can be made of what there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import listed, say
from lfr_edge.watchlist.list_facts import ListFacts
from lfr_edge.watchlist.lookalikes import Resemblance
from lfr_edge.watchlist.picture_verdicts import Verdict

MOST_AGE: Final = timedelta(hours=24)  # domain.md 3: compiled at most 24 h before the deployment
_CLOCKS_DIFFER: Final = timedelta(
    minutes=10
)  # of a force's system and a van's, before a date counts as the future
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What an authority grants; None where nobody said."""

    most_entries: int | None = None
    categories: frozenset[str] | None = None
    sources: frozenset[str] | None = None
    under_18: bool | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    code: str
    text: str
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict.value, "code": self.code, "text": self.text, "hint": self.hint}


def check_list(
    facts: ListFacts,
    resemblance: Resemblance,
    *,
    twice: Sequence[tuple[str, str]] = (),
    limits: Limits | None = None,
    now: datetime,
) -> tuple[Finding, ...]:
    """Everything there is to say about the list as a whole, what refuses it first. `now` is UTC."""
    grave = Verdict.REFUSE if facts.purpose == "operational" else Verdict.WARN
    found = [
        *_age(facts, now, grave),
        *_people(facts, grave),
        *_authority(facts, limits or Limits(), grave),
        *_doubles(resemblance, twice, grave),
    ]
    return tuple(sorted(found, key=lambda one: -one.verdict.severity))


def require(findings: Sequence[Finding]) -> None:
    """Raises WatchlistError ``watchlist_refused`` where a finding refuses the list."""
    refusals = [one for one in findings if one.verdict is Verdict.REFUSE]
    if refusals:
        raise WatchlistError(
            "watchlist_refused",
            say(
                "the list is refused, nothing was changed:\n  {reasons}",
                reasons=listed((one.text for one in refusals), "\n  "),
            ),
            hint=refusals[0].hint,
        )


def shares(counts: Mapping[str, int]) -> tuple[tuple[str, int, float], ...]:
    """(what, how many, per cent) of a count by category or source, most first."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple((name, count, round(100 * count / total, 1)) for name, count in ordered)


def _age(facts: ListFacts, now: datetime, grave: Verdict) -> Iterator[Finding]:
    age = now - facts.compiled_at
    when = facts.compiled_at.strftime("%Y-%m-%d %H:%M UTC")
    if age > MOST_AGE:
        hours = age.total_seconds() / 3600
        yield Finding(
            grave,
            "list_old",
            say(
                "the list was compiled {hours:.0f} hours ago ({when}): at most 24 are allowed",
                hours=hours,
                when=when,
            ),
            "ask the issuing authority for a list of today",
        )
    elif age < -_CLOCKS_DIFFER:
        yield Finding(
            grave,
            "list_from_the_future",
            say("the list says it was compiled at {when}", when=when),
            "check this box's clock",
        )


def _people(facts: ListFacts, grave: Verdict) -> Iterator[Finding]:
    if facts.past_review:
        yield Finding(
            grave,
            "past_review",
            say("{entries} past the review date", entries=_entries(facts.past_review)),
            "have them reviewed, or leave them out",
        )
    if facts.under_18_unauthorised:
        yield Finding(
            grave,
            "under_18_unauthorised",
            say(
                "{entries} of people under 18 without a separate authority",
                entries=_entries(facts.under_18_unauthorised),
            ),
            "get the separate authority and name it in the entry, or leave these people out",
        )
    if facts.undated:
        yield Finding(
            grave,
            "undated",
            say(
                "{entries} without a date of birth: whether they are under 18 is not known",
                entries=_entries(facts.undated),
            ),
            "add the dates of birth; an age is never guessed from a picture",
        )


def _authority(facts: ListFacts, limits: Limits, grave: Verdict) -> Iterator[Finding]:
    hint = say("shorten the list, or get a new authority")
    if limits.most_entries is not None and facts.entries > limits.most_entries:
        text = say(
            "{entries} entries are more than the {most} that are authorised",
            entries=facts.entries,
            most=limits.most_entries,
        )
        yield Finding(grave, "too_many_entries", text, hint)
    for what, counts, allowed in (
        ("category", facts.categories, limits.categories),
        ("source", facts.sources, limits.sources),
    ):
        for name in sorted(set(counts) - allowed) if allowed is not None else ():
            text = say(
                "{what} {name} is not authorised: {count} on this list",
                what=say(what),
                name=name or say("(none given)"),
                count=counts[name],
            )
            yield Finding(grave, f"{what}_not_authorised", text, hint)
    if limits.under_18 is False and facts.under_18:
        text = say(
            "{entries} of people under 18, and the authority allows none", entries=_entries(facts.under_18)
        )
        yield Finding(grave, "under_18_not_authorised", text, hint)


def _doubles(resemblance: Resemblance, twice: Sequence[tuple[str, str]], grave: Verdict) -> Iterator[Finding]:
    for first, second in twice[:_SHOWN]:
        yield Finding(
            grave,
            "same_picture",
            say(
                "{first} and {second} have the same picture: one of the two is somebody else's",
                first=first,
                second=second,
            ),
            "find out whose picture it is, or merge the two entries",
        )
    for pair in resemblance.same[:_SHOWN]:
        if (pair.first, pair.second) not in twice:
            yield Finding(
                Verdict.WARN,
                "same_person",
                say(
                    "{first} and {second} are likely the same person: {score:.2f}",
                    first=pair.first,
                    second=pair.second,
                    score=pair.score,
                ),
                "compare the pictures; give one person one entry",
            )
    unsaid = max(len(twice) - _SHOWN, 0) + max(len(resemblance.same) - _SHOWN, 0)
    if unsaid:
        yield Finding(
            Verdict.WARN,
            "more_doubles",
            say("… and {unsaid} more such pairs", unsaid=unsaid),
            "see --json for all",
        )
    if resemblance.near:
        yield Finding(
            Verdict.WARN,
            "look_alikes",
            say(
                "{near_count} people look like somebody else on the list ({pairs}): "
                "a passer-by who is one may alert for the other",
                near_count=len(resemblance.near),
                pairs=say("1 pair")
                if resemblance.pairs == 1
                else say("{count} pairs", count=resemblance.pairs),
            ),
            "alerts for them say so; nothing has to be done",
        )
    if resemblance.scale.look_alike is None:
        text = say("look-alikes and doubles: {source}", source=resemblance.scale.source)
        yield Finding(
            Verdict.WARN, "look_alikes_unknown", text, "calibrate this pack: lfr-edge evaluate identities"
        )


def _entries(count: int) -> str:
    return say("1 entry") if count == 1 else say("{count} entries", count=count)
