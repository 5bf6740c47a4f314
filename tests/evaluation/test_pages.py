"""The pages of evaluations hold on screens and paper: nothing cut off without a sign, nothing empty without a word."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lfr_edge.evaluation.document import document
from lfr_edge.evaluation.drawing import det, intervals, rate, table
from lfr_edge.evaluation.intervals import person_rate, share_rate

LONG = "a group with a name that nobody would print on one line <b>&"


def test_a_long_name_is_cut_with_a_sign_in_the_drawing_and_whole_in_the_table():
    told = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    drawn = intervals([(LONG, told)], "rates")
    assert "a group with a name that …" in drawn
    assert "&lt;b&gt;&amp;" in table(("group", "rate"), [(LONG, rate(told))])
    assert "<b>" not in drawn + document(LONG, [drawn])


def test_what_scrolls_can_be_reached_by_the_keyboard_and_heads_name_their_columns():
    made = table(("name", "trials"), [("a", 3), ("b", 40)])
    assert "tabindex='0'" in made
    assert made.count("<th scope='col'") == 2
    assert re.search(r"<th scope='col' class=n>trials</th>", made), "a head stands over its numbers"


def test_nothing_to_show_is_said():
    assert table(("score", "stranger"), []) == "<p>Nothing to show: score, stranger.</p>"
    assert "No curve" in det([])


def test_the_shell_asks_for_nothing_and_has_one_main_part():
    page = document("title", ["<h1>title</h1>"])
    assert page.count("<main>") == 1
    assert not re.search(r"(src|href)=|<script|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_a_share_of_draws_has_persons_as_its_unit():
    people = np.repeat(np.arange(40), 3)
    events = np.random.default_rng(1).random(120) < 0.3
    a, b = share_rate(events.astype(float), people), person_rate(events, people)
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=0.01)
    two = np.zeros(120)
    two[[0, 1, 2, 3]] = 1  # of two people
    assert share_rate(two, people).value is None
    assert "rule of 3" in share_rate(two, people).note
    assert share_rate(np.empty(0), people[:0]).value is None
