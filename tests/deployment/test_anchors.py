"""The final head on paper: printed, signed, confirmed; and never for a log that was changed since."""

from __future__ import annotations

from typing import Any

import pytest

from lfr_edge.audit.anchor import printed_code
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.deployment.ending.anchor_sheet import sheet
from lfr_edge.deployment.ending.anchors import Anchors
from lfr_edge.errors import DeploymentError
from tests.deployment.conftest import OFFICER, Van
from tests.deployment.test_sweeper import Recorder


@pytest.fixture
def anchors(van: Van) -> Anchors:
    story = van.deployment("2025-01-08-1")
    story.open(people=5)
    story.close(templates=10)
    van.deployment("2025-01-08-2").open(people=5)  # still open: it has no last head
    return Anchors(van.audit, Recorder(van))


def typed(anchors: Anchors) -> str:
    return anchors.get("2025-01-08-1").asked


def test_printed_signed_confirmed_in_the_boxs_log(van: Van, anchors: Anchors) -> None:
    (anchor,) = anchors.all()
    latest = LogView.load(van.audit / "2025-01-08-1").latest
    assert latest is not None
    assert anchor.code == printed_code(latest.origin, latest.head)
    assert (anchor.printed_by, anchor.confirmed_by) == ("", "")
    assert anchors.printed("2025-01-08-1", OFFICER).printed_by == "do.two"
    confirmed = anchors.confirm(
        "2025-01-08-1", f" {typed(anchors)[:4].lower()}-{typed(anchors)[4:]}", OFFICER
    )
    assert confirmed.confirmed_by == "do.two"
    assert Anchors(van.audit, Recorder(van)).all()[0] == confirmed, "read from the record, not from memory"
    report = verify(van.audit / "2025-01-08-1", codes=[anchor.code])
    assert "printed code" in {one.by for one in report.logs[0].anchors}
    assert verify(van.audit).intact


def test_no_confirmation_without_a_sheet_or_with_a_wrong_code(anchors: Anchors) -> None:
    with pytest.raises(DeploymentError) as caught:
        anchors.confirm("2025-01-08-1", typed(anchors), OFFICER)
    assert caught.value.code == "anchor_not_printed"
    anchors.printed("2025-01-08-1", OFFICER)
    for wrong in ("", "ABCDEFGH", typed(anchors)[:7], typed(anchors) + "A"):
        with pytest.raises(DeploymentError) as caught:
            anchors.confirm("2025-01-08-1", wrong, OFFICER)
        assert caught.value.code == "anchor_code_wrong"
    assert anchors.all()[0].confirmed_by == ""


@pytest.mark.parametrize("name", ["2025-01-08-2", "2025-01-09-1", "../device", ""])
def test_only_closed_deployments_have_a_last_head(anchors: Anchors, name: str) -> None:
    with pytest.raises(DeploymentError) as caught:
        anchors.printed(name, OFFICER)
    assert caught.value.code == "anchor_unknown"


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_nothing_is_printed_for_a_log_that_was_changed(van: Van, anchors: Anchors, damage: str) -> None:
    path = van.audit / "2025-01-08-1" / "entries.lfr"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    else:
        path.unlink()
    with pytest.raises(DeploymentError) as caught:
        anchors.printed("2025-01-08-1", OFFICER)
    assert caught.value.code == "anchor_contradicts"
    assert anchors.all()[0].printed_by == ""


def test_an_entry_about_another_head_confirms_nothing(van: Van, anchors: Anchors) -> None:
    data: dict[str, Any] = {"size": 3, "root": "00" * 32}
    origin = anchors.all()[0].origin
    Recorder(van).record("anchor.confirmed", actor=OFFICER, ref=origin, data=data, why="")
    assert anchors.all()[0].confirmed_by == ""


def test_the_sheet_is_one_page(anchors: Anchors) -> None:
    made = sheet(anchors.all()[0])
    assert made.startswith(b"%PDF")
    assert made == sheet(anchors.all()[0])
