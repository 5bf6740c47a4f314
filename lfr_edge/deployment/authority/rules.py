"""What each clause asks of the authority itself: who gave it, why, for when, on which papers.

One function a clause: what the authority says, and what is wrong with it, if anything.
"""

from __future__ import annotations

from typing import Final

from lfr_edge.clock import utc_text
from lfr_edge.deployment.authority.case import Case, Finding, short
from lfr_edge.deployment.authority.limits import CLOCK_SLACK_NS, HOUR_NS
from lfr_edge.deployment.authority.words import instant_ns, use_cases
from lfr_edge.sentences import listed, say

LONGEST_H: Final = 24  # a list lives 24 h from its compilation, and no deployment outlives its list
CONFIRM_WITHIN_H: Final = 24  # ours: the College of Policing says "as soon as practicable"


def signature(case: Case) -> Finding:
    if not case.signed.key_id and case.signed.claimed:
        return Finding(
            "",
            say(
                "it names {key_id} as its signer, and nothing was checked: say whom to believe (--trust, --config)",
                key_id=case.signed.claimed,
            ),
        )
    if not case.signed.key_id:
        return Finding("", "nobody has signed this authority")
    return Finding(say("signed by the enrolled key {key_id}", key_id=case.signed.key_id))


def cancellation(case: Case) -> Finding:
    record = case.signed.cancellation
    if record is None:
        return Finding("not cancelled")
    return Finding("", say("cancelled at {at} by {by}: {why}", at=record.at, by=record.by, why=record.why))


def purpose(case: Case) -> Finding:
    granted = case.authority.purpose
    if case.facts and case.facts.purpose != granted:
        return Finding(
            "",
            say(
                "it is for {granted} use, and this box is set to {purpose}",
                granted=say(granted),
                purpose=say(case.facts.purpose),
            ),
        )
    return Finding(say("for {granted} use", granted=say(granted)))


def officer(case: Case) -> Finding:
    who = case.authority.officer
    if not who.name.strip():
        return Finding("", "the Authorising Officer is not named")
    if not who.rank.may_authorise():
        return Finding(
            "", say("a {words} may not authorise: superintendent or above", words=say(who.rank.words))
        )
    if who.granted > case.authority.end:
        return Finding("", say("it was granted at {granted}, after its own end", granted=who.granted))
    if case.facts and case.facts.wall_ns + CLOCK_SLACK_NS < instant_ns(who.granted):
        return Finding("", say("it is granted only at {granted}", granted=who.granted))
    return Finding(
        say(
            "{words} {name}, granted {granted}", words=say(who.rank.words), name=who.name, granted=who.granted
        )
    )


def urgency(case: Case) -> Finding:
    """An oral authority owes a writing: without it, it lapses at the time that it names."""
    urgent = case.authority.urgent
    if urgent is None:
        return Finding("given in writing")
    if not urgent.reason.strip() or not urgent.taken_down_by.strip():
        return Finding("", "an urgent oral authority needs its reason and who took it down")
    if not 0 <= instant_ns(urgent.confirm_by) - instant_ns(urgent.given) <= CONFIRM_WITHIN_H * HOUR_NS:
        return Finding(
            "",
            say(
                "written confirmation is due within {confirm_within_h} h of {given}",
                confirm_within_h=CONFIRM_WITHIN_H,
                given=urgent.given,
            ),
        )
    if case.signed.confirmation is not None:
        confirmation = case.signed.confirmation
        return Finding(
            say(
                "given orally {given}, confirmed in writing {at} by {by}",
                given=urgent.given,
                at=confirmation.at,
                by=confirmation.by,
            )
        )
    if case.facts and case.facts.wall_ns >= instant_ns(urgent.confirm_by):
        return Finding(
            "",
            say("given orally, and not confirmed in writing by {confirm_by}", confirm_by=urgent.confirm_by),
        )
    return Finding(
        say(
            "given orally {given}; written confirmation is due by {confirm_by}",
            given=urgent.given,
            confirm_by=urgent.confirm_by,
        )
    )


def window(case: Case) -> Finding:
    authority = case.authority
    length_ns = authority.end_ns - authority.start_ns
    if not 0 < length_ns <= LONGEST_H * HOUR_NS:
        return Finding(
            "",
            say(
                "{start} to {end} is not more than 0 and at most {longest_h} hours",
                start=authority.start,
                end=authority.end,
                longest_h=LONGEST_H,
            ),
        )
    if case.facts and case.facts.wall_ns < authority.start_ns:
        return Finding(
            "",
            say(
                "it begins at {start}; it is {utc_text}",
                start=authority.start,
                utc_text=utc_text(case.facts.wall_ns),
            ),
        )
    if case.facts and case.facts.wall_ns >= authority.end_ns:
        return Finding(
            "",
            say(
                "it ended at {end}; it is {utc_text}",
                end=authority.end,
                utc_text=utc_text(case.facts.wall_ns),
            ),
        )
    return Finding(say("from {start} to {end}", start=authority.start, end=authority.end))


def use_case(case: Case) -> Finding:
    known = use_cases()[case.authority.use_case]
    if case.authority.policy_paragraph != known.paragraph:
        return Finding(
            "",
            say(
                "{title} is paragraph {paragraph}, not {policy_paragraph}",
                title=say(known.title),
                paragraph=known.paragraph,
                policy_paragraph=case.authority.policy_paragraph or say("(empty)"),
            ),
        )
    return Finding(say("{title} (policy {paragraph})", title=say(known.title), paragraph=known.paragraph))


def _words(case: Case, name: str) -> Finding:
    text = str(getattr(case.authority, name)).strip()
    return (
        Finding(short(text))
        if text
        else Finding("", say("{name}: nothing is written", name=say(name.replace("_", " "))))
    )


def legal_basis(case: Case) -> Finding:
    return _words(case, "legal_basis")


def objective(case: Case) -> Finding:
    return _words(case, "objective")


def necessity(case: Case) -> Finding:
    return _words(case, "necessity")


def proportionality(case: Case) -> Finding:
    return _words(case, "proportionality")


def alternatives(case: Case) -> Finding:
    return _words(case, "alternatives")


def assessments(case: Case) -> Finding:
    said = case.authority.assessments
    named = {"DPIA": said.dpia, "EIA": said.eia, "CIA": said.cia, "APD": said.apd}
    gaps = [name for name, one in named.items() if not one.reference.strip() or not one.version.strip()]
    if gaps:
        return Finding("", say("reference or version is missing: {gaps}", gaps=listed(gaps)))
    return Finding(listed(f"{name} {one.reference} v{one.version}" for name, one in named.items()))


def command(case: Case) -> Finding:
    said = case.authority.command
    named = {"gold": said.gold, "silver": said.silver, "bronze": said.bronze}
    gaps = [name for name, who in named.items() if not who.strip()]
    if gaps:
        return Finding("", say("not named: {gaps}", gaps=listed(gaps)))
    return Finding(listed(f"{name} {who}" for name, who in named.items()))


def conditions(case: Case) -> Finding:
    """For people: the briefing reads them out. An empty one is a slip of the pen."""
    said = case.authority.conditions
    if any(not text.strip() for text in said):
        return Finding("", "one of the conditions is empty")
    return Finding(short("; ".join(said)) if said else say("none"))
