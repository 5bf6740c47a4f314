from __future__ import annotations

import pytest

from lfr_edge.setup.time_source import KernelClock, examine_clock, kernel_clock, timekeepers


def test_this_machine():
    kernel = kernel_clock()
    assert kernel.most_error_ms >= 0
    clock, hardware = examine_clock()
    assert (clock.check, hardware.check) == ("clock", "hardware clock")
    assert (clock.state == "ok") <= kernel.synchronised


@pytest.mark.parametrize(
    ("kernel", "state", "word"),
    [
        (KernelClock(synchronised=True, most_error_ms=2.5), "ok", "by chrony to 2.5 ms"),
        (KernelClock(synchronised=True, most_error_ms=16_000), "warn", "only to 16000 ms"),
        (KernelClock(synchronised=False, most_error_ms=16_000), "warn", "chrony runs"),
    ],
)
def test_what_is_said_of_the_clock(tmp_path, kernel, state, word):
    (tmp_path / "proc/17").mkdir(parents=True)
    (tmp_path / "proc/17/comm").write_text("chronyd\n")
    (tmp_path / "proc/18").mkdir()
    (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
    clock, hardware = examine_clock(kernel, tmp_path)
    assert (clock.state, hardware.state) == (state, "ok")
    assert word in clock.text


def test_nobody_keeps_it(tmp_path):
    clock, hardware = examine_clock(KernelClock(synchronised=False, most_error_ms=0), tmp_path)
    assert clock.text.endswith("nothing here keeps it")
    assert hardware.state == "warn"
    assert timekeepers(tmp_path) == ()
