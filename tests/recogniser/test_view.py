"""How often a camera is looked at: neither a pause nor a camera that was gone makes a box slow."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lfr_edge.recogniser.view import View

MS = 1_000_000


def looked_at(times_ms: Iterable[float]) -> View:
    view = View()
    for moment in times_ms:
        view.look(int(moment * MS))
    return view


def every(period_ms: float, start_s: float, end_s: float) -> list[float]:
    return [start_s * 1000 + at * period_ms for at in range(int((end_s - start_s) * 1000 / period_ms))]


@pytest.mark.parametrize("rate", [1.0, 4.0, 12.5, 25.0])
def test_the_rate_is_that_of_the_last_ten_seconds(rate):
    view = looked_at(every(1000 / rate, 0, 70))
    assert view.to_json(70_000 * MS)["looks_per_s"] == pytest.approx(rate, abs=0.11)
    slower = looked_at([*every(40, 0, 60), *every(250, 60, 70)])
    assert slower.to_json(70_000 * MS)["looks_per_s"] == pytest.approx(4, abs=0.11)


def test_nothing_is_said_before_ten_seconds_and_while_nothing_is_looked_at():
    assert View().to_json(0)["looks_per_s"] is None
    view = looked_at(every(250, 0, 11))
    assert view.to_json(9_000 * MS)["looks_per_s"] is None
    assert view.to_json(11_000 * MS)["looks_per_s"] == pytest.approx(4, abs=0.11)
    assert view.to_json(14_000 * MS)["looks_per_s"] is None, "the camera is gone, or people paused"


def test_after_a_pause_it_is_counted_anew():
    """Else the seconds of the pause would be told as slowness."""
    view = looked_at([*every(40, 0, 20), *every(40, 30, 39)])
    assert view.to_json(39_000 * MS)["looks_per_s"] is None
    view = looked_at([*every(40, 0, 20), *every(40, 30, 41)])
    assert view.to_json(41_000 * MS)["looks_per_s"] == pytest.approx(25, abs=0.11)
    without = looked_at([*every(40, 0, 20), *every(40, 22, 29)])  # the control: a short gap counts
    assert without.to_json(29_000 * MS)["looks_per_s"] == pytest.approx(20, abs=0.2)
