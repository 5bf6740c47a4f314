"""What each clause asks. One function a clause: what the authority says, and what is wrong with it, if anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lfr_edge.clock import utc_text
from lfr_edge.deployment.authority.document import SignedAuthority
from lfr_edge.deployment.authority.facts import Facts, distance_m
from lfr_edge.deployment.authority.terms import ALERT_IMAGES_MAX_H, Authority
from lfr_edge.deployment.authority.words import instant_ns, use_cases
from lfr_edge.sentences import listed, own_words, say
from lfr_edge.watchlist.entry import categories

HOUR_NS: Final = 3_600_000_000_000
LONGEST_H: Final = 24  # a list lives 24 h from its compilation, and no deployment outlives its list
COMPILED_MAX_H: Final = 24  # domain.md 3
CONFIRM_WITHIN_H: Final = 24  # ours: the College of Policing says "as soon as practicable"
CLOCK_SLACK_NS: Final = 120_000_000_000  # a list compiled on a machine whose clock is two minutes ahead


@dataclass(frozen=True, slots=True)
class Case:
    """An authority and, where a deployment is at hand, its facts; a draft is judged without."""

    signed: SignedAuthority
    facts: Facts | None

    @property
    def authority(self) -> Authority:
        return self.signed.authority


@dataclass(frozen=True, slots=True)
class Finding:
    says: str
    problem: str = ""


def signature(case: Case) -> Finding:
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
        Finding(_short(text))
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


def place(case: Case) -> Finding:
    where, facts = case.authority.place, case.facts
    if not where.name.strip():
        return Finding("", "the place is not named")
    if facts is not None:
        if _plain(facts.place) != _plain(where.name):
            return Finding(
                "",
                say(
                    "it is for {name}, and this box is set to {place}",
                    name=where.name,
                    place=facts.place or say("(no place)"),
                ),
            )
        if facts.latitude is None or facts.longitude is None:
            return Finding("", "the box does not know its position")
        away = distance_m(where, facts.latitude, facts.longitude)
        if not away <= where.radius_m:  # so that NaN is refused too
            return Finding(
                "",
                say(
                    "the box stands {away:,.0f} m from {name}; {radius_m} m are authorised",
                    away=away,
                    name=where.name,
                    radius_m=where.radius_m,
                ),
            )
    return Finding(
        say(
            "{name}, {latitude:.5f} {longitude:.5f}, within {radius_m} m",
            name=where.name,
            latitude=where.latitude,
            longitude=where.longitude,
            radius_m=where.radius_m,
        )
    )


def zone(case: Case) -> Finding:
    text = case.authority.place.zone.strip()
    return Finding(_short(text)) if text else Finding("", "the zone of recognition is not described")


def sensitive_places(case: Case) -> Finding:
    said = [text for text in case.authority.place.sensitive_places if text.strip()]
    if not said:
        return Finding("", "nothing is said about schools, places of worship, surgeries and courts nearby")
    return Finding(_short("; ".join(said)))


def cameras(case: Case) -> Finding:
    allowed = case.authority.cameras
    if not allowed:
        return Finding("", "no camera is named")
    if case.facts is not None:
        if not case.facts.cameras:
            return Finding("", "this box has no camera")
        strange = [camera for camera in case.facts.cameras if camera not in allowed]
        if strange:
            return Finding(
                "",
                say(
                    "not authorised: {strange}; authorised: {allowed}",
                    strange=_list(strange),
                    allowed=_list(allowed),
                ),
            )
    return Finding(_list(allowed))


def list_categories(case: Case) -> Finding:
    allowed = case.authority.watchlist.categories
    if not allowed:
        return Finding("", "no category is named")
    if case.facts is not None:
        strange = [
            f"{code} ({count})"
            for code, count in case.facts.categories.items()
            if code not in allowed and count
        ]
        if strange:
            return Finding("", say("on the list but not authorised: {strange}", strange=_list(strange)))
    return Finding(_list(say(categories()[code].title) for code in allowed))


def criteria(case: Case) -> Finding:
    text = case.authority.watchlist.criteria.strip()
    return Finding(_short(text)) if text else Finding("", "the criteria of the list are not written")


def list_size(case: Case) -> Finding:
    most = case.authority.watchlist.maximum_size
    if case.facts is not None:
        counted = sum(case.facts.categories.values())
        if counted != case.facts.entries:
            return Finding(
                "",
                say(
                    "the list has {entries:,} entries, its categories count {counted:,}",
                    entries=case.facts.entries,
                    counted=counted,
                ),
            )
        if not 0 < case.facts.entries <= most:
            return Finding("", _too_many(case.facts, most))
    return Finding(say("at most {most:,} entries", most=most))


def _too_many(facts: Facts, most: int) -> str:
    if not facts.added:
        return say(
            "the list has {entries:,} entries; {most:,} are authorised", entries=facts.entries, most=most
        )
    return say(
        "the list would have {entries:,} entries, {activated:,} activated and {added:,} added; {most:,} are authorised",
        entries=facts.entries,
        activated=facts.entries - facts.added,
        added=facts.added,
        most=most,
    )


def image_sources(case: Case) -> Finding:
    allowed = case.authority.watchlist.image_sources
    if not allowed:
        return Finding("", "no source of images is named")
    if case.facts is not None:
        strange = [
            say("{code} ({count})", code=code or say("not recorded"), count=count)
            for code, count in case.facts.sources.items()
            if code not in allowed and count
        ]
        if strange:
            return Finding(
                "", say("images on the list from sources not authorised: {strange}", strange=_list(strange))
            )
    return Finding(_list(allowed))


def under_18(case: Case) -> Finding:
    terms = case.authority.watchlist
    if terms.under_18 and not terms.under_18_reason.strip():
        return Finding("", "people under 18 are included, and no reason is written")
    if case.facts and case.facts.under_18 and not terms.under_18:
        return Finding(
            "",
            say("{under_18} on the list are under 18, and none is authorised", under_18=case.facts.under_18),
        )
    return Finding(
        say("included: {reason}", reason=_short(terms.under_18_reason))
        if terms.under_18
        else say("not included")
    )


def compiled(case: Case) -> Finding:
    """A list is compiled at most 24 h before the deployment."""
    if case.facts is None:
        return Finding(say("at most {compiled_max_h} h before the deployment", compiled_max_h=COMPILED_MAX_H))
    at_ns = case.facts.list_compiled_wall_ns
    if at_ns is None:
        return Finding("", "the list does not say when it was compiled")
    age_ns = case.facts.wall_ns - at_ns
    if age_ns < -CLOCK_SLACK_NS:
        return Finding(
            "",
            say(
                "the list claims to be compiled at {utc_text}, which is still to come",
                utc_text=utc_text(at_ns),
            ),
        )
    if age_ns > COMPILED_MAX_H * HOUR_NS:
        return Finding(
            "",
            say(
                "the list was compiled {age_ns:.1f} h ago; {compiled_max_h} h are allowed",
                age_ns=age_ns / HOUR_NS,
                compiled_max_h=COMPILED_MAX_H,
            ),
        )
    return Finding(say("compiled {value:.1f} h ago", value=max(0, age_ns) / HOUR_NS))


def threshold(case: Case) -> Finding:
    terms = case.authority.threshold
    if case.facts is not None and not case.facts.threshold >= terms.floor:  # so that NaN is refused too
        return Finding(
            "",
            say(
                "the threshold is {threshold:.4f}; the floor is {floor:.4f}",
                threshold=case.facts.threshold,
                floor=terms.floor,
            ),
        )
    who = _list(say(role.replace("_", " ")) for role in terms.changed_by)
    return Finding(
        say(
            "not below {floor:.4f}; changed by {who}, with a second person",
            floor=terms.floor,
            who=who or say("nobody"),
        )
    )


def retention(case: Case) -> Finding:
    terms, facts = case.authority.retention, case.facts
    if facts is not None:
        if not 0 < facts.alert_images_h <= min(terms.alert_images_h, ALERT_IMAGES_MAX_H):
            return Finding(
                "",
                say(
                    "alert images are kept {alert_images_h:g} h; {alert_images_h_2} h are authorised",
                    alert_images_h=facts.alert_images_h,
                    alert_images_h_2=terms.alert_images_h,
                ),
            )
        if not 0 <= facts.watchlist_h <= terms.watchlist_h:
            return Finding(
                "",
                say(
                    "the list is kept {watchlist_h:g} h after the end; {watchlist_h_2} h are authorised",
                    watchlist_h=facts.watchlist_h,
                    watchlist_h_2=terms.watchlist_h,
                ),
            )
    return Finding(
        say(
            "alert images {alert_images_h} h, the list {watchlist_h} h after the end",
            alert_images_h=terms.alert_images_h,
            watchlist_h=terms.watchlist_h,
        )
    )


def assessments(case: Case) -> Finding:
    said = case.authority.assessments
    named = {"DPIA": said.dpia, "EIA": said.eia, "CIA": said.cia, "APD": said.apd}
    gaps = [name for name, one in named.items() if not one.reference.strip() or not one.version.strip()]
    if gaps:
        return Finding("", say("reference or version is missing: {gaps}", gaps=_list(gaps)))
    return Finding(_list(f"{name} {one.reference} v{one.version}" for name, one in named.items()))


def command(case: Case) -> Finding:
    said = case.authority.command
    named = {"gold": said.gold, "silver": said.silver, "bronze": said.bronze}
    gaps = [name for name, who in named.items() if not who.strip()]
    if gaps:
        return Finding("", say("not named: {gaps}", gaps=_list(gaps)))
    return Finding(_list(f"{name} {who}" for name, who in named.items()))


def conditions(case: Case) -> Finding:
    """For people: the briefing reads them out. An empty one is a slip of the pen."""
    said = case.authority.conditions
    if any(not text.strip() for text in said):
        return Finding("", "one of the conditions is empty")
    return Finding(_short("; ".join(said)) if said else say("none"))


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _list(items: Iterable[str]) -> str:
    return listed(items)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return own_words(line if len(line) <= 200 else line[:199] + "…")
