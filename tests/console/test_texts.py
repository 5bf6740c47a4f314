"""Texts, templates and scripts agree: no key without a text, no text that nothing shows."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from lfr_edge.alerts.alert import ENDS, RESPONSES, State
from lfr_edge.alerts.factors import Answer, EnvironmentFactor, SubjectFactor, SystemFactor
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.texts import LANGUAGES, Texts, read_texts

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


def flat(table: dict, path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_a_translation_has_the_same_keys_and_the_same_gaps(language):
    english, other = flat(read_texts("en")), flat(read_texts(language))
    assert not english.keys() - other.keys(), f"texts/{language}.toml lacks them"
    assert not other.keys() - english.keys(), f"texts/{language}.toml has them and nothing shows them"
    for key, text in english.items():
        gaps = re.findall(r"{\w+}", text)
        assert sorted(gaps) == sorted(re.findall(r"{\w+}", other[key])), key
        assert other[key].strip(), key
    same = sum(other[key] == text and len(text) > 12 for key, text in english.items())
    assert same < 5, "long texts that are still English"


def test_what_a_translation_lacks_is_said_in_english(monkeypatch):
    whole = read_texts("cy")
    del whole["nav"]["desk"], whole["js"]["answer"]
    monkeypatch.setattr(
        "lfr_edge.console.texts.read_texts", lambda code: whole if code == "cy" else read_texts(code)
    )
    welsh = Texts("cy")
    assert welsh("nav.desk") == "Desk"
    assert welsh("js.answer.same_person") == "Same person"
    assert welsh("nav.reports") == "Adroddiadau"
    assert welsh.language == "cy"
