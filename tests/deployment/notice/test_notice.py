"""The notice says what the authority's closed words say, and never anything about a person."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import segno
from reportlab.lib.units import mm

from lfr_edge.console.texts import Texts
from lfr_edge.deployment.authority import terms
from lfr_edge.deployment.keeping.retention import RULE
from lfr_edge.deployment.notice import SIZES, Notice, notice_of, poster
from lfr_edge.deployment.notice.poster import fitted
from lfr_edge.settings import Settings
from tests.fakes.authority import authority, example

CONFIG = {"force": "Exampleshire Police", "contact": "101", "url": "https://force.example/lfr"}
SAY = Texts()


def noticed(config: dict[str, Any] | None = None, **changes: Any) -> Notice:
    return notice_of(
        authority(**changes), Settings.model_validate({"notice": CONFIG if config is None else config})
    )


def test_where_when_why_whom_and_for_how_long() -> None:
    notice = noticed()
    assert notice.place == "Market Square, Exampleton"
    assert (notice.day, notice.start, notice.end) == ("22 November 2026", "10:00", "16:00 GMT")
    assert notice.use_case == "Crime hotspot"
    assert [title for title, _ in notice.categories] == ["Wanted by the courts", "Wanted by police"]
    assert notice.alert_images_h == 24
    assert notice.code == "https://force.example/lfr"


def test_summer_is_told_in_local_time() -> None:
    notice = noticed(start="2026-07-01T10:00:00Z", end="2026-07-02T01:00:00Z")
    assert (notice.start, notice.end) == ("11:00", "2 July 02:00 BST")


def test_retention_is_the_shorter_of_authority_and_settings() -> None:
    settings = Settings.model_validate({"retention": {"alert_images_h": 6}})
    assert notice_of(example(), settings).alert_images_h == 6
    long = Settings.model_validate({"retention": {"alert_images_h": 48}})
    assert notice_of(example(), long).alert_images_h == 24


def test_authoritys_limits_are_those_of_the_retention_table() -> None:
    assert RULE["alert_images"].maximum_h == terms.ALERT_IMAGES_MAX_H
    assert RULE["watchlist"].maximum_h == terms.WATCHLIST_MAX_H


def test_no_name_and_no_free_prose_of_the_authority_is_published() -> None:
    said = str(noticed())
    granted = example()
    private = [
        granted.officer.name, granted.command.gold, granted.command.silver, granted.command.bronze,
        granted.objective, granted.necessity, granted.proportionality, granted.alternatives,
        granted.watchlist.criteria, *granted.conditions, *granted.place.sensitive_places,
    ]  # fmt: skip
    assert not [text for text in private if text in said]
    assert granted.legal_basis in said, "control"


def test_without_an_address_the_code_holds_the_notice_itself() -> None:
    assert "Market Square" in noticed({}).code
    assert "101" in noticed({"contact": "101"}).code


@pytest.mark.parametrize("url", ["http://force.example", "javascript:alert(1)", "https://a b"])
def test_only_a_secure_address_is_printed(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Settings.model_validate({"notice": {"url": url}})


@pytest.mark.parametrize("size", SIZES)
def test_the_poster_is_one_page_of_its_size(size: Any) -> None:
    made = poster(noticed(), size, SAY)
    box = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+) ([0-9.]+)", made)
    assert box is not None
    wanted = {"a4": (210, 297), "a2": (420, 594)}[size]
    assert [round(float(side) / mm) for side in box.groups()] == list(wanted)
    assert made.count(b"/Type /Page\n") == 1 or b"/Count 1" in made
    assert made == poster(noticed(), size, SAY), "the same bytes for the same notice"


def test_the_code_can_be_read_by_others() -> None:
    """The same symbol as the poster draws, read by OpenCV's reader."""
    out = io.BytesIO()
    segno.make(noticed().code, error="m", micro=False).save(out, kind="png", scale=6, border=2)
    picture = cv2.imdecode(np.frombuffer(out.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == "https://force.example/lfr"


def test_the_longest_notice_still_fits() -> None:
    notice = noticed()
    long = replace(
        notice,
        zone="the pavement " * 300,
        legal_basis="common law " * 300,
        categories=tuple((f"Category of people number {n}", "") for n in range(20)),
        under_18=True,
        evaluation=True,
        place="A very long name of a place " * 4,
    )
    width = (210 - 32 - 10) / 2 * mm
    assert fitted(long, SAY, width, 120 * mm)[1]
    assert not fitted(long, SAY, width, 30 * mm)[1], "control"
    assert poster(long, "a4", SAY).startswith(b"%PDF")


def test_an_evaluation_says_so() -> None:
    assert noticed(purpose="evaluation").evaluation
    assert poster(noticed(purpose="evaluation"), "a4", SAY) != poster(noticed(), "a4", SAY)
