"""A box's log names the sheets of paper that were signed; the verifier shows them and holds them to the closed logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lfr_edge.audit.event import Event
from lfr_edge.audit.verify import verify
from tests.audit.test_independent import agree, go
from tests.audit.test_independent import go_verifier as go_verifier
from tests.deployment.conftest import OFFICER, Van
from tests.deployment.conftest import van as van


@pytest.fixture
def head(van: Van) -> dict[str, Any]:
    story = van.deployment("2025-01-08-1")
    story.open(people=5)
    closed = story.log
    story.close(templates=10)
    assert closed.latest is not None
    return {"size": closed.latest.head.size, "root": closed.latest.head.root.hex()}


def confirm(van: Van, ref: str = "van/2025-01-08-1", **data: Any) -> None:
    assert van.device is not None
    van.device.log.append(Event("anchor.confirmed", OFFICER, ref, data))
    van.device.log.checkpoint()


def test_a_confirmed_sheet_is_shown_and_anchors_nothing_by_itself(van: Van, head: dict[str, Any]) -> None:
    before = verify(van.audit)
    confirm(van, **head)
    report = verify(van.audit)
    (log,) = [one for one in report.logs if not one.device]
    assert [(one.by.split(" (")[0], one.size) for one in log.anchors] == [
        ("paper, confirmed by do.two", head["size"])
    ]
    assert "paper, confirmed by do.two" in report.text()
    assert report.exit_code == before.exit_code == 2
    assert "unanchored" in {one.code for one in report.reservations}, "the box's own word is no anchor"


@pytest.mark.parametrize(
    "other", [{"size": 3}, {"root": "00" * 32}, {"root": "zz" * 32}, {"root": 7}, {"size": "many"}]
)
def test_a_sheet_of_another_head_is_a_contradiction(
    van: Van, head: dict[str, Any], other: dict[str, Any]
) -> None:
    confirm(van, **(head | other))
    report = verify(van.audit)
    assert report.exit_code == 1
    assert [one.code for one in report.findings] == ["sheet_contradicts"]


def test_a_sheet_of_a_deployment_that_never_closed(van: Van, head: dict[str, Any]) -> None:
    confirm(van, ref="van/2025-01-09-1", **head)
    assert [one.code for one in verify(van.audit).findings] == ["sheet_contradicts"]


@pytest.mark.parametrize(
    "sheet", [{}, {"size": 3}, {"root": "00" * 32}, {"root": "zz"}, {"size": "many"}, None]
)
def test_the_other_verifier_says_the_same_of_sheets(
    go_verifier: Path, van: Van, head: dict[str, Any], sheet: dict[str, Any] | None
) -> None:
    if sheet is None:
        confirm(van, ref="van/2025-01-09-1", **head)
    else:
        confirm(van, **(head | sheet))
    assert agree(lambda folder: go(go_verifier, folder), van.audit, sheet) == (sheet != {})
