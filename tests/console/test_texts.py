"""Texts, templates and scripts agree: no key without a text, no text that nothing shows."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from lfr_edge.alerts.alert import ENDS, RESPONSES, State
from lfr_edge.alerts.factors import Answer, EnvironmentFactor, SubjectFactor, SystemFactor
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.console.accounts import Role
from lfr_edge.console.texts import Texts

PACKAGE = resources.files("lfr_edge.console")
TEXTS = Texts()


def sources(folder: str, suffix: str) -> str:
    return "\n".join(f.read_text() for f in PACKAGE.joinpath(folder).iterdir() if f.name.endswith(suffix))


def test_every_value_of_every_list_has_words():
    for factor in (*SubjectFactor, *SystemFactor, *EnvironmentFactor):
        assert TEXTS(f"factor.{factor}") == TEXTS(f"js.factor.{factor}")
    for answer in Answer:
        assert TEXTS(f"answer.{answer}") == TEXTS(f"js.answer.{answer}")
    for role in Role:
        assert TEXTS(f"role.{role}")
        assert TEXTS(f"role_does.{role}")
    for state in ENDS | {State.REFERRED, State.ENGAGED, State.OFFERED, State.SECOND_LOOK, State.THIRD_LOOK}:
        assert TEXTS(f"js.state.{state}")
    for outcome in Outcome:
        assert TEXTS(f"outcome.{outcome}") == TEXTS(f"js.outcome.{outcome}")
    for identity in Identity:
        assert TEXTS(f"identity.{identity}") == TEXTS(f"js.identity.{identity}")
    for response in RESPONSES:
        assert TEXTS(f"js.response.{response}")


def test_scripts_say_only_what_is_written():
    said = set(re.findall(r'say\(\s*"([\w.]+)"', sources("static", ".js")))
    assert len(said) > 40
    for key in said:
        assert TEXTS(f"js.{key}")


def test_a_missing_text_is_an_error():
    for key in ("desk.nothing", "nothing", "desk"):
        with pytest.raises(KeyError):
            TEXTS(key)


def test_pages_contain_no_inline_script_style_or_foreign_address():
    html = sources("templates", ".html")
    assert not re.search(r"\son\w+=|style=|javascript:|<style", html)
    for tag in re.findall(r"<script[^>]*>", html):
        assert 'src="/static/' in tag or 'type="application/json"' in tag
    everything = html + sources("static", ".js") + sources("static", ".css")
    assert not re.findall(r"https?://(?!www\.w3\.org)", everything)
    assert "innerHTML" not in everything


def test_answers_are_equal_and_none_has_the_focus():
    desk = PACKAGE.joinpath("templates/desk.html").read_text()
    assert "autofocus" not in desk
    assert desk.count('class="answer"') == 1, "one template line draws all three alike"
