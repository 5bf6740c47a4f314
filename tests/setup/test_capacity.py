"""The verdict's arithmetic, against figures that were measured and against a plain simulation of a second."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.recogniser.view import LEAST_LOOKS_PER_S
from lfr_edge.setup.capacity import (
    EMBEDDINGS_PER_FACE,
    FACES_PER_MIN,
    HEADROOM,
    MOST,
    Cost,
    Speed,
    Verdict,
    _wall_ms,
    judge,
)


def speed(look, embed, scrub, processors=2, decoding=0.3, side=1280, recognisers=1):
    return Speed(
        side, Cost(*look), Cost(*embed), Cost(*scrub), processors, processors, recognisers, decoding,
        decoding_measured=False,
    )  # fmt: skip


def test_two_cores_serve_two_cameras_as_measured():
    """docs/performance.md, 2 threads, default pack: with two cameras p95 is 364 ms, with four 807 ms."""
    verdict = judge(speed((20, 35), (7, 13), (7, 13)))
    assert verdict.cameras in {2, 3}
    assert verdict.bound_by == "processors"
    assert verdict.text == f"{verdict.cameras} cameras at detector size 1280"


def test_a_gpu_is_bound_by_the_processors_that_decode():
    verdict = judge(speed((2, 2), (1, 1), (1, 1), processors=16))
    assert verdict.bound_by == "processors"
    assert verdict.cameras > 20


def test_one_slow_process_is_full_before_many_processors_are():
    verdict = judge(speed((100, 100), (3, 3), (3, 3), processors=64))
    assert verdict == Verdict(1280, 1, "recogniser")
    assert verdict.text == "1 camera at detector size 1280"


def test_several_recognisers_use_the_processors_that_one_leaves_idle():
    slow = (100, 600), (3, 18), (3, 18)  # 16 threads: six times as fast as one
    alone = judge(speed(*slow, processors=16))
    assert alone == Verdict(1280, 1, "recogniser")
    shared = judge(speed(*slow, processors=16, recognisers=16))
    assert shared == Verdict(1280, 2, "recogniser"), "a third would leave each five threads"


def test_on_a_card_a_second_recogniser_waits_for_the_first():
    """What takes longer by the clock than of processors is the card's, and the card is one."""
    on_card = speed((20, 2), (5, 1), (5, 1), processors=16, recognisers=4)
    assert _wall_ms(on_card.look, 4, on_card) == 20


def test_a_box_that_is_too_slow_is_told_so():
    assert judge(speed((900, 900), (90, 90), (90, 90))).text == "no camera at detector size 1280"


def test_nothing_costs_nothing():
    assert judge(speed((0, 0), (0, 0), (0, 0), decoding=0)).cameras == MOST


ms = st.floats(0.01, 400)


@given(st.floats(0.5, 400), st.floats(0.01, 1), st.integers(1, 64), st.integers(1, 64))
def test_fewer_threads_take_longer_and_one_takes_what_it_takes_of_processors(
    cpu, share, threads, recognisers
):
    """Against Amdahl's law as it is usually written: what cannot be divided, and the rest by the threads."""
    alone = cpu * share
    cost = Cost(alone + (cpu - alone) / threads, cpu)
    found = _wall_ms(cost, recognisers, speed((1, 1), (1, 1), (1, 1), threads))
    left = threads if recognisers == 1 else max(1, threads // recognisers)
    assert found == pytest.approx(alone + (cpu - alone) / left)


@given(ms, ms, ms, ms, ms, ms, st.integers(1, 64), st.floats(0.01, 2))
def test_what_the_verdict_says_fits_and_one_more_does_not(lw, lc, ew, ec, sw, sc, processors, decoding):
    given_speed = speed((lw, lc), (ew, ec), (sw, sc), processors, decoding)

    def fits(cameras: int) -> bool:
        looks, embeds = cameras * LEAST_LOOKS_PER_S, FACES_PER_MIN / 60 * EMBEDDINGS_PER_FACE
        wall = looks * (lw + sw) + embeds * ew
        cpu = cameras * decoding + (looks * (lc + sc) + embeds * ec) / 1000
        return wall <= HEADROOM * 1000 + 1e-6 and cpu <= HEADROOM * processors + 1e-9

    verdict = judge(given_speed)
    assert verdict.cameras == 0 or fits(verdict.cameras)
    assert verdict.cameras == MOST or not fits(verdict.cameras + 1) or near_an_edge(given_speed)


def near_an_edge(found: Speed) -> bool:
    """Whether a hair less demand gives another answer: then rounding decides, not arithmetic."""
    share = 0.999999
    look = Cost(found.look.wall_ms * share, found.look.cpu_ms * share)
    hair = replace(found, look=look, decoding=found.decoding * share)
    return judge(hair).cameras != judge(found).cameras


@given(ms, ms, st.integers(1, 32))
def test_a_faster_box_never_serves_fewer(look, embed, processors):
    slow = judge(speed((look, look), (embed, embed), (embed, embed), processors)).cameras
    fast = judge(
        speed((look / 2, look / 2), (embed / 2, embed / 2), (embed / 2, embed / 2), processors)
    ).cameras
    assert fast >= slow
