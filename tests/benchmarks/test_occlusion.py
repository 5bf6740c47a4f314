"""`python -m benchmarks.occlusion`, which the coefficients of lfr_edge/vision/occlusion.json come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import occlusion
from benchmarks._styles import LEARNT, UNSEEN

STYLES = {style.__name__ for style in (*LEARNT, *UNSEEN)}


def test_no_person_and_no_style_is_on_both_sides(shared: Path) -> None:
    learn, trial = occlusion._plan(None)
    sides = [{job.path.split("/")[0] for job in jobs} for jobs in (learn, trial)]
    assert min(map(len, sides)) > 1000
    assert not sides[0] & sides[1]
    assert not {style.__name__ for style in LEARNT} & {style.__name__ for style in UNSEEN}
    unseen = {style.__name__ for style in UNSEEN}
    assert not any(unseen & set(job.styles) for job in learn)
    assert {name for job in trial for name in job.styles} == STYLES


def test_pictures_that_somebody_named_exist_and_are_no_label(shared: Path) -> None:
    noted = occlusion.by_hand()
    assert set(noted.values()) == {"eyes", "mouth", "part"}
    assert all((shared / "faces" / "lfw250" / path).exists() for path in noted)
    table = occlusion.Table(
        np.zeros((2, 1)),
        np.array(["", ""]),
        np.zeros((2, 3)),
        np.array(["", "eyes"]),
        np.array([True, True]),
        {},
    )
    assert table.labels("eyes").tolist() == [0, -1]


def test_the_regression_finds_what_is_there() -> None:
    chance = np.random.default_rng(4)
    x = chance.normal(size=(4000, 3))
    truth = 1 / (1 + np.exp(-(2 * x[:, 0] - 1 * x[:, 1] - 0.5)))
    found = occlusion.logistic(x, (chance.random(4000) < truth).astype(float), 1e-6)
    assert found == pytest.approx([2, -1, 0, -0.5], abs=0.2)
