"""Latencies, the ledger across restarts, the lag of the loop."""

from __future__ import annotations

import asyncio
import time

from lfr_edge.clock import SystemClock
from lfr_edge.service.gauges import _LAG_PERIOD_S, Latencies, LoopLag, Totals, percentile


def test_percentiles_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([1.0, 2.0], 0.5) == 1
    assert percentile([1.0, 2.0], 0.95) == 2
    assert percentile([7.0], 0.99) == 7
    assert percentile([], 0.5) is None


def test_a_summary_of_nothing_says_nothing() -> None:
    assert Latencies().summary() == {"p50": None, "p95": None, "p99": None}


def test_totals_survive_a_recogniser_that_died_with_templates_in_its_memory() -> None:
    totals = Totals()
    ledger = {"frames": 5, "faces": 9, "probes": 7, "held": 2, "processed": 5, "erased": 4, "retained": 1}
    totals.update(ledger)
    assert (totals["held"], totals["processed"]) == (2, 5)
    totals.died()
    assert (totals["held"], totals["processed"], totals["erased"], totals["retained"]) == (0, 7, 6, 1)
    assert totals.now["processed"] == 7, "for its last entry on the record"
    totals.restarted()
    assert (totals["processed"], totals.now["processed"]) == (7, 0)
    totals.update(ledger)
    assert totals["processed"] == totals["erased"] + totals["retained"] == 12


async def test_a_blocked_loop_shows() -> None:
    lag = LoopLag(SystemClock())
    task = asyncio.create_task(lag.watch())
    began = time.monotonic()
    await asyncio.sleep(0.25)
    time.sleep(0.4)  # on purpose: the thing that must not happen
    await asyncio.sleep(0.15)
    task.cancel()
    all_of_it_ms = (time.monotonic() - began) * 1000  # a busy box makes it worse, and is seen, too
    assert 400 - _LAG_PERIOD_S * 1000 <= lag.worst_ms <= all_of_it_ms
