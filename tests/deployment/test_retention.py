"""One table: what the law allows, what the settings accept, what the desk obeys, and what is printed."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from pydantic import ValidationError

from lfr_edge.alerts.retention import LONGEST_H
from lfr_edge.audit.event import PROCESSING
from lfr_edge.cli.main import main
from lfr_edge.deployment.keeping.retention import (
    DAY_H,
    HOLD_D,
    REGISTER_D,
    RULE,
    RULES,
    alert_images_h,
    hours,
    retention_document,
    retention_text,
)
from lfr_edge.deployment.report.annexes import apd_annex
from lfr_edge.deployment.report.html import page
from lfr_edge.settings import RetentionSettings, Settings

# domain.md 3, once more and by hand.
LAW = {
    "face_without_alert": ("none: erased in the same processing step, never written to disk", 0),
    "watchlist": ("destroyed at the end of the deployment, at the latest 24 h after", 24),
    "import_copy": ("destroyed at the end of the deployment, at the latest 24 h after", 24),
    "alert_images": ("24 h by default, 31 days at most", 31 * 24),
}


@pytest.mark.parametrize("kind", LAW)
def test_the_table_says_what_the_law_says(kind: str) -> None:
    assert (RULE[kind].maximum, RULE[kind].maximum_h) == LAW[kind]


def test_the_settings_accept_nothing_above_the_table() -> None:
    in_hours = {
        "retention.alert_images_h": 1.0,
        "retention.hold_days": DAY_H,
        "retention.register_days": DAY_H,
    }
    bounded = {rule.field: rule for rule in RULES if rule.field and rule.kind != "alert_table"}
    assert (
        bounded.keys() == in_hours.keys() == {f"retention.{name}" for name in RetentionSettings.model_fields}
    )
    for field, rule in bounded.items():
        name, most = field.split(".")[1], rule.maximum_h / in_hours[field]
        RetentionSettings.model_validate({name: most})
        with pytest.raises(ValidationError):
            RetentionSettings.model_validate({name: most + 1})
    assert RULE["alert_images"].maximum_h == LONGEST_H, "the desk's own limit"
    assert (HOLD_D, REGISTER_D) == (366, 2196)


def test_the_defaults_are_those_of_the_law() -> None:
    assert RetentionSettings().alert_images_h == 24


def test_every_rule_names_verbs_of_the_record_and_its_source() -> None:
    for rule in RULES:
        assert rule.clause
        assert rule.erased_by
        assert set(rule.recorded_as) <= PROCESSING.keys()
    assert len(RULE) == len(RULES)


def test_the_hours_in_force_are_the_least_that_anybody_said() -> None:
    short = Settings.model_validate({"retention": {"alert_images_h": 6}})
    assert alert_images_h(short) == 6
    assert alert_images_h(short, 2) == 2
    assert alert_images_h(short, 48) == 6
    assert alert_images_h(Settings(), 10**6) == 24


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5 h"), (24, "24 h"), (48, "48 h"), (744, "31 days"), (25, "25 h")]
)
def test_hours_as_people_say_them(value: float, text: str) -> None:
    assert hours(value) == text


def test_what_is_printed_follows_the_settings() -> None:
    settings = Settings.model_validate(
        {"retention": {"alert_images_h": 6, "hold_days": 30, "register_days": 90}}
    )
    for printed in (
        retention_text(settings),
        page(retention_document(settings)),
        page(apd_annex(settings)),
    ):
        for said in ("6 h from the alert", "at most 30 days a hold", "90 days from the deployment"):
            assert said in printed
        assert "24 h from the alert" not in printed
        for rule in RULES:
            assert rule.data in unescape(printed)


@pytest.mark.parametrize("shown", ["text", "json", "html", "pdf"])
def test_the_annex_in_every_format(shown: str, tmp_path: Path) -> None:
    config, out = tmp_path / "lfr.toml", tmp_path / "annex"
    config.write_text('site = "Van 3"\n[retention]\nalert_images_h = 12\n')
    assert main(["report", "retention", "--config", str(config), "--format", shown, "--out", str(out)]) == 0
    made = out.read_bytes()
    match shown:
        case "json":
            read = json.loads(made)
            assert [rule["kind"] for rule in read["rules"]] == [rule.kind for rule in RULES]
            assert read["rules"][3]["in_force"] == "12 h from the alert"
        case "pdf":
            assert made.startswith(b"%PDF")
        case _:
            assert b"12 h from the alert" in made


@pytest.mark.parametrize("words", [["retention"], ["retention", "LOG", "--config", "lfr.toml"]])
def test_the_annex_needs_a_configuration_and_no_log(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words]) == 2
    assert "--config" in capsys.readouterr().err


def test_the_annex_has_no_spreadsheet(tmp_path: Path) -> None:
    config = tmp_path / "lfr.toml"
    config.write_text('site = "Van 3"\n')
    assert main(["report", "retention", "--config", str(config), "--format", "met"]) == 2
