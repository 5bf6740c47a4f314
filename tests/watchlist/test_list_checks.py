"""What only the whole list shows; each finding with the list that does not have it as its control."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.about import Scale
from lfr_edge.watchlist.list_checks import Limits, check_list, require, shares
from lfr_edge.watchlist.list_facts import ListFacts
from lfr_edge.watchlist.lookalikes import Pair, Resemblance
from lfr_edge.watchlist.picture_verdicts import Verdict

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
GOOD = ListFacts(
    entries=10,
    images=12,
    categories={"wanted_by_court": 9, "missing_person": 1},
    sources={"custody": 12},
    under_18=1,
    under_18_unauthorised=0,
    past_review=0,
    undated=0,
    missing_fields={},
    compiled_at=NOW - timedelta(hours=3),
    issuer="Central",
    issuer_key="ab",
    bundle_sha256="cd",
    purpose="operational",
)
SCALE = Scale(0.5, 0.6, 1e-6, "by hand")
NOBODY = Resemblance({}, (), 0, 45, SCALE)
LIMITS = Limits(20, frozenset({"wanted_by_court", "missing_person"}), frozenset({"custody"}), under_18=True)


def found(facts=GOOD, resemblance=NOBODY, limits=LIMITS, **kwargs):
    return check_list(facts, resemblance, limits=limits, now=NOW, **kwargs)


def test_a_good_list_needs_no_word():
    assert found() == ()
    assert found(limits=Limits()) == ()
    require(found())


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"compiled_at": NOW - timedelta(hours=25)}, "list_old", "compiled 25 hours ago"),
        ({"compiled_at": NOW + timedelta(hours=1)}, "list_from_the_future", "2026-11-22 10:00 UTC"),
        ({"past_review": 2}, "past_review", "2 entries past the review date"),
        ({"under_18_unauthorised": 1}, "under_18_unauthorised", "1 entry of people under 18 without"),
        ({"undated": 3}, "undated", "never guessed"),
        ({"entries": 21}, "too_many_entries", "21 entries are more than the 20"),
        ({"categories": {"court_order": 4}}, "category_not_authorised", "court_order is not authorised: 4"),
        ({"sources": {"": 2, "custody": 1}}, "source_not_authorised", "(none given) is not authorised: 2"),
    ],
)
def test_what_refuses_an_operational_list_warns_on_another(change, code, words):
    (finding,) = found(replace(GOOD, **change))
    assert (finding.verdict, finding.code) == (Verdict.REFUSE, code)
    assert words in finding.text + finding.hint
    with pytest.raises(WatchlistError) as caught:
        require([finding])
    assert finding.text in caught.value.message
    (mild,) = found(replace(GOOD, purpose="evaluation", **change))
    assert (mild.verdict, mild.code) == (Verdict.WARN, code)
    require([mild])


def test_just_inside_the_limits():
    assert found(replace(GOOD, compiled_at=NOW - timedelta(hours=24))) == ()
    assert found(replace(GOOD, compiled_at=NOW + timedelta(minutes=9))) == ()
    assert found(replace(GOOD, entries=20)) == ()


def test_children_where_the_authority_allows_none():
    (finding,) = found(limits=replace(LIMITS, under_18=False))
    assert finding.code == "under_18_not_authorised"
    assert found(replace(GOOD, under_18=0), limits=replace(LIMITS, under_18=False)) == ()


def test_doubles_and_look_alikes():
    pairs = (Pair("A", "B", 0.9), Pair("C", "D", 0.7))
    near = {"A": (("B", 0.9),), "B": (("A", 0.9),), "C": (("D", 0.7),), "D": (("C", 0.7),)}
    told = found(resemblance=Resemblance(near, pairs, 2, 45, SCALE), twice=[("A", "B")])
    assert [one.code for one in told] == ["same_picture", "same_person", "look_alikes"]
    assert told[0].verdict is Verdict.REFUSE
    assert "C and D are likely the same person: 0.70" in told[1].text
    assert "4 people look like somebody else on the list (2 pairs)" in told[2].text


def test_many_doubles_are_counted_and_not_listed():
    pairs = tuple(Pair(f"A{n}", f"B{n}", 0.9) for n in range(30))
    told = found(resemblance=Resemblance({}, pairs, 30, 45, SCALE))
    assert len(told) == 21
    assert told[-1].text == "… and 10 more such pairs"


def test_without_a_calibration_it_says_so():
    (finding,) = found(resemblance=Resemblance({}, (), 0, 45, Scale()))
    assert finding.code == "look_alikes_unknown"
    assert "cannot tell" in finding.text


def test_shares():
    assert shares({"a": 1, "b": 2, "c": 1}) == (("b", 2, 50.0), ("a", 1, 25.0), ("c", 1, 25.0))
    assert shares({}) == ()
