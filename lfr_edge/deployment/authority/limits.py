"""What each clause allows: where, with which cameras, for whom, how alike, how long kept.

One function a clause: what the authority says, and what the box is about to do beyond it, if anything.
"""

from __future__ import annotations

from typing import Final

from lfr_edge.clock import utc_text
from lfr_edge.deployment.authority.case import Case, Finding, short
from lfr_edge.deployment.authority.facts import Facts, distance_m
from lfr_edge.deployment.authority.terms import ALERT_IMAGES_MAX_H
from lfr_edge.sentences import listed, say
from lfr_edge.watchlist.entry import categories

HOUR_NS: Final = 3_600_000_000_000
COMPILED_MAX_H: Final = 24  # domain.md 3
CLOCK_SLACK_NS: Final = 120_000_000_000  # a list compiled on a machine whose clock is two minutes ahead


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
    return Finding(short(text)) if text else Finding("", "the zone of recognition is not described")


def sensitive_places(case: Case) -> Finding:
    said = [text for text in case.authority.place.sensitive_places if text.strip()]
    if not said:
        return Finding("", "nothing is said about schools, places of worship, surgeries and courts nearby")
    return Finding(short("; ".join(said)))


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
                    strange=listed(strange),
                    allowed=listed(allowed),
                ),
            )
    return Finding(listed(allowed))


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
            return Finding("", say("on the list but not authorised: {strange}", strange=listed(strange)))
    return Finding(listed(say(categories()[code].title) for code in allowed))


def criteria(case: Case) -> Finding:
    text = case.authority.watchlist.criteria.strip()
    return Finding(short(text)) if text else Finding("", "the criteria of the list are not written")


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
                "", say("images on the list from sources not authorised: {strange}", strange=listed(strange))
            )
    return Finding(listed(allowed))


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
        say("included: {reason}", reason=short(terms.under_18_reason))
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
    who = listed(say(role.replace("_", " ")) for role in terms.changed_by)
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


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
