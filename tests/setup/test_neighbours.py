"""How loaded the box was is said with the verdict, and comes from the kernel's account."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from lfr_edge.setup.neighbours import Neighbours
from lfr_edge.setup.preparation import Measured


def _stat(path, *, user: int, idle: int, steal: int = 0) -> None:
    path.write_text(f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 2 3\n")


@pytest.mark.parametrize(
    ("user", "steal", "share"), [(0, 0, 0.0), (100, 0, 0.1), (0, 500, 0.5), (5000, 0, 1.0)]
)
def test_the_share_of_others(tmp_path, user, steal, share):
    path = tmp_path / "stat"
    _stat(path, user=1_000, idle=10_000)
    neighbours = Neighbours(path)
    _stat(path, user=1_000 + user, idle=10_000 + max(0, 1_000 - user - steal), steal=steal)
    assert neighbours.share() == pytest.approx(share, abs=0.01)  # this process itself used next to nothing


def test_what_this_process_uses_is_not_theirs(tmp_path):
    path = tmp_path / "stat"
    _stat(path, user=0, idle=0)
    neighbours = Neighbours(path)
    ends = time.process_time() + 0.2
    while time.process_time() < ends:
        pass
    _stat(path, user=20, idle=80)
    assert neighbours.share() == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "intr 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"])
def test_a_kernel_that_does_not_say(tmp_path, text):
    path = tmp_path / "stat"
    path.write_text(text)
    assert Neighbours(path).share() is None
    assert Neighbours(tmp_path / "missing").share() is None


def test_a_busy_neighbour_is_seen():
    """The real kernel, with a program beside this one that uses a processor."""
    neighbours = Neighbours()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            time.sleep(0.2)
            if (neighbours.share() or 0) > 0.05:
                break
        else:
            pytest.fail("a program that uses all it can get was not seen")
    finally:
        busy.kill()
        busy.wait()


@pytest.mark.parametrize(
    ("load", "others", "disturbed", "words"),
    [
        (9.0, 0.02, False, "other programs used 2 % of this box meanwhile"),
        (0.0, 0.34, True, "used 34 % of this box meanwhile: the figures are too low; measure again"),
        (0.2, None, False, "load 0.2 a processor when it began"),
        (2.8, None, True, "load 2.8 a processor when it began: the figures are too low"),
    ],
)
def test_how_loaded_it_was_is_always_said(load, others, disturbed, words):
    measured = Measured((), load, others)
    assert measured.disturbed is disturbed
    assert words in measured.circumstances
