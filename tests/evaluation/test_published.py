"""The page on accuracy says what its sources say: the shipped thresholds, and the newest line of a benchmark."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lfr_edge.matching.threshold import Calibration, calibrations_of
from tests.conftest import REPOSITORY

SYSTEMS = {
    "ours, thorough": "ours_thorough",
    "ours, default": "ours_default",
    "InsightFace": "insightface_640",
    "face_recognition": "face_recognition",
}


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The cells of every table row of the page."""
    page = (REPOSITORY / "docs/accuracy.md").read_text()
    return [line.strip("|").split(" | ") for line in page.splitlines() if line.startswith("|")]


def shown(one: Calibration) -> str:
    high = "1" if one.high == 1 else f"{one.high:.3f}"
    return f"{one.threshold:.3f} ({one.low:.3f} to {high})"


def test_the_thresholds_are_the_shipped_ones(rows):
    shipped: dict[tuple[str, int, float], str] = {
        (one.fingerprint, one.list_size, one.target_fpir): shown(one) for one in calibrations_of(None)
    }
    told = {
        int(cells[0].strip().replace(",", "")): tuple(cell.strip() for cell in cells[1:])
        for cells in rows
        if len(cells) == 3 and re.fullmatch(r" ?[\d,]+", cells[0])
    }
    assert set(told) == {100, 1000, 3000, 10_000, 20_000}
    packs = {fingerprint for fingerprint, *_ in shipped}
    found = [
        pack
        for pack in packs
        if all((shipped[pack, n, 0.01], shipped[pack, n, 0.001]) == pair for n, pair in told.items())
    ]
    assert len(found) == 1, "one pack has just these"


def newest(name: str) -> dict[str, Any]:
    """The newest line that a benchmark left."""
    path = sorted((REPOSITORY / "benchmarks/results").glob(f"*-{name}.jsonl"))[-1]
    line: dict[str, Any] = json.loads(path.read_text().splitlines()[-1])
    return line


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def test_the_peers_figures_are_the_newest_ones(rows):
    line = newest("accuracy")
    for title, name in SYSTEMS.items():
        (cells,) = [[cell.strip() for cell in cells] for cells in rows if cells[0].strip().startswith(title)]
        found = line["systems"][name]
        for cell, target in zip(cells[1:], ("0.01", "0.1", "0.001"), strict=False):
            rate = found["tpir_at_fpir"][target]
            assert cell == f"{percent(rate['value'])} % ({percent(rate['low'])} to {percent(rate['high'])})"
        assert cells[-2] == str(found["no_face_found"])
        assert float(cells[-1].removesuffix(" ms")) == pytest.approx(found["cpu_ms_per_picture"], abs=0.5)
