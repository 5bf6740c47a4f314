"""Answers from a file, and the draft that survives everything but its removal."""

from __future__ import annotations

import json

import pytest

from lfr_edge.errors import ConfigError
from lfr_edge.setup.answers import AccountAnswer, Draft, read_answers

GOOD = """
format = "lfr-edge setup 1"
accounts = [{ name = "miller", role = "operator" }]
benchmark_s = 0
[configuration]
site = "Van 7"
[[configuration.cameras]]
id = "left"
url = "rtsp://192.0.2.1/1"
"""


def test_a_file_of_answers(tmp_path):
    file = tmp_path / "answers.toml"
    file.write_text(GOOD)
    answers = read_answers(file)
    assert answers.accounts == (AccountAnswer(name="miller", role="operator"),)
    assert answers.settings().cameras[0].id == "left"
    assert (answers.probe_s, answers.benchmark_s) == (5, 0)


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        (("setup 1", "setup 2"), "setup_answers_invalid", "format"),
        (('"operator"', '"chief"'), "setup_answers_invalid", "accounts.0.role"),
        (('"miller"', '"Miller!"'), "setup_answers_invalid", "accounts.0.name"),
        (("benchmark_s", "password"), "setup_answers_invalid", "password"),
        (('site = "Van 7"', "colour = 1"), "setup_configuration_invalid", "colour"),
        (
            ('id = "left"', 'id = "left"\npassword = "hunter2hunter2"'),
            "setup_configuration_invalid",
            "password",
        ),
        (("[configuration]", "[configuration"), "setup_answers_unreadable", "answers.toml"),
        (
            ('role = "operator" }', 'role = "operator" }, { name = "miller", role = "auditor" }'),
            "setup_answers_invalid",
            "same name",
        ),
    ],
)
def test_what_is_wrong_is_named_and_never_quoted(tmp_path, change, code, named):
    file = tmp_path / "answers.toml"
    file.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        read_answers(file)
    assert caught.value.code == code
    assert named in caught.value.message
    assert "hunter2" not in caught.value.diagnostics()
    assert caught.value.hint


def test_a_draft_goes_on_where_it_was(tmp_path):
    config = tmp_path / "lfr.toml"
    draft = Draft.beside(config)
    assert not draft.begun
    draft.configure(site="Van 7", models={"purpose": "evaluation"})
    draft.configure(models={"threads": 2})
    draft.finish("site")
    draft.finish("site")
    again = Draft.beside(config)
    assert again.begun
    assert again.answers == draft.answers
    assert again.answers.done == ("site",)
    assert again.answers.configuration["models"] == {"purpose": "evaluation", "threads": 2}
    assert (tmp_path / ".lfr.toml.setup").stat().st_mode & 0o777 == 0o600
    again.discard()
    assert not Draft.beside(config).begun


@pytest.mark.parametrize("text", ["", "{", json.dumps({"format": "lfr-edge setup 9"}), "[]", "\x00"])
def test_a_draft_that_is_none_is_told(tmp_path, text):
    (tmp_path / ".lfr.toml.setup").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Draft.beside(tmp_path / "lfr.toml")
    assert caught.value.code == "setup_draft_damaged"
