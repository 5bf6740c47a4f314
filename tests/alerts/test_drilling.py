"""Drills at the desk: seen like alerts, counted like nothing, recorded as what they are."""

from __future__ import annotations

import pytest

from lfr_edge.alerts.alert import DeskPolicy, Drill, State
from lfr_edge.alerts.factors import Answer, Factors
from lfr_edge.errors import AlertError
from tests.alerts.conftest import MILLER, REED
from tests.fakes.box import raised

SAME, DIFFERENT, UNSURE = Answer.SAME_PERSON, Answer.DIFFERENT_PERSON, Answer.CANNOT_JUDGE
WHY = Factors.of(["features_agree"])


async def test_a_drill_is_recorded_as_a_drill_and_counts_as_no_alert(bench):
    async with bench.open() as desk:
        desk.turns.arrive("miller")
        drill = await desk.raise_drill(raised(), Drill(SAME, "case-1"))
        assert drill.state is State.OFFERED
        assert drill.assigned_to == "miller", "it is somebody's turn, as with an alert"
        assert desk.counts().raised == desk.counts().undecided == 0
        assert desk.counts(as_shown=True).raised == 1, "or the counter would tell the operator"
        bench.clock.pass_s(31)
        await desk.tick()
        assert desk.get(drill.id.token).escalated
        await desk.decide(drill.id.token, MILLER, UNSURE, WHY, "half in the dark", drill.version)
        assert desk.counts(as_shown=True).raised == 0
        assert bench.recorder.verbs() == ["drill.raised", "drill.answered"]
        answered = bench.recorder.events[-1]
        assert (answered[1], answered[4]) == ("miller", "half in the dark")
        assert answered[3]["result"] == "not_referred"
        assert answered[3]["right"] is False


async def test_two_looks_at_a_drill_are_two_entries_and_one_result(bench):
    async with bench.open(DeskPolicy(looks=2)) as desk:
        drill = await desk.raise_drill(raised(), Drill(DIFFERENT, "case-1"))
        first = await desk.decide(drill.id.token, MILLER, SAME, WHY, "", drill.version)
        assert first.state is State.SECOND_LOOK
        await desk.decide(drill.id.token, REED, DIFFERENT, WHY, "", first.version)
        one, two = (event[3] for event in bench.recorder.events if event[0] == "drill.answered")
        assert "result" not in one
        assert "right" not in one
        assert (two["result"], two["right"], two["look"]) == ("not_referred", True, 2)


async def test_a_drill_nobody_answers_ends_and_says_so(bench):
    async with bench.open() as desk:
        drill = await desk.raise_drill(raised(), Drill(SAME, "case-1"))
        bench.clock.pass_s(601)
        await desk.tick()
        ended = desk.get(drill.id.token)
        assert (ended.state, ended.drill.right) == (State.EXPIRED_UNREVIEWED, None)
        assert desk.counts().expired == 0
        assert bench.recorder.events[-1][3]["result"] == "expired"


async def test_a_full_desk_still_shows_the_drill_it_was_given(bench):
    async with bench.open(DeskPolicy(max_open=1)) as desk:
        await desk.raise_alert(raised(1))
        drill = await desk.raise_drill(raised(2), Drill(SAME, "case-1"))
        assert drill.state is State.OFFERED


async def test_pictures_are_explained_after_the_decision_only_and_for_alerts_only(bench):
    async with bench.open() as desk:
        alert = await desk.raise_alert(raised())
        with pytest.raises(AlertError) as caught:
            await desk.pictures_to_explain(alert.id.token, MILLER)
        assert caught.value.code == "alert_look_first"
        await desk.decide(alert.id.token, MILLER, SAME, WHY, "", alert.version)
        pictures = await desk.pictures_to_explain(alert.id.token, MILLER)
        assert pictures.probe_jpeg == raised().probe_jpeg
        assert bench.recorder.events[-1][3] == {"number": 1, "which": "explanation"}
        drill = await desk.raise_drill(raised(2), Drill(SAME, "case-1"))
        await desk.decide(drill.id.token, MILLER, SAME, WHY, "", drill.version)
        with pytest.raises(AlertError) as caught:
            await desk.pictures_to_explain(drill.id.token, MILLER)
        assert caught.value.code == "alert_is_drill"


def test_a_drill_has_an_answer():
    with pytest.raises(ValueError, match="known answer"):
        Drill(UNSURE, "case-1")
