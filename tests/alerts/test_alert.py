from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lfr_edge.alerts.alert import (
    AWAITING_LOOK,
    ENDS,
    TRANSITIONS,
    Alert,
    AlertId,
    DeskPolicy,
    Drill,
    Facts,
    Look,
    State,
    Step,
    advance,
)
from lfr_edge.alerts.factors import Answer, EnvironmentFactor, Factors, SubjectFactor, clean_note
from lfr_edge.alerts.policy import desk_policy, step_after
from lfr_edge.alerts.rows import from_document, to_document
from lfr_edge.alerts.street import Engagement, Identity, Outcome, Receipt
from lfr_edge.errors import AlertError
from lfr_edge.settings import DeskSettings
from tests.fakes.box import raised


def look(answer: Answer, account: str = "miller") -> Look:
    return Look(account, answer, Factors.of(["features_agree"]), "", 1, 900)


def an_alert(state: State = State.OFFERED, looks: tuple[Look, ...] = (), drill: Drill | None = None) -> Alert:
    return Alert(AlertId.new(7), 3, state, Facts.of(raised(7)), 5, looks=looks, drill=drill)


DRILL = Drill(Answer.SAME_PERSON, "case-1")
DRILLS_STEPS = {Step.OFFER, Step.SECOND, Step.THIRD, Step.REVEAL, Step.EXPIRE}


@pytest.mark.parametrize("drill", [None, DRILL])
def test_every_pair_outside_the_table_is_refused(drill):
    for state in State:
        for step in Step:
            allowed = step in DRILLS_STEPS if drill else step is not Step.REVEAL
            if (state, step) in TRANSITIONS and allowed:
                assert advance(an_alert(state, drill=drill), step).state is TRANSITIONS[state, step]
                assert advance(an_alert(state, drill=drill), step).version == 4
            else:
                with pytest.raises(AlertError, match="cannot") as caught:
                    advance(an_alert(state, drill=drill), step)
                assert caught.value.code == "alert_wrong_state"


def test_ends_are_ends_and_everything_else_leads_to_one():
    reach = {state: {new for (old, _), new in TRANSITIONS.items() if old is state} for state in State}
    assert all(not reach[end] for end in ENDS)
    for state in set(State) - ENDS:
        seen, todo = set(), {state}
        while todo:
            seen |= todo
            todo = set().union(*(reach[s] for s in todo)) - seen
        assert seen & ENDS, state


ANSWERS = st.sampled_from(Answer)


@given(
    st.lists(ANSWERS, min_size=1, max_size=3),
    st.sampled_from([1, 2]),
    st.sampled_from(["third_look", "not_referred"]),
)
def test_only_agreement_refers(answers, required, disagreement):
    """The plain reading of the policy, against the code."""
    policy = DeskPolicy(looks=required, disagreement=disagreement)
    step = step_after([look(a, str(i)) for i, a in enumerate(answers)], policy, "any")
    same = answers.count(Answer.SAME_PERSON)
    if step is Step.REFER:
        assert same >= required
        assert same > len(answers) - same
    elif step is Step.SECOND:
        assert len(answers) < required
    elif step is Step.THIRD:
        assert len(answers) == 2
        assert same == 1
        assert disagreement == "third_look"
    else:
        assert same < len(answers)


def test_policy_can_ask_two_looks_of_one_category():
    policy = DeskPolicy(looks_by_category=(("missing child", 2),))
    assert step_after([look(Answer.SAME_PERSON)], policy, "missing child") is Step.SECOND
    assert step_after([look(Answer.SAME_PERSON)], policy, "warrant") is Step.REFER


def test_the_settings_make_the_policy():
    settings = DeskSettings(
        looks=2, looks_by_category={"missing_child": 1}, disagreement="third_look", max_open=7
    )
    policy = desk_policy(settings, 12.0)
    assert (policy.looks_for("warrant"), policy.looks_for("missing_child")) == (2, 1)
    assert (policy.disagreement, policy.max_open, policy.alert_images_h) == ("third_look", 7, 12.0)
    assert desk_policy(DeskSettings(), 24.0) == DeskPolicy(), "the defaults are the same in both places"
    for bad in ({"reassign_s": 40}, {"drills_per_hour": 4}, {"looks_by_category": {"x": 3}}):
        with pytest.raises(ValidationError):
            DeskSettings(**bad)


def test_a_row_from_before_the_street_is_read():
    document = json.loads(to_document(an_alert()))
    for name in ("identity", "engagement", "receipt", "drill"):
        del document[name]
    assert from_document(json.dumps(document)).engagement is None


def test_alerts_survive_the_row_unchanged():
    alert = an_alert(State.SECOND_LOOK, (look(Answer.CANNOT_JUDGE),))
    assert from_document(to_document(alert)) == alert
    met = replace(
        an_alert(State.CLOSED), outcome=Outcome.ARREST, identity=Identity.SAME_PERSON,
        engagement=Engagement("baker", 9), receipt=Receipt("K7QM-2XRD-9FTA", 11),
    )  # fmt: skip
    assert from_document(to_document(met)) == met
    drill = an_alert(State.REVEALED, drill=replace(DRILL, right=False))
    assert from_document(to_document(drill)) == drill
    assert "jpeg" not in to_document(alert)
    assert raised().probe_jpeg not in to_document(alert).encode()


def test_pictures_do_not_print():
    assert "probe_jpeg" not in repr(raised())


def test_a_picture_of_somebody_can_be_called_one():
    """A printed face raises alerts like a person; whoever looks has a word for it, which is counted."""
    assert Factors.of(["not_a_person"]).names()["subject"] == ["not_a_person"]


def test_factors_are_closed_lists():
    factors = Factors.of(["head_turned", "features_agree", "head_turned"], (), ["crowd"])
    assert factors.subject == (SubjectFactor.FEATURES_AGREE, SubjectFactor.HEAD_TURNED)
    assert factors.environment == (EnvironmentFactor.CROWD,)
    assert len(factors) == 3
    with pytest.raises(AlertError) as caught:
        Factors.of(["looked_shifty"])
    assert caught.value.code == "alert_unknown_factor"


def test_notes_lose_control_characters_but_are_never_cut():
    assert clean_note("  a\x00b\n\tc ") == "a b c"
    with pytest.raises(AlertError) as caught:
        clean_note("x" * 501)
    assert caught.value.code == "alert_note_too_long"


def test_a_requested_response_is_one_of_three():
    with pytest.raises(AlertError) as caught:
        raised(requested_response="purple")
    assert caught.value.code == "alert_unknown_response"


def test_open_alerts_await_a_look():
    assert {State.OFFERED, State.SECOND_LOOK, State.THIRD_LOOK} == AWAITING_LOOK
