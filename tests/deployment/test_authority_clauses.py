"""Every clause: it holds where it should, and one thing that is wrong breaks exactly it, by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.deployment.authority import RULES, Clause, SignedAuthority, clauses, refuse, threshold_change
from lfr_edge.deployment.authority.document import schema
from lfr_edge.deployment.authority.facts import distance_m
from lfr_edge.deployment.authority.terms import Cancellation, Confirmation, Place, Urgent
from lfr_edge.deployment.authority.words import Rank, instant_ns
from lfr_edge.deployment.control.proposal import RULES as PROPOSALS
from lfr_edge.errors import DeploymentError
from lfr_edge.watchlist.entry import categories, image_sources
from tests.fakes.authority import HOUR_NS, authority, example, fitting, signed_authority

SIGNED = signed_authority()
GRANTED = SIGNED.authority
ENDED = Cancellation("lfr-edge authority cancellation 1", GRANTED.sha256, "2026-11-22T12:00:00Z", "A", "B")
ORAL = Urgent("A threat at noon.", "2026-11-22T09:00:00Z", "Insp. F. Example", "2026-11-22T15:00:00Z")
SAID = Confirmation("lfr-edge authority confirmation 1", GRANTED.sha256, "2026-11-22T11:00:00Z", "A. Example")

# clause → what breaks it in the facts (box, list, clock) and in the document itself
BOX = {
    "purpose": [{"purpose": "evaluation"}],
    "window": [
        {"wall_ns": GRANTED.start_ns - 1, "list_compiled_wall_ns": GRANTED.start_ns - HOUR_NS},
        {"wall_ns": GRANTED.end_ns, "list_compiled_wall_ns": GRANTED.end_ns - HOUR_NS},
    ],
    "place": [
        {"place": "Market Square, Elsewhere"},
        {"place": ""},
        {"latitude": None},
        {"longitude": None},
        {"latitude": GRANTED.place.latitude + 0.00136},  # 151 m north
        {"latitude": float("nan")},
        {"longitude": -GRANTED.place.longitude},
    ],
    "cameras": [{"cameras": ("north", "east")}, {"cameras": ()}],
    "categories": [{"categories": {"missing_person": 1, "wanted_by_court": 2}}, {"categories": {"other": 3}}],
    "list_size": [
        {"entries": 16_001, "categories": {"wanted_by_court": 16_001}},
        {"entries": 16_001, "categories": {"wanted_by_court": 16_001}, "added": 4},
        {"entries": 0, "categories": {}},
        {"entries": 3, "categories": {"wanted_by_court": 2}},
    ],
    "image_sources": [{"sources": {"published": 1}}, {"sources": {"": 1, "custody": 3}}],
    "under_18": [{"under_18": 1}],
    "compiled": [
        {"list_compiled_wall_ns": None},
        {"list_compiled_wall_ns": GRANTED.start_ns + 600 * 10**9 - 24 * HOUR_NS - 1},
        {"list_compiled_wall_ns": GRANTED.start_ns + 800 * 10**9},
    ],
    "threshold": [{"threshold": 0.4499}, {"threshold": float("nan")}],
    "retention": [
        {"alert_images_h": 24.5},
        {"alert_images_h": 0},
        {"alert_images_h": float("nan")},
        {"watchlist_h": 24.5},
        {"watchlist_h": -1},
    ],
}
PAPER = {
    "officer": [
        {"officer": {"rank": Rank.CHIEF_INSPECTOR}},
        {"officer": {"name": " "}},
        {"officer": {"granted": "2026-11-22T16:00:01Z"}},
        {"officer": {"granted": "2026-11-22T15:00:00Z"}},
    ],
    "urgent": [
        {"urgent": replace(ORAL, reason="")},
        {"urgent": replace(ORAL, taken_down_by="")},
        {"urgent": replace(ORAL, confirm_by="2026-11-23T09:00:01Z")},
        {"urgent": replace(ORAL, confirm_by="2026-11-22T08:59:59Z")},
        {"urgent": replace(ORAL, confirm_by="2026-11-22T10:05:00Z")},
    ],
    "window": [{"end": GRANTED.start}, {"end": "2026-11-23T10:00:01Z"}],
    "use_case": [
        {"policy_paragraph": "LFR-2.2"},
        {"policy_paragraph": ""},
        {"use_case": "protective_security"},
    ],
    **{
        name: [{name: ""}, {name: " \n"}]
        for name in ("legal_basis", "objective", "necessity", "proportionality", "alternatives")
    },
    "place": [{"place": {"name": ""}}],
    "zone": [{"place": {"zone": ""}}],
    "sensitive_places": [{"place": {"sensitive_places": ()}}, {"place": {"sensitive_places": (" ",)}}],
    "cameras": [{"cameras": ()}],
    "categories": [{"watchlist": {"categories": ()}}],
    "criteria": [{"watchlist": {"criteria": ""}}],
    "image_sources": [{"watchlist": {"image_sources": ()}}],
    "under_18": [{"watchlist": {"under_18": True}}],
    "assessments": [
        {"assessments": {name: replace(getattr(GRANTED.assessments, name), **{part: ""})}}
        for name in ("dpia", "eia", "cia", "apd")
        for part in ("reference", "version")
    ],
    "command": [{"command": {name: ""}} for name in ("gold", "silver", "bronze")],
    "conditions": [{"conditions": ("Signs stand.", "")}],
}
WHO = {"signature": SignedAuthority(GRANTED), "cancelled": replace(SIGNED, cancellation=ENDED)}
CASES = [
    *((code, SIGNED, fitting(GRANTED, **change)) for code, changes in BOX.items() for change in changes),
    *(
        (code, signed_authority(authority(**change)), fitting(GRANTED))
        for code, changes in PAPER.items()
        for change in changes
    ),
    *((code, found, fitting(GRANTED)) for code, found in WHO.items()),
]


def broken(found: tuple[Clause, ...]) -> list[str]:
    return [clause.code for clause in found if not clause.ok]


def test_where_all_hold_nothing_is_refused():
    found = clauses(SIGNED, fitting(GRANTED))
    assert broken(found) == []
    refuse(found)
    assert [clause.number for clause in found] == list(range(1, len(RULES) + 1))
    assert all(clause.text and not clause.hint for clause in found)
    refuse(clauses(SIGNED, None))


@pytest.mark.parametrize(("code", "found", "facts"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_one_fault_breaks_exactly_its_clause(code, found, facts):
    judged = clauses(found, facts)
    assert broken(judged) == [code]
    clause = next(clause for clause in judged if not clause.ok)
    assert clause.text
    assert clause.hint
    with pytest.raises(DeploymentError) as caught:
        refuse(judged)
    assert caught.value.code == f"authority_{code}"
    assert f"clause {clause.number}" in caught.value.message
    assert caught.value.hint == clause.hint


def test_a_list_that_grew_too_long_is_told_in_its_parts():
    grown = fitting(GRANTED, entries=16_002, categories={"wanted_by_court": 16_002}, added=5)
    (said,) = (clause.text for clause in clauses(SIGNED, grown) if not clause.ok)
    assert said == "the list would have 16,002 entries, 15,997 activated and 5 added; 16,000 are authorised"


def test_every_clause_was_broken_once():
    assert {code for code, _, _ in CASES} == {rule.code for rule in RULES}
    assert [rule.number for rule in RULES] == list(range(1, len(RULES) + 1))


def test_the_control_a_clause_that_always_holds_is_noticed():
    """Sabotage: a table without a rule lets its fault through, and the test above would see it."""
    without = tuple(rule for rule in RULES if rule.code != "threshold")
    from lfr_edge.deployment.authority.case import Case

    case = Case(SIGNED, fitting(GRANTED, threshold=0.0))
    assert all(not rule.check(case).problem for rule in without)


def test_a_draft_is_judged_without_a_box():
    gaps = broken(clauses(SignedAuthority(authority(necessity="", conditions=("",))), None))
    assert gaps == ["signature", "necessity", "conditions"]


def test_boundaries_hold():
    start, end = GRANTED.start_ns, GRANTED.end_ns
    for change in (
        {"wall_ns": start, "list_compiled_wall_ns": start},
        {"wall_ns": end - 1, "list_compiled_wall_ns": end - 1 - 24 * HOUR_NS},
        {"entries": 16_000, "categories": {"wanted_by_court": 16_000}},
        {"categories": {"wanted_by_court": 3, "missing_person": 0}},
        {"threshold": 0.45},
        {"alert_images_h": 0.1, "watchlist_h": 24},
        {"latitude": GRANTED.place.latitude + 0.00134},  # 149 m
        {"place": " market  square, EXAMPLETON "},
    ):
        assert broken(clauses(SIGNED, fitting(GRANTED, **change))) == [], change
    for rank in (Rank.SUPERINTENDENT, Rank.COMMISSIONER):
        assert broken(clauses(signed_authority(authority(officer={"rank": rank})), None)) == []


def test_the_urgent_oral_authority_owes_a_writing():
    oral = signed_authority(authority(urgent=ORAL))
    due = instant_ns(ORAL.confirm_by)
    before = fitting(GRANTED, wall_ns=due - 1, list_compiled_wall_ns=due - HOUR_NS)
    after = replace(before, wall_ns=due)
    assert broken(clauses(oral, before)) == []
    assert broken(clauses(oral, after)) == ["urgent"]
    assert broken(clauses(replace(oral, confirmation=SAID), after)) == []


def test_who_may_change_the_threshold():
    assert threshold_change(SIGNED, "deployment_officer", 0.46).ok
    assert threshold_change(SIGNED, "deployment_officer", 0.45).ok
    assert not threshold_change(SIGNED, "deployment_officer", 0.44).ok
    assert not threshold_change(SIGNED, "deployment_officer", float("nan")).ok
    assert not threshold_change(SIGNED, "operator", 0.9).ok
    nobody = signed_authority(authority(threshold={"changed_by": ()}))
    refused = threshold_change(nobody, "deployment_officer", 0.9)
    assert refused.code == "threshold"
    assert not refused.ok


def test_an_authority_lets_nobody_change_the_threshold_who_could_not_propose_it():
    offered = set(schema()["$defs"]["ThresholdTerms"]["properties"]["changed_by"]["items"].get("enum", ()))
    offered |= {schema()["$defs"]["ThresholdTerms"]["properties"]["changed_by"]["items"].get("const")} - {
        None
    }
    assert offered == PROPOSALS["threshold.change"].propose


def test_distances_agree_with_known_ones():
    """One minute of latitude is a nautical mile; London to Cardiff is about 210 km."""
    point = Place("p", 51.5074, -0.1278, 10, "z", ())
    assert distance_m(point, 51.5074 + 1 / 60, -0.1278) == pytest.approx(1852, rel=0.002)
    assert distance_m(point, 51.4816, -3.1791) == pytest.approx(211_500, rel=0.01)
    assert distance_m(point, 51.5074, -0.1278) == 0


@settings(deadline=None)
@given(
    offset_s=st.integers(-3 * 86_400, 3 * 86_400),
    compiled_ago_s=st.integers(-86_400, 3 * 86_400),
    cameras=st.sets(st.sampled_from(["north", "south", "east"])),
    listed=st.dictionaries(st.sampled_from(list(categories())), st.integers(0, 9_000)),
    sources=st.dictionaries(st.sampled_from([*image_sources(), ""]), st.integers(0, 5)),
    threshold=st.floats(-1, 1),
    under_18=st.integers(0, 2),
    images_h=st.floats(0, 800),
    metres=st.floats(0, 400),
)
def test_the_verdict_is_the_plain_reading(
    offset_s, compiled_ago_s, cameras, listed, sources, threshold, under_18, images_h, metres
):
    """The clauses against the same conditions written once more, plainly."""
    wall = GRANTED.start_ns + offset_s * 10**9
    facts = fitting(
        GRANTED,
        wall_ns=wall,
        list_compiled_wall_ns=wall - compiled_ago_s * 10**9,
        cameras=tuple(sorted(cameras)),
        entries=sum(listed.values()),
        categories=listed,
        sources=sources,
        threshold=threshold,
        under_18=under_18,
        alert_images_h=images_h,
        latitude=GRANTED.place.latitude + metres / 111_195,
    )
    expected = {
        "officer": wall + 120 * 10**9 >= instant_ns(GRANTED.officer.granted),
        "window": 0 <= offset_s < 6 * 3600,
        "compiled": -120 <= compiled_ago_s <= 24 * 3600,
        "cameras": bool(cameras) and cameras <= {"north", "south"},
        "categories": not {c for c, n in listed.items() if n}
        - {"wanted_by_court", "wanted_by_police", "blue_list"},
        "list_size": 0 < sum(listed.values()) <= 16_000,
        "image_sources": not {s for s, n in sources.items() if n} - {"custody", "police", "staff"},
        "threshold": threshold >= 0.45,
        "under_18": under_18 == 0,
        "retention": 0 < images_h <= 24,
    }
    if abs(metres - 150) > 0.5:
        expected["place"] = metres <= 150
        assert set(broken(clauses(SIGNED, facts))) == {code for code, holds in expected.items() if not holds}


def test_the_example_names_its_paragraph():
    assert example().policy_paragraph == "LFR-2.1"
