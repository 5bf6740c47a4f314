"""The window closes on time whatever happens to the clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_edge.deployment.authority import Window
from lfr_edge.deployment.authority.terms import Cancellation, Confirmation, Urgent
from lfr_edge.deployment.authority.words import instant_text
from tests.fakes.authority import authority_now, signed_authority
from tests.fakes.box import ManualClock

SECOND = 10**9


def opened(hours: float = 6, **changes):
    clock = ManualClock()
    signed = signed_authority(authority_now(clock.wall, hours, **changes))
    return clock, signed, Window(signed, clock)


def test_it_closes_at_the_end_and_stays_closed():
    clock, _, window = opened()
    assert window.remaining_s() == 6 * 3600 - 60
    clock.pass_s(6 * 3600 - 61)
    assert window.remaining_s() == 1
    assert not window.over()
    clock.pass_s(1)
    assert window.over()
    clock.wall -= 5 * 3600 * SECOND
    assert window.over()


def test_a_wall_clock_that_is_set_back_gains_nothing():
    clock, _, window = opened()
    clock.wall -= 3600 * SECOND
    assert window.remaining_s() == 6 * 3600 - 60
    clock.pass_s(6 * 3600 - 60)
    assert window.over()


def test_a_wall_clock_that_goes_forward_shortens_for_good():
    clock, _, window = opened()
    clock.wall += 3600 * SECOND
    assert window.remaining_s() == 5 * 3600 - 60
    clock.wall -= 3600 * SECOND
    assert window.remaining_s() == 5 * 3600 - 60


def test_a_box_that_slept_wakes_up_late():
    clock, _, window = opened()
    clock.wall += 7 * 3600 * SECOND  # CLOCK_MONOTONIC stands still in suspend
    assert window.over()


def test_a_restart_with_the_clock_set_back_gains_nothing():
    clock, signed, _ = opened()
    clock.pass_s(5 * 3600)
    known = clock.wall
    clock.wall -= 4 * 3600 * SECOND
    assert Window(signed, clock).remaining_s() > 4 * 3600, "the control: without the log's time it would"
    assert Window(signed, clock, seen_wall_ns=known).remaining_s() == pytest.approx(3600 - 60)


def test_cancellation_closes_it_at_once():
    clock, signed, _ = opened()
    end = Cancellation("lfr-edge authority cancellation 1", signed.sha256, "2099-01-01T00:00:00Z", "A", "B")
    assert Window(replace(signed, cancellation=end), clock).over()


def test_an_oral_authority_closes_when_its_writing_is_due():
    clock = ManualClock()
    due = clock.wall + 1800 * SECOND
    urgent = Urgent("r", instant_text(clock.wall - 600 * SECOND), "t", instant_text(due))
    clock, signed, window = opened(urgent=urgent)
    assert window.remaining_s() == pytest.approx(1800, abs=1)
    said = Confirmation("lfr-edge authority confirmation 1", signed.sha256, instant_text(clock.wall), "A")
    assert Window(replace(signed, confirmation=said), clock).remaining_s() == 6 * 3600 - 60


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3_600 * SECOND),  # time that really passes
            st.integers(-(10**6) * SECOND, 10**6 * SECOND),  # what somebody does to the wall clock meanwhile
        ),
        max_size=30,
    )
)
def test_no_sequence_of_clock_jumps_lengthens_it(moves):
    clock, signed, window = opened()
    begun, granted_ns = clock.mono, signed.authority.end_ns - clock.wall
    before = window.remaining_s()
    for passed, jump in moves:
        clock.mono += passed
        clock.wall += passed + jump
        left = window.remaining_s()
        assert left <= max(0, before - passed / SECOND) + 1e-6, "it shrinks at least as fast as time passes"
        assert left <= max(0, granted_ns - (clock.mono - begun)) / SECOND + 1e-6, (
            "never beyond what was granted"
        )
        assert left <= max(0, signed.authority.end_ns - clock.wall) / SECOND + 1e-6, (
            "never beyond the wall's end"
        )
        assert window.over() == (left == 0)
        before = left
