"""A box's log names the sheets of paper that were signed; the verifier shows them and holds them to the closed logs."""

from __future__ import annotations

from typing import Any

import pytest

from lfr_edge.audit.event import Event
from lfr_edge.audit.verify import verify

from .conftest import OFFICER, Box
from .test_verify import anchor, deployment, device_log, last

OTHER = [{"size": 3}, {"root": "00" * 32}, {"root": "zz" * 32}, {"root": 7}, {"size": "many"}, {"size": None}]


@pytest.fixture
def head(box: Box) -> dict[str, Any]:
    """What the sheet of the only deployment should show."""
    deployment(box, device_log(box), "d1")
    end = last(box.folder("d1")).head
    return {"size": end.size, "root": end.root.hex()}


def confirm(box: Box, name: str = "d1", **data: Any) -> None:
    log = box.logs[0]
    log.append(
        Event("anchor.confirmed", OFFICER, box.origin(name), {k: v for k, v in data.items() if v is not None})
    )
    log.checkpoint()


def test_a_confirmed_sheet_is_shown_and_anchors_nothing_by_itself(box: Box, head: dict[str, Any]) -> None:
    before = verify(box.root / "audit")
    confirm(box, **head)
    report = verify(box.root / "audit")
    (log,) = [one for one in report.logs if not one.device]
    assert [(one.by, one.size, one.when_s) for one in log.anchors] == [
        ("paper, confirmed by do.two (check it with --code)", head["size"], box.clock.wall // 10**9)
    ]
    assert "paper, confirmed by do.two" in report.text()
    assert report.exit_code == before.exit_code == 2
    assert "unanchored" in {one.code for one in report.reservations}, "the box's own word is no anchor"
    anchor(box.folder("d1"), last(box.folder("d1")))
    assert len(verify(box.root / "audit").logs) == 2


@pytest.mark.parametrize("other", OTHER)
def test_a_sheet_of_another_head_is_a_contradiction(
    box: Box, head: dict[str, Any], other: dict[str, Any]
) -> None:
    confirm(box, **(head | other))
    report = verify(box.root / "audit")
    assert report.exit_code == 1
    assert [(one.code, one.seq) for one in report.findings] == [("sheet_contradicts", 3)]
    assert box.origin("d1") in report.findings[0].message


def test_a_sheet_of_a_deployment_that_never_closed(box: Box, head: dict[str, Any]) -> None:
    confirm(box, "d2", **head)
    assert [one.code for one in verify(box.root / "audit").findings] == ["sheet_contradicts"]
